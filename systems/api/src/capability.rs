//! Optional capabilities of a system, each a small trait. If a system lacks a capability, the engine does not use it, and features
//! that need it report that.

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
    /// Fails if the node does not answer in time.
    fn sample(&self, node: &NodeSpec) -> Result<Sample, String>;

    /// Returns figures of the whole run for its results, computed from the sums over all nodes.
    fn summary(&self, totals: &Totals, nodes: u16) -> Map<String, Json>;
}

/// The figures of one node at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// Number of times the node's process was started. Counters begin at zero with each start.
    pub incarnation: u64,
    /// Figures that only increase until the process ends.
    pub counters: BTreeMap<&'static str, u64>,
    /// Figures of the node's stored state, by category, for the history. Empty if the node does not report them.
    pub state: BTreeMap<&'static str, u64>,
    /// Total size of the stored state, in bytes.
    pub state_bytes: u64,
    /// Amount of pending work. It must drain once there are no more requests, and anything left over is a leak.
    pub pending: u64,
    /// All figures as reported by the node, for `metrics.jsonl`.
    pub raw: Json,
}

/// Sums over all nodes and their restarts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Sums of the counters.
    pub counters: BTreeMap<&'static str, u64>,
    /// Maximum state size of any one node at any time, in bytes.
    pub state_bytes_max: u64,
    /// Maximum state size of any one node at the end, in bytes.
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
    /// How much faster than true time both clocks run, in parts per million.
    pub drift_ppm: i64,
}

/// Nodes whose clocks can be set.
pub trait Clocks: Send + Sync {
    /// Sets a node's clocks and reads them back.
    ///
    /// # Errors
    /// Fails if the node does not answer in time.
    fn set(&self, node: &NodeSpec, state: ClockState) -> Result<ClockState, String>;

    /// Reads a node's clocks.
    ///
    /// # Errors
    /// Fails if the node does not answer in time.
    fn read(&self, node: &NodeSpec) -> Result<ClockState, String>;

    /// Maximum clock drift that the system must tolerate, in parts per million.
    fn drift_bound_ppm(&self) -> i64;
}

/// Nodes whose disks can be made to fail.
pub trait Disks: Send + Sync {
    /// Counts the un-synced writes of a stopped node. Returns `None` if its un-synced data is not kept separately.
    ///
    /// # Errors
    /// Fails if it cannot be read.
    fn unsynced_writes(&self, data: &Path) -> Result<Option<u64>, String>;

    /// Removes part of the data that a node's processes had written to its data folder but not synced. The seed determines which
    /// part survives. The node must have ended. Returns `None` if its un-synced data was not kept separately, so that nothing could
    /// be removed.
    ///
    /// # Errors
    /// Fails if a process is still using the folder, or the folder cannot be changed.
    fn lose_power(&self, data: &Path, seed: u64) -> Result<Option<LostData>, String>;

    /// Makes every sync of a node take longer from now on.
    ///
    /// # Errors
    /// Fails if the node does not answer in time.
    fn delay_syncs(&self, node: &NodeSpec, delay: Duration) -> Result<(), String>;

    /// Returns how many syncs of the running process were delayed, and for how long.
    ///
    /// # Errors
    /// Fails if the node does not answer in time.
    fn delayed_syncs(&self, node: &NodeSpec) -> Result<DelayedSyncs, String>;

    /// Makes the next operation on a node's disk fail in this way. `None` cancels a failure that has not happened yet.
    ///
    /// # Errors
    /// Fails if the node does not answer in time.
    fn fail(&self, node: &NodeSpec, failure: Option<DiskFailure>) -> Result<(), String>;

    /// Removes the sync delay, including from a sync that is currently delayed.
    ///
    /// # Errors
    /// Fails if the node does not answer in time.
    fn restore_syncs(&self, node: &NodeSpec) -> Result<(), String>;

    /// The exit code of a node whose disk has failed.
    fn failed_exit_code(&self) -> i32;

    /// Whether a running node takes part in the decisions of the cluster.
    ///
    /// # Errors
    /// Fails if the node does not answer in time.
    fn takes_part(&self, node: &NodeSpec) -> Result<bool, String>;

    /// The exit code of a node that refuses to serve because it has lost part of its data.
    fn refused_exit_code(&self) -> i32;

    /// Names of the files in a data folder that identify its node and contain none of its data.
    fn identity_files(&self) -> &'static [&'static str];
}

/// The un-synced data at the time of a power loss, and how much of it survived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LostData {
    /// Un-synced changes, in sectors and names, before the loss.
    pub unsynced: u64,
    /// Un-synced bytes that were lost.
    pub bytes_lost: u64,
    /// Un-synced bytes that survived.
    pub bytes_kept: u64,
    /// Writes of which only part survived.
    pub writes_torn: u64,
    /// Un-synced names, renames and removals that were lost.
    pub names_lost: u64,
    /// Un-synced names, renames and removals that survived.
    pub names_kept: u64,
}

impl LostData {
    /// Returns the figures by their names in histories.
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
    /// Number of syncs whose delay has begun.
    pub count: u64,
    /// The longest completed delay, in microseconds.
    pub max_us: u64,
}

/// Nodes that can be made to crash at named points in their code.
pub trait Points: Send + Sync {
    /// All points.
    fn all(&self) -> Vec<PointInfo>;

    /// Makes a node end as if killed the next time it reaches the point.
    ///
    /// # Errors
    /// Fails if there is no such point, or the node does not answer in time.
    fn crash_at(&self, node: &NodeSpec, point: &str) -> Result<(), String>;

    /// Cancels a pending [`Points::crash_at`].
    ///
    /// # Errors
    /// Fails if the node does not answer in time.
    fn disarm(&self, node: &NodeSpec, point: &str) -> Result<(), String>;

    /// The text that a node logs when it ends at a point, which distinguishes that end from any other kill.
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

/// A point in a node's code.
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
    /// Occasionally, or never in a short run. Used only by faults that name the point.
    Seldom,
    /// Only while the node is starting, when nothing can be armed.
    AtStart,
}

/// Roles of nodes, for faults that target a role.
pub trait Roles: Send + Sync {
    /// The roles, by the system's own names.
    fn all(&self) -> &'static [Role];

    /// Finds the node among `running` that currently has the role, and describes how it was chosen. If no node has the role,
    /// returns the nearest substitute, and the description must say so.
    ///
    /// # Errors
    /// Fails if no node answers.
    fn find(&self, role: &str, running: &[(NodeIx, NodeSpec)]) -> Result<(NodeIx, String), String>;

    /// Why no node can have this role with the settings of this system. `None` if one can.
    fn vacant(&self, _role: &str) -> Option<&'static str> {
        None
    }
}

/// The content of a system's links, in as much detail as the relay needs.
#[derive(Clone, Default)]
pub enum Links {
    /// Whole messages of a known format. Each can be lost, repeated or reordered, in addition to the faults of a byte stream.
    Frames(Arc<dyn Framing>),
    /// A byte stream of any protocol over TCP, which can be cut, delayed, slowed and reset. The relay identifies the sender by its
    /// socket, so one port serves every peer and client of a node: see [`crate::launch::Dialler::Anyone`].
    Bytes,
    /// The links do not pass through the relay.
    #[default]
    None,
}

/// A protocol over [`Links::Bytes`] in which a node starts each connection by sending its own address, so that the other side can connect
/// back. The relay replaces that address with its own port, since otherwise the connection back would bypass the relay and all its faults.
pub trait Greeting: Send + Sync {
    /// Looks for such an address in the first bytes of a connection, of which there is at least one. `relayed` returns the relay's
    /// port for an address on which a node listens.
    fn rewrite(&self, bytes: &[u8], relayed: &dyn Fn(SocketAddr) -> Option<SocketAddr>) -> Rewrite;
}

/// How to forward the first bytes of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rewrite {
    /// Wait for more bytes. A greeting is short: the relay forwards more than 1,024 bytes unchanged.
    Incomplete,
    /// Forward them unchanged.
    Keep,
    /// Forward `with` in place of the first `len` bytes.
    Replace {
        /// Number of bytes to replace, at most the number passed in.
        len: usize,
        /// The bytes to send instead.
        with: Vec<u8>,
    },
}

/// One piece of a byte stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// A whole handshake message of this many bytes. It is never lost, repeated or reordered, since that would make the
    /// connection hang.
    Handshake(usize),
    /// Any other whole message of this many bytes.
    Message(usize),
    /// The start of a message of at least this many bytes.
    Partial(usize),
    /// Not a message: the stream carries a different protocol, or message boundaries were lost.
    Foreign,
}

/// Finds message boundaries on a system's links from the first bytes of each message.
pub trait Framing: Send + Sync {
    /// Classifies the next bytes, which must not be empty.
    fn next(&self, bytes: &[u8]) -> Piece;
}

/// Receives the events that a [`Watch`] observes.
pub trait NodeEvents: Send + Sync {
    /// Records an event of the node named `node`.
    fn record(&self, node: &str, what: &str, detail: BTreeMap<String, Json>);

    /// Converts a raw reading of the machine's monotonic clock, in nanoseconds, to a time on the run's clock.
    fn on_run_clock(&self, raw_ns: u64) -> Nanos;
}

/// Receives events from nodes during a run.
pub trait Watch: Send + Sync {
    /// The group of a key. All keys in a group have the same holder.
    fn group_of(&self, key: &str) -> u16;

    /// The node that currently serves a group, according to the latest events.
    fn holder_of(&self, group: u16, now: Nanos) -> Option<NodeIx>;

    /// Stops the threads, after the nodes have ended.
    fn finish(&self);
}
