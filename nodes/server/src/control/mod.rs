//! The control channel: how a harness watches and torments one node. JSON lines over TCP, loopback only.
//!
//! One request a line, one answer a line, in order. A connection that subscribed to protocol points is sent
//! [`Answer::Point`] lines besides, whenever one is reached.
//!
//! ```text
//! -> {"do":"set_clock","offset_us":-3600000000,"drift_ppm":0}
//! <- {"answer":"ok"}
//! ```
//!
//! Faults enter through it: the clock seam, failpoints in the storage, and *protocol points* at which the node
//! stands still for a moment so that a nemesis can strike exactly there.

mod client;
pub(crate) mod server;

use serde::{Deserialize, Serialize};

use crate::client_protocol::Identity;
use crate::points::Injection;

pub use crate::status::{OpCounts, PeerStatus, StateBytes, Status, SyncLatency};
pub use client::{Client, ControlError};

/// Longest line either side accepts.
pub const MAX_LINE: usize = 1 << 20;
/// Longest that an armed protocol point may hold the node, in milliseconds.
pub const MAX_HOLD_MS: u64 = 100;

/// What is asked of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Who the node is. The first question of whoever has only an address.
    Identify {},
    /// Everything the node knows about itself.
    Status {},
    /// The same figures as Prometheus text.
    Metrics {},
    /// Falsifies the node's clocks from now on.
    SetClock {
        /// Added to the wall clock, in microseconds; a change is a jump.
        offset_us: i64,
        /// Both clocks run this many parts per million fast (negative: slow).
        drift_ppm: i64,
        /// Both clocks stand still.
        #[serde(default)]
        freeze: bool,
    },
    /// Arms or disarms a failure of the storage.
    Failpoint {
        /// Which one.
        name: Failpoint,
        /// On or off.
        action: FailpointAction,
    },
    /// Chooses which protocol points this connection is told about.
    Subscribe {
        /// Names of points; empty for all.
        points: Vec<String>,
    },
    /// Injects a fault at a named point; see [`crate::points::list`].
    Inject {
        /// Name of the point.
        point: String,
        /// What happens there.
        injection: Injection,
        /// Hits that pass first.
        #[serde(default)]
        skip: u32,
        /// At a protocol point only for this key, as bytes of UTF-8; any key if absent.
        #[serde(default)]
        key: Option<String>,
    },
    /// Nothing happens at this point any more.
    Disarm {
        /// Name of the point.
        point: String,
    },
    /// The node stands still at the next such point until released, or until the time is over.
    Arm {
        /// Name of the point.
        point: String,
        /// Only for this key, as bytes of UTF-8; any key if absent.
        #[serde(default)]
        key: Option<String>,
        /// Longest stand-still, at most [`MAX_HOLD_MS`].
        hold_ms: u64,
    },
    /// No protocol point is armed any more, and a node that stands still goes on.
    Release {},
    /// Tells this connection of changes of the node's leases, beginning with those that it holds.
    WatchLeases {},
    /// Ends the node as SIGTERM does.
    Stop {},
}

/// Named failures of the storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failpoint {
    /// The next write of the log fails with an input/output error.
    FailWrite,
    /// The next sync fails with an input/output error.
    FailSync,
    /// The next write fails because the disk is full, after half of it was written.
    DiskFull,
    /// Every sync takes longer.
    SlowSync,
    /// The node ends as if killed, right before a sync.
    CrashBeforeSync,
    /// The node ends as if killed, right after a sync and before anything that relied on it left.
    CrashAfterSync,
    /// The node ends as if killed, after half of a log write.
    CrashMidWrite,
    /// The thread that syncs panics.
    Panic,
}

impl Failpoint {
    /// All of them.
    pub const ALL: [Failpoint; 8] = [
        Failpoint::FailWrite,
        Failpoint::FailSync,
        Failpoint::DiskFull,
        Failpoint::SlowSync,
        Failpoint::CrashBeforeSync,
        Failpoint::CrashAfterSync,
        Failpoint::CrashMidWrite,
        Failpoint::Panic,
    ];

    /// Its name on the control channel.
    pub fn as_str(self) -> &'static str {
        match self {
            Failpoint::FailWrite => "fail-write",
            Failpoint::FailSync => "fail-sync",
            Failpoint::DiskFull => "disk-full",
            Failpoint::SlowSync => "slow-sync",
            Failpoint::CrashBeforeSync => "crash-before-sync",
            Failpoint::CrashAfterSync => "crash-after-sync",
            Failpoint::CrashMidWrite => "crash-mid-write",
            Failpoint::Panic => "panic",
        }
    }
}

/// What to do with a [`Failpoint`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailpointAction {
    /// Fires at every chance (the first one ends the node, except [`Failpoint::SlowSync`]).
    Arm {
        /// Extra time of a slow sync in microseconds; other failpoints ignore it.
        delay_us: u64,
    },
    /// Off.
    Disarm,
}

/// What a node answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// Done.
    Ok,
    /// Answer to [`Request::Identify`].
    Identity {
        /// Who answers.
        identity: Identity,
    },
    /// Answer to [`Request::Status`].
    Status {
        /// The figures.
        status: Box<Status>,
    },
    /// Answer to [`Request::Metrics`].
    Metrics {
        /// Prometheus text format.
        text: String,
    },
    /// Not done, and why.
    Error {
        /// What to mend, in words.
        message: String,
    },
    /// A protocol point was reached; sent unasked to subscribers.
    Point {
        /// What was reached.
        point: PointReached,
    },
    /// A lease of the node has changed; sent unasked to watchers.
    Lease {
        /// What changed.
        lease: LeaseChanged,
    },
}

/// A change of a lease, as its holder sees it. Times are the raw monotonic clock in nanoseconds, shared with the harness.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseChanged {
    /// The holder.
    pub node: String,
    /// `lease_acquired`, `lease_extended` or `lease_ended`.
    pub what: String,
    /// The range of keys.
    pub range: u16,
    /// The ballot it was granted at, `<run>.<restarts>.<node>`.
    pub ballot: String,
    /// Held without a gap since.
    pub from_ns: u64,
    /// Believed in until then unless extended or given back; for an end, when it ended.
    pub until_ns: u64,
    /// Why it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Whether the holder reads its own row under it.
    pub reads: bool,
}

/// A protocol point, such as "propose sent to the first acceptor".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointReached {
    /// The node that reached it.
    pub node: String,
    /// Name of the point.
    pub name: String,
    /// The key concerned, lossily as UTF-8.
    pub key: String,
    /// The operation, `c<client>.<seq>`.
    pub op: String,
    /// The ballot of the attempt.
    pub ballot: String,
    /// Raw monotonic time in nanoseconds, the clock shared with the harness.
    pub mono_ns: u64,
    /// Whether the node now stands still.
    pub held: bool,
}
