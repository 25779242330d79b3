//! Watches the processes of a cluster for exits and listeners that no fault explains.

use super::running::RunningNode;
use super::{NodeSlot, Shared, WATCH_EVERY, log_tail};
use crate::stop::StopReason;
use heckle_checker::checks::crash::{self, Phase};
use std::sync::atomic::Ordering;

impl Shared {
    /// Watches for nodes that end without having been faulted.
    pub(super) fn watch(&self) {
        while !self.over.load(Ordering::SeqCst) {
            for slot in &self.nodes {
                // A locked slot is currently being faulted or restarted.
                if let Ok(mut slot) = slot.try_lock() {
                    self.check_process(&mut slot);
                    if slot.end_handled {
                        self.check_for_foreign_listener(&mut slot);
                    }
                }
            }
            std::thread::sleep(WATCH_EVERY);
        }
    }

    /// Records an unrequested end of a node, and stops the run. A crash of the system counts as a violation,
    /// anything else as a failure of the machine.
    pub(super) fn check_process(&self, slot: &mut NodeSlot) {
        if slot.end_handled {
            return;
        }
        let Some(status) = slot.process.as_mut().and_then(RunningNode::ended) else { return };
        if let (Some(expected), Some(process)) = (&mut slot.expected_end, &slot.process)
            && expected.is_met_by(status, process)
        {
            let by = expected.by;
            slot.select_ended_log();
            let node = slot.spec.name.parse().expect("nodes are called n1, n2 ...");
            self.record_asked_end(node, slot, status, by);
            return;
        }
        slot.end_handled = true;
        slot.select_ended_log();
        let background = slot.process.as_mut().and_then(RunningNode::end_background_process);
        let who = slot.process.as_mut().and_then(RunningNode::ended_process_name);
        slot.process = None;
        let end = log_tail::end(Some(status), &slot.log.path, slot.log.from);
        // A node that was never ready has promised nothing yet, so its end is not a crash unless its log shows one.
        let phase = if slot.was_ready { Phase::Serving } else { Phase::FirstStart };
        self.record_by_name(&slot.spec.name, crash::EXIT, log_tail::detail(&end, phase, "itself"));
        match crash::cause(&end, phase) {
            crash::Cause::Crash | crash::Cause::Asked => self.stop.ask(StopReason::Violation),
            crash::Cause::Outside(why) => {
                let (name, how, of) = (&slot.spec.name, crash::how(&end), who.map_or(String::new(), |who| format!("`{who}` of ")));
                let why = background.unwrap_or(why.to_owned());
                let why = format!("{of}{name} ended without a fault, with {how}: {why}\n{}", log_tail::quote(&end, &slot.log.path));
                self.stop.ask(StopReason::Broken(why));
            }
        }
    }

    /// Checks that nothing listens on the port of a node whose process is gone. Two sightings are required, so that
    /// the last moment of a process that was just killed does not count as a foreign program.
    pub(super) fn check_for_foreign_listener(&self, slot: &mut NodeSlot) {
        if slot.process.is_some() {
            slot.saw_listener = false;
            return;
        }
        let found = self.system.who_answers(&slot.spec);
        if let Some((addr, who)) = found.as_ref().filter(|_| slot.saw_listener) {
            slot.spec.node.report_stranger(*addr, who);
        }
        slot.saw_listener = found.is_some();
    }
}
