//! Judges a run event by event in bounded memory, with the same verdict, so a run can stop soon after a violation.
//!
//! Events arrive in time order, which makes the zones of the [chain checker](crate::linearizable) easy to maintain. The
//! first evidence that a value held determines its `first` permanently, so chains are appended in the order of their
//! `first`. A later observation can only raise `last`. Two questions then remain: was the observation invoked after
//! evidence for the next value of its chain (stale), and does the zone of its chain now overlap another that it must
//! precede?
//!
//! A value that no later event can legally observe is forgotten (see `forget.rs`). Memory is therefore proportional to
//! the number of open ops, with one exception: a blind write of unknown outcome may still take effect at the end of the
//! run. It stays in memory unless it is observed or its fate is answered. Such writes are
//! [counted](Counters::unobserved_unknown_writes).
//!
//! A violation is reported at the first completion after which no order exists, which is the earliest possible time.
//! The report is one sentence. The batch judge later adds the proof and the smallest set of ops, using the recorded
//! history.
//!
//! The following cases are left to the batch judge and never cause a false alarm: keys outside the chain checker's
//! fragment, refusals that do not report the value found, and fates of ops that were forgotten.

mod forget; // drops values that no later event can legally observe
mod key; // one key: values, chains and their zones

use crate::verdict::{Explanation, Verdict, Violation, ViolationKind};
use heckle_history::{Call, Current, Event, Fate, Invoke, KeyId, Names, OpId, Outcome, Seen};
use key::{Alarm, KeyState};
use rustc_hash::FxHashMap;

/// Sizes and counters of the online judge, for the report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counters {
    /// Number of events processed.
    pub events: u64,
    /// Number of values currently in memory, over all keys.
    pub live_values: u64,
    /// Maximum number of values that one key held at the same time.
    pub live_values_max: u64,
    /// Number of blind writes of unknown outcome that no op has observed. Only this part of memory grows with the run,
    /// since each write may still take effect.
    pub unobserved_unknown_writes: u64,
    /// Number of unknown ops whose fate may still be answered.
    pub unanswered_fates: u64,
    /// Number of keys outside the fragment, which are left to the batch judge.
    pub keys_left: u64,
}

/// Whether a CAS may expect a value whose write has not been invoked yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clients {
    /// Clients expect only values they have seen, as the workloads do. A value that is no longer in memory cannot occur again.
    ExpectSeenValues,
    /// Clients may guess values. The judge is still exact, but an unknown CAS whose guessed value is never written is
    /// never forgotten.
    MayGuess,
}

/// An op between its invoke and the last event about it.
#[derive(Debug, Clone, Copy)]
struct Pending {
    key: KeyId,
    call: Call,
    invoked: u64,
}

/// Maximum number of unknown ops with a pending fate. Beyond this, the oldest are dropped and left to the batch judge.
const MAX_UNANSWERED_FATES: usize = 1 << 20;

/// Judges a run while it is in progress.
#[derive(Debug)]
pub struct OnlineJudge {
    clients: Clients,
    keys: Vec<KeyState>,
    open: FxHashMap<OpId, Pending>,
    unanswered: FxHashMap<OpId, Pending>,
    events: u64,
}

impl Default for OnlineJudge {
    fn default() -> Self {
        OnlineJudge::new()
    }
}

impl OnlineJudge {
    /// Creates an empty judge for clients that expect only values they have seen.
    pub fn new() -> Self {
        OnlineJudge::for_clients(Clients::ExpectSeenValues)
    }

    /// Creates an empty judge.
    pub fn for_clients(clients: Clients) -> Self {
        OnlineJudge { clients, keys: vec![], open: FxHashMap::default(), unanswered: FxHashMap::default(), events: 0 }
    }

    /// Processes the next event. Reports at most one violation per key, at the first event after which no order exists.
    pub fn feed(&mut self, event: &Event, names: &Names) -> Option<Violation> {
        self.events += 1;
        let (op, outcome) = match event {
            Event::Invoke(invoke) => {
                self.invoke(invoke);
                return None;
            }
            Event::Fault(_) | Event::Node(_) => return None,
            Event::Fate { op, fate, .. } => return self.fate(*op, *fate, event, names),
            Event::Ok(c) => (c.op, Outcome::Ok(c.seen)),
            Event::Fail(c) => (c.op, Outcome::Failed),
            Event::Unknown(c) => (c.op, Outcome::Unknown),
        };
        let pending = self.open.remove(&op)?;
        if outcome == Outcome::Unknown && pending.call.writes().is_some() && self.unanswered.len() < MAX_UNANSWERED_FATES {
            self.unanswered.insert(op, pending);
        }
        let key = &mut self.keys[pending.key.0 as usize];
        key.closed(op);
        let alarm = complete(key, op, pending, outcome, crate::linearizable::facts::time(event.t()));
        self.report(alarm, pending.key, event, names)
    }

    fn invoke(&mut self, invoke: &Invoke) {
        let number = invoke.key.0 as usize;
        while self.keys.len() <= number {
            self.keys.push(KeyState::new(self.clients));
        }
        let invoked = crate::linearizable::facts::time(invoke.t);
        self.open.insert(invoke.op, Pending { key: invoke.key, call: invoke.call, invoked });
        self.keys[number].invoke(invoke.op, invoke.call, invoked);
    }

    fn fate(&mut self, op: OpId, fate: Fate, event: &Event, names: &Names) -> Option<Violation> {
        let pending = self.unanswered.get(&op).copied()?;
        let new = pending.call.writes()?;
        let key = &mut self.keys[pending.key.0 as usize];
        let alarm = match fate {
            Fate::Applied => key.found_applied(new, op, crate::linearizable::facts::time(event.t())),
            Fate::NotApplied => key.never(new, op, ViolationKind::FateContradicted),
            // This gives no information; another answer may follow.
            Fate::Evicted | Fate::Unresolved => return None,
        };
        self.unanswered.remove(&op);
        self.report(alarm, pending.key, event, names)
    }

    fn report(&mut self, alarm: Result<(), Alarm>, key: KeyId, event: &Event, names: &Names) -> Option<Violation> {
        let alarm = alarm.err()?;
        let state = &mut self.keys[key.0 as usize];
        if state.verdict() != Verdict::Valid {
            return None;
        }
        state.give_up(Verdict::Invalid);
        let summary = format!("{} (detected online at {})", alarm.words, event.t());
        Some(Violation {
            id: 1,
            key: names.key_name(key).to_owned(),
            kind: alarm.kind,
            ops: alarm.ops,
            shown_at: event.t(),
            explanation: Explanation { summary, ..Explanation::default() },
            certified: false,
            contradiction: None,
        })
    }

    /// Returns the verdict so far: unknown if a key had to be left to the batch judge.
    pub fn verdict(&self) -> Verdict {
        Verdict::merge_all(self.keys.iter().map(KeyState::verdict))
    }

    /// Returns the current counters.
    pub fn counters(&self) -> Counters {
        Counters {
            events: self.events,
            live_values: self.keys.iter().map(|k| k.live() as u64).sum(),
            live_values_max: self.keys.iter().map(|k| k.live_max() as u64).max().unwrap_or(0),
            unobserved_unknown_writes: self.keys.iter().map(KeyState::unobserved_unknown_writes).sum(),
            unanswered_fates: self.unanswered.len() as u64,
            keys_left: self.keys.iter().filter(|k| k.verdict() == Verdict::Unknown).count() as u64,
        }
    }

    /// Immediately forgets everything that can be forgotten. Tests compare runs with and without this.
    pub fn forget_now(&mut self) {
        for key in &mut self.keys {
            key.forget();
        }
    }
}

fn complete(key: &mut KeyState, op: OpId, pending: Pending, outcome: Outcome, t: u64) -> Result<(), Alarm> {
    match (pending.call, outcome) {
        (_, Outcome::Ok(Seen::Value(value))) => key.observe(value, op, pending.invoked, t),
        (Call::Write { new } | Call::Cas { new, .. }, Outcome::Ok(Seen::Written | Seen::Applied)) => key.acknowledged(new, op, t),
        (Call::Cas { expected, new }, Outcome::Ok(Seen::ConditionNotMet(current))) => {
            key.never(new, op, ViolationKind::AbortedRead)?;
            match current {
                Current::Known(value) if value == expected => Err(Alarm {
                    kind: ViolationKind::RefusedThoughMet,
                    ops: vec![op],
                    words: format!("op {op} was refused although it found what it expected"),
                }),
                Current::Known(value) => key.observe(value, op, pending.invoked, t),
                Current::NotReported => Ok(()),
            }
        }
        (Call::Write { new } | Call::Cas { new, .. }, Outcome::Failed) => key.never(new, op, ViolationKind::AbortedRead),
        (Call::Write { new } | Call::Cas { new, .. }, Outcome::Unknown) => {
            key.unknown(new);
            Ok(())
        }
        (Call::Read, _) | (_, Outcome::Open) | (Call::Write { .. }, Outcome::Ok(_)) => Ok(()),
    }
}
