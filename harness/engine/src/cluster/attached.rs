//! Nodes that the harness did not start. Commands of the plan do to them what signals do to its own processes. A command may report
//! success and have done nothing, and the harness sees neither the process nor the machine, so such a fault is *unverified*: it has no
//! evidence that counts.

use super::{Cluster, Evidence, NodeSlot, READY_TIMEOUT, Shared};
use crate::stop::Stop;
use heckle_checker::checks::crash::ATTACHED;
use heckle_checker::coverage::{EFFECTIVE, UNVERIFIED};
use heckle_faults::{Node, Signal};
use heckle_system_api::attached::Attached;
use std::time::{Duration, Instant};

/// Time limit for a node to answer when the harness attaches. The cluster should have been running before.
const ATTACH_TIMEOUT: Duration = Duration::from_secs(3);
/// Interval between two checks of a node.
const CHECK_EVERY: Duration = Duration::from_millis(20);

impl Cluster {
    /// Runs the command that stands for a signal, if the harness attached to the cluster. The node counts as down, even if the command
    /// fails, until the command that undoes it has succeeded.
    pub(super) fn inflict_by_command(&self, node: Node, signal: Signal) -> Option<Result<Evidence, String>> {
        let attached = self.shared.system.attached()?;
        let mut slot = self.slot(node);
        slot.is_down = true;
        Some(attached.inflict(signal, &slot.spec).map(|()| unverified()).map_err(|why| format!("{node}: {why}")))
    }

    /// Runs the command that undoes a signal, and waits until the node answers.
    pub(super) fn undo_by_command(&self, node: Node, signal: Signal) -> Option<Result<Evidence, String>> {
        let attached = self.shared.system.attached()?;
        let mut slot = self.slot(node);
        let undone = attached.undo(signal, &slot.spec).map_err(|why| format!("{node}: {why}"));
        Some(undone.and_then(|()| await_answer(attached, &slot, READY_TIMEOUT, None)).map(|()| {
            slot.is_down = false;
            unverified()
        }))
    }
}

impl Cluster {
    /// One sentence for each node that a command took down and no command brought back.
    pub fn left_down(&self) -> Vec<String> {
        let slots = (1..=self.size()).map(|n| self.slot(Node(n)));
        let down = slots.filter(|slot| slot.is_down && self.shared.system.attached().is_some());
        let sentence = |slot: std::sync::MutexGuard<'_, NodeSlot>| {
            format!("{} may still be down or paused, because its `restart` or `resume` did not succeed: undo it yourself", slot.spec.name)
        };
        down.map(sentence).collect()
    }
}

impl Shared {
    /// Checks that a node answers, and records it.
    pub(super) fn attach(&self, attached: &dyn Attached, slot: &mut NodeSlot) -> Result<(), String> {
        await_answer(attached, slot, ATTACH_TIMEOUT, Some(&self.stop)).map_err(|why| {
            format!("{why}\nheckle attaches to this cluster and does not start it: start it first, or correct the address")
        })?;
        slot.was_ready = true;
        self.record_by_name(&slot.spec.name, ATTACHED, [("address".to_owned(), slot.spec.ask.to_string().into())].into());
        Ok(())
    }
}

fn unverified() -> Evidence {
    [(EFFECTIVE.to_owned(), false.into()), (UNVERIFIED.to_owned(), "a command of the plan".into())].into()
}

fn await_answer(attached: &dyn Attached, slot: &NodeSlot, within: Duration, stop: Option<&Stop>) -> Result<(), String> {
    let deadline = Instant::now() + within;
    loop {
        let Err(why) = attached.check(&slot.spec) else { return Ok(()) };
        if Instant::now() > deadline || stop.is_some_and(Stop::asked) {
            return Err(format!("{} does not answer: {why}", slot.spec.name));
        }
        std::thread::sleep(CHECK_EVERY);
    }
}
