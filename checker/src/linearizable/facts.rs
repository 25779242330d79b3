//! The facts that one op of a key contributes to a verdict, including fates. The chain checker and the search read ops
//! only through this module; the certificate verifier does not.

use heckle_history::{Call, Current, Fate, History, KeyId, Nanos, Operation, Outcome, Seen, Value};

/// A time shifted by one, so that [`START`] is before every op.
pub(crate) type Time = u64;

/// The time before every op, from which "never written" holds.
pub(crate) const START: Time = 0;

/// The time after every op.
pub(crate) const NEVER: Time = u64::MAX;

pub(crate) fn time(t: Nanos) -> Time {
    t.0.saturating_add(1)
}

/// Whether resolved fates are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fates {
    Used,
    Ignored,
}

/// The effect that an op had or may have had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fact {
    /// The op saw a value. This includes a refused CAS that reports the value found.
    Saw(Option<Value>),
    /// The op wrote `new`, or may have.
    Wrote { new: Value, sure: bool },
    /// The op replaced `expected` with `new`, or may have.
    Swapped { expected: Option<Value>, new: Value, sure: bool },
    /// A refused CAS that found the value it expected.
    SawExpected,
    /// A refused CAS that does not report the value found.
    Refused { expected: Option<Value> },
    /// The op is known not to have happened; its value must never be seen.
    Never,
    /// An unanswered read, which gives no information.
    Nothing,
}

/// The ops of one key as indices into `History::ops`, in invocation order.
pub(crate) struct KeyOps<'h> {
    pub(crate) history: &'h History,
    pub(crate) key: KeyId,
    pub(crate) places: Vec<u32>,
    pub(crate) fates: Fates,
}

/// A fact and the closed interval in which it became true.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timed {
    pub(crate) fact: Fact,
    pub(crate) invoked: Time,
    pub(crate) by: Time,
}

impl<'h> KeyOps<'h> {
    /// Returns the ops of every key that has any, in key order.
    pub(crate) fn split(history: &'h History, fates: Fates) -> Vec<KeyOps<'h>> {
        let mut counts = vec![0usize; history.names.key_count()];
        for op in &history.ops {
            counts[op.key.0 as usize] += 1;
        }
        let mut keys: Vec<KeyOps<'h>> =
            (0u32..).zip(&counts).map(|(k, &n)| KeyOps { history, key: KeyId(k), places: Vec::with_capacity(n), fates }).collect();
        for (place, op) in (0u32..).zip(&history.ops) {
            keys[op.key.0 as usize].places.push(place);
        }
        keys.retain(|k| !k.places.is_empty());
        keys
    }

    /// Returns the same ops, read with or without fates.
    pub(crate) fn with(&self, fates: Fates) -> KeyOps<'h> {
        KeyOps { history: self.history, key: self.key, places: self.places.clone(), fates }
    }

    pub(crate) fn op(&self, place: u32) -> &'h Operation {
        &self.history.ops[place as usize]
    }

    /// Returns the fact that the op at `place` contributes.
    pub(crate) fn fact(&self, place: u32) -> Timed {
        let op = self.op(place);
        let invoked = time(op.invoked);
        let (fact, by) = match op.outcome {
            Outcome::Ok(seen) => (answered(op.call, seen), time(op.completed)),
            Outcome::Failed => (Fact::Never, NEVER),
            Outcome::Unknown | Outcome::Open => match self.fate(place) {
                Some((Fate::Applied, t)) => (written(op.call, true), time(t)),
                Some((Fate::NotApplied, _)) => (Fact::Never, NEVER),
                Some((Fate::Evicted | Fate::Unresolved, _)) | None => (written(op.call, false), NEVER),
            },
        };
        Timed { fact, invoked, by }
    }

    fn fate(&self, place: u32) -> Option<(Fate, Nanos)> {
        match self.fates {
            Fates::Used => self.history.fates.get(&place).copied(),
            Fates::Ignored => None,
        }
    }

    /// Returns whether any op of this key has a resolved fate.
    pub(crate) fn has_fates(&self) -> bool {
        let has_fate = |p: &u32| matches!(self.history.fates.get(p), Some((Fate::Applied | Fate::NotApplied, _)));
        !self.history.fates.is_empty() && self.places.iter().any(has_fate)
    }
}

fn written(call: Call, sure: bool) -> Fact {
    match call {
        Call::Read => Fact::Nothing,
        Call::Write { new } => Fact::Wrote { new, sure },
        Call::Cas { expected, new } => Fact::Swapped { expected, new, sure },
    }
}

fn answered(call: Call, seen: Seen) -> Fact {
    match (call, seen) {
        (_, Seen::Value(v)) => Fact::Saw(v),
        (call, Seen::Written | Seen::Applied) => written(call, true),
        (Call::Cas { expected, .. }, Seen::ConditionNotMet(Current::Known(v))) if v == expected => Fact::SawExpected,
        (_, Seen::ConditionNotMet(Current::Known(v))) => Fact::Saw(v),
        (Call::Cas { expected, .. }, Seen::ConditionNotMet(Current::NotReported)) => Fact::Refused { expected },
        // A history pairs answers with calls of the same kind, so only a CAS can be refused.
        (Call::Read | Call::Write { .. }, Seen::ConditionNotMet(Current::NotReported)) => Fact::Nothing,
    }
}
