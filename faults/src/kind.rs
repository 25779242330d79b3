//! The description of a kind of fault: its name, how it is drawn, its requirements, the evidence of its effect, and the
//! operations that must succeed. Each kind is a constant in a file in `kinds/`.

use crate::action::{Signal, Step};
use crate::draw::Draw;
use crate::fault::{Amounts, Fault};
use crate::target::{Node, Role, Target, TargetShape};
use heckle_history::Nanos;
use rand::Rng;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

/// A kind of fault.
pub struct Kind {
    /// Name in plans, schedules and histories.
    pub name: &'static str,
    /// Description for the reader of a plan.
    pub about: &'static str,
    /// Form of the targets.
    pub hits: TargetShape,
    /// Whether a correct system survives the fault.
    pub model: Model,
    /// Requirements of the kind.
    pub needs: Needs,
    /// Evidence that the fault took effect.
    pub evidence: Evidence,
    /// Operations that must succeed for a run with the fault to count.
    pub coverage: Coverage,
    /// How the kind targets the node that holds a role; `None` if it cannot.
    pub aim: Option<Aim>,
    /// Draws a fault. A kind may draw a fault of another kind: `partition` draws a shape, and histories call all shapes
    /// `partition`.
    pub draw: fn(&mut Draw<'_>) -> Fault,
    /// Returns the steps of a fault for a given duration and number of nodes, or an error message if the target or the
    /// amounts are invalid.
    pub steps: fn(&Fault, Nanos, u16) -> Result<Vec<Step>, String>,
}

/// Whether the guarantees of a correct system hold under a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// A correct system survives the fault.
    Inside,
    /// The fault breaks an assumption that every correct system makes. A correct system refuses to continue, or is
    /// allowed to fail.
    Beyond,
}

/// The requirements of a kind on the cluster and the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Minimum number of nodes for which the fault is meaningful.
    pub nodes: u16,
    /// Controls that the engine must provide.
    pub control: &'static [Control],
}

/// A part of the system that an engine can control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// The nodes' processes: this signal, and what undoes it.
    Processes(Signal),
    /// The traffic on links.
    Links,
    /// The traffic on links between nodes. Without it, only the links of clients can be disturbed.
    NodeLinks,
    /// Individual messages on links.
    Messages,
    /// Clocks of the nodes.
    Clocks,
    /// Disks of the nodes.
    Disks,
    /// Un-synced data of the nodes, which must be kept separately from the start of the run.
    UnsyncedData,
    /// Named points in the nodes' code.
    Points,
}

/// The figures that show that a fault took effect. A fault without them tested nothing, and its run is inconclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// At least one of these figures is above zero.
    Any(&'static [&'static str]),
    /// Each of these figures is at least the number of affected nodes.
    EachNode(&'static [&'static str]),
}

/// The operations that must succeed for a run with such a fault to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    /// An update during the fault if some quorum of nodes stays up and connected throughout; otherwise as for
    /// `AfterHeal`.
    DuringIfQuorum,
    /// Any operation soon after the fault.
    AfterHeal,
}

/// How a kind targets the node that holds a role.
#[derive(Clone, Copy)]
pub struct Aim {
    /// Description; `{role}` is replaced with the node.
    pub about: &'static str,
    /// Draws the amounts of the fault.
    pub amounts: fn(&mut dyn Rng) -> Amounts,
    /// Returns the target for a given node.
    pub target: fn(Node, u16) -> Target,
}

/// A kind as listed in a plan: `kill`, or `kill:coordinator`, which targets a role, or `crash-at:before-sync`, which names
/// a point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultKind {
    kind: &'static Kind,
    role: Option<Box<str>>,
    point: Option<Box<str>>,
}

impl FaultKind {
    /// Creates the kind with or without a role as target.
    pub(crate) fn new(kind: &'static Kind, role: Option<Box<str>>) -> Self {
        FaultKind { kind, role, point: None }
    }

    /// Returns the kind at this point, or at a point to be drawn.
    pub(crate) fn at(self, point: Option<Box<str>>) -> Self {
        FaultKind { point, ..self }
    }

    /// Returns the description of the kind.
    pub fn kind(&self) -> &'static Kind {
        self.kind
    }

    /// Returns the role that it targets.
    pub fn role(&self) -> Option<&str> {
        self.role.as_deref()
    }

    /// Returns the point that it names.
    pub fn point(&self) -> Option<&str> {
        self.point.as_deref()
    }

    /// Returns its requirements, including the role if it targets one.
    pub fn needs(&self) -> Needs {
        self.kind.needs
    }

    /// Returns whether the engine must provide this control.
    pub fn needs_control(&self, of: Control) -> bool {
        // A fault of links that is aimed at a node cuts or delays what the other nodes send to it.
        let aimed_links = of == Control::NodeLinks && self.role.is_some() && self.kind.needs.control.contains(&Control::Links);
        aimed_links || self.kind.needs.control.contains(&of)
    }

    /// Whether one node determines what it hits, so that it can hit the node that reaches a point.
    pub fn can_hit_sender(&self) -> bool {
        self.role.is_none() && self.kind.hits != TargetShape::EveryNode && !OWN_SHAPES.contains(&self.kind.name)
    }

    /// Describes it in the terms of a system with these roles.
    pub fn about(&self, roles: &[Role]) -> String {
        match (&self.role, &self.kind.aim) {
            (Some(role), Some(aim)) => {
                let known = roles.iter().find(|known| *known.name == **role);
                aim.about.replace("{role}", known.map_or(role, |known| known.about))
            }
            _ => self.kind.about.to_owned(),
        }
    }

    /// Draws a fault of this kind.
    pub fn draw(&self, draw: &mut Draw<'_>) -> Fault {
        match (&self.role, &self.kind.aim) {
            (Some(role), Some(aim)) => Fault { kind: self.kind, target: Target::Role(role.clone()), amounts: (aim.amounts)(draw.rng) },
            _ => {
                let mut fault = (self.kind.draw)(draw);
                if let Some(point) = &self.point {
                    fault.amounts.point = Some(point.clone());
                }
                fault
            }
        }
    }
}

/// Kinds that draw the links of a shape, which one node does not determine.
const OWN_SHAPES: [&str; 7] =
    ["partition:majority", "partition:one-way", "partition:bridge", "partition:ring", "partition:clients", "delay:link", "delay:one-way"];

impl Evidence {
    /// Returns whether these figures show the effect of a fault on `nodes_hit` nodes.
    pub fn is_shown(self, figures: &BTreeMap<String, f64>, nodes_hit: usize) -> bool {
        let figure = |name: &&str| figures.get(*name).copied().unwrap_or(0.0);
        match self {
            Evidence::Any(names) => names.iter().any(|name| figure(name) > 0.0),
            Evidence::EachNode(names) => names.iter().all(|name| figure(name) >= nodes_hit as f64),
        }
    }

    /// Describes the required figures.
    pub fn describe(self) -> String {
        match self {
            Evidence::Any(names) => names.join(" or "),
            Evidence::EachNode(names) => format!("{}, of every node hit", names.join(" and ")),
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.role.as_ref().or(self.point.as_ref()) {
            Some(at) => write!(f, "{}:{at}", self.kind.name),
            None => f.write_str(self.kind.name),
        }
    }
}

impl Ord for FaultKind {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.kind.name, &self.role, &self.point).cmp(&(other.kind.name, &other.role, &other.point))
    }
}

impl PartialOrd for FaultKind {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

// Compares by name. Names are unique, which a test of the registry verifies.
impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Kind {}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_with_a_shape_of_its_own_has_no_sender() {
        for name in OWN_SHAPES.into_iter().chain(["kill-all", "power-loss:all", "kill:coordinator"]) {
            assert!(!crate::registry::find(name).expect(name).can_hit_sender(), "{name}");
        }
        for name in ["kill", "partition", "partition:isolate", "delay", "power-loss", "clock-jump", "crash-at:before-sync"] {
            assert!(crate::registry::find(name).expect(name).can_hit_sender(), "{name}");
        }
    }

    #[test]
    fn evidence_is_a_figure_above_zero_or_one_for_each_node() {
        let figures: BTreeMap<String, f64> = [("a".to_owned(), 2.0), ("b".to_owned(), 0.0), ("c".to_owned(), 1.0)].into();
        for (evidence, nodes, shown) in [
            (Evidence::Any(&["b", "a"]), 1, true),
            (Evidence::Any(&["b", "unknown"]), 1, false),
            (Evidence::EachNode(&["a"]), 2, true),
            (Evidence::EachNode(&["a"]), 3, false),
            (Evidence::EachNode(&["a", "c"]), 2, false),
        ] {
            assert_eq!(evidence.is_shown(&figures, nodes), shown, "{evidence:?} of {nodes}");
        }
    }
}
