//! Disks that lose synced data: they are wiped, or replaced with an old copy. No protocol tolerates this if it goes unnoticed: a
//! node that has lost promises or accepted updates must refuse to serve.

use crate::action::{Action, DiskLoss, Signal, Step};
use crate::draw::Draw;
use crate::fault::{Amounts, Fault};
use crate::kind::{Control, Coverage, Evidence, Kind, Model, Needs};
use crate::target::{Node, Target, TargetShape};
use heckle_history::Nanos;
use rand::RngExt;

/// A node restarts with an empty data folder.
pub(crate) static WIPED_DISK: Kind = Kind {
    name: "wiped-disk",
    about: "one node or a majority, but never all, come back with empty data folders and must refuse to serve; then they get their data back",
    hits: TargetShape::SomeNodes,
    model: Model::Beyond,
    needs: Needs { nodes: 2, control: &[Control::Processes(Signal::Kill), Control::Disks] },
    evidence: Evidence::EachNode(&["refused", "restarted"]),
    coverage: Coverage::DuringIfQuorum,
    aim: None,
    draw: |draw| some_nodes(&WIPED_DISK, draw),
    steps: |fault, lasts, nodes| Ok(vec![Step::whole(lasts, Action::LoseDisk(not_all(fault, nodes)?, DiskLoss::Wiped))]),
};

/// The same, but the folder still identifies its owner.
pub(crate) static WIPED_LOG: Kind = Kind {
    name: "wiped-disk:log",
    about: "like wiped-disk, but only the log is lost: the folder still says which node it belongs to",
    draw: |draw| some_nodes(&WIPED_LOG, draw),
    steps: |fault, lasts, nodes| Ok(vec![Step::whole(lasts, Action::LoseDisk(not_all(fault, nodes)?, DiskLoss::OnlyIdentity))]),
    ..WIPED_DISK
};

/// A node restarts with an earlier copy of its data folder.
pub(crate) static OLD_DISK: Kind = Kind {
    name: "old-disk",
    about: "one node or a majority, but never all, come back with a copy of their data from earlier in the fault and must refuse to serve",
    draw: |draw| some_nodes(&OLD_DISK, draw),
    steps: |fault, lasts, nodes| {
        let hit = not_all(fault, nodes)?;
        let copy = Step { from: Nanos(0), to: Nanos(0), action: Action::CopyDisk(hit.clone()) };
        // Many updates must have been written since the copy was made, and the refusal takes a moment.
        let lose = Step { from: Nanos(lasts.0 / 2), to: lasts, action: Action::LoseDisk(hit, DiskLoss::OldCopy) };
        Ok(vec![copy, lose])
    },
    ..WIPED_DISK
};

/// Draws one node, or as many as a quorum: a quorum of these nodes could decide without any node that remembers earlier
/// decisions.
fn some_nodes(kind: &'static Kind, draw: &mut Draw<'_>) -> Fault {
    let quorum = usize::from(draw.nodes / 2 + 1).min(usize::from(draw.nodes) - 1).max(1);
    let count = if draw.rng.random_range(0..2) == 0 { 1 } else { quorum };
    let nodes = draw.shuffled().into_iter().take(count).collect();
    Fault { kind, target: Target::Nodes(nodes), amounts: Amounts::default() }
}

/// Rejects a fault that hits all nodes: no node would be left to notice that the disks were lost.
fn not_all(fault: &Fault, nodes: u16) -> Result<Vec<Node>, String> {
    let hit = fault.nodes()?;
    if hit.len() < usize::from(nodes) {
        return Ok(hit);
    }
    Err(format!("`{}` of all nodes leaves none that could notice it: leave out at least one", fault.kind.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::tests::drawn;
    use std::collections::BTreeSet;

    #[test]
    fn one_or_a_quorum_but_never_all_lose_their_disks() {
        for name in ["wiped-disk", "wiped-disk:log", "old-disk"] {
            for (nodes, sizes) in [(2, vec![1]), (3, vec![1, 2]), (5, vec![1, 3])] {
                let of = |seed| drawn(name, nodes, seed).nodes().expect("nodes").len();
                assert_eq!((0..40).map(of).collect::<BTreeSet<_>>(), sizes.into_iter().collect(), "{name} of {nodes}");
            }
            let mut all = drawn(name, 3, 1);
            all.target = Target::Nodes(crate::target::all_nodes(3));
            assert!(all.steps(Nanos(9), 3).expect_err("all").contains("leave out at least one"));
        }
    }

    #[test]
    fn an_old_copy_is_taken_before_it_is_put_in_place() {
        let steps = drawn("old-disk", 3, 1).steps(Nanos(1_000), 3).expect("it was drawn");
        let [Step { action: Action::CopyDisk(copied), .. }, Step { from, to, action: Action::LoseDisk(lost, DiskLoss::OldCopy) }] =
            &steps[..]
        else {
            panic!("{steps:?}")
        };
        assert_eq!((copied, *from, *to), (lost, Nanos(500), Nanos(1_000)));
    }

    /// A node that serves with its old data, or does not restart, has not refused the data.
    #[test]
    fn a_node_must_refuse_and_come_back() {
        let shown = |figures: &[&str]| WIPED_DISK.evidence.is_shown(&figures.iter().map(|name| ((*name).to_owned(), 1.0)).collect(), 1);
        assert!(shown(&["refused", "restarted"]));
        assert!(!shown(&["refused"]) && !shown(&["restarted"]));
    }
}
