//! `rolling-restart`: the procedure for upgrading a cluster. Each node in turn is terminated and restarted. A cluster
//! that loses availability or data during this procedure cannot be upgraded.

use crate::action::{Action, Signal, Step};
use crate::fault::{Amounts, Fault};
use crate::kind::{Control, Coverage, Evidence, Kind, Model, Needs};
use crate::target::{Node, Target, TargetShape};
use heckle_history::Nanos;

/// SIGTERM each node in turn, and restart it before the next one is terminated.
pub(crate) static ROLLING_RESTART: Kind = Kind {
    name: "rolling-restart",
    about: "SIGTERM each node in turn and restart it on the same data, never two down at once",
    hits: TargetShape::SomeNodes,
    model: Model::Inside,
    needs: Needs { nodes: 1, control: &[Control::Processes(Signal::Terminate)] },
    evidence: Evidence::EachNode(&["terminated", "restarted"]),
    coverage: Coverage::DuringIfQuorum,
    aim: None,
    draw: |draw| Fault { kind: &ROLLING_RESTART, target: Target::Nodes(draw.shuffled()), amounts: Amounts::default() },
    steps: |fault, lasts, _| Ok(in_turn(fault.nodes()?, lasts)),
};

/// Each node is down for half of its share of the time. In the other half it recovers and catches up.
fn in_turn(nodes: Vec<Node>, lasts: Nanos) -> Vec<Step> {
    let share = lasts.0 / (nodes.len() as u64).max(1);
    let step = |(turn, node): (u64, Node)| {
        let from = turn * share;
        Step { from: Nanos(from), to: Nanos(from + share / 2), action: Action::Signal(Signal::Terminate, vec![node]) }
    };
    (0..).zip(nodes).map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::tests::drawn;
    use std::collections::BTreeSet;

    #[test]
    fn nodes_restart_one_at_a_time() {
        for nodes in 1..=7 {
            for lasts in [0, 1, 5, 1_000_000_007] {
                let steps = drawn("rolling-restart", nodes, 3).steps(Nanos(lasts), nodes).expect("it was drawn");
                let turns: BTreeSet<Node> = steps.iter().flat_map(|step| step.action.takes_down()).copied().collect();
                assert_eq!((turns.len(), steps.len()), (usize::from(nodes), usize::from(nodes)));
                assert!(steps.iter().all(|step| step.action.takes_down().len() == 1 && step.to.0 <= lasts), "{steps:?}");
                let overlap = |pair: &[Step]| pair[0].to > pair[1].from;
                assert!(!steps.windows(2).any(overlap), "{steps:?}");
            }
        }
    }

    #[test]
    fn three_nodes_must_make_progress_and_two_need_not() {
        let owes = |nodes: u16| drawn("rolling-restart", nodes, 3).leaves_a_quorum(Nanos(9_000), nodes);
        assert!(owes(3) && owes(5) && !owes(2) && !owes(1));
    }

    #[test]
    fn every_node_must_be_seen_to_end_and_come_back() {
        let shown = |count: f64| {
            let figures = [("terminated".to_owned(), count), ("restarted".to_owned(), 3.0)].into();
            ROLLING_RESTART.evidence.is_shown(&figures, 3)
        };
        assert!(shown(3.0) && !shown(2.0));
    }
}
