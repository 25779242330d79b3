//! One fault with all parameters drawn: a kind, a target, and amounts. Its [`Step`]s define what an engine does and when.

use crate::action::{Action, Step};
use crate::kind::{Coverage, FaultKind, Kind};
use crate::quorum;
use crate::target::{Node, SENDER, Target, TargetShape};
use crate::trigger::AtPoint;
use heckle_history::Nanos;
use std::collections::BTreeSet;

/// One fault with all parameters drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// Kind of the fault.
    pub kind: &'static Kind,
    /// Target of the fault.
    pub target: Target,
    /// Amounts of the fault.
    pub amounts: Amounts,
}

/// The amounts of a fault. Each kind uses the amounts that apply to it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Amounts {
    /// Minimum delay, in microseconds.
    pub delay_us: Option<u64>,
    /// Maximum additional delay, in microseconds.
    pub jitter_us: Option<u64>,
    /// Rate in bytes per second.
    pub bytes_per_s: Option<u64>,
    /// Probability in percent, 0 to 100.
    pub percent: Option<f64>,
    /// Wall-clock offset of each node, in microseconds.
    pub offset_us: Option<Vec<i64>>,
    /// Clock drift of each node, in parts per million.
    pub drift_ppm: Option<Vec<i64>>,
    /// Seed of the random choices that the fault makes.
    pub seed: Option<u64>,
    /// The point in the code at which the fault occurs.
    pub point: Option<Box<str>>,
    /// The point of the protocol at which the fault begins, instead of at its time. From that time on it waits for it.
    pub at_point: Option<AtPoint>,
}

impl Fault {
    /// Returns the kind as listed in a plan.
    pub fn listed_as(&self) -> FaultKind {
        let role = match &self.target {
            Target::Role(role) => Some(role.clone()),
            Target::Nodes(_) | Target::Groups(_) | Target::Links(_) | Target::Sender => None,
        };
        FaultKind::new(self.kind, role).at(self.amounts.point.clone())
    }

    /// Returns the name used in histories and reports.
    pub fn name(&self) -> String {
        match &self.amounts.at_point {
            Some(at) => format!("{}@{}", self.listed_as(), at.point),
            None => self.listed_as().to_string(),
        }
    }

    /// Returns the nodes that the fault hits.
    ///
    /// # Errors
    /// If the fault hits links.
    pub fn nodes(&self) -> Result<Vec<Node>, String> {
        match &self.target {
            Target::Nodes(nodes) => Ok(nodes.clone()),
            Target::Groups(_) | Target::Links(_) | Target::Role(_) | Target::Sender => {
                Err(format!("`{}` hits nodes, not {}", self.kind.name, self.target.words().join(" ")))
            }
        }
    }

    /// Returns the same fault with a different target. Amounts that were drawn for each node are reassigned.
    ///
    /// # Errors
    /// If the target is invalid for its kind.
    pub fn with_target(&self, words: &[String], nodes: u16) -> Result<Fault, String> {
        if matches!(self.target, Target::Role(_)) || self.kind.hits == TargetShape::EveryNode {
            return Err(format!("`{}` finds its nodes by itself; leave out target", self.name()));
        }
        let target = match words {
            [word] if word == SENDER && self.amounts.at_point.is_some() => Target::Sender,
            [word] if word == SENDER => return Err("only a fault with at_point has a sender, the node that reaches the point".into()),
            _ => self.kind.hits.read(self.kind.name, words, nodes)?,
        };
        let mut fault = Fault { target, ..self.clone() };
        for each_node in [&mut fault.amounts.offset_us, &mut fault.amounts.drift_ppm].into_iter().flatten() {
            *each_node = each_node.iter().copied().cycle().take(words.len()).collect();
        }
        fault.representative_steps(Nanos(0), nodes).map(|_| fault)
    }

    /// Returns the same fault with the node that holds its role as the target.
    ///
    /// # Errors
    /// If faults of its kind cannot target a role.
    pub fn aimed_at(&self, node: Node, nodes: u16) -> Result<Fault, String> {
        let aim =
            self.kind.aim.as_ref().ok_or_else(|| format!("there is no fault `{}`: `{}` cannot be aimed", self.name(), self.kind.name))?;
        Ok(Fault { target: (aim.target)(node, nodes), ..self.clone() })
    }

    /// Returns the same fault with the node that reached its point as target.
    ///
    /// # Errors
    /// If faults of its kind hit every node.
    pub fn at_sender(&self, node: Node, nodes: u16) -> Result<Fault, String> {
        let target = self.kind.hits.of_one(node, nodes);
        let target = target.ok_or_else(|| format!("`{}` finds its nodes by itself; leave out target", self.name()))?;
        Ok(Fault { target, ..self.clone() })
    }

    /// Returns its steps for a duration of `lasts` in a cluster of `nodes` nodes, ordered by time.
    ///
    /// # Errors
    /// If the target or the amounts are invalid, or the node with the targeted role is not known yet.
    pub fn steps(&self, lasts: Nanos, nodes: u16) -> Result<Vec<Step>, String> {
        if let Target::Role(role) = &self.target {
            return Err(format!("which node is the {role} is not known"));
        }
        if self.target == Target::Sender {
            return Err("which node reaches the point is not known".into());
        }
        let mut steps = (self.kind.steps)(self, lasts, nodes)?;
        steps.sort_by_key(|step| step.from);
        Ok(steps)
    }

    /// Returns representative steps: if the fault targets a role or the sender, an arbitrary node is used, since all nodes are
    /// equivalent.
    ///
    /// # Errors
    /// If the target or the amounts are invalid.
    pub fn representative_steps(&self, lasts: Nanos, nodes: u16) -> Result<Vec<Step>, String> {
        match self.target {
            Target::Role(_) => self.aimed_at(Node(1), nodes)?.steps(lasts, nodes),
            Target::Sender => self.at_sender(Node(1), nodes)?.steps(lasts, nodes),
            Target::Nodes(_) | Target::Groups(_) | Target::Links(_) => self.steps(lasts, nodes),
        }
    }

    /// Returns whether updates must succeed during the fault, because it spares a quorum throughout.
    pub fn leaves_a_quorum(&self, lasts: Nanos, nodes: u16) -> bool {
        match self.kind.coverage {
            Coverage::AfterHeal => false,
            Coverage::DuringIfQuorum => self.representative_steps(lasts, nodes).is_ok_and(|steps| quorum::is_spared(&steps, nodes)),
        }
    }
}

/// Returns the nodes whose processes or clocks these steps affect.
pub fn nodes_hit(steps: &[Step]) -> BTreeSet<Node> {
    steps.iter().map(|step| &step.action).flat_map(Action::needs_up).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::KINDS;
    use crate::schedule::tests::drawn;

    fn at_point(kind: &str) -> Fault {
        let mut fault = drawn(kind, 3, 1);
        fault.amounts.at_point = Some(AtPoint::next("before-reply"));
        fault
    }

    #[test]
    fn the_node_that_reaches_the_point_is_a_target_of_every_kind_that_hits_one() {
        let words = [SENDER.to_owned()];
        for kind in KINDS {
            let Ok(fault) = at_point(kind.name).with_target(&words, 3) else {
                assert!(kind.hits == TargetShape::EveryNode, "{kind:?}");
                continue;
            };
            assert!(fault.steps(Nanos(9), 3).expect_err("unknown yet").contains("not known"));
            let known = fault.at_sender(Node(2), 3).expect("one node");
            let steps = known.steps(Nanos(9), 3).unwrap_or_else(|e| panic!("{kind:?}: {e}"));
            let hit = nodes_hit(&steps);
            let links = steps.iter().flat_map(|step| step.action.links()).collect::<Vec<_>>();
            assert!(hit.is_empty() || hit == [Node(2)].into(), "{kind:?} hits {hit:?}");
            assert!(links.iter().all(|link| link.to_string().contains("n2")), "{kind:?} hits {links:?}");
            assert!(known.name().ends_with("@before-reply"), "{}", known.name());
        }
        assert_eq!(
            at_point("partition:isolate").with_target(&words, 3).expect("a cut").at_sender(Node(2), 3).expect("n2").target.words(),
            ["n2", "n1|n3"]
        );
        assert!(drawn("kill", 3, 1).with_target(&words, 3).expect_err("no point").contains("at_point"));
    }

    #[test]
    fn the_name_has_the_point_and_the_listed_kind_does_not() {
        let fault = at_point("crash-at:before-sync");
        assert_eq!(
            (fault.name().as_str(), fault.listed_as().to_string().as_str()),
            ("crash-at:before-sync@before-reply", "crash-at:before-sync")
        );
    }
}
