//! Computes whether a fault spares a quorum. If it does, the cluster must make progress during the fault.

use crate::action::{Action, Step};
use crate::target::{End, Link, Node, all_nodes};
use std::collections::BTreeSet;

/// Returns whether, at every moment, some node is up, reachable by clients, and connected in both directions to enough
/// other nodes.
pub(crate) fn is_spared(steps: &[Step], nodes: u16) -> bool {
    // The set of active steps grows only when a step starts, so it is sufficient to check these moments.
    steps.iter().all(|moment| {
        let on = steps.iter().filter(|s| s.from <= moment.from && (moment.from < s.to || s.from == moment.from));
        is_spared_by(&on.map(|s| &s.action).collect::<Vec<_>>(), nodes)
    })
}

/// Returns whether a quorum is spared while all of these actions are active.
fn is_spared_by(actions: &[&Action], nodes: u16) -> bool {
    let down: BTreeSet<Node> = actions.iter().flat_map(|action| action.takes_down()).copied().collect();
    // Any effect may prevent an operation from succeeding in time.
    let hurt: BTreeSet<Link> = actions.iter().flat_map(|action| action.links()).copied().collect();
    let slow: BTreeSet<Node> = actions.iter().flat_map(|action| action.slows()).copied().collect();
    let sound = |a: Node, b: Node| [Link::between(a, b), Link::between(b, a)].iter().all(|l| !hurt.contains(l));
    let cut_off = |n: Node| hurt.contains(&Link { from: End::Clients, to: End::Node(n) });
    let up: Vec<Node> = all_nodes(nodes).into_iter().filter(|n| !down.contains(n) && !slow.contains(n)).collect();
    let quorum = usize::from(nodes / 2 + 1);
    up.iter().any(|c| !cut_off(*c) && 1 + up.iter().filter(|n| **n != *c && sound(*c, **n)).count() >= quorum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::{LinkEffect, Signal};
    use crate::target::Target;
    use heckle_history::Nanos;

    fn step(from: u64, to: u64, action: Action) -> Step {
        Step { from: Nanos(from), to: Nanos(to), action }
    }

    fn kill(nodes: &[u16]) -> Action {
        Action::Signal(Signal::Kill, nodes.iter().map(|n| Node(*n)).collect())
    }

    fn cut(target: &Target, nodes: u16) -> Action {
        Action::Disturb(target.links(nodes), LinkEffect::Cut)
    }

    #[test]
    fn a_quorum_is_spared_where_one_node_reaches_enough_others() {
        let n = |i| Node(i);
        let isolate = Target::isolated(n(1), 3);
        let halves = Target::Groups(vec![vec![n(1), n(2)], vec![n(3), n(4)]]);
        let bridge = Target::Links(vec![Link::between(n(2), n(3)), Link::between(n(3), n(2))]);
        let slow = |hit: &[u16]| {
            let links = Target::Nodes(hit.iter().map(|n| Node(*n)).collect()).links(3);
            Action::Disturb(links, LinkEffect::Delay { delay_us: 1, jitter_us: 0 })
        };
        for (action, nodes, spared) in [
            (kill(&[1]), 3, true),
            (kill(&[1]), 2, false),
            (Action::Signal(Signal::Stop, vec![n(1)]), 1, false),
            (kill(&[1, 2, 3, 4, 5]), 5, false),
            (cut(&isolate, 3), 3, true),
            (cut(&halves, 4), 4, false),
            (cut(&bridge, 3), 3, true),
            (slow(&[1]), 3, true),
            (slow(&[1, 2, 3]), 3, false),
            (Action::SetClocks(vec![]), 3, true),
            (Action::DelaySyncs(vec![n(1)], 1), 3, true),
            (Action::DelaySyncs(vec![n(1), n(2)], 1), 3, false),
            (Action::LosePower(vec![n(1)], 7), 3, true),
            (Action::LosePower(vec![n(1), n(2)], 7), 3, false),
        ] {
            assert_eq!(is_spared(&[step(0, 9, action.clone())], nodes), spared, "{action:?} of {nodes}");
        }
    }

    #[test]
    fn consecutive_steps_combine_only_if_they_overlap() {
        let in_turn = [step(0, 4, kill(&[1])), step(4, 8, kill(&[2])), step(8, 9, kill(&[3]))];
        assert!(is_spared(&in_turn, 3));
        let overlapping = [step(0, 5, kill(&[1])), step(4, 8, kill(&[2]))];
        assert!(!is_spared(&overlapping, 3) && is_spared(&overlapping, 5));
        // These steps have zero length, but they start simultaneously.
        assert!(!is_spared(&[step(0, 0, kill(&[1])), step(0, 0, kill(&[2]))], 3));
    }
}
