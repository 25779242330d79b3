//! `kill-all`: the nodes lose their memory, and only the data on each disk remains.

use crate::action::{Action, Signal, Step};
use crate::fault::{Amounts, Fault};
use crate::kind::{Control, Coverage, Evidence, Kind, Model, Needs};
use crate::target::{Target, TargetShape, all_nodes};

/// SIGKILL every node simultaneously, then restart them all.
pub(crate) static KILL_ALL: Kind = Kind {
    name: "kill-all",
    about: "SIGKILL every node at once, then restart them",
    hits: TargetShape::EveryNode,
    model: Model::Inside,
    needs: Needs { nodes: 1, control: &[Control::Processes(Signal::Kill)] },
    evidence: Evidence::Any(&["killed"]),
    coverage: Coverage::AfterHeal,
    aim: None,
    draw: |draw| Fault { kind: &KILL_ALL, target: Target::Nodes(all_nodes(draw.nodes)), amounts: Amounts::default() },
    steps: |fault, lasts, _| Ok(vec![Step::whole(lasts, Action::Signal(Signal::Kill, fault.nodes()?))]),
};
