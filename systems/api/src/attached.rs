//! A cluster that was running before the run and goes on after it.

use crate::launch::NodeSpec;
use heckle_faults::Signal;

/// A cluster that the harness attaches to. It starts and ends none of the processes. What a command of the plan does to a node leaves no
/// evidence that the harness could check, so a run with such a fault is never valid.
pub trait Attached: Send + Sync {
    /// Number of nodes.
    fn nodes(&self) -> u16;

    /// Why this signal cannot be sent to a node and undone, as the rest of a sentence about the system; `None` if it can.
    fn lacks(&self, signal: Signal) -> Option<&'static str>;

    /// Does to a node what the signal would do to its processes.
    ///
    /// # Errors
    /// If it fails or takes too long.
    fn inflict(&self, signal: Signal, node: &NodeSpec) -> Result<(), String>;

    /// Undoes it.
    ///
    /// # Errors
    /// If it fails or takes too long.
    fn undo(&self, signal: Signal, node: &NodeSpec) -> Result<(), String>;

    /// Checks that a node answers now.
    ///
    /// # Errors
    /// Why it does not, with its address.
    fn check(&self, node: &NodeSpec) -> Result<(), String>;
}
