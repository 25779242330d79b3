//! The primitives: each action done, undone, and seen to be undone.

use super::claims::Patience;
use super::evidence::add;
use super::{Nemesis, clocks, links, nodes};
use crate::cluster::Evidence;
use crate::relay::Relay;
use heckle_faults::{Action, Step};
use heckle_history::Nanos;

/// A node that another fault holds is back within this.
const BACK_WITHIN: Nanos = Nanos::from_ms(60_000);

impl Nemesis {
    /// Does it; `rule` is the relay's name for an effect on links.
    pub(super) fn act(&self, rule: u64, action: &Action) -> Result<Evidence, String> {
        match action {
            Action::Signal(signal, nodes) => nodes::signal(&self.cluster, *signal, nodes),
            Action::SetClocks(clocks) => clocks::set_wrong(&self.cluster, clocks),
            Action::Disturb(links, effect) => {
                self.relay()?.apply(rule, links, *effect);
                Ok(Evidence::new())
            }
        }
    }

    /// Undoes it.
    pub(super) fn undo(&self, rule: u64, action: &Action) -> Result<Evidence, String> {
        match action {
            Action::Signal(signal, nodes) => nodes::undo(&self.cluster, *signal, nodes),
            Action::SetClocks(clocks) => {
                // A node that is down or stopped now is asked when it is back: the wait is bounded by that fault's own heal.
                let patience = Patience { clock: self.clock, until: Nanos(self.clock.now().0 + BACK_WITHIN.0), stop: &self.stop };
                self.claims.wait_free(&action.needs_up(), patience);
                clocks::set_right(&self.cluster, clocks)
            }
            Action::Disturb(..) => Ok(links::lift(self.relay()?, rule)),
        }
    }

    /// Waits until every step is seen to be undone; `None` if one is not in time, which leaves the fault unhealed in the history.
    pub(super) fn see_healed(&self, steps: &[Step]) -> Option<Evidence> {
        let mut sum = Evidence::new();
        for step in steps {
            let seen = match &step.action {
                Action::Signal(_, hit) => nodes::see_up(&self.cluster, hit)?,
                Action::SetClocks(clocks) => clocks::see_right(&self.cluster, clocks)?,
                Action::Disturb(links, _) => links::see_flow(self.relay().ok()?, links, &self.stop)?,
            };
            add(&mut sum, seen);
        }
        Some(sum)
    }

    fn relay(&self) -> Result<&Relay, String> {
        self.relay.as_deref().ok_or_else(|| "there is no relay in this run".to_owned())
    }
}
