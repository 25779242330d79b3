//! Checks the payloads of values: a counter increases by one, and a lock has one holder.
//!
//! Values are unique, so the order of a key's states is fixed wherever a CAS built each state on the previous one.
//! Along these links, the payloads must follow the workload's rule, which the header names as `projection`. This checks
//! the clients, the transport of the value and the system together. Whether the states form a single chain is left to
//! the linearizability check.

use super::{CheckResult, result};
use crate::verdict::Verdict;
use heckle_history::{Fate, History, IntentId, Nanos, Operation, Outcome, Seen, Value};
use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::json;

/// Header field that names the projection rule.
pub const IN_HEADER: &str = "projection";

/// The meaning of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// The number of increments so far.
    Counter,
    /// The holder of the lock: the number of the intent from 1, or 0 if the lock is free.
    Mutex,
}

/// Checks the payloads; returns `None` if the history's header names no rule.
pub fn check(history: &History) -> Option<CheckResult> {
    let name = history.header.more.get(IN_HEADER)?.as_str().unwrap_or_default();
    let rule = match name {
        "counter" => Rule::Counter,
        "mutex" => Rule::Mutex,
        other => {
            let words = format!("the header asks for the rule `{other}`, which this version does not know");
            return Some(result("projection", Verdict::Unknown, words, []));
        }
    };
    if history.details.is_empty() && !history.ops.is_empty() {
        return Some(result("projection", Verdict::Unknown, "the history was read without its payloads".to_owned(), []));
    }
    let gone = abandoned_intents(history);
    let (mut links, mut broken) = (0u64, vec![]);
    for (key, name) in history.by_key().iter().zip(history.names.keys()).map(|(p, (_, n))| (p, n)) {
        let states = States::of(history, key);
        for link in states.links() {
            links += 1;
            if let Err(why) = rule.holds(&link, &gone) {
                broken.push(format!("{name}: op {} {why}", link.op.op));
            }
        }
        broken
            .extend(states.blind.iter().map(|op| format!("{name}: op {op} overwrites whatever was there, which no {} does", rule.word())));
    }
    let verdict = match (broken.is_empty(), links) {
        (false, _) => Verdict::Invalid,
        (true, 0) => Verdict::Unknown,
        (true, _) => Verdict::Valid,
    };
    let words = match verdict {
        Verdict::Valid => format!("{links} steps of the {} follow each other", rule.word()),
        Verdict::Unknown => format!("no step of the {} took effect", rule.word()),
        Verdict::Invalid => format!("{} of {links} steps of the {} are wrong: {}", broken.len(), rule.word(), broken[0]),
    };
    Some(result("projection", verdict, words, [("rule", json!(name)), ("steps", json!(links)), ("wrong", json!(broken.len()))]))
}

/// Returns intents with an attempt of unknown outcome, and the time of that attempt. Their clients never act again.
fn abandoned_intents(history: &History) -> FxHashMap<IntentId, Nanos> {
    let unknown = |(op, detail): (&Operation, &heckle_history::operation::Detail)| match op.outcome {
        Outcome::Unknown => detail.intent.map(|i| (i, op.completed)),
        Outcome::Ok(_) | Outcome::Failed | Outcome::Open => None,
    };
    history.ops.iter().zip(&history.details).filter_map(unknown).collect()
}

/// A CAS that took effect, from payload to payload.
struct Link<'h> {
    op: &'h Operation,
    intent: Option<IntentId>,
    /// Payload of the previous value; `None` if the key was never written.
    from: Option<i64>,
    /// The intent whose op wrote the previous value.
    from_intent: Option<IntentId>,
    to: i64,
}

/// The states of one key.
struct States<'h> {
    history: &'h History,
    /// The op that writes each value.
    writers: FxHashMap<Value, u32>,
    /// Indices of CAS ops that took effect: acknowledged, seen, used by a later CAS, or applied according to their fate.
    effective: Vec<u32>,
    /// Acknowledged unconditional writes.
    blind: Vec<heckle_history::OpId>,
}

impl<'h> States<'h> {
    fn of(history: &'h History, places: &[u32]) -> Self {
        let op = |p: u32| &history.ops[p as usize];
        let writers: FxHashMap<Value, u32> = places.iter().filter_map(|&p| Some((op(p).call.writes()?, p))).collect();
        let mut seen: Vec<Value> = vec![];
        let mut blind = vec![];
        for &p in places {
            match op(p).outcome {
                Outcome::Ok(Seen::Value(Some(v)) | Seen::ConditionNotMet(heckle_history::Current::Known(Some(v)))) => seen.push(v),
                Outcome::Ok(Seen::Applied) => seen.extend(op(p).call.writes()),
                Outcome::Ok(Seen::Written) => blind.push(op(p).op),
                Outcome::Ok(_) | Outcome::Failed => {}
                Outcome::Unknown | Outcome::Open => {
                    let applied = matches!(history.fates.get(&p), Some((Fate::Applied, _)));
                    seen.extend(op(p).call.writes().filter(|_| applied));
                }
            }
        }
        // The op that wrote the value that an effective CAS expected also took effect.
        let mut done: FxHashSet<Value> = FxHashSet::default();
        let mut effective = vec![];
        while let Some(value) = seen.pop() {
            let Some(&writer) = writers.get(&value).filter(|_| done.insert(value)) else { continue };
            if let heckle_history::Call::Cas { expected, .. } = op(writer).call {
                effective.push(writer);
                seen.extend(expected);
            }
        }
        effective.sort_unstable();
        States { history, writers, effective, blind }
    }

    fn links(&self) -> impl Iterator<Item = Link<'h>> {
        self.effective.iter().filter_map(|&place| {
            let (op, detail) = (&self.history.ops[place as usize], &self.history.details[place as usize]);
            let heckle_history::Call::Cas { expected, .. } = op.call else { return None };
            let from = expected.and_then(|v| self.writers.get(&v)).map(|&w| &self.history.details[w as usize]);
            Some(Link {
                op,
                intent: detail.intent,
                from: expected.map(|_| from.and_then(|d| d.payload).unwrap_or(0)),
                from_intent: from.and_then(|d| d.intent),
                to: detail.payload.unwrap_or(0),
            })
        })
    }
}

impl Rule {
    fn word(self) -> &'static str {
        match self {
            Rule::Counter => "counter",
            Rule::Mutex => "mutex",
        }
    }

    fn holds(self, link: &Link<'_>, gone: &FxHashMap<IntentId, Nanos>) -> Result<(), String> {
        match self {
            Rule::Counter => {
                let due = link.from.unwrap_or(0).saturating_add(1);
                if link.to == due { Ok(()) } else { Err(format!("sets the count to {}, and {due} is due", link.to)) }
            }
            Rule::Mutex => mutex(link, gone),
        }
    }
}

fn mutex(link: &Link<'_>, gone: &FxHashMap<IntentId, Nanos>) -> Result<(), String> {
    let me = link.intent.map(|i| i.0 as i64 + 1);
    let before = link.from.unwrap_or(0);
    let holder = link.from_intent.filter(|_| before != 0);
    match (before, link.to) {
        (0, 0) => Err("releases a lock that is not held".into()),
        (0, to) if Some(to) == me => Ok(()),
        (_, to) if to != 0 && Some(to) != me => Err(format!("takes the lock for holder {to}, which is not its own intent")),
        (held, 0) if Some(held) == me => Ok(()),
        (held, 0) => Err(format!("releases a lock that holder {held} has")),
        (held, _) => match holder.and_then(|h| gone.get(&h)) {
            // The client that holds the lock got an unknown outcome and never acts again, so its lock may be broken.
            Some(since) if *since <= link.op.invoked => Ok(()),
            Some(_) | None => Err(format!("takes a lock that holder {held} has")),
        },
    }
}
