//! What a system may do besides what it must. Each is a small trait; a system that lacks one is not asked for it, and whatever needs
//! it says so.

use crate::launch::NodeSpec;
use heckle_faults::Role;
use heckle_history::{Nanos, NodeIx};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Figures that nodes tell.
pub trait Metrics: Send + Sync {
    /// The figures of one node now.
    ///
    /// # Errors
    /// If it does not answer in time.
    fn sample(&self, node: &NodeSpec) -> Result<Sample, String>;

    /// Figures of the whole run for its results, from the sums over all nodes.
    fn summary(&self, totals: &Totals, nodes: u16) -> Map<String, Json>;
}

/// The figures of one node at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// How often its process was started: counters begin at zero with each start.
    pub incarnation: u64,
    /// What only grows until the process ends.
    pub counters: BTreeMap<&'static str, u64>,
    /// What the node stores now, for the history; empty if it does not say.
    pub state: BTreeMap<&'static str, u64>,
    /// Bytes of stored state in all.
    pub state_bytes: u64,
    /// Work that must drain once nothing is asked any more; what is left then leaks.
    pub pending: u64,
    /// All figures as the node told them, for `metrics.jsonl`.
    pub raw: Json,
}

/// Sums over all nodes and their restarts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Sums of the counters.
    pub counters: BTreeMap<&'static str, u64>,
    /// Most bytes of state in one node at one time.
    pub state_bytes_max: u64,
    /// Bytes of state in the fullest node at the end.
    pub state_bytes_end: u64,
}

impl Totals {
    /// A sum by name; 0 if no node told it.
    pub fn counter(&self, name: &str) -> u64 {
        self.counters.get(name).copied().unwrap_or(0)
    }
}

/// How the clocks of one node stand, relative to the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClockState {
    /// Added to the wall clock, microseconds.
    pub offset_us: i64,
    /// How much faster both clocks run, parts per million.
    pub drift_ppm: i64,
}

/// Clocks of nodes that can be set.
pub trait Clocks: Send + Sync {
    /// Sets a node's clocks and reads them back.
    ///
    /// # Errors
    /// If it does not answer in time.
    fn set(&self, node: &NodeSpec, state: ClockState) -> Result<ClockState, String>;

    /// Reads a node's clocks.
    ///
    /// # Errors
    /// If it does not answer in time.
    fn read(&self, node: &NodeSpec) -> Result<ClockState, String>;

    /// How far clocks may drift without the system being at fault, parts per million.
    fn drift_bound_ppm(&self) -> i64;
}

/// Roles that nodes have, for faults that are aimed at one.
pub trait Roles: Send + Sync {
    /// The roles, in the system's own words.
    fn all(&self) -> &'static [Role];

    /// The node that has the role now, among those that run, and in words how it was chosen. Where nobody has the role, the nearest
    /// substitute, which the words must say.
    ///
    /// # Errors
    /// If no node answers.
    fn find(&self, role: &str, running: &[(NodeIx, NodeSpec)]) -> Result<(NodeIx, String), String>;
}

/// What the links of a system carry, as far as the relay must know it.
#[derive(Clone, Default)]
pub enum Links {
    /// Whole messages of a known form: each can be lost, repeated or reordered by itself, besides all that a byte stream can suffer.
    Frames(Arc<dyn Framing>),
    /// A byte stream of any protocol over TCP: it can be cut, delayed, slowed and reset. Who sends is found by the sockets, so that one
    /// port serves every peer and client of a node: see [`crate::launch::Dialler::Anyone`].
    Bytes,
    /// They do not pass the relay.
    #[default]
    None,
}

/// What one piece of a byte stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// A whole message of a handshake, this many bytes long: never lost, repeated or reordered, or the connection would hang.
    Handshake(usize),
    /// Any other whole message, this many bytes long.
    Message(usize),
    /// The start of a message of at least this many bytes.
    Partial(usize),
    /// No message: the stream is of another protocol, or has lost its place.
    Foreign,
}

/// Where a message ends on a system's links, told by its first bytes alone.
pub trait Framing: Send + Sync {
    /// Looks at the next bytes, which are not none.
    fn next(&self, bytes: &[u8]) -> Piece;
}

/// Where a watcher puts what it hears.
pub trait NodeEvents: Send + Sync {
    /// Records an event of a node; `node` is its name.
    fn record(&self, node: &str, what: &str, detail: BTreeMap<String, Json>);

    /// A raw reading of the machine's monotonic clock, in nanoseconds, on the run's clock.
    fn on_run_clock(&self, raw_ns: u64) -> Nanos;
}

/// Listens to nodes while a run lasts.
pub trait Watch: Send + Sync {
    /// The group of keys that a key belongs to: keys of one group have one holder.
    fn group_of(&self, key: &str) -> u16;

    /// The node that serves a group now, as far as was heard.
    fn holder_of(&self, group: u16, now: Nanos) -> Option<NodeIx>;

    /// Ends the threads. The nodes are gone by now.
    fn finish(&self);
}
