//! The events of a history, one per line of the file. They are in time order.

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
    /// The run that recorded this history; `None` in drawn and foreign histories.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    /// The seed that determined every choice of the run, as `0x…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<String>,
    /// Unit of all times: `ns`.
    #[serde(default = "clock_ns")]
    pub clock: String,
    /// Keys known in advance; others may appear later.
    #[serde(default)]
    pub keys: Vec<String>,
    /// Nodes known in advance; others may appear later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
    /// The model of one key: `cas-register`.
    #[serde(default = "cas_register")]
    pub model: String,
    /// Raw CLOCK_MONOTONIC reading at time zero of this history, used to align node events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mono_origin_ns: Option<u64>,
    /// Load window as (start, end) in nanoseconds, as known when the run starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_window: Option<(u64, u64)>,
    /// Op timeout in nanoseconds. Charts treat unknown outcomes as censored at this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub op_timeout_ns: Option<u64>,
    /// The figures that the system reports about an operation. `None` in histories recorded before headers described them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figures: Option<Vec<FigureInfo>>,
    /// Names of the checks that the system under test selects. `None` in histories recorded before systems selected
    /// their checks; then all checks apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_checks: Option<Vec<String>>,
    /// Whether the last line is an [end record](crate::end::EndRecord). `false` in histories recorded before end records existed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub end: bool,
    /// Fields added by later versions. They are kept but not interpreted.
    #[serde(flatten)]
    pub more: BTreeMap<String, Json>,
}

/// The version of the format that this crate writes and reads.
pub const SCHEMA: &str = "heckle.history/1";

/// Header field for the requirements of the run: coverage rules, gates and the expected verdict. Only histories of
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

/// One event. The variants correspond to the values of `e` in a file.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// An op was passed to its client. This is recorded before its bytes are sent.
    Invoke(Invoke),
    /// The op happened between its invoke and this event.
    Ok(Completion<Seen>),
    /// The op is proved not to have happened. Observing its value is an aborted read.
    Fail(Completion<()>),
    /// The op may have happened or may still happen.
    Unknown(Completion<()>),
    /// A fault started, was measured, or ended.
    Fault(FaultEvent),
    /// The fate of an op with an unknown outcome.
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
    /// Returns the time at which the event was recorded.
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
    /// Id of the op, unique in the run.
    pub op: OpId,
    /// The calling process. It has at most one op open at a time and is retired after an unknown outcome.
    pub process: ProcessId,
    /// The connection used by the op.
    pub client: Option<ClientId>,
    /// When the op was sent.
    pub t: Nanos,
    /// When the op was due; latency is measured from this time.
    pub intended: Option<Nanos>,
    /// Key of the op.
    pub key: KeyId,
    /// The call.
    pub call: Call,
    /// The node to which the op was sent.
    pub node: Option<NodeIx>,
    /// The intent of the op, which spans all retries.
    pub intent: Option<IntentId>,
    /// Number of this attempt within the intent, from 1.
    pub attempt: Option<u32>,
    /// Payload stored with the value: the count of a counter or the holder of a mutex.
    pub payload: Option<i64>,
    /// The path of the op through the system.
    pub path: Path,
}

impl Invoke {
    /// Creates the start of an op that uses consensus, without an intent, a payload or a known node.
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

/// The path of an op through a system that has two. Verdicts do not distinguish the paths: a put is a write and a get
/// is a read of the same register.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Path {
    /// Consensus, which orders all ops.
    #[default]
    Consensus,
    /// Last write wins, without consensus, at the given consistency level.
    LastWriteWins(Consistency),
}

impl Path {
    /// Returns whether this is the path without consensus.
    pub fn is_last_write_wins(self) -> bool {
        matches!(self, Path::LastWriteWins(_))
    }
}

/// Number of replicas that take part in an op on the last-write-wins path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consistency {
    /// One replica.
    One,
    /// A quorum of replicas.
    Quorum,
}

impl Consistency {
    /// Returns the name used in files, plans and flags.
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
    /// A compare-and-set.
    Cas {
        /// The expected value; `None` is "never written".
        expected: Option<Value>,
        /// The value written if the expected value is found.
        new: Value,
    },
}

impl Call {
    /// Returns the value that this call may write.
    pub fn writes(self) -> Option<Value> {
        match self {
            Call::Read => None,
            Call::Write { new } | Call::Cas { new, .. } => Some(new),
        }
    }

    /// Returns the name used in files and reports: `read`, `write`, `cas`.
    pub fn name(self) -> &'static str {
        match self {
            Call::Read => "read",
            Call::Write { .. } => "write",
            Call::Cas { .. } => "cas",
        }
    }

    /// Returns the name used where the two paths are distinguished: on the last-write-wins path, a write is `put` and a read is
    /// `get`.
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
    /// The value returned by a read; `None` is "never written".
    Value(Option<Value>),
    /// A write took effect.
    Written,
    /// A CAS found the expected value and took effect.
    Applied,
    /// A CAS found a different value. This counts as an ok, not as a failure: it is a read of the value found.
    ConditionNotMet(Current),
}

/// The value found by a refused CAS, as reported by the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Current {
    /// The value; `None` is "never written".
    Known(Option<Value>),
    /// The system does not report the value. This occurs only in foreign histories.
    NotReported,
}

/// The completion of an op. Only an ok has a meaningful `seen`.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion<S> {
    /// Id of the op.
    pub op: OpId,
    /// When the answer arrived or the client gave up.
    pub t: Nanos,
    /// The content of the answer.
    pub seen: S,
    /// The node that answered.
    pub node: Option<NodeIx>,
    /// Why the op failed or its outcome is unknown.
    pub reason: Option<Box<str>>,
    /// Figures that the system reported about the operation.
    pub diagnostics: Option<Diagnostics>,
}

/// An event of a fault: its start, its end with the evidence of its effect, or its heal.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultEvent {
    /// Id of the fault, which is the same in all its events.
    pub id: u64,
    /// Time of the event.
    pub t: Nanos,
    /// Kind of the fault: `kill`, `pause`, `partition` …
    pub kind: Box<str>,
    /// Targets, in the notation of the kind: `n1`, `n2|n3`.
    pub targets: Vec<String>,
    /// The state that the fault reached.
    pub state: FaultState,
    /// Counts that show that the fault took effect; empty if there is no evidence.
    pub evidence: BTreeMap<String, Json>,
}

/// The states of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultState {
    /// The fault was injected.
    Began,
    /// The fault was removed; the evidence was gathered while it was active.
    Ended,
    /// The fault was observed to be over: traffic flows and the node answers.
    Healed,
}

/// The answer to a fate query about an op with an unknown outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// The op took effect by the time of the answer.
    Applied,
    /// The op did not take effect and never will.
    NotApplied,
    /// The op is too old for the system to answer, which gives no information.
    Evicted,
    /// There was no answer, which gives no information.
    Unresolved,
}

/// Name of the [`NodeEvent`] that reports once per second how many bytes a node stores, by kind.
pub const STATE: &str = "state";

/// An event of a node: `start`, `exit`, `panic`, or an event that the system reports.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeEvent {
    /// Time of the event on the observer's clock.
    pub t: Nanos,
    /// The node.
    pub node: NodeIx,
    /// Name of the event.
    pub what: Box<str>,
    /// All other fields of the line.
    pub detail: BTreeMap<String, Json>,
}

impl NodeEvent {
    /// Returns whether the event is periodic and reports no change: the figures of each second, or an extension, whose
    /// name ends in `_extended`. Charts omit these events, because they would hide events that occur only once.
    pub fn is_routine(&self) -> bool {
        &*self.what == STATE || self.what.ends_with("_extended")
    }
}
