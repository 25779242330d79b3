//! Holds that belong to a connection of the control channel.

use tokio::sync::mpsc;

use super::{MAX_HOLD_MS, PointReached};

/// Largest number of injections that protocol points, or the holds that storage points, have armed at the same time.
pub(crate) const MAX_ARMED: usize = 64;

/// The connection that has armed a hold. It alone hears of the hit, and the hold ends with it.
#[derive(Debug, Clone)]
pub(crate) struct HoldOwner {
    /// Number of the hold, unique in this process.
    pub(crate) id: u64,
    /// Name of the node.
    pub(crate) node: String,
    /// Where the hit is reported.
    pub(crate) sender: mpsc::Sender<PointReached>,
}

/// Checks the length of a hold. A node that is held for longer would look dead to the others.
pub(crate) fn check_hold(ms: u64) -> Result<(), String> {
    if ms > MAX_HOLD_MS { Err(format!("a hold of {ms} ms is over the limit of {MAX_HOLD_MS}")) } else { Ok(()) }
}
