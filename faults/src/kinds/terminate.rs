//! `terminate`: SIGTERM, upon which a node shuts down cleanly: it can finish its work, flush its data and close its
//! connections.

use crate::action::{Action, Signal, Step};
use crate::fault::{Amounts, Fault};
use crate::kind::{Aim, Control, Coverage, Evidence, Kind, Model, Needs};
use crate::target::{Target, TargetShape};

/// SIGTERM one node, and restart it on the same data after it has exited.
pub(crate) static TERMINATE: Kind = Kind {
    name: "terminate",
    about: "SIGTERM one node, which ends by itself, then restart it on the same data",
    hits: TargetShape::OneNode,
    model: Model::Inside,
    needs: Needs { nodes: 1, control: &[Control::Processes(Signal::Terminate)] },
    evidence: Evidence::EachNode(&["terminated", "restarted"]),
    coverage: Coverage::DuringIfQuorum,
    aim: Some(Aim {
        about: "SIGTERM {role}, then restart it",
        amounts: |_| Amounts::default(),
        target: |node, _| Target::Nodes(vec![node]),
    }),
    draw: |draw| Fault { kind: &TERMINATE, target: Target::Nodes(vec![draw.node()]), amounts: Amounts::default() },
    steps: |fault, lasts, _| Ok(vec![Step::whole(lasts, Action::Signal(Signal::Terminate, fault.nodes()?))]),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::tests::drawn;
    use heckle_history::Nanos;

    #[test]
    fn one_node_is_terminated_for_the_whole_time() {
        let fault = drawn("terminate", 3, 1);
        let Target::Nodes(nodes) = &fault.target else { panic!("{fault:?}") };
        let want = Step::whole(Nanos(9), Action::Signal(Signal::Terminate, nodes.clone()));
        assert_eq!((nodes.len(), fault.steps(Nanos(9), 3)), (1, Ok(vec![want])));
        assert!(fault.leaves_a_quorum(Nanos(9), 3) && !drawn("terminate", 2, 1).leaves_a_quorum(Nanos(9), 2));
    }

    /// The engine kills a node that ignores SIGTERM, and counts nodes that do not restart. Neither figure is evidence
    /// of a termination.
    #[test]
    fn the_end_by_itself_and_the_restart_are_both_needed_as_evidence() {
        let shown = |figures: &[&str]| TERMINATE.evidence.is_shown(&figures.iter().map(|name| ((*name).to_owned(), 1.0)).collect(), 1);
        assert!(shown(&["terminated", "restarted"]));
        assert!(!shown(&["killed_after_sigterm", "restarted"]) && !shown(&["terminated"]));
    }
}
