//! The events of a history, one per line of the file. File order is time order.

use crate::figures::{Diagnostics, FigureInfo};
use crate::ids::{ClientId, IntentId, KeyId, Nanos, NodeIx, OpId, ProcessId, RunId, Value};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// The first line of a history: schema, seed, names of keys and nodes, and the model of a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// The run that recorded this history; absent in drawn and foreign histories.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    /// The seed that fixed every choice of the run, as `0x…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<String>,
    /// The unit of every time: `ns`.
    #[serde(default = "clock_ns")]
    pub clock: String,
    /// Keys known in advance; more may appear.
    #[serde(default)]
    pub keys: Vec<String>,
    /// Nodes known in advance; more may appear.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
    /// The model of one key: `cas-register`.
    #[serde(default = "cas_register")]
    pub model: String,
    /// The raw CLOCK_MONOTONIC reading at time zero of this history, used to align node events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mono_origin_ns: Option<u64>,
    /// Load window as (start, end) in nanoseconds, known when the run starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_window: Option<(u64, u64)>,
    /// Op timeout in nanoseconds. Charts censor unknown outcomes at this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub op_timeout_ns: Option<u64>,
    /// The figures that the system reports about an operation. `None` in histories recorded before headers described them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figures: Option<Vec<FigureInfo>>,
    /// Checks that belong to the system under test, by name. `None` in histories recorded before systems named theirs;
    /// then all checks apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_checks: Option<Vec<String>>,
    /// Whether the last line is an [end record](crate::end::EndRecord). `false` in histories recorded before end records existed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub end: bool,
    /// Fields added by later versions; kept but not interpreted.
    #[serde(flatten)]
    pub more: BTreeMap<String, Json>,
}

/// The version of the format this crate writes and reads.
pub const SCHEMA: &str = "heckle.history/1";

/// Header field with the requirements of the run: coverage rules, gates and the expected verdict. Only histories of
/// whole runs have it.
pub const TERMS: &str = "terms";

fn clock_ns() -> String {
    "ns".into()
}
fn cas_register() -> String {
    "cas-register".into()
}

impl Default for Header {
    fn default() -> Self {
        Header {
            schema: SCHEMA.into(),
            run_id: None,
            seed: None,
            clock: clock_ns(),
            keys: vec![],
            nodes: vec![],
            model: cas_register(),
            mono_origin_ns: None,
            load_window: None,
            op_timeout_ns: None,
            figures: None,
            system_checks: None,
            end: false,
            more: BTreeMap::new(),
        }
    }
}

/// One event. The variants are the values of `e` in a file.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// An op was handed to its client. This is recorded before its bytes are sent.
    Invoke(Invoke),
    /// It happened, between its invoke and this event.
    Ok(Completion<Seen>),
    /// It is proved not to have happened. Observing its value is an aborted read.
    Fail(Completion<()>),
    /// It may have happened or may still happen.
    Unknown(Completion<()>),
    /// A fault started, was measured, or ended.
    Fault(FaultEvent),
    /// What an unknown outcome turned out to be.
    Fate {
        /// The op whose fate was queried.
        op: OpId,
        /// When the answer arrived.
        t: Nanos,
        /// The answer.
        fate: Fate,
    },
    /// An event of a node.
    Node(NodeEvent),
}

impl Event {
    /// The time at which it was recorded.
    pub fn t(&self) -> Nanos {
        match self {
            Event::Invoke(i) => i.t,
            Event::Ok(c) => c.t,
            Event::Fail(c) | Event::Unknown(c) => c.t,
            Event::Fault(f) => f.t,
            Event::Fate { t, .. } => *t,
            Event::Node(n) => n.t,
        }
    }
}

/// The start of an op.
#[derive(Debug, Clone, PartialEq)]
pub struct Invoke {
    /// Unique in the run.
    pub op: OpId,
    /// The calling process. It has one op open at a time and is retired after an unknown outcome.
    pub process: ProcessId,
    /// The connection that it uses.
    pub client: Option<ClientId>,
    /// When it was sent.
    pub t: Nanos,
    /// When it was due: latency is measured from here.
    pub intended: Option<Nanos>,
    /// On which key.
    pub key: KeyId,
    /// The call.
    pub call: Call,
    /// The node it was sent to.
    pub node: Option<NodeIx>,
    /// The intent that it belongs to, which spans all retries.
    pub intent: Option<IntentId>,
    /// Number of this attempt within the intent, from 1.
    pub attempt: Option<u32>,
    /// Payload stored with the value: the count of a counter or the holder of a mutex.
    pub payload: Option<i64>,
    /// The path it took through the system.
    pub path: Path,
}

impl Invoke {
    /// Creates the start of an op through consensus, without an intent, a payload or a known node.
    pub fn new(op: OpId, process: ProcessId, t: Nanos, key: KeyId, call: Call) -> Invoke {
        Invoke {
            op,
            process,
            client: None,
            t,
            intended: None,
            key,
            call,
            node: None,
            intent: None,
            attempt: None,
            payload: None,
            path: Path::Consensus,
        }
    }
}

/// The path of an op through a system that has two. A verdict does not distinguish them: a put is a write and a get is
/// a read of the same register.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Path {
    /// Through consensus, which orders all ops.
    #[default]
    Consensus,
    /// Last write wins, without consensus, at the given consistency level.
    LastWriteWins(Consistency),
}

impl Path {
    /// Whether it is the path without consensus.
    pub fn is_last_write_wins(self) -> bool {
        matches!(self, Path::LastWriteWins(_))
    }
}

/// Number of replicas that take part in an op of the last-write-wins path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consistency {
    /// One.
    One,
    /// A quorum.
    Quorum,
}

impl Consistency {
    /// The name used in files, plans and flags.
    pub fn name(self) -> &'static str {
        match self {
            Consistency::One => "one",
            Consistency::Quorum => "quorum",
        }
    }
}

/// The call of an op on its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// A serial read.
    Read,
    /// An unconditional write.
    Write {
        /// The value written.
        new: Value,
    },
    /// Compare and set.
    Cas {
        /// The expected value; `None` is "never written".
        expected: Option<Value>,
        /// The value written if the expected value is found.
        new: Value,
    },
}

impl Call {
    /// The value this call may write.
    pub fn writes(self) -> Option<Value> {
        match self {
            Call::Read => None,
            Call::Write { new } | Call::Cas { new, .. } => Some(new),
        }
    }

    /// The name used in files and reports: `read`, `write`, `cas`.
    pub fn name(self) -> &'static str {
        match self {
            Call::Read => "read",
            Call::Write { .. } => "write",
            Call::Cas { .. } => "cas",
        }
    }

    /// The name used where the two paths are distinguished: `put` and `get` for a write and a read of the last-write-wins path.
    pub fn name_on(self, path: Path) -> &'static str {
        match (self, path) {
            (Call::Read, Path::LastWriteWins(_)) => "get",
            (Call::Write { .. }, Path::LastWriteWins(_)) => "put",
            (Call::Read | Call::Write { .. }, Path::Consensus) | (Call::Cas { .. }, _) => self.name(),
        }
    }
}

/// The content of an ok answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// A read's value; `None` is "never written".
    Value(Option<Value>),
    /// A write took effect.
    Written,
    /// A CAS found the expected value and took effect.
    Applied,
    /// A CAS found a different value. This is an ok, not a failure: it counts as a read of the value found.
    ConditionNotMet(Current),
}

/// The value found by a refused CAS, as reported by the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Current {
    /// The value; `None` is "never written".
    Known(Option<Value>),
    /// The system does not report it. This occurs only in foreign histories.
    NotReported,
}

/// The completion of an op. Only an ok has a meaningful `seen`.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion<S> {
    /// Which op.
    pub op: OpId,
    /// When its answer arrived, or the client gave up.
    pub t: Nanos,
    /// The content of the answer.
    pub seen: S,
    /// The node that answered.
    pub node: Option<NodeIx>,
    /// Why it failed or is unknown.
    pub reason: Option<Box<str>>,
    /// What the system reported about the operation.
    pub diagnostics: Option<Diagnostics>,
}

/// An event of a fault: its start, its end with the evidence of its effect, or its heal.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultEvent {
    /// Id of the fault, the same in all its events.
    pub id: u64,
    /// When.
    pub t: Nanos,
    /// The kind: `kill`, `pause`, `partition` …
    pub kind: Box<str>,
    /// The targets, in the notation of the kind: `n1`, `n2|n3`.
    pub targets: Vec<String>,
    /// The state that it reached.
    pub state: FaultState,
    /// Counts that show that it took effect; empty if there is no evidence.
    pub evidence: BTreeMap<String, Json>,
}

/// The states of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultState {
    /// Injected.
    Began,
    /// Removed, with the evidence gathered while it was active.
    Ended,
    /// Observed to be over: traffic flows and the node answers.
    Healed,
}

/// What an unknown outcome turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It happened, by the time of the answer.
    Applied,
    /// It did not happen and never will.
    NotApplied,
    /// Too old for the system to answer: no information.
    Evicted,
    /// No answer: no information.
    Unresolved,
}

/// Name of the [`NodeEvent`] that reports once a second how many bytes a node stores, by kind.
pub const STATE: &str = "state";

/// An event of a node: `start`, `exit`, `panic`, or an event that the system reports.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeEvent {
    /// The time, from the clock of the observer.
    pub t: Nanos,
    /// Which node.
    pub node: NodeIx,
    /// What.
    pub what: Box<str>,
    /// All other fields of the line.
    pub detail: BTreeMap<String, Json>,
}

impl NodeEvent {
    /// Whether the event is periodic and reports no change: the figures of each second, or an extension, whose name
    /// ends in `_extended`. Charts omit these, because they would hide the events that occur once.
    pub fn is_routine(&self) -> bool {
        &*self.what == STATE || self.what.ends_with("_extended")
    }
}
