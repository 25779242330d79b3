//! The primitive actions: how to do each one, undo it, and verify the undo.

use super::claims::WaitLimit;
use super::evidence::add;
use super::{Nemesis, clocks, disks, links, nodes};
use crate::cluster::Evidence;
use crate::relay::Relay;
use heckle_faults::{Action, Signal, Step};
use heckle_history::Nanos;

/// Time limit for a node that another fault holds to come back.
const RECOVERY_TIMEOUT: Nanos = Nanos::from_ms(60_000);

impl Nemesis {
    /// Carries out the action. `rule` is the relay's id for an effect on links.
    pub(super) fn apply(&self, rule: u64, action: &Action) -> Result<Evidence, String> {
        match action {
            Action::Signal(signal, nodes) => nodes::signal(&self.cluster, *signal, nodes),
            Action::SetClocks(clocks) => clocks::skew(&self.cluster, clocks),
            Action::Disturb(links, effect) => {
                self.relay()?.apply(rule, links, *effect);
                Ok(Evidence::new())
            }
            Action::LosePower(nodes, seed) => self.cluster.lose_power(nodes, *seed),
            Action::DelaySyncs(nodes, delay_us) => disks::delay_syncs(&self.cluster, nodes, *delay_us, &self.stop),
            Action::EndWhen(nodes, cause) => disks::end_when(&self.cluster, nodes, cause),
            Action::CopyDisk(hit) => nodes::for_all(hit, |node| self.cluster.copy_disk(node)),
            Action::LoseDisk(hit, loss) => nodes::for_all(hit, |node| self.cluster.lose_disk(node, *loss)),
        }
    }

    /// Undoes the action.
    pub(super) fn undo(&self, rule: u64, action: &Action) -> Result<Evidence, String> {
        match action {
            Action::Signal(signal, nodes) => nodes::undo(&self.cluster, *signal, nodes),
            Action::SetClocks(clocks) => {
                self.wait_back(action);
                clocks::restore(&self.cluster, clocks)
            }
            Action::Disturb(..) => Ok(links::remove_rule(self.relay()?, rule)),
            Action::LosePower(nodes, _) => nodes::undo(&self.cluster, Signal::Kill, nodes),
            Action::DelaySyncs(nodes, _) => {
                self.wait_back(action);
                disks::restore_syncs(&self.cluster, nodes)
            }
            Action::EndWhen(nodes, cause) => disks::undo_end(&self.cluster, nodes, cause),
            Action::CopyDisk(_) => Ok(Evidence::new()),
            Action::LoseDisk(hit, _) => nodes::for_all(hit, |node| self.cluster.return_disk(node)),
        }
    }

    /// Waits for nodes that another fault has taken down: a node that is down or stopped receives the request once it is
    /// back. The heal of the other fault bounds the wait.
    fn wait_back(&self, action: &Action) {
        let limit = WaitLimit { clock: self.clock, until: Nanos(self.clock.now().0 + RECOVERY_TIMEOUT.0), stop: &self.stop };
        self.claims.wait_free(&action.needs_up(), limit);
    }

    /// Waits until every step is verified as undone. Returns `None` if a step is not undone in time: the history then
    /// shows the fault as unhealed.
    pub(super) fn await_healed(&self, steps: &[Step]) -> Option<Evidence> {
        let mut sum = Evidence::new();
        for step in steps {
            let seen = match &step.action {
                Action::Signal(_, hit)
                | Action::LosePower(hit, _)
                | Action::DelaySyncs(hit, _)
                | Action::EndWhen(hit, _)
                | Action::CopyDisk(hit)
                | Action::LoseDisk(hit, _) => nodes::await_ready(&self.cluster, hit)?,
                Action::SetClocks(clocks) => clocks::verify_restored(&self.cluster, clocks)?,
                Action::Disturb(links, _) => links::await_flow(self.relay().ok()?, links, &self.stop)?,
            };
            add(&mut sum, seen);
        }
        Some(sum)
    }

    fn relay(&self) -> Result<&Relay, String> {
        self.relay.as_deref().ok_or_else(|| "there is no relay in this run".to_owned())
    }
}
