//! Optional capabilities of a system. Each is a small trait. The engine does not use a capability that a system lacks, and a feature
//! that needs it reports so.

use crate::launch::NodeSpec;
use heckle_faults::{DiskFailure, Role};
use heckle_history::{Nanos, NodeIx};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Figures reported by nodes.
pub trait Metrics: Send + Sync {
    /// Returns the current figures of one node.
    ///
    /// # Errors
    /// If the node does not answer in time.
    fn sample(&self, node: &NodeSpec) -> Result<Sample, String>;

    /// Figures of the whole run for its results, computed from the sums over all nodes.
    fn summary(&self, totals: &Totals, nodes: u16) -> Map<String, Json>;
}

/// The figures of one node at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// How often the node's process was started. Counters begin at zero with each start.
    pub incarnation: u64,
    /// Figures that only grow until the process ends.
    pub counters: BTreeMap<&'static str, u64>,
    /// What the node stores, by category, for the history. Empty if the node does not report it.
    pub state: BTreeMap<&'static str, u64>,
    /// Total size of the stored state, in bytes.
    pub state_bytes: u64,
    /// Amount of pending work. It must drain when there are no more requests; anything left is a leak.
    pub pending: u64,
    /// All figures as the node reported them, for `metrics.jsonl`.
    pub raw: Json,
}

/// Sums over all nodes and their restarts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Sums of the counters.
    pub counters: BTreeMap<&'static str, u64>,
    /// Maximum state size of any one node at any time, in bytes.
    pub state_bytes_max: u64,
    /// Largest state size of a node at the end, in bytes.
    pub state_bytes_end: u64,
}

impl Totals {
    /// The sum of a counter, or 0 if no node reported it.
    pub fn counter(&self, name: &str) -> u64 {
        self.counters.get(name).copied().unwrap_or(0)
    }
}

/// The clocks of one node, relative to the true time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClockState {
    /// Offset of the wall clock, in microseconds.
    pub offset_us: i64,
    /// How much faster both clocks run than the true time, in parts per million.
    pub drift_ppm: i64,
}

/// Nodes whose clocks can be set.
pub trait Clocks: Send + Sync {
    /// Sets a node's clocks and reads them back.
    ///
    /// # Errors
    /// If the node does not answer in time.
    fn set(&self, node: &NodeSpec, state: ClockState) -> Result<ClockState, String>;

    /// Reads a node's clocks.
    ///
    /// # Errors
    /// If the node does not answer in time.
    fn read(&self, node: &NodeSpec) -> Result<ClockState, String>;

    /// Maximum clock drift that the system must tolerate, in parts per million.
    fn drift_bound_ppm(&self) -> i64;
}

/// Nodes whose disks can be made to fail.
pub trait Disks: Send + Sync {
    /// Counts the writes of a stopped node that it has not synced. Returns `None` if its un-synced data is not kept apart.
    ///
    /// # Errors
    /// If it cannot be read.
    fn unsynced_writes(&self, data: &Path) -> Result<Option<u64>, String>;

    /// Takes away a part of what the processes of a node had written to its data folder and not synced; what survives is drawn from
    /// the seed. The node has ended. Returns `None` if its un-synced data was not kept apart, so that nothing could be taken away.
    ///
    /// # Errors
    /// If a process still uses the folder, or the folder cannot be changed.
    fn lose_power(&self, data: &Path, seed: u64) -> Result<Option<LostData>, String>;

    /// Makes every sync of a node take longer from now on.
    ///
    /// # Errors
    /// If the node does not answer in time.
    fn delay_syncs(&self, node: &NodeSpec, delay: Duration) -> Result<(), String>;

    /// Reads how many syncs of the running process were delayed, and for how long.
    ///
    /// # Errors
    /// If the node does not answer in time.
    fn delayed_syncs(&self, node: &NodeSpec) -> Result<DelayedSyncs, String>;

    /// Makes the next operation of a node's disk fail in this way. A failure that has not happened can be taken back with `None`.
    ///
    /// # Errors
    /// If the node does not answer in time.
    fn fail(&self, node: &NodeSpec, failure: Option<DiskFailure>) -> Result<(), String>;

    /// Removes the delay of syncs, also from a sync that is being delayed.
    ///
    /// # Errors
    /// If the node does not answer in time.
    fn restore_syncs(&self, node: &NodeSpec) -> Result<(), String>;

    /// The exit code of a node whose disk has failed.
    fn failed_exit_code(&self) -> i32;

    /// Whether a running node takes part in the decisions of the cluster.
    ///
    /// # Errors
    /// If the node does not answer in time.
    fn takes_part(&self, node: &NodeSpec) -> Result<bool, String>;

    /// The exit code of a node that refuses to serve because it has lost a part of its data.
    fn refused_exit_code(&self) -> i32;

    /// Names of the files in a data folder that say which node it belongs to, and hold none of its data.
    fn identity_files(&self) -> &'static [&'static str];
}

/// What was un-synced when power failed, and what became of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LostData {
    /// Un-synced changes, in sectors and names, before the loss.
    pub unsynced: u64,
    /// Un-synced bytes that were lost.
    pub bytes_lost: u64,
    /// Un-synced bytes that survived.
    pub bytes_kept: u64,
    /// Writes of which only a part survived.
    pub writes_torn: u64,
    /// Un-synced names, renames and removals that were lost.
    pub names_lost: u64,
    /// Un-synced names, renames and removals that survived.
    pub names_kept: u64,
}

impl LostData {
    /// Returns the figures by the names that they have in histories.
    pub fn figures(&self) -> [(&'static str, u64); 6] {
        [
            ("unsynced", self.unsynced),
            ("bytes_lost", self.bytes_lost),
            ("bytes_kept", self.bytes_kept),
            ("writes_torn", self.writes_torn),
            ("names_lost", self.names_lost),
            ("names_kept", self.names_kept),
        ]
    }
}

/// Syncs that were delayed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DelayedSyncs {
    /// Number of syncs of which the delay has begun.
    pub count: u64,
    /// The longest delay that has ended, in microseconds.
    pub max_us: u64,
}

/// Nodes that can be made to end, and be held, at named points of their code.
pub trait Points: Send + Sync {
    /// All points.
    fn all(&self) -> Vec<PointInfo>;

    /// Makes a node end as if killed, when it reaches the point the next time.
    ///
    /// # Errors
    /// If there is no such point, or the node does not answer in time.
    fn crash_at(&self, node: &NodeSpec, point: &str) -> Result<(), String>;

    /// Takes that back.
    ///
    /// # Errors
    /// If the node does not answer in time.
    fn disarm(&self, node: &NodeSpec, point: &str) -> Result<(), String>;

    /// What a node logs when it ends at a point. It distinguishes that end from any other kill.
    fn last_words(&self, point: &str) -> String;

    /// Arms the point at a node: after `skip` hits are ignored, the node is held there, once, until the result is dropped. The node
    /// ends the hold by itself after `longest`, and when this process dies.
    ///
    /// # Errors
    /// If there is no such point, or the node does not answer in time.
    fn hold_at(&self, node: &NodeSpec, point: &str, skip: u32, longest: Duration) -> Result<Box<dyn ArmedPoint>, String>;
}

/// A point that is armed at one node. Dropping it disarms the point, and lets a held node go on.
pub trait ArmedPoint: Send {
    /// Waits until the node is held at the point. Returns `None` if it is not within `wait`.
    ///
    /// # Errors
    /// If the node is gone.
    fn reached(&mut self, wait: Duration) -> Result<Option<PointHit>, String>;
}

/// A node has reached a point and is held there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PointHit {
    /// When, as a raw reading of the machine's monotonic clock in nanoseconds.
    pub raw_ns: u64,
    /// What the node was doing, such as the operation; empty if that is not known.
    pub what: String,
}

/// A point in the code of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PointInfo {
    /// Its name in plans.
    pub name: &'static str,
    /// When it is reached, in one sentence.
    pub about: &'static str,
    /// How often it is reached under load.
    pub reached: Reached,
}

/// How often a point is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// By most operations.
    Often,
    /// Now and then, or never in a short run. Only faults that name the point use it.
    Seldom,
    /// Only while the node starts, when nothing can be armed.
    AtStart,
}

/// Roles of nodes, for faults that target a role.
pub trait Roles: Send + Sync {
    /// The roles, by the system's own names.
    fn all(&self) -> &'static [Role];

    /// Finds the node among `running` that has the role now, and describes how it was chosen. If no node has the role, returns the
    /// nearest substitute, and the description must say so.
    ///
    /// # Errors
    /// If no node answers.
    fn find(&self, role: &str, running: &[(NodeIx, NodeSpec)]) -> Result<(NodeIx, String), String>;

    /// Why no node can have this role with the settings of this system, if so.
    fn vacant(&self, _role: &str) -> Option<&'static str> {
        None
    }
}

/// What the links of a system carry, in the detail that the relay needs.
#[derive(Clone, Default)]
pub enum Links {
    /// Whole messages of a known format. Each can be lost, repeated or reordered, in addition to the faults of a byte stream.
    Frames(Arc<dyn Framing>),
    /// A byte stream of any protocol over TCP, which can be cut, delayed, slowed and reset. The relay identifies the sender by its
    /// socket, so that one port serves every peer and client of a node: see [`crate::launch::Dialler::Anyone`].
    Bytes,
    /// The links do not go through the relay.
    #[default]
    None,
}

/// A protocol over [`Links::Bytes`] in which a node starts each connection by sending its own address, so that the other side can
/// connect back. The relay puts its own port in place of that address; otherwise the connection back would bypass the relay, and with it every
/// fault.
pub trait Greeting: Send + Sync {
    /// Looks for such an address in the first bytes of a connection, which are not empty. `relayed` returns the relay's port for an
    /// address at which a node listens.
    fn rewrite(&self, bytes: &[u8], relayed: &dyn Fn(SocketAddr) -> Option<SocketAddr>) -> Rewrite;
}

/// What to do with the first bytes of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rewrite {
    /// Wait for more bytes. A greeting is short: the relay forwards more than 1,024 bytes unchanged.
    Incomplete,
    /// Forward them unchanged.
    Keep,
    /// Forward `with` in place of the first `len` bytes.
    Replace {
        /// Number of bytes to leave out, at most as many as there are.
        len: usize,
        /// The bytes to send instead.
        with: Vec<u8>,
    },
}

/// One piece of a byte stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// A whole handshake message of this many bytes. It is never lost, repeated or reordered, since the connection would hang.
    Handshake(usize),
    /// Any other whole message of this many bytes.
    Message(usize),
    /// The start of a message of at least this many bytes.
    Partial(usize),
    /// Not a message: the stream has a different protocol, or message boundaries were lost.
    Foreign,
}

/// Finds message boundaries on a system's links from the first bytes of each message.
pub trait Framing: Send + Sync {
    /// Classifies the next bytes, which must not be empty.
    fn next(&self, bytes: &[u8]) -> Piece;
}

/// Receives the events that a [`Watch`] observes.
pub trait NodeEvents: Send + Sync {
    /// Records an event of a node; `node` is its name.
    fn record(&self, node: &str, what: &str, detail: BTreeMap<String, Json>);

    /// Converts a raw reading of the machine's monotonic clock, in nanoseconds, to the run's clock.
    fn on_run_clock(&self, raw_ns: u64) -> Nanos;
}

/// Receives events from nodes during a run.
pub trait Watch: Send + Sync {
    /// The group that a key belongs to. All keys of a group have the same holder.
    fn group_of(&self, key: &str) -> u16;

    /// The node that serves a group now, according to the latest events.
    fn holder_of(&self, group: u16, now: Nanos) -> Option<NodeIx>;

    /// Stops the threads, after the nodes have ended.
    fn finish(&self);
}
