//! The faults that can be injected at a point.

use serde::{Deserialize, Serialize};

/// Maximum time in milliseconds for which an armed protocol point may hold the node.
pub const MAX_HOLD_MS: u64 = 100;

/// The fault injected at an armed point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Injection {
    /// The node ends as if killed. At a protocol point, messages sent before the point are first handed to the
    /// operating system.
    Crash,
    /// The thread panics. Storage points only.
    Panic,
    /// The thread waits at every hit. Storage points only.
    Delay {
        /// Length of the wait in microseconds.
        us: u64,
    },
    /// The operation fails with an input/output error at every hit. Storage points only.
    IoError,
    /// The operation fails with a full disk at every hit. Storage points only.
    DiskFull,
    /// The node is held at the next hit until released. Protocol points only.
    Hold {
        /// Maximum duration of the hold, in milliseconds: see [`MAX_HOLD_MS`].
        ms: u64,
    },
}

impl Injection {
    /// Name of the injection in logs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Injection::Crash => "crash",
            Injection::Panic => "panic",
            Injection::Delay { .. } => "delay",
            Injection::IoError => "io-error",
            Injection::DiskFull => "disk-full",
            Injection::Hold { .. } => "hold",
        }
    }
}

/// A report that a node has reached a protocol point, such as "propose sent to the first acceptor".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointReached {
    /// The node that reached it.
    pub node: String,
    /// Name of the point.
    pub name: String,
    /// Key of the operation, converted lossily to UTF-8.
    pub key: String,
    /// The operation, `c<client>.<seq>`.
    pub op: String,
    /// The ballot of the attempt.
    pub ballot: String,
    /// Raw monotonic time in nanoseconds, the clock shared with the harness.
    pub mono_ns: u64,
    /// Whether the node is now held at the point.
    pub held: bool,
}
