//! Faults that make a node end by itself, at a point in its code or because its disk fails. Only the requested end counts as
//! the fault's effect. Any other end is judged as if there were no fault.

use super::Cluster;
use super::running::RunningNode;
use heckle_faults::Node;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

/// Time limit for a node to end once the cause can no longer be withdrawn.
const END_TIMEOUT: Duration = Duration::from_secs(2);

/// The way in which a node must end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SelfEnd {
    /// As if killed by SIGKILL, with this text in the log of its first process.
    Killed {
        /// The expected text.
        last_words: String,
    },
    /// With this exit code.
    Code(i32),
}

/// An end requested by a fault.
#[derive(Debug)]
pub(super) struct ExpectedEnd {
    how: SelfEnd,
    /// Name of the fault in the history.
    pub(super) by: &'static str,
    /// Whether the node has ended in this way.
    met: bool,
}

impl ExpectedEnd {
    /// Whether this is the expected end of the node. It is expected only once.
    pub(super) fn is_met_by(&mut self, status: ExitStatus, node: &RunningNode) -> bool {
        let is_it = match &self.how {
            SelfEnd::Killed { last_words } => status.signal() == Some(libc::SIGKILL) && node.has_logged_first(last_words),
            SelfEnd::Code(code) => status.code() == Some(*code),
        };
        let first = !self.met;
        self.met |= is_it;
        is_it && first
    }
}

impl Cluster {
    /// Makes `how` the expected end of the node until [`Cluster::await_self_end`] is called.
    pub fn expect_end(&self, node: Node, how: SelfEnd, by: &'static str) {
        self.slot(node).expected_end = Some(ExpectedEnd { how, by, met: false });
    }

    /// Returns whether a node has ended as expected. If it has not, withdraws the cause with `take_back`, after which the
    /// node is expected to keep running. A node that cannot be reached for the withdrawal is about to end.
    ///
    /// # Errors
    /// If the cause could not be withdrawn and the node does not end.
    pub fn await_self_end(&self, node: Node, take_back: impl FnOnce() -> Result<(), String>) -> Result<bool, String> {
        if self.has_met_expected_end(node) {
            return Ok(self.forget_expected_end(node));
        }
        if !self.is_running(node) {
            // The node has ended in another way, which is reported separately.
            return Ok(self.forget_expected_end(node));
        }
        let taken_back = take_back();
        let deadline = Instant::now() + if taken_back.is_ok() { Duration::ZERO } else { END_TIMEOUT };
        loop {
            if self.has_met_expected_end(node) || !self.is_running(node) {
                return Ok(self.forget_expected_end(node));
            }
            if Instant::now() >= deadline {
                self.forget_expected_end(node);
                return taken_back.map(|()| false);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Passes on the error of a request that makes a node end, unless the node ended before it could answer.
    ///
    /// # Errors
    /// If the request failed and the node keeps running.
    pub fn unless_ended(&self, node: Node, asked: Result<(), String>) -> Result<(), String> {
        let deadline = Instant::now() + END_TIMEOUT;
        while asked.is_err() && self.is_running(node) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        if self.is_running(node) { asked } else { Ok(()) }
    }

    /// Whether a process of the node is running.
    pub fn is_running(&self, node: Node) -> bool {
        let mut slot = self.slot(node);
        self.shared.check_process(&mut slot);
        slot.process.is_some()
    }

    fn has_met_expected_end(&self, node: Node) -> bool {
        let mut slot = self.slot(node);
        self.shared.check_process(&mut slot);
        slot.expected_end.as_ref().is_some_and(|expected| expected.met)
    }

    /// Stops expecting an end. Returns whether the node has ended as expected.
    fn forget_expected_end(&self, node: Node) -> bool {
        self.slot(node).expected_end.take().is_some_and(|expected| expected.met)
    }
}
