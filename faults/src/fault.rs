//! One fault with everything drawn: a kind, a target, and amounts. What an engine does for it, and when, are its [`Step`]s.

use crate::action::{Action, Step};
use crate::kind::{Coverage, FaultKind, Kind};
use crate::quorum;
use crate::target::{Node, Target, TargetShape};
use heckle_history::Nanos;
use std::collections::BTreeSet;

/// One fault with everything drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// Its kind.
    pub kind: &'static Kind,
    /// Its target.
    pub target: Target,
    /// How much.
    pub amounts: Amounts,
}

/// How much of it. Each kind takes the amounts that it knows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Amounts {
    /// The least delay, microseconds.
    pub delay_us: Option<u64>,
    /// Up to this much more, microseconds.
    pub jitter_us: Option<u64>,
    /// A rate, bytes a second.
    pub bytes_per_s: Option<u64>,
    /// A chance, 0 to 100.
    pub percent: Option<f64>,
    /// Added to wall clocks, microseconds, for each node.
    pub offset_us: Option<Vec<i64>>,
    /// How fast clocks run, parts per million, for each node.
    pub drift_ppm: Option<Vec<i64>>,
}

impl Fault {
    /// Its kind, as a plan lists it.
    pub fn listed_as(&self) -> FaultKind {
        let role = match &self.target {
            Target::Role(role) => Some(role.clone()),
            Target::Nodes(_) | Target::Groups(_) | Target::Links(_) => None,
        };
        FaultKind::new(self.kind, role)
    }

    /// The name by which history and reports speak of it.
    pub fn name(&self) -> String {
        self.listed_as().to_string()
    }

    /// The nodes that it hits.
    ///
    /// # Errors
    /// If it hits links.
    pub fn nodes(&self) -> Result<Vec<Node>, String> {
        match &self.target {
            Target::Nodes(nodes) => Ok(nodes.clone()),
            Target::Groups(_) | Target::Links(_) | Target::Role(_) => {
                Err(format!("`{}` hits nodes, not {}", self.kind.name, self.target.words().join(" ")))
            }
        }
    }

    /// The same fault at a target of choice. Amounts that were drawn for each node are dealt out again.
    ///
    /// # Errors
    /// If the target makes no sense for its kind.
    pub fn with_target(&self, words: &[String], nodes: u16) -> Result<Fault, String> {
        if matches!(self.target, Target::Role(_)) || self.kind.hits == TargetShape::EveryNode {
            return Err(format!("`{}` finds its nodes by itself; leave out target", self.name()));
        }
        let target = self.kind.hits.read(self.kind.name, words, nodes)?;
        let mut fault = Fault { target, ..self.clone() };
        for each_node in [&mut fault.amounts.offset_us, &mut fault.amounts.drift_ppm].into_iter().flatten() {
            *each_node = each_node.iter().copied().cycle().take(words.len()).collect();
        }
        fault.steps(Nanos(0), nodes).map(|_| fault)
    }

    /// The same fault at the node that turned out to have its role.
    ///
    /// # Errors
    /// If faults of its kind cannot be aimed.
    pub fn aimed_at(&self, node: Node, nodes: u16) -> Result<Fault, String> {
        let aim =
            self.kind.aim.as_ref().ok_or_else(|| format!("there is no fault `{}`: `{}` cannot be aimed", self.name(), self.kind.name))?;
        Ok(Fault { target: (aim.target)(node, nodes), ..self.clone() })
    }

    /// What is done and undone when it lasts so long among so many nodes, in the order of time.
    ///
    /// # Errors
    /// If target or amounts make no sense, or the node that it is aimed at is not known yet.
    pub fn steps(&self, lasts: Nanos, nodes: u16) -> Result<Vec<Step>, String> {
        if let Target::Role(role) = &self.target {
            return Err(format!("which node is the {role} is not known"));
        }
        let mut steps = (self.kind.steps)(self, lasts, nodes)?;
        steps.sort_by_key(|step| step.from);
        Ok(steps)
    }

    /// The steps of a fault of which no more need be known: one that is aimed hits some node, and all nodes are alike.
    ///
    /// # Errors
    /// If target or amounts make no sense.
    pub fn some_steps(&self, lasts: Nanos, nodes: u16) -> Result<Vec<Step>, String> {
        match self.target {
            Target::Role(_) => self.aimed_at(Node(1), nodes)?.steps(lasts, nodes),
            Target::Nodes(_) | Target::Groups(_) | Target::Links(_) => self.steps(lasts, nodes),
        }
    }

    /// Whether updates must succeed while it is on: it spares a quorum all the time.
    pub fn leaves_a_quorum(&self, lasts: Nanos, nodes: u16) -> bool {
        match self.kind.coverage {
            Coverage::AfterHeal => false,
            Coverage::DuringIfQuorum => self.some_steps(lasts, nodes).is_ok_and(|steps| quorum::is_spared(&steps, nodes)),
        }
    }
}

/// The nodes whose processes or clocks these steps touch.
pub fn nodes_hit(steps: &[Step]) -> BTreeSet<Node> {
    steps.iter().map(|step| &step.action).flat_map(Action::needs_up).collect()
}
