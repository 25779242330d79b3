//! The workload trait: a pure, seeded generator that receives the outcome of each op and returns the client's next action.
//!
//! The unit is the **intent**: what a client wants ("increment this", "take this lock"), over all its attempts.
//! Starvation is measured by intent; a single refused attempt means nothing. These rules hold for every workload:
//!
//! - Every value written in a run is unique, regardless of its payload, so that the judge needs no search.
//! - A CAS never writes the value it expects.
//! - An attempt whose outcome is unknown ends its intent: it may still take effect, so another attempt could apply it twice.
//! - The wait between attempts has a named bound, and a client gives up after a time limit.

use heckle_history::{Call, IntentId, Nanos, Path, Seen, Value};

/// One op that a workload requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpRequest {
    /// The intent that it belongs to; `None` if each op is independent.
    pub intent: Option<IntentId>,
    /// Number of the attempt, from 1. A read that fetches the state of the key belongs to the attempt that it prepares.
    pub attempt: Option<u32>,
    /// Index of the key among the plan's keys.
    pub key: u32,
    /// The call.
    pub call: Call,
    /// The path that it takes.
    pub path: Path,
    /// Payload of the value that it writes.
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

/// The outcome of an op as its client knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpResult {
    /// A read or a refused CAS found this value; `None` is "never written".
    Saw(Option<Tagged>),
    /// The write or CAS took effect.
    Done,
    /// A CAS was refused by a value that the system does not report.
    Refused,
    /// It is proved not to have happened.
    Failed,
    /// It may have happened, or may still.
    Unknown,
}

impl OpResult {
    /// Converts an ok answer; `payload` is stored with the value in it.
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

/// The next action of a client on an intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It continues.
    Again {
        /// The wait before the next op.
        pause: Nanos,
        /// The next op.
        ask: OpRequest,
    },
    /// The intent succeeded, was abandoned, or has an unknown outcome.
    Over,
}

/// Generates ops. It has no clock: `now` is an argument, as are all outcomes.
pub trait Workload {
    /// Client `client` starts a new intent.
    fn begin(&mut self, client: u32, now: Nanos) -> OpRequest;

    /// Client `client` received the outcome of `ask`.
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

/// The value that each client last saw for each key.
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
