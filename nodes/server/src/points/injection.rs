//! What can happen at a point.

use serde::{Deserialize, Serialize};

/// Longest that an armed protocol point may hold the node, in milliseconds.
pub const MAX_HOLD_MS: u64 = 100;

/// What happens at an armed point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Injection {
    /// The node ends as if killed. At a protocol point, messages sent before it are handed to the system first.
    Crash,
    /// The thread panics. Storage points only.
    Panic,
    /// Every time, the thread waits. Storage points only.
    Delay {
        /// For this many microseconds.
        us: u64,
    },
    /// Every time, the operation fails with an input/output error. Storage points only.
    IoError,
    /// Every time, the operation fails because the disk is full. Storage points only.
    DiskFull,
    /// Once, the node stands still until released. Protocol points only.
    Hold {
        /// At most for this many milliseconds; see [`MAX_HOLD_MS`].
        ms: u64,
    },
}

impl Injection {
    /// Its name in logs.
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
