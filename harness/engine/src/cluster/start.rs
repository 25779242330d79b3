//! Starting nodes, and waiting until they serve.

use super::running::RunningNode;
use super::{Cluster, Evidence, NodeSlot, READY_TIMEOUT, Shared, lock, log_tail, pids};
use crate::limits;
use heckle_checker::checks::crash::{self, Phase};
use heckle_system_api::capability::ClockState;
use heckle_system_api::launch::NodeSpec;
use heckle_system_api::process::ONLY;
use std::time::{Duration, Instant};

impl Cluster {
    pub(super) fn await_peers(&self) -> Result<(), String> {
        let deadline = Instant::now() + READY_TIMEOUT;
        for slot in &self.shared.nodes {
            let spec = lock(slot).spec.clone();
            loop {
                match self.shared.system.sees_peers(&spec) {
                    Ok(true) => break,
                    Ok(false) | Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
                    Ok(false) => return Err(format!("{} did not reach its peers within {} s", spec.name, READY_TIMEOUT.as_secs())),
                    Err(e) => return Err(format!("{} does not answer the harness: {e}", spec.name)),
                }
            }
        }
        Ok(())
    }
}

impl Shared {
    /// Starts all nodes and waits until each serves, or attaches to those that run already.
    pub(super) fn start_all(&self) -> Result<(), String> {
        if let Some(attached) = self.system.attached() {
            return self.nodes.iter().try_for_each(|slot| self.attach(attached, &mut lock(slot)));
        }
        self.nodes.iter().try_for_each(|slot| self.launch(&mut lock(slot)))?;
        self.nodes.iter().try_for_each(|slot| self.await_ready(&mut lock(slot)))
    }

    pub(super) fn launch(&self, slot: &mut NodeSlot) -> Result<(), String> {
        let name = slot.spec.name.clone();
        let node = name.parse().ok();
        let started = |pid| {
            // Register the process's owner with the relay before the process dials.
            node.into_iter().for_each(|node| self.owners.register(pid, node));
            pids::append(&self.folder, &name, pid).map_err(|e| std::io::Error::new(e.kind(), format!("{}: {e}", pids::FILE)))
        };
        let process = RunningNode::start(&self.spawner, &self.program, &slot.spec, &self.folder, started);
        let mut process = process.map_err(|(process, e)| {
            let of = if process == ONLY { String::new() } else { format!("`{process}` of ") };
            format!("cannot start {of}{name}: {}", limits::named(&e))
        })?;
        slot.log = process.log();
        slot.process = Some(process);
        Ok(())
    }

    pub(super) fn await_ready(&self, slot: &mut NodeSlot) -> Result<(), String> {
        let process = slot.process.as_mut().expect("it was just launched");
        let ready = self.system.await_ready(&slot.spec, process, READY_TIMEOUT).and_then(|detail| Ok(self.set_clock(&slot.spec, detail)?));
        let pid = process.pid();
        let mut detail = match ready {
            Ok(detail) => detail,
            Err(why) => return Err(self.record_failed_start(slot, &why.to_string())),
        };
        slot.was_ready = true;
        detail.insert("pid".into(), pid.into());
        self.record_by_name(&slot.spec.name, "start", detail);
        Ok(())
    }

    /// Sets the clock offset that one node has for the whole run. It must be set after every start, since a
    /// process begins with the right time.
    pub(super) fn set_clock(&self, spec: &NodeSpec, mut detail: Evidence) -> Result<Evidence, String> {
        let Some(offset) = self.clock_offset.filter(|offset| offset.node.to_string() == spec.name) else { return Ok(detail) };
        let clocks = self.system.clocks().ok_or_else(|| format!("the clocks of {} cannot be set", self.system.name()))?;
        let setting = ClockState { offset_us: offset.offset_us, drift_ppm: 0 };
        clocks.set(spec, setting).map_err(|e| format!("its clock cannot be set: {e}"))?;
        detail.insert("clock_offset_us".into(), offset.offset_us.into());
        Ok(detail)
    }

    /// Records that a node did not become ready. Returns the reason as text, with the end of the ended process's log, or
    /// of all logs if none has ended.
    pub(super) fn record_failed_start(&self, slot: &mut NodeSlot, why: &str) -> String {
        let process = slot.process.as_mut();
        let (status, logs) = process.map_or((None, vec![]), |process| (process.ended(), process.logs()));
        let background = slot.process.as_mut().and_then(RunningNode::end_background_process);
        let why = background.as_deref().unwrap_or(why);
        slot.select_ended_log();
        let end = log_tail::end(status, &slot.log.path, slot.log.from);
        let logs = if status.is_some() || logs.is_empty() { vec![slot.log.clone()] } else { logs };
        if end.signal.is_some() || end.code.is_some() {
            let phase = if slot.was_ready { Phase::Restart } else { Phase::FirstStart };
            self.record_by_name(&slot.spec.name, crash::EXIT, log_tail::detail(&end, phase, "itself"));
            slot.process = None;
        } else {
            self.record_by_name(&slot.spec.name, crash::START_FAILED, [("why".to_owned(), why.into())].into());
        }
        slot.end_handled = true;
        let again = if slot.was_ready { " again" } else { "" };
        let ends = logs.iter().map(|log| log_tail::quote(&log_tail::end(None, &log.path, log.from), &log.path));
        format!("{} did not start{again}: {why}\n{}", slot.spec.name, ends.collect::<Vec<_>>().join("\n"))
    }

    /// Returns the reason why a node did not restart. If another program holds its port, that program is the reason, and the run stops.
    pub(super) fn explain_failed_start(&self, slot: &mut NodeSlot, why: String) -> String {
        if slot.process.as_mut().is_some_and(|process| RunningNode::ended(process).is_none()) {
            return why;
        }
        slot.process = None;
        match self.system.who_answers(&slot.spec) {
            Some((addr, who)) => format!("{}; {why}", slot.spec.node.report_stranger(addr, &who)),
            None => why,
        }
    }
}
