//! The modes in which a node can operate.

use super::OptionsError;
use std::str::FromStr;
use std::time::Duration;

/// How long a coordinator waits after being outbid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backoff {
    /// No wait.
    None,
    /// A random wait, uniform between zero and `max`.
    Uniform {
        /// The longest wait.
        max: Duration,
    },
    /// About the duration of this node's recent rounds, and longer with each attempt.
    Adaptive {
        /// The longest wait.
        max: Duration,
    },
}

impl Backoff {
    /// Default for the longest wait.
    pub(super) const DEFAULT_MAX: Duration = Duration::from_millis(100);
}

impl FromStr for Backoff {
    type Err = OptionsError;

    fn from_str(text: &str) -> Result<Backoff, OptionsError> {
        match text {
            "none" => Ok(Backoff::None),
            "uniform" => Ok(Backoff::Uniform { max: Backoff::DEFAULT_MAX }),
            "adaptive" => Ok(Backoff::Adaptive { max: Backoff::DEFAULT_MAX }),
            _ => Err(OptionsError::Backoff { text: text.to_owned() }),
        }
    }
}

/// Whether protocol points can be subscribed to and armed on the control channel. Announcing them adds a small cost
/// to each operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announce {
    /// Protocol points are not available.
    Silent,
    /// Protocol points are available.
    Points,
}

/// Whether accepted copies are dropped once every replica has learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prune {
    /// Accepted copies stay until they are overwritten or expire.
    Off,
    /// Accepted copies are dropped soon after every replica has learned.
    On,
}

/// Which operation runs next when several wait for one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queue {
    /// Clients take turns. Operations already decided by the current round are answered from its result.
    Fair,
    /// Operations run in order of arrival, one by one.
    Fifo,
}

/// How many rounds an operation takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounds {
    /// Prepare, read, propose, learn.
    Classic,
    /// The promise carries the row.
    Merged,
    /// Merged, and a chosen update is answered before it is learned.
    AsyncLearn,
    /// Async learn, and an accept also promises the next ballot.
    Fast,
}

impl FromStr for Rounds {
    type Err = OptionsError;

    fn from_str(text: &str) -> Result<Rounds, OptionsError> {
        match text {
            "classic" => Ok(Rounds::Classic),
            "merged" => Ok(Rounds::Merged),
            "async-learn" => Ok(Rounds::AsyncLearn),
            "fast" => Ok(Rounds::Fast),
            _ => Err(OptionsError::Rounds { text: text.to_owned() }),
        }
    }
}

/// Where written bytes and names are kept until a sync covers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsynced {
    /// In the operating system's cache.
    SystemCache,
    /// In an overlay in the data folder, so that a harness can simulate a power loss: see
    /// [`lose_power`](crate::lose_power).
    Overlay,
}
