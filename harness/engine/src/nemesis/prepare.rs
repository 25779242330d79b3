//! Prepares a fault: finds its target if the target is a role, and waits until no other fault holds its nodes.

use super::claims::{Claim, WaitLimit};
use super::{Nemesis, target_role};
use crate::cluster::Evidence;
use heckle_faults::schedule::Injection;
use heckle_faults::{Fault, Node, Step, Target, all_nodes, nodes_hit};
use heckle_history::Nanos;

/// A fault that is ready to begin.
pub(super) struct PreparedFault<'a> {
    /// The fault, with its target resolved.
    pub(super) fault: Fault,
    /// Its steps.
    pub(super) steps: Vec<Step>,
    /// How the target was found.
    pub(super) aimed: Evidence,
    /// The nodes that the fault holds until it is over.
    pub(super) claim: Option<Claim<'a>>,
}

impl Nemesis {
    /// Resolves the target of a fault and waits for its nodes, until a time that is not after the end of the load. Returns `None`
    /// if that or the end of the run came first.
    pub(super) fn prepare(&self, injection: &Injection, until: Nanos) -> Result<Option<PreparedFault<'_>>, String> {
        let size = self.cluster.size();
        let limit = WaitLimit { clock: self.clock, until, stop: &self.stop };
        loop {
            let (fault, aimed) = match self.resolve_target(&injection.fault) {
                Ok(taken) => taken,
                // While all nodes are down, no role can be resolved.
                Err(_) if !self.claims.wait_free(&all_nodes(size), WaitLimit { until: self.clock.now(), ..limit }) => {
                    if !self.claims.wait_free(&all_nodes(size), limit) {
                        return Ok(None);
                    }
                    continue;
                }
                Err(why) => return Err(why),
            };
            let steps = fault.steps(injection.lasts, size)?;
            let needed: Vec<Node> = nodes_hit(&steps).into_iter().collect();
            // A fault that takes no node down needs its nodes only at the beginning.
            if steps.iter().all(|step| step.action.takes_down().is_empty()) {
                let free = self.claims.wait_free(&needed, limit);
                return Ok(free.then_some(PreparedFault { fault, steps, aimed, claim: None }));
            }
            // The role may have moved to another node while this one was held.
            let at_once = matches!(injection.fault.target, Target::Role(_)) && self.clock.now() < until && !self.stop.asked();
            let limit = if at_once { WaitLimit { until: self.clock.now(), ..limit } } else { limit };
            match self.claims.claim(&needed, limit) {
                Some(claim) => return Ok(Some(PreparedFault { fault, steps, aimed, claim: Some(claim) })),
                None if at_once => {}
                None => return Ok(None),
            }
        }
    }

    /// Returns the fault with its target resolved, and how the target was found.
    fn resolve_target(&self, fault: &Fault) -> Result<(Fault, Evidence), String> {
        match &fault.target {
            Target::Role(role) => {
                let (node, how) = target_role::find(&self.cluster, role)?;
                Ok((fault.aimed_at(node, self.cluster.size())?, how))
            }
            // Whoever waits for a point puts the node that reached it in place of the sender.
            Target::Nodes(_) | Target::Groups(_) | Target::Links(_) | Target::Sender => Ok((fault.clone(), Evidence::new())),
        }
    }
}
