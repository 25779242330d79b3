//! The control channel: how a harness observes one node and injects faults. JSON lines over TCP, loopback only.
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

pub use crate::points::{Failpoint, FailpointAction, MAX_HOLD_MS, PointReached};
pub use crate::status::{OpCounts, PeerStatus, StateBytes, Status, SyncLatency};
pub use client::{Client, ControlError};

/// Longest line either side accepts.
pub const MAX_LINE: usize = 1 << 20;

/// What is asked of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Who the node is. The first request of a client that has only an address.
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
    /// Chooses which protocol points are sent to this connection.
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
