//! `pause`: a node stops without noticing, as in a long garbage collection or a frozen virtual machine.

use crate::action::{Action, Signal, Step};
use crate::fault::{Amounts, Fault};
use crate::kind::{Aim, Control, Coverage, Evidence, Kind, Model, Needs};
use crate::target::{Target, TargetShape};

/// SIGSTOP one node, then SIGCONT it later.
pub(crate) static PAUSE: Kind = Kind {
    name: "pause",
    about: "SIGSTOP one node, later SIGCONT",
    hits: TargetShape::OneNode,
    model: Model::Inside,
    needs: Needs { nodes: 1, control: &[Control::Processes(Signal::Stop)] },
    evidence: Evidence::Any(&["seen_stopped", "stopped_until_the_end"]),
    coverage: Coverage::DuringIfQuorum,
    aim: Some(Aim { about: "SIGSTOP {role}, later SIGCONT", amounts: |_| Amounts::default(), target: |node, _| Target::Nodes(vec![node]) }),
    draw: |draw| Fault { kind: &PAUSE, target: Target::Nodes(vec![draw.node()]), amounts: Amounts::default() },
    steps: |fault, lasts, _| Ok(vec![Step::whole(lasts, Action::Signal(Signal::Stop, fault.nodes()?))]),
};
