//! The workload trait: a pure, seeded generator that receives the outcome of each op and returns the client's next action.
//!
//! The unit is the **intent**: what a client wants ("increment this", "take this lock"), over all its attempts.
//! Starvation is measured per intent, because a single refused attempt means nothing. These rules apply to every
//! workload:
//!
//! - Every value written in a run is unique, regardless of its payload, so the judge needs no search.
//! - A CAS never writes the value it expects.
//! - An attempt with an unknown outcome ends its intent: it may still take effect, so another attempt could apply the change
//!   twice.
//! - The wait between attempts has a named bound, and a client gives up after a time limit.

use heckle_history::{Call, IntentId, Nanos, Path, Seen, Value};

/// One op that a workload requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpRequest {
    /// The intent of the op; `None` if each op is independent.
    pub intent: Option<IntentId>,
    /// Number of the attempt, from 1. A read that fetches the state of the key belongs to the attempt it prepares.
    pub attempt: Option<u32>,
    /// Index of the key among the plan's keys.
    pub key: u32,
    /// The call.
    pub call: Call,
    /// The path of the op through the system.
    pub path: Path,
    /// Payload of the value that the op writes.
    pub payload: Option<i64>,
    /// Payload of the value that a CAS expects.
    pub expected_payload: Option<i64>,
}

/// A value and its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tagged {
    /// The value, unique to the op that wrote it.
    pub value: Value,
    /// The count of a counter or the holder of a mutex.
    pub payload: Option<i64>,
}

/// The outcome of an op as seen by its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpResult {
    /// A read or a refused CAS found this value; `None` is "never written".
    Saw(Option<Tagged>),
    /// The write or CAS took effect.
    Done,
    /// A CAS was refused, and the system does not report the value found.
    Refused,
    /// The op is proved not to have happened.
    Failed,
    /// The op may have happened or may still happen.
    Unknown,
}

impl OpResult {
    /// Converts an ok answer; `payload` is the payload stored with the value found.
    pub fn of(seen: Seen, payload: Option<i64>) -> OpResult {
        use heckle_history::Current;
        let tagged = |v: Option<Value>| v.map(|value| Tagged { value, payload });
        match seen {
            Seen::Value(v) | Seen::ConditionNotMet(Current::Known(v)) => OpResult::Saw(tagged(v)),
            Seen::Written | Seen::Applied => OpResult::Done,
            Seen::ConditionNotMet(Current::NotReported) => OpResult::Refused,
        }
    }
}

/// The next action of a client for an intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The client sends another op.
    Again {
        /// Wait before the next op.
        pause: Nanos,
        /// The next op.
        ask: OpRequest,
    },
    /// The intent succeeded, was abandoned, or has an unknown outcome.
    Over,
}

/// Generates ops. It has no clock: `now` and all outcomes are passed as arguments.
pub trait Workload {
    /// Starts a new intent of `client` and returns its first op.
    fn begin(&mut self, client: u32, now: Nanos) -> OpRequest;

    /// Processes the outcome of `ask` and returns the next action of `client`.
    fn on_result(&mut self, client: u32, ask: &OpRequest, result: OpResult, now: Nanos) -> Next;
}

/// Generates the unique values of a run: 1, 2, 3 …
#[derive(Debug, Clone, Default)]
pub(crate) struct Values(i64);

impl Values {
    pub(crate) fn fresh(&mut self) -> Value {
        self.0 += 1;
        Value(self.0)
    }
}

/// The value of each key last seen by each client.
#[derive(Debug, Clone)]
pub(crate) struct LastSeen {
    keys: usize,
    all: Vec<Option<Tagged>>,
}

impl LastSeen {
    pub(crate) fn new(clients: u32, keys: usize) -> Self {
        LastSeen { keys, all: vec![None; clients as usize * keys] }
    }

    pub(crate) fn of(&mut self, client: u32, key: u32) -> &mut Option<Tagged> {
        &mut self.all[client as usize * self.keys + key as usize]
    }
}
