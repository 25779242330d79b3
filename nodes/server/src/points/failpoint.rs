//! Failpoints: older names for an injection at a storage point.

use serde::{Deserialize, Serialize};

/// Named storage failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failpoint {
    /// The next log write fails with an input/output error.
    FailWrite,
    /// The next sync fails with an input/output error.
    FailSync,
    /// The next write fails with a full disk, after half of it has been written.
    DiskFull,
    /// Every sync takes longer.
    SlowSync,
    /// The node ends as if killed, right before a sync.
    CrashBeforeSync,
    /// The node ends as if killed, right after a sync and before anything that relies on it is sent.
    CrashAfterSync,
    /// The node ends as if killed, halfway through a log write.
    CrashMidWrite,
    /// The thread that performs syncs panics.
    Panic,
}

impl Failpoint {
    /// All failpoints.
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

    /// Name of the failpoint on the control channel.
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

/// The change to a [`Failpoint`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailpointAction {
    /// Fires at every opportunity (the first one ends the node, except [`Failpoint::SlowSync`]).
    Arm {
        /// Extra time of a slow sync in microseconds. Other failpoints ignore it.
        delay_us: u64,
    },
    /// Disarms the failpoint.
    Disarm,
}
