//! Takes up a fault: finds its target where a role is aimed at, and waits until no other fault holds its nodes.

use super::claims::{Claim, Patience};
use super::{Nemesis, target_role};
use crate::cluster::Evidence;
use heckle_faults::schedule::Injection;
use heckle_faults::{Fault, Node, Step, Target, all_nodes, nodes_hit};

/// A fault that can begin.
pub(super) struct TakenUp<'a> {
    /// The fault, its target known.
    pub(super) fault: Fault,
    /// What is to be done.
    pub(super) steps: Vec<Step>,
    /// How the target was found.
    pub(super) aimed: Evidence,
    /// The nodes that it holds until it is over.
    pub(super) claim: Option<Claim<'a>>,
}

impl Nemesis {
    /// The fault with its target known and its nodes free; none if the load or the run ended before they were.
    pub(super) fn take_up(&self, injection: &Injection) -> Result<Option<TakenUp<'_>>, String> {
        let size = self.cluster.size();
        let patience = Patience { clock: self.clock, until: self.until, stop: &self.stop };
        loop {
            let (fault, aimed) = match self.take_aim(&injection.fault) {
                Ok(taken) => taken,
                // While all nodes are down, none can be aimed at.
                Err(_) if !self.claims.wait_free(&all_nodes(size), Patience { until: self.clock.now(), ..patience }) => {
                    if !self.claims.wait_free(&all_nodes(size), patience) {
                        return Ok(None);
                    }
                    continue;
                }
                Err(why) => return Err(why),
            };
            let steps = fault.steps(injection.lasts, size)?;
            let needed: Vec<Node> = nodes_hit(&steps).into_iter().collect();
            // Nodes that stay up are needed only to begin with.
            if steps.iter().all(|step| step.action.takes_down().is_empty()) {
                let free = self.claims.wait_free(&needed, patience);
                return Ok(free.then_some(TakenUp { fault, steps, aimed, claim: None }));
            }
            // What was aimed at may be another node by the time that this one is free.
            let at_once = matches!(injection.fault.target, Target::Role(_)) && self.clock.now() < self.until && !self.stop.asked();
            let patience = if at_once { Patience { until: self.clock.now(), ..patience } } else { patience };
            match self.claims.claim(&needed, patience) {
                Some(claim) => return Ok(Some(TakenUp { fault, steps, aimed, claim: Some(claim) })),
                None if at_once => {}
                None => return Ok(None),
            }
        }
    }

    /// The fault with its target known, and how it was found.
    fn take_aim(&self, fault: &Fault) -> Result<(Fault, Evidence), String> {
        match &fault.target {
            Target::Role(role) => {
                let (node, how) = target_role::find(&self.cluster, role)?;
                Ok((fault.aimed_at(node, self.cluster.size())?, how))
            }
            Target::Nodes(_) | Target::Groups(_) | Target::Links(_) => Ok((fault.clone(), Evidence::new())),
        }
    }
}
