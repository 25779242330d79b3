//! Finds acknowledged updates that were undone, and the ops that prove it.
//!
//! `durability` compares only the newest update with the final state. A system that falls back to an old value and
//! continues from there passes that check, no matter how many updates were lost in between. This check therefore uses
//! every observation: if an op sees an old value although later updates were acknowledged, those updates were undone.
//!
//! **What is proved.** Write `u > v` if `u` took effect after `v` in every order that respects real time and the CAS links:
//! `u` is built on `v` by CAS, or an ancestor of `u` was invoked after `v` was known to hold. Suppose `u > v`, `u` was
//! acknowledged before an op was invoked, and that op saw `v`. Then no order exists: each value is written only once, so
//! `v` cannot return after `u`. Hence a finding implies that the key is not linearizable. The converse does not hold.
//!
//! An update is *undone* if, after the last op that missed it, no op saw the update, a value built on it, or a later
//! acknowledged update that the same op missed. Otherwise it was only *hidden*: the op read an old copy, and the update
//! reappeared.
//!
//! The cost per key is one sort of its observations and one of its updates.

use super::{CheckResult, result};
use crate::coverage;
use crate::linearizable::facts::{Fact, Fates, KeyOps, NEVER, START, Time, time};
use crate::linearizable::reason::value;
use crate::verdict::Verdict;
use heckle_history::{History, KeyId, Nanos, Operation, Outcome, Seen, Value};
use rustc_hash::FxHashMap;
use serde_json::json;
use std::collections::HashSet;

/// Maximum number of updates listed per key. The counts always include all updates.
pub const MAX_LISTED: usize = 20;

/// The acknowledged updates of one key that an op missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// The key.
    pub key: KeyId,
    /// Updates that were acknowledged and undone, ordered by invocation.
    pub undone: Vec<Update>,
    /// Updates that were acknowledged, missed by an op, and seen again later.
    pub hidden: Vec<Update>,
}

/// An acknowledged update, and the op that missed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Update {
    /// Index of the update in the history.
    pub place: u32,
    /// Index of the op that saw an older value although the update had been acknowledged; the last one invoked if there
    /// are several.
    pub missed_by: u32,
    /// The value that the op saw.
    pub seen: Option<Value>,
}

/// Returns the missed updates of every key that has any.
pub fn missed(history: &History) -> Vec<Missed> {
    KeyOps::split(history, Fates::Used).iter().filter_map(|ops| States::of(ops)?.missed()).collect()
}

/// Returns the acknowledged updates of a key that an op invoked at `invoked` missed if it saw `seen`. They are indices
/// into the history, ordered by acknowledgement time.
pub fn missed_by(history: &History, key: KeyId, seen: Option<Value>, invoked: Nanos) -> Vec<u32> {
    let keys = KeyOps::split(history, Fates::Used);
    let Some(ops) = keys.iter().find(|k| k.key == key) else { return vec![] };
    let mut places = States::of(ops).map_or_else(Vec::new, |states| states.after(seen, time(invoked)));
    places.sort_by_key(|&p| (history.ops[p as usize].completed, p));
    places
}

/// Checks a history for acknowledged updates that were undone.
pub fn check(history: &History) -> CheckResult {
    check_given(history, &HashSet::new())
}

/// Like [`check`], but skips the keys that are proved linearizable with fates used. No update was undone on those keys (see the
/// module documentation), and searching them would take longer than the proof did.
pub fn check_given(history: &History, proved: &HashSet<KeyId>) -> CheckResult {
    let acknowledged = history.ops.iter().filter(|o| is_acknowledged(o)).count();
    let (mut missed, mut repeating) = (vec![], vec![]);
    for ops in KeyOps::split(history, Fates::Used).into_iter().filter(|ops| !proved.contains(&ops.key)) {
        match States::of(&ops) {
            Some(states) => missed.extend(states.missed()),
            None => repeating.push(history.names.key_name(ops.key)),
        }
    }
    let undone: usize = missed.iter().map(|m| m.undone.len()).sum();
    let hidden: usize = missed.iter().map(|m| m.hidden.len()).sum();
    let verdict = match (missed.is_empty(), acknowledged == 0 || !repeating.is_empty()) {
        (false, _) => Verdict::Invalid,
        (true, true) => Verdict::Unknown,
        (true, false) => Verdict::Valid,
    };
    let words = match verdict {
        Verdict::Invalid => sentence(history, &missed),
        Verdict::Unknown if acknowledged == 0 => "no update was acknowledged".to_owned(),
        Verdict::Unknown => format!("values are written more than once, so their order is not known, on {}", repeating.join(", ")),
        Verdict::Valid => format!("no op saw an older value after any of {acknowledged} acknowledged updates"),
    };
    let listed: Vec<serde_json::Value> = missed.iter().map(|m| figure(history, m)).collect();
    let figure = [("acknowledged", json!(acknowledged)), ("undone", json!(undone)), ("hidden", json!(hidden)), ("keys", json!(listed))];
    result("acknowledged", verdict, words, figure)
}

/// Describes the result: "626 acknowledged updates were undone, on 2 keys: on k1 …".
fn sentence(history: &History, missed: &[Missed]) -> String {
    let undone: usize = missed.iter().map(|m| m.undone.len()).sum();
    let hidden: usize = missed.iter().map(|m| m.hidden.len()).sum();
    let keys = |wanted: fn(&Missed) -> bool| match missed.iter().filter(|m| wanted(m)).count() {
        1 => "one key".to_owned(),
        n => format!("{n} keys"),
    };
    let mut parts = vec![];
    if undone > 0 {
        parts.push(format!("{} undone on {}", updates(undone), keys(|m| !m.undone.is_empty())));
    }
    if hidden > 0 {
        parts.push(format!("{} hidden from a later op on {}, and seen again", updates(hidden), keys(|m| !m.hidden.is_empty())));
    }
    let worst = missed.iter().max_by_key(|m| (m.undone.len(), m.hidden.len(), std::cmp::Reverse(m.key)));
    let most = worst.map_or_else(String::new, |m| format!(": {}", on_key(history, m)));
    format!("{}{most}", parts.join("; "))
}

fn updates(count: usize) -> String {
    if count == 1 { "1 acknowledged update was".to_owned() } else { format!("{count} acknowledged updates were") }
}

/// Describes the missed updates of one key: "on k1, those acknowledged from 1.2 s to 3.4 s (op 5 .. op 812): op 901
/// still read 16 at 3.6 s".
fn on_key(history: &History, missed: &Missed) -> String {
    let ops = if missed.undone.is_empty() { &missed.hidden } else { &missed.undone };
    let op = |place: u32| &history.ops[place as usize];
    let (Some(first), Some(last)) = (ops.first(), ops.last()) else { return String::new() };
    let which = match ops.len() {
        1 => format!("op {}, acknowledged at {}", op(first.place).op, op(first.place).completed),
        n => {
            let from = ops.iter().map(|u| op(u.place).completed).min().unwrap_or_default();
            let to = ops.iter().map(|u| op(u.place).completed).max().unwrap_or_default();
            let during = during(history, from, to);
            format!("{n} from op {} to op {}, acknowledged from {from} to {to}{during}", op(first.place).op, op(last.place).op)
        }
    };
    // Report the op that missed the most updates.
    let by = last.missed_by;
    let saw = describe_observation(op(by), last.seen);
    format!("on {}, {which}; op {}, invoked at {}, {saw}", history.names.key_name(missed.key), op(by).op, op(by).invoked)
}

/// Names the faults that were active while updates were acknowledged: ", during partition:leader (fault 2)".
fn during(history: &History, from: Nanos, to: Nanos) -> String {
    let faults = coverage::faults(history).into_iter().filter(|fault| fault.began <= to && fault.ended >= from);
    let faults: Vec<String> = faults.map(|fault| format!("{} (fault {})", fault.kind, fault.id)).collect();
    if faults.is_empty() { String::new() } else { format!(", during {}", faults.join(", ")) }
}

/// Describes how an op saw `seen`.
fn describe_observation(op: &Operation, seen: Option<Value>) -> String {
    match op.outcome {
        Outcome::Ok(Seen::Value(_)) => format!("still read {}", value(seen)),
        Outcome::Ok(Seen::ConditionNotMet(_)) => format!("was refused because it still found {}", value(seen)),
        Outcome::Ok(Seen::Applied | Seen::Written) | Outcome::Failed | Outcome::Unknown | Outcome::Open => {
            format!("still found {} and replaced it", value(seen))
        }
    }
}

fn figure(history: &History, missed: &Missed) -> serde_json::Value {
    let id = |place: u32| history.ops[place as usize].op;
    let list = |updates: &[Update]| -> Vec<serde_json::Value> {
        let one = |u: &Update| {
            let op = &history.ops[u.place as usize];
            json!({"op": op.op.0, "acknowledged_s": op.completed.as_secs_f64(), "missed_by": id(u.missed_by).0, "saw": u.seen.map(|v| v.0)})
        };
        updates.iter().take(MAX_LISTED).map(one).collect()
    };
    json!({
        "key": history.names.key_name(missed.key),
        "undone": missed.undone.len(),
        "hidden": missed.hidden.len(),
        "first_undone": list(&missed.undone),
        "first_hidden": list(&missed.hidden),
    })
}

fn is_acknowledged(op: &Operation) -> bool {
    matches!(op.outcome, Outcome::Ok(Seen::Written | Seen::Applied))
}

/// One value of a key, with bounds on when it held.
#[derive(Debug, Clone)]
struct State {
    value: Option<Value>,
    /// The op that writes the value; `None` for "never written".
    writer: Option<u32>,
    /// The state that the writer found, if it was a CAS.
    parent: Option<usize>,
    /// Earliest time at which the value could have taken effect.
    from: Time,
    /// Time by which the value had taken effect; [`NEVER`] if it was neither acknowledged nor seen.
    by: Time,
    /// The op with the latest invocation that saw the value, and its invocation time.
    last_seen: Option<(Time, u32)>,
}

/// The values of one key, parents before children.
struct States<'k, 'h> {
    ops: &'k KeyOps<'h>,
    states: Vec<State>,
}

impl<'k, 'h> States<'k, 'h> {
    /// Returns `None` if a value is written twice, because a read of it is then ambiguous.
    fn of(ops: &'k KeyOps<'h>) -> Option<Self> {
        let mut writers: FxHashMap<Value, (u32, Option<Option<Value>>)> = FxHashMap::default();
        for &place in &ops.places {
            let (new, expected) = match ops.fact(place).fact {
                Fact::Wrote { new, .. } => (new, None),
                Fact::Swapped { expected, new, .. } => (new, Some(expected)),
                Fact::Saw(_) | Fact::SawExpected | Fact::Refused { .. } | Fact::Never | Fact::Nothing => continue,
            };
            if writers.insert(new, (place, expected)).is_some() {
                return None;
            }
        }
        let mut found = States { ops, states: vec![] };
        let index = found.place_states(&writers);
        found.record_observations(&index);
        found.propagate_bounds();
        Some(found)
    }

    /// Creates a state for every value that is linked to a root: "never written", a blind write, or a value that no op
    /// writes. Values without a root form a cycle of CAS ops, which is left to the linearizability check.
    fn place_states(&mut self, writers: &FxHashMap<Value, (u32, Option<Option<Value>>)>) -> FxHashMap<Option<Value>, usize> {
        let mut children: FxHashMap<Option<Value>, Vec<u32>> = FxHashMap::default();
        let mut index: FxHashMap<Option<Value>, usize> = FxHashMap::default();
        self.push(&mut index, State { value: None, writer: None, parent: None, from: START, by: START, last_seen: None });
        for &place in &self.ops.places {
            let Some(new) = self.ops.op(place).call.writes() else { continue };
            let Some((writer, expected)) = writers.get(&new).filter(|(writer, _)| *writer == place) else { continue };
            match expected {
                None => self.push_written(&mut index, new, *writer, None),
                Some(expected) => children.entry(*expected).or_default().push(place),
            }
        }
        // The time of a value that no op writes is unknown; only the values built on it can be ordered.
        for &place in &self.ops.places {
            if let Fact::Swapped { expected: Some(e), .. } = self.ops.fact(place).fact
                && !writers.contains_key(&e)
                && !index.contains_key(&Some(e))
            {
                self.push(&mut index, State { value: Some(e), writer: None, parent: None, from: START, by: NEVER, last_seen: None });
            }
        }
        let mut next = 0;
        while next < self.states.len() {
            for place in children.remove(&self.states[next].value).unwrap_or_default() {
                if let Some(new) = self.ops.op(place).call.writes() {
                    self.push_written(&mut index, new, place, Some(next));
                }
            }
            next += 1;
        }
        index
    }

    fn push(&mut self, index: &mut FxHashMap<Option<Value>, usize>, state: State) {
        index.insert(state.value, self.states.len());
        self.states.push(state);
    }

    fn push_written(&mut self, index: &mut FxHashMap<Option<Value>, usize>, new: Value, writer: u32, parent: Option<usize>) {
        let timed = self.ops.fact(writer);
        let state = State { value: Some(new), writer: Some(writer), parent, from: timed.invoked, by: timed.by, last_seen: None };
        self.push(index, state);
    }

    /// Records every op that certainly found a value: reads, refused CAS ops, and CAS ops that took effect.
    fn record_observations(&mut self, index: &FxHashMap<Option<Value>, usize>) {
        for &place in &self.ops.places {
            let timed = self.ops.fact(place);
            let seen = match timed.fact {
                Fact::Saw(v) => v,
                Fact::Swapped { expected, sure: true, .. } => expected,
                Fact::Swapped { .. } | Fact::Wrote { .. } | Fact::SawExpected | Fact::Refused { .. } | Fact::Never | Fact::Nothing => {
                    continue;
                }
            };
            let Some(&at) = index.get(&seen) else { continue };
            let state = &mut self.states[at];
            // A value without a writer gets no deadline.
            if state.writer.is_some() {
                state.by = state.by.min(timed.by);
            }
            if state.last_seen.is_none_or(|(t, _)| t < timed.invoked) {
                state.last_seen = Some((timed.invoked, place));
            }
        }
    }

    /// Propagates the bounds along the links: a child starts after its parent, and a parent held before its child.
    fn propagate_bounds(&mut self) {
        for at in 0..self.states.len() {
            if let Some(parent) = self.states[at].parent {
                self.states[at].from = self.states[at].from.max(self.states[parent].from);
            }
        }
        for at in (0..self.states.len()).rev() {
            // The value was seen before it could have started. That is a separate contradiction and implies nothing about other
            // states.
            if self.states[at].by < self.states[at].from {
                self.states[at].by = NEVER;
            }
            // As above, a value without a writer gets no deadline.
            if let Some(parent) = self.states[at].parent.filter(|&p| self.states[p].writer.is_some()) {
                self.states[parent].by = self.states[parent].by.min(self.states[at].by);
            }
        }
    }

    /// Returns every acknowledged update that an op missed.
    fn missed(&self) -> Option<Missed> {
        let witness = self.witnesses();
        let mut missed: Vec<(usize, Update)> = vec![];
        for (at, state) in self.states.iter().enumerate() {
            let (Some(place), Some((invoked, by, seen))) = (state.writer, witness[at]) else { continue };
            let op = self.ops.op(place);
            if is_acknowledged(op) && time(op.completed) < invoked {
                missed.push((at, Update { place, missed_by: by, seen }));
            }
        }
        if missed.is_empty() {
            return None;
        }
        missed.sort_by_key(|(_, u)| (self.ops.op(u.place).invoked, u.place));
        let back = self.reappeared_later(&missed);
        let (mut undone, mut hidden) = (vec![], vec![]);
        for ((_, update), back) in missed.iter().zip(back) {
            if back { hidden.push(*update) } else { undone.push(*update) }
        }
        Some(Missed { key: self.ops.key, undone, hidden })
    }

    /// Returns the updates after the state of `value` that were acknowledged before `invoked`.
    fn after(&self, value: Option<Value>, invoked: Time) -> Vec<u32> {
        let Some(origin) = self.states.iter().position(|s| s.value == value) else { return vec![] };
        let mut descends = vec![false; self.states.len()];
        let mut places = vec![];
        for (at, state) in self.states.iter().enumerate() {
            descends[at] = state.parent.is_some_and(|p| p == origin || descends[p]);
            let later = at != origin && (descends[at] || self.states[origin].by < state.from);
            let in_time = |p: &u32| is_acknowledged(self.ops.op(*p)) && time(self.ops.op(*p).completed) < invoked;
            places.extend(state.writer.filter(|_| later).filter(in_time));
        }
        places
    }

    /// Returns, for each state, the op with the latest invocation that saw an earlier state: its invocation, its place
    /// and the value it saw.
    fn witnesses(&self) -> Vec<Option<(Time, u32, Option<Value>)>> {
        let later = |a: Option<(Time, u32, Option<Value>)>, b: Option<(Time, u32, Option<Value>)>| match (a, b) {
            (Some(a), Some(b)) => Some(if b.0 > a.0 { b } else { a }),
            (a, b) => a.or(b),
        };
        let describe_observation = |at: usize| self.states[at].last_seen.map(|(t, place)| (t, place, self.states[at].value));
        // By CAS links: from all ancestors.
        let mut found: Vec<Option<(Time, u32, Option<Value>)>> = vec![None; self.states.len()];
        for at in 0..self.states.len() {
            if let Some(parent) = self.states[at].parent {
                found[at] = later(found[parent], describe_observation(parent));
            }
        }
        // By real time: from all states that were known to hold before this one could have started.
        let mut by_end: Vec<usize> =
            (0..self.states.len()).filter(|&at| self.states[at].by != NEVER && describe_observation(at).is_some()).collect();
        by_end.sort_by_key(|&at| self.states[at].by);
        let mut by_start: Vec<usize> = (0..self.states.len()).collect();
        by_start.sort_by_key(|&at| self.states[at].from);
        let (mut next, mut latest) = (0, None);
        for at in by_start {
            while next < by_end.len() && self.states[by_end[next]].by < self.states[at].from {
                latest = later(latest, describe_observation(by_end[next]));
                next += 1;
            }
            found[at] = later(found[at], latest);
        }
        found
    }

    /// Returns, for each of `missed`, whether it reappeared after the last op that missed it: an op saw the update, a
    /// value built on it, or a later acknowledged update that the same op missed.
    fn reappeared_later(&self, missed: &[(usize, Update)]) -> Vec<bool> {
        // Latest invocation of an op that saw the state or a value built on it.
        let mut last: Vec<Time> = self.states.iter().map(|s| s.last_seen.map_or(START, |(t, _)| t)).collect();
        for at in (0..self.states.len()).rev() {
            if let Some(parent) = self.states[at].parent {
                last[parent] = last[parent].max(last[at]);
            }
        }
        let own = |at: usize, update: &Update| last[at] > time(self.ops.op(update.missed_by).invoked);
        // Updates that reappeared, latest invocation first: each is evidence for all updates that completed before it.
        let invoked = |at: usize| self.states[at].from;
        let latest = missed.iter().filter(|(at, u)| own(*at, u)).map(|(at, _)| invoked(*at)).max();
        let superseded = |u: &Update| latest.is_some_and(|t| time(self.ops.op(u.place).completed) < t);
        missed.iter().map(|(at, u)| own(*at, u) || superseded(u)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heckle_history::drawn;

    /// Checks the undone and the hidden ops of a drawn history.
    #[track_caller]
    fn check_missed(drawing: &str, undone: &[u64], hidden: &[u64]) {
        let history = drawn::history(drawing);
        let of = |updates: fn(&Missed) -> &Vec<Update>| -> Vec<u64> {
            let mut ids: Vec<u64> = missed(&history)
                .iter()
                .flat_map(|m| updates(m).iter().map(|u| history.ops[u.place as usize].op.0).collect::<Vec<_>>())
                .collect();
            ids.sort_unstable();
            ids
        };
        assert_eq!((of(|m| &m.undone), of(|m| &m.hidden)), (undone.to_vec(), hidden.to_vec()), "{drawing}");
        let found = !undone.is_empty() || !hidden.is_empty();
        assert_eq!(check(&history).verdict == Verdict::Invalid, found, "{drawing}");
        let judged = crate::judge(&history, &crate::Options::new(&crate::InProcess)).linearizability.verdict;
        assert!(!found || judged == Verdict::Invalid, "a finding implies that the key is not linearizable: {drawing}");
    }

    #[test]
    fn proved_losses_are_counted() {
        check_missed("c1 |w 1-->  w 2-->  r 2-->|", &[], &[]);
        check_missed("c1 |w 1-->  w 2-->  w 3-->  r 1-->|", &[1, 2], &[]);
        check_missed("c1 |w 1-->  w 2-->  r null-->|", &[0, 1], &[]);
        // By CAS links, regardless of the times: the CAS overlaps the write that it found.
        check_missed("c1 |w 1-------->              |\nc2 |   cas 1 2-->    r 1-->      |", &[1], &[]);
        // It overlaps the op that saw the older value, so it may come after that op.
        check_missed("c1 |w 1-->  w 2----------->|\nc2 |              r 1-->    |", &[], &[]);
    }

    #[test]
    fn stale_copies_are_distinguished_from_losses() {
        check_missed("c1 |w 1-->  w 2-->  r 1-->  r 2-->|", &[], &[1]);
        check_missed("c1 |w 1-->  cas 1 2-->  cas 2 3-->  r 1-->  r 3-->|", &[], &[1, 2]);
        // The update is overwritten by the old value that reappeared.
        check_missed("c1 |w 1-->  w 2-->  w 3-->  r 1-->  r 3-->|", &[], &[1, 2]);
        // A new update is based on the old value, so the previous updates are lost.
        check_missed("c1 |w 1-->  cas 1 2-->  cas 1 3-->  r 3-->|", &[1], &[]);
    }

    #[test]
    fn unknown_outcomes_are_not_counted_but_determine_the_order() {
        check_missed("c1 |w 1-->  w 2--?                |\nc2 |              r 1-->           |", &[], &[]);
        // The value was seen, so its write happened, and the acknowledged update before it was undone.
        check_missed(
            "c1 |w 1-->  w 2-->            |\nc2 |             cas 2 3--?     |\nc3 |                          r 3-->  r 1-->|",
            &[1],
            &[],
        );
        // A resolved fate gives a time by which a write had taken effect.
        check_missed("c1 |w 1--?              |\nc2 |             w 2-->        r 1--> |\nfate|        1=applied  |", &[1], &[]);
        check_missed("c1 |w 1--?              |\nc2 |             w 2-->        r 1--> |", &[], &[]);
    }
}
