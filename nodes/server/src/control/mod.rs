//! The control channel, which a harness uses to watch a node and to inject faults. It carries JSON lines over TCP, on
//! loopback only.
//!
//! Each line is one request or one reply, and replies arrive in order. A connection that has subscribed to protocol
//! points also receives an [`Answer::Point`] line each time one of them is reached.
//!
//! ```text
//! -> {"do":"set_clock","offset_us":-3600000000,"drift_ppm":0}
//! <- {"answer":"ok"}
//! ```
//!
//! Any program on this machine may query identity, status and metrics. A request that changes or follows the node needs its
//! [token](ControlToken), sent once per connection. The node closes a connection at the first line that is not a request, or
//! that the connection may not send.
//!
//! Faults enter through this channel: the clock seam, failpoints in the storage, and *protocol points* at which the
//! node is held briefly, so that a nemesis can act at exactly that moment.

mod client;
pub(crate) mod server;
mod token;

use serde::{Deserialize, Serialize};

use crate::client_protocol::Identity;
use crate::points::Injection;

pub use crate::points::{Failpoint, FailpointAction, MAX_HOLD_MS, PointReached};
pub use crate::status::{HeldBytes, OpCounts, PeerStatus, StateBytes, Status, SyncLatency};
pub use client::{Client, ControlError};
pub use token::{ControlToken, TOKEN_FILE};

/// Maximum length of a line that either side accepts, in bytes.
pub const MAX_LINE: usize = 1 << 20;

/// A request to a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Requests the node's identity. The first request of a client that has only an address.
    Identify {},
    /// Allows this connection to change and follow the node. Must precede any such request.
    Authorize {
        /// The node's token, from [`TOKEN_FILE`] in its data folder.
        token: String,
    },
    /// Requests all of the node's status figures.
    Status {},
    /// Requests the same figures as Prometheus text.
    Metrics {},
    /// Skews the node's clocks from now on.
    SetClock {
        /// Added to the wall clock, in microseconds. A change makes the clock jump.
        offset_us: i64,
        /// How fast both clocks run, in parts per million above real time (negative: slow).
        drift_ppm: i64,
        /// Stops both clocks.
        #[serde(default)]
        freeze: bool,
    },
    /// Arms or disarms a failpoint.
    Failpoint {
        /// The failpoint.
        name: Failpoint,
        /// Whether to arm or disarm it.
        action: FailpointAction,
    },
    /// Subscribes this connection to protocol points.
    Subscribe {
        /// Names of the points. Empty for all.
        points: Vec<String>,
    },
    /// Injects a fault at a named point; see [`crate::points::list`].
    Inject {
        /// Name of the point.
        point: String,
        /// The fault.
        injection: Injection,
        /// Number of hits to ignore first.
        #[serde(default)]
        skip: u32,
        /// For a protocol point: inject only for this key, as UTF-8 bytes. Any key if absent.
        #[serde(default)]
        key: Option<String>,
    },
    /// Removes all injections at this point.
    Disarm {
        /// Name of the point.
        point: String,
    },
    /// Holds the node at the next hit of this point, until it is released or the time is up.
    Arm {
        /// Name of the point.
        point: String,
        /// Hold only for this key, as UTF-8 bytes. Any key if absent.
        #[serde(default)]
        key: Option<String>,
        /// Maximum duration of the hold in milliseconds, at most [`MAX_HOLD_MS`].
        hold_ms: u64,
    },
    /// Holds the node for this connection when it reaches the point, which is reported to this connection alone. The hold
    /// ends when the connection is closed, so a harness that dies holds nothing, and after `hold_ms` at the latest. It
    /// happens once. A second request of the same connection replaces the first.
    HoldAt {
        /// Name of the point.
        point: String,
        /// Number of hits to ignore first.
        #[serde(default)]
        skip: u32,
        /// Longest hold, at most [`MAX_HOLD_MS`].
        hold_ms: u64,
    },
    /// Disarms all protocol points and releases a held node, except what [`Request::HoldAt`] has armed.
    Release {},
    /// Subscribes this connection to changes of the node's leases. The first reports are the leases it currently
    /// holds.
    WatchLeases {},
    /// Stops the node as SIGTERM does.
    Stop {},
}

impl Request {
    /// Whether only a connection with the node's token may send this request.
    pub(crate) fn needs_token(&self) -> bool {
        match self {
            Request::Identify {} | Request::Authorize { .. } | Request::Status {} | Request::Metrics {} => false,
            Request::SetClock { .. }
            | Request::Failpoint { .. }
            | Request::Subscribe { .. }
            | Request::Inject { .. }
            | Request::Disarm { .. }
            | Request::Arm { .. }
            | Request::HoldAt { .. }
            | Request::Release {}
            | Request::WatchLeases {}
            | Request::Stop {} => true,
        }
    }
}

/// A reply from a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// The request was carried out.
    Ok,
    /// Reply to [`Request::Identify`].
    Identity {
        /// Identity of the node.
        identity: Identity,
    },
    /// Reply to [`Request::Status`].
    Status {
        /// The status figures.
        status: Box<Status>,
    },
    /// Reply to [`Request::Metrics`].
    Metrics {
        /// The figures in the Prometheus text format.
        text: String,
    },
    /// The request was refused.
    Error {
        /// The reason, and what to change.
        message: String,
    },
    /// A point was reached. Sent without a request to subscribers, and to the connection that holds the node there.
    Point {
        /// The point.
        point: PointReached,
    },
    /// A lease of the node has changed. Sent to watchers without a request.
    Lease {
        /// The change.
        lease: LeaseChanged,
    },
}

/// A lease change, as seen by the holder. Times are raw monotonic times in nanoseconds, on the clock shared with the
/// harness.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseChanged {
    /// The holder.
    pub node: String,
    /// `lease_acquired`, `lease_extended` or `lease_ended`.
    pub what: String,
    /// The range of keys.
    pub range: u16,
    /// The ballot at which the lease was granted, `<run>.<restarts>.<node>`.
    pub ballot: String,
    /// Start of the period for which the lease has been held without a gap.
    pub from_ns: u64,
    /// When the lease ends unless it is extended or released. If it has ended: when it ended.
    pub until_ns: u64,
    /// Why the lease ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Whether the holder may read its own row under this lease.
    pub reads: bool,
}
