//! What a fault does to a node's process, what undoes it, and the evidence of both.

use super::running::RunningNode;
use super::{Cluster, Evidence, NodeSlot, SIGNAL_WITHIN, Shared, last_words, node_index};
use heckle_checker::checks::crash::{self, End, Phase};
use heckle_faults::Node;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

/// After the SIGTERM of a fault, a node has this long to end by itself. etcd first hands over its leadership, which took more than
/// 3 s on a busy machine.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// When a process ended that a fault was to end.
#[derive(Debug)]
pub enum Ended {
    /// Now, by the fault.
    Now(Evidence),
    /// By itself, before.
    Before,
}

impl Cluster {
    /// SIGKILL of all processes of a node, and they are seen to be gone.
    ///
    /// # Errors
    /// If it could not be killed.
    pub fn kill(&self, node: Node) -> Result<Ended, String> {
        let mut slot = self.slot(node);
        // It may have ended by itself a moment ago: that is a finding, not our kill.
        self.shared.look_after(&mut slot);
        let Some(process) = slot.process.as_mut() else { return Ok(Ended::Before) };
        let pid = process.pid();
        let status = kill_and_reap(node, process)?;
        if status.signal() != Some(libc::SIGKILL) {
            // It was faster than the signal.
            self.shared.look_after(&mut slot);
            return Ok(Ended::Before);
        }
        self.shared.note_asked_end(node, &mut slot, status, "kill");
        Ok(Ended::Now([("killed".into(), 1.into()), (format!("pid_{node}"), pid.into())].into()))
    }

    /// SIGTERM, or its own signal, and the node is seen to end by itself. One that does not in time is killed, and that is no evidence of a
    /// termination.
    ///
    /// # Errors
    /// If it could be neither terminated nor killed.
    pub fn terminate(&self, node: Node) -> Result<Ended, String> {
        let mut slot = self.slot(node);
        self.shared.look_after(&mut slot);
        let Some(process) = slot.process.as_mut() else { return Ok(Ended::Before) };
        let pid = process.pid();
        process.ask_to_end().map_err(|e| format!("cannot terminate {node}: {e}"))?;
        let (status, effect) = match process.wait_ended(ENDS_WITHIN) {
            Some(status) => (status, "terminated"),
            None => (kill_and_reap(node, process)?, "killed_after_sigterm"),
        };
        self.shared.note_asked_end(node, &mut slot, status, "terminate");
        Ok(Ended::Now([(effect.into(), 1.into()), (format!("pid_{node}"), pid.into())].into()))
    }

    /// Starts a node that a fault ended on its data and waits until it has recovered. Why it does not is in the history, too: a node
    /// that refuses its own data has crashed.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn restart(&self, node: Node) -> Result<Evidence, String> {
        let mut slot = self.slot(node);
        let began = Instant::now();
        self.shared.launch(&mut slot)?;
        if let Err(why) = self.shared.await_ready(&mut slot) {
            return Err(self.shared.taken_by_a_stranger(&mut slot, why));
        }
        slot.struck = false;
        let ready_ms = began.elapsed().as_secs_f64() * 1e3;
        Ok([("restarted".into(), 1.into()), (format!("ready_ms_{node}"), Json::from((ready_ms * 10.0).round() / 10.0))].into())
    }

    /// SIGSTOP, and the kernel shows the process stopped. Does nothing to a node that ended by itself.
    ///
    /// # Errors
    /// If it could not be stopped.
    pub fn pause(&self, node: Node) -> Result<Evidence, String> {
        let mut slot = self.slot(node);
        self.shared.look_after(&mut slot);
        let Some(process) = slot.process.as_mut() else { return Ok([("was_down".into(), node.to_string().into())].into()) };
        process.signal(libc::SIGSTOP).map_err(|e| format!("cannot pause {node}: {e}"))?;
        let stopped = process.await_stopped(true, SIGNAL_WITHIN);
        drop(slot);
        self.shared.note(node_index(node), "paused", BTreeMap::new());
        Ok([("seen_stopped".into(), u64::from(stopped).into())].into())
    }

    /// SIGCONT, and the kernel shows the process running. Does nothing to a node that is not there.
    ///
    /// # Errors
    /// If it could not be resumed.
    pub fn resume(&self, node: Node) -> Result<Evidence, String> {
        let mut slot = self.slot(node);
        let Some(process) = slot.process.as_mut() else { return Ok(Evidence::new()) };
        let still = process.state() == Some('T');
        process.signal(libc::SIGCONT).map_err(|e| format!("cannot resume {node}: {e}"))?;
        let running = process.await_stopped(false, SIGNAL_WITHIN);
        drop(slot);
        self.shared.note(node_index(node), "resumed", BTreeMap::new());
        if !running {
            return Err(format!("{node} stayed stopped for {} s after SIGCONT", SIGNAL_WITHIN.as_secs()));
        }
        Ok([("stopped_until_the_end".into(), u64::from(still).into())].into())
    }
}

impl Shared {
    /// Puts into the history that a node ended because a fault asked it to. A panic on the way is a crash all the same.
    fn note_asked_end(&self, node: Node, slot: &mut NodeSlot, status: ExitStatus, by: &str) {
        slot.struck = true;
        slot.process = None;
        let end = last_words::end(Some(status), &slot.log.path, slot.log.from);
        // A process that was killed had no say in it: what its log says last is of before.
        let said = end.said.clone().filter(|_| status.signal() != Some(libc::SIGKILL));
        self.note(node_index(node), crash::EXIT, last_words::detail(&End { said, ..end }, Phase::Asked, by));
    }
}

/// SIGKILL, and how the process ended.
fn kill_and_reap(node: Node, process: &mut RunningNode) -> Result<ExitStatus, String> {
    process.signal(libc::SIGKILL).map_err(|e| format!("cannot kill {node}: {e}"))?;
    process.wait_ended(SIGNAL_WITHIN).ok_or_else(|| format!("{node} survived SIGKILL for {} s", SIGNAL_WITHIN.as_secs()))
}
