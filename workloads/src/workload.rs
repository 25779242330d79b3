//! What a workload is: a pure, seeded chooser that is told what became of each op and says what its client does next.
//!
//! The unit is the **intent**: what a client wants ("increment this", "take this lock"), over all the attempts it
//! takes. Starvation is a matter of intents; a refused attempt alone means nothing. Rules that hold for every workload:
//!
//! - Every value written in a run is unique, whatever else rides beside it, so that the judge needs no search.
//! - A CAS never writes what it expects.
//! - An attempt whose outcome is unknown ends its intent: it may still take effect, so another try could do it twice.
//! - A client waits between attempts only for as long as a named bound, and gives up after its patience.

use heckle_history::{Call, IntentId, Nanos, Path, Seen, Value};

/// One op as a workload asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// What the client wants with it; `None` where each op stands for itself.
    pub intent: Option<IntentId>,
    /// Which try at the intent, from 1. A read that looks where the key stands belongs to the try it prepares.
    pub attempt: Option<u32>,
    /// The key's place among the plan's keys.
    pub key: u32,
    /// What is asked of it.
    pub call: Call,
    /// Which way it takes.
    pub path: Path,
    /// What rides beside the value it writes.
    pub payload: Option<i64>,
    /// What rides beside the value a CAS expects.
    pub expected_payload: Option<i64>,
}

/// A value and what rides beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tagged {
    /// The value, unique to the op that wrote it.
    pub value: Value,
    /// A counter's count, a mutex's holder.
    pub payload: Option<i64>,
}

/// What became of an op, as far as its client knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// A read, or a refused CAS, met this; `None` is "never written".
    Saw(Option<Tagged>),
    /// The write or CAS took effect.
    Done,
    /// A CAS was refused by something the system does not name.
    Refused,
    /// It is proved not to have happened.
    Failed,
    /// It may have happened, or may still.
    Unknown,
}

impl Told {
    /// From an ok answer; `payload` came with the value in it.
    pub fn of(seen: Seen, payload: Option<i64>) -> Told {
        use heckle_history::Current;
        let tagged = |v: Option<Value>| v.map(|value| Tagged { value, payload });
        match seen {
            Seen::Value(v) | Seen::ConditionNotMet(Current::Known(v)) => Told::Saw(tagged(v)),
            Seen::Written | Seen::Applied => Told::Done,
            Seen::ConditionNotMet(Current::NotReported) => Told::Refused,
        }
    }
}

/// What a client does next about an intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It goes on.
    Again {
        /// After so long.
        pause: Nanos,
        /// With this.
        ask: Ask,
    },
    /// It has what it wanted, gives up, or does not know.
    Over,
}

/// A chooser of ops. It has no clock: `now` is an argument, as is everything that happened.
pub trait Workload {
    /// Client `client` begins something new.
    fn begin(&mut self, client: u32, now: Nanos) -> Ask;

    /// Client `client` learned what became of `ask`.
    fn told(&mut self, client: u32, ask: &Ask, told: Told, now: Nanos) -> Next;
}

/// Hands out the values of a run: 1, 2, 3 …
#[derive(Debug, Clone, Default)]
pub(crate) struct Values(i64);

impl Values {
    pub(crate) fn fresh(&mut self) -> Value {
        self.0 += 1;
        Value(self.0)
    }
}

/// What each client last saw of each key.
#[derive(Debug, Clone)]
pub(crate) struct Seens {
    keys: usize,
    all: Vec<Option<Tagged>>,
}

impl Seens {
    pub(crate) fn new(clients: u32, keys: usize) -> Self {
        Seens { keys, all: vec![None; clients as usize * keys] }
    }

    pub(crate) fn of(&mut self, client: u32, key: u32) -> &mut Option<Tagged> {
        &mut self.all[client as usize * self.keys + key as usize]
    }
}
