//! Signals that faults send to a node's processes, how they are undone, and the evidence of both.

use super::running::RunningNode;
use super::{Cluster, Evidence, NodeSlot, SIGNAL_TIMEOUT, Shared, log_tail, node_index};
use heckle_checker::checks::crash::{self, End, Phase};
use heckle_faults::{Node, Signal};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

/// Time for a node to exit by itself after a fault's SIGTERM. etcd first hands over leadership, which has taken
/// more than 3 s on a busy machine.
const END_TIMEOUT: Duration = Duration::from_secs(10);

/// Whether a fault ended a process, or the process had ended before.
#[derive(Debug)]
pub enum EndCause {
    /// The fault ended it.
    Fault(Evidence),
    /// It had already ended by itself.
    Earlier,
}

impl Cluster {
    /// Sends SIGKILL to all processes of a node and verifies that they are gone.
    ///
    /// # Errors
    /// If the process could not be killed.
    pub fn kill(&self, node: Node) -> Result<EndCause, String> {
        if let Some(done) = self.inflict_by_command(node, Signal::Kill) {
            return done.map(EndCause::Fault);
        }
        let mut slot = self.slot(node);
        // The process may have ended by itself just before: that is a finding, not our kill.
        self.shared.check_process(&mut slot);
        let Some(process) = slot.process.as_mut() else { return Ok(EndCause::Earlier) };
        let pid = process.pid();
        let status = kill_and_reap(node, process)?;
        if status.signal() != Some(libc::SIGKILL) {
            // The process ended before the signal arrived.
            self.shared.check_process(&mut slot);
            return Ok(EndCause::Earlier);
        }
        self.shared.record_asked_end(node, &mut slot, status, "kill");
        Ok(EndCause::Fault([("killed".into(), 1.into()), (format!("pid_{node}"), pid.into())].into()))
    }

    /// Sends SIGTERM, or each process's own stop signal, and verifies that the node ends by itself. A node that does not end in
    /// time is killed, which does not count as evidence of a termination.
    ///
    /// # Errors
    /// If the process could be neither terminated nor killed.
    pub fn terminate(&self, node: Node) -> Result<EndCause, String> {
        if let Some(done) = self.inflict_by_command(node, Signal::Terminate) {
            return done.map(EndCause::Fault);
        }
        let mut slot = self.slot(node);
        self.shared.check_process(&mut slot);
        let Some(process) = slot.process.as_mut() else { return Ok(EndCause::Earlier) };
        let pid = process.pid();
        process.ask_to_end().map_err(|e| format!("cannot terminate {node}: {e}"))?;
        let (status, effect) = match process.wait_ended(END_TIMEOUT) {
            Some(status) => (status, "terminated"),
            None => (kill_and_reap(node, process)?, "killed_after_sigterm"),
        };
        self.shared.record_asked_end(node, &mut slot, status, "terminate");
        Ok(EndCause::Fault([(effect.into(), 1.into()), (format!("pid_{node}"), pid.into())].into()))
    }

    /// Restarts a node that was ended by a fault, on its existing data, and waits until it has recovered. A failure
    /// to start is recorded with its reason: a node that refuses its own data has crashed.
    ///
    /// # Errors
    /// If the node does not start.
    pub fn restart(&self, node: Node) -> Result<Evidence, String> {
        if let Some(done) = self.undo_by_command(node, Signal::Kill) {
            return done;
        }
        let mut slot = self.slot(node);
        let began = Instant::now();
        self.shared.launch(&mut slot)?;
        if let Err(why) = self.shared.await_ready(&mut slot) {
            return Err(self.shared.explain_failed_start(&mut slot, why));
        }
        slot.end_handled = false;
        let ready_ms = began.elapsed().as_secs_f64() * 1e3;
        Ok([("restarted".into(), 1.into()), (format!("ready_ms_{node}"), Json::from((ready_ms * 10.0).round() / 10.0))].into())
    }

    /// Sends SIGSTOP and verifies that the kernel reports the process as stopped. Does nothing if the node has ended by itself.
    ///
    /// # Errors
    /// If the process could not be stopped.
    pub fn pause(&self, node: Node) -> Result<Evidence, String> {
        if let Some(done) = self.inflict_by_command(node, Signal::Stop) {
            return done;
        }
        let mut slot = self.slot(node);
        self.shared.check_process(&mut slot);
        let Some(process) = slot.process.as_mut() else { return Ok([("was_down".into(), node.to_string().into())].into()) };
        process.signal(libc::SIGSTOP).map_err(|e| format!("cannot pause {node}: {e}"))?;
        let stopped = process.await_stopped(true, SIGNAL_TIMEOUT);
        drop(slot);
        self.shared.record(node_index(node), "paused", BTreeMap::new());
        Ok([("seen_stopped".into(), u64::from(stopped).into())].into())
    }

    /// Sends SIGCONT and verifies that the kernel reports the process as running. Does nothing if the node has no
    /// process.
    ///
    /// # Errors
    /// If the process could not be resumed.
    pub fn resume(&self, node: Node) -> Result<Evidence, String> {
        if let Some(done) = self.undo_by_command(node, Signal::Stop) {
            return done;
        }
        let mut slot = self.slot(node);
        let Some(process) = slot.process.as_mut() else { return Ok(Evidence::new()) };
        let still = process.state() == Some('T');
        process.signal(libc::SIGCONT).map_err(|e| format!("cannot resume {node}: {e}"))?;
        let running = process.await_stopped(false, SIGNAL_TIMEOUT);
        drop(slot);
        self.shared.record(node_index(node), "resumed", BTreeMap::new());
        if !running {
            return Err(format!("{node} stayed stopped for {} s after SIGCONT", SIGNAL_TIMEOUT.as_secs()));
        }
        Ok([("stopped_until_the_end".into(), u64::from(still).into())].into())
    }
}

impl Shared {
    /// Records that a node ended at a fault's request. A panic during shutdown still counts as a crash.
    pub(super) fn record_asked_end(&self, node: Node, slot: &mut NodeSlot, status: ExitStatus, by: &str) {
        slot.end_handled = true;
        slot.process = None;
        let end = log_tail::end(Some(status), &slot.log.path, slot.log.from);
        // A killed process had no time to log anything: the last lines of its log are older than the signal.
        let said = end.said.clone().filter(|_| status.signal() != Some(libc::SIGKILL));
        self.record(node_index(node), crash::EXIT, log_tail::detail(&End { said, ..end }, Phase::Asked, by));
    }
}

/// Sends SIGKILL, and returns how the process ended.
pub(super) fn kill_and_reap(node: Node, process: &mut RunningNode) -> Result<ExitStatus, String> {
    process.signal(libc::SIGKILL).map_err(|e| format!("cannot kill {node}: {e}"))?;
    process.wait_ended(SIGNAL_TIMEOUT).ok_or_else(|| format!("{node} survived SIGKILL for {} s", SIGNAL_TIMEOUT.as_secs()))
}
