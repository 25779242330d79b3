//! Disks that fail. The node must exit: after a failed sync, a later successful one proves nothing about data written
//! earlier.

use crate::action::{Action, DiskFailure, EndCause, Signal, Step};
use crate::draw::Draw;
use crate::fault::{Amounts, Fault};
use crate::kind::{Aim, Control, Coverage, Evidence, Kind, Model, Needs};
use crate::target::{Target, TargetShape};

/// A write or a sync fails with an I/O error.
pub(crate) static IO_ERROR: Kind = Kind {
    name: "io-error",
    about: "a write or a sync of one node fails with EIO; the node must end, and is restarted on the same data",
    hits: TargetShape::OneNode,
    model: Model::Inside,
    needs: Needs { nodes: 1, control: &[Control::Processes(Signal::Kill), Control::Disks] },
    evidence: Evidence::EachNode(&["disk_failed", "restarted"]),
    coverage: Coverage::DuringIfQuorum,
    aim: Some(Aim {
        about: "a write or a sync of {role} fails with EIO",
        amounts: |rng| Amounts { seed: Some(u64::from(rng.next_u32() % 2)), ..Amounts::default() },
        target: |node, _| Target::Nodes(vec![node]),
    }),
    draw: |draw| of_kind(&IO_ERROR, draw),
    steps: |fault, lasts, _| {
        // The only random choice is which of the two fails.
        let failure = if fault.amounts.seed.unwrap_or(0) % 2 == 0 { DiskFailure::Sync } else { DiskFailure::Write };
        Ok(vec![Step::whole(lasts, Action::EndWhen(fault.nodes()?, EndCause::Disk(failure)))])
    },
};

/// A write finds the disk full.
pub(crate) static DISK_FULL: Kind = Kind {
    name: "disk-full",
    about: "a write of one node finds the disk full, after half of it; the node must end, and is restarted with room",
    aim: Some(Aim {
        about: "a write of {role} finds the disk full",
        amounts: |_| Amounts::default(),
        target: |node, _| Target::Nodes(vec![node]),
    }),
    draw: |draw| Fault { amounts: Amounts::default(), ..of_kind(&DISK_FULL, draw) },
    steps: |fault, lasts, _| Ok(vec![Step::whole(lasts, Action::EndWhen(fault.nodes()?, EndCause::Disk(DiskFailure::Full)))]),
    ..IO_ERROR
};

fn of_kind(kind: &'static Kind, draw: &mut Draw<'_>) -> Fault {
    let amounts = Amounts { seed: Some(u64::from(draw.rng.next_u32() % 2)), ..Amounts::default() };
    Fault { kind, target: Target::Nodes(vec![draw.node()]), amounts }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::tests::drawn;
    use heckle_history::Nanos;

    fn failure(kind: &str, seed: u64) -> DiskFailure {
        let steps = drawn(kind, 3, seed).steps(Nanos(1), 3).expect("it was drawn");
        let [Step { action: Action::EndWhen(nodes, EndCause::Disk(failure)), .. }] = &steps[..] else { panic!("{steps:?}") };
        assert_eq!(nodes.len(), 1);
        *failure
    }

    #[test]
    fn writes_and_syncs_fail_and_disks_fill_up() {
        let drawn: Vec<DiskFailure> = (0..30).map(|seed| failure("io-error", seed)).collect();
        assert!(drawn.contains(&DiskFailure::Write) && drawn.contains(&DiskFailure::Sync) && !drawn.contains(&DiskFailure::Full));
        assert_eq!(failure("disk-full", 1), DiskFailure::Full);
    }

    /// A node that continues after a failed write has not handled the disk failure.
    #[test]
    fn the_end_of_the_node_and_its_restart_are_both_needed_as_evidence() {
        let shown = |figures: &[&str]| IO_ERROR.evidence.is_shown(&figures.iter().map(|name| ((*name).to_owned(), 1.0)).collect(), 1);
        assert!(shown(&["disk_failed", "restarted"]));
        assert!(!shown(&["restarted"]) && !shown(&["disk_failed"]));
    }
}
