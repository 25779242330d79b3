//! One line of a history, typed. File order is time order.

use crate::figures::{Diagnostics, FigureInfo};
use crate::ids::{ClientId, IntentId, KeyId, Nanos, NodeIx, OpId, ProcessId, RunId, Value};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// What the first line says of the whole: schema, seed, keys and nodes by name, and the model of a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// The run that recorded this history; absent in drawn and foreign ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    /// The seed that fixed every choice of the run, as `0x…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<String>,
    /// The unit of every time: `ns`.
    #[serde(default = "clock_ns")]
    pub clock: String,
    /// Keys known beforehand; more may appear.
    #[serde(default)]
    pub keys: Vec<String>,
    /// Nodes known beforehand; more may appear.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
    /// The model of one key: `cas-register`.
    #[serde(default = "cas_register")]
    pub model: String,
    /// What the raw CLOCK_MONOTONIC read at time zero of this history, so that node events can be placed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mono_origin_ns: Option<u64>,
    /// Load window as (start, end) nanoseconds, known when the run began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_window: Option<(u64, u64)>,
    /// Op timeout in nanoseconds: where unknown outcomes are censored in charts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub op_timeout_ns: Option<u64>,
    /// The figures that the system reports about an operation. `None` in histories recorded before headers described them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figures: Option<Vec<FigureInfo>>,
    /// Checks that belong to the system under test, by name. `None` in histories recorded before systems named theirs: all apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_checks: Option<Vec<String>>,
    /// Whether the last line is an [end record](crate::end::EndRecord). Histories recorded before there were any do not say so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub end: bool,
    /// Whatever a later version adds; kept, not understood.
    #[serde(flatten)]
    pub more: BTreeMap<String, Json>,
}

/// The version of the format this crate writes and reads.
pub const SCHEMA: &str = "heckle.history/1";

/// Where a header carries what its run is held to: coverage rules, gates, the expected verdict. Only whole runs have it.
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
    /// An op was handed to its client; its bytes leave after this.
    Invoke(Invoke),
    /// It happened, between its invoke and here.
    Ok(Completion<Seen>),
    /// It is proved not to have happened. Observing its value is an aborted read.
    Fail(Completion<()>),
    /// It may have happened or may still happen.
    Unknown(Completion<()>),
    /// A fault began, was measured, or ended.
    Fault(FaultEvent),
    /// What an unknown outcome turned out to be.
    Fate {
        /// The op that was asked about.
        op: OpId,
        /// When the answer arrived.
        t: Nanos,
        /// The answer.
        fate: Fate,
    },
    /// Something a node did or suffered.
    Node(NodeEvent),
}

impl Event {
    /// When it was recorded.
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

/// The beginning of an op.
#[derive(Debug, Clone, PartialEq)]
pub struct Invoke {
    /// Unique in the run.
    pub op: OpId,
    /// Who calls. One op at a time; retired after an unknown outcome.
    pub process: ProcessId,
    /// The connection it travels on.
    pub client: Option<ClientId>,
    /// When it was sent.
    pub t: Nanos,
    /// When it was due: latency counts from here.
    pub intended: Option<Nanos>,
    /// On which key.
    pub key: KeyId,
    /// What it asks.
    pub call: Call,
    /// The node it was sent to.
    pub node: Option<NodeIx>,
    /// What the client wants, over all retries.
    pub intent: Option<IntentId>,
    /// Which try at the intent this is, from 1.
    pub attempt: Option<u32>,
    /// What rides beside the value: a counter's count, a mutex's holder.
    pub payload: Option<i64>,
    /// Which way it took through the system.
    pub path: Path,
}

/// Which way an op takes through a system that has two. For a verdict there is no difference: a put is a write, and a get
/// a read, of the same register.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Path {
    /// Through consensus: one order of all.
    #[default]
    Consensus,
    /// Last write wins, without consensus; how many replicas took part before it was answered.
    LastWriteWins(Consistency),
}

impl Path {
    /// Whether it is the way without consensus.
    pub fn is_last_write_wins(self) -> bool {
        matches!(self, Path::LastWriteWins(_))
    }
}

/// How many replicas take part in an op of the last-write-wins path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consistency {
    /// One.
    One,
    /// A quorum.
    Quorum,
}

impl Consistency {
    /// The word for it in files, plans and flags.
    pub fn name(self) -> &'static str {
        match self {
            Consistency::One => "one",
            Consistency::Quorum => "quorum",
        }
    }
}

/// What an op asks of its key.
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
        /// The value it must find; `None` is "never written".
        expected: Option<Value>,
        /// The value written if it does.
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

    /// The word for it in files and reports: `read`, `write`, `cas`.
    pub fn name(self) -> &'static str {
        match self {
            Call::Read => "read",
            Call::Write { .. } => "write",
            Call::Cas { .. } => "cas",
        }
    }

    /// The word for it where the two paths are told apart: `put` and `get` for a write and a read where the last write wins.
    pub fn name_on(self, path: Path) -> &'static str {
        match (self, path) {
            (Call::Read, Path::LastWriteWins(_)) => "get",
            (Call::Write { .. }, Path::LastWriteWins(_)) => "put",
            (Call::Read | Call::Write { .. }, Path::Consensus) | (Call::Cas { .. }, _) => self.name(),
        }
    }
}

/// What an ok answer told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// A read's value; `None` is "never written".
    Value(Option<Value>),
    /// A write took effect.
    Written,
    /// A CAS found what it expected and took effect.
    Applied,
    /// A CAS found something else. An ok, not a failure: it is a read of what it found.
    ConditionNotMet(Current),
}

/// What a refused CAS said of the value it found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Current {
    /// The value; `None` is "never written".
    Known(Option<Value>),
    /// The system does not say. Only foreign histories have these.
    NotReported,
}

/// The end of an op. `seen` is what only an ok has.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion<S> {
    /// Which op.
    pub op: OpId,
    /// When its answer arrived, or the client gave up.
    pub t: Nanos,
    /// What was learned.
    pub seen: S,
    /// The node that answered.
    pub node: Option<NodeIx>,
    /// Why it failed or is unknown.
    pub reason: Option<Box<str>>,
    /// What the system reported about the operation.
    pub diagnostics: Option<Diagnostics>,
}

/// A disturbance's life: when it began, what showed that it took effect, when it ended.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultEvent {
    /// Which disturbance; the same in all its events.
    pub id: u64,
    /// When.
    pub t: Nanos,
    /// What kind: `kill`, `pause`, `partition` …
    pub kind: Box<str>,
    /// Whom it struck, in the kind's own notation: `n1`, `n2|n3`.
    pub targets: Vec<String>,
    /// Which point of its life.
    pub state: FaultState,
    /// Counts that show it took effect; empty means no evidence.
    pub evidence: BTreeMap<String, Json>,
}

/// The points of a fault's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultState {
    /// Injected.
    Began,
    /// Lifted, with the evidence gathered meanwhile.
    Ended,
    /// Seen to be over: traffic flows, the node answers.
    Healed,
}

/// What an unknown outcome turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It happened, by the time of the answer.
    Applied,
    /// It did not and never will.
    NotApplied,
    /// Too old for the system to tell: no information.
    Evicted,
    /// No answer: no information.
    Unresolved,
}

/// The bytes that a node stores, by kind: a [`NodeEvent`] once a second.
pub const STATE: &str = "state";

/// Something a node did or suffered: `start`, `exit`, `panic`, and what the system reports.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeEvent {
    /// When, stamped by whoever saw it.
    pub t: Nanos,
    /// Which node.
    pub node: NodeIx,
    /// What.
    pub what: Box<str>,
    /// Anything else the line says.
    pub detail: BTreeMap<String, Json>,
}

impl NodeEvent {
    /// Whether it only says that things go on as they were: the figures of each second, or a right that was extended, whose event
    /// ends in `_extended`. Pictures leave these out, or what happened once would be lost among them.
    pub fn is_routine(&self) -> bool {
        &*self.what == STATE || self.what.ends_with("_extended")
    }
}
