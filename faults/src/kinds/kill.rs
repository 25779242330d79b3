//! `kill`: SIGKILL one node, then restart it on the same data. The page cache survives the kill, so this never tests
//! durability.

use crate::action::{Action, Signal, Step};
use crate::fault::{Amounts, Fault};
use crate::kind::{Aim, Control, Coverage, Evidence, Kind, Model, Needs};
use crate::target::{Target, TargetShape};

/// SIGKILL one node, then restart it on the same data.
pub(crate) static KILL: Kind = Kind {
    name: "kill",
    about: "SIGKILL one node, then restart it on the same data",
    hits: TargetShape::OneNode,
    model: Model::Inside,
    needs: Needs { nodes: 1, control: &[Control::Processes(Signal::Kill)] },
    evidence: Evidence::Any(&["killed"]),
    coverage: Coverage::DuringIfQuorum,
    aim: Some(Aim {
        about: "SIGKILL {role}, then restart it",
        amounts: |_| Amounts::default(),
        target: |node, _| Target::Nodes(vec![node]),
    }),
    draw: |draw| Fault { kind: &KILL, target: Target::Nodes(vec![draw.node()]), amounts: Amounts::default() },
    steps: |fault, lasts, _| Ok(vec![Step::whole(lasts, Action::Signal(Signal::Kill, fault.nodes()?))]),
};
