//! Disks that sync slowly. A fast disk hides a bug that occurs only between a write and its sync.

use crate::action::{Action, Step};
use crate::draw::Draw;
use crate::fault::{Amounts, Fault};
use crate::kind::{Aim, Control, Coverage, Evidence, Kind, Model, Needs};
use crate::target::{Target, TargetShape};
use heckle_history::Nanos;
use rand::RngExt;
use std::ops::RangeInclusive;

/// Range of delays in microseconds: from a busy disk to one that is about to fail.
const SLOW_US: RangeInclusive<u64> = 2_000..=100_000;
/// Range of delays in microseconds, longer than operations usually wait.
const STALLED_US: RangeInclusive<u64> = 1_000_000..=3_000_000;
/// Longest delay that a schedule may request, in microseconds.
const MAX_US: u64 = 60_000_000;

/// Syncs take longer, on one node or all nodes.
pub(crate) static SLOW_DISK: Kind = Kind {
    name: "slow-disk",
    about: "every sync takes 2 to 100 ms longer, on one node or on all",
    hits: TargetShape::SomeNodes,
    model: Model::Inside,
    needs: Needs { nodes: 1, control: &[Control::Disks] },
    evidence: Evidence::Any(&["delayed_syncs"]),
    coverage: Coverage::DuringIfQuorum,
    aim: Some(Aim {
        about: "every sync of {role} takes 2 to 100 ms longer",
        amounts: |rng| delay(rng.random_range(SLOW_US)),
        target: |node, _| Target::Nodes(vec![node]),
    }),
    draw: |draw| Fault { kind: &SLOW_DISK, target: draw.one_or_all(), amounts: delay(draw.rng.random_range(SLOW_US)) },
    steps,
};

/// Syncs of one node stall.
pub(crate) static STALLED_DISK: Kind = Kind {
    name: "stalled-disk",
    about: "every sync of one node takes 1 to 3 s longer",
    hits: TargetShape::SomeNodes,
    aim: Some(Aim {
        about: "every sync of {role} takes 1 to 3 s longer",
        amounts: |rng| delay(rng.random_range(STALLED_US)),
        target: |node, _| Target::Nodes(vec![node]),
    }),
    draw: stalled,
    ..SLOW_DISK
};

fn stalled(draw: &mut Draw<'_>) -> Fault {
    Fault { kind: &STALLED_DISK, target: Target::Nodes(vec![draw.node()]), amounts: delay(draw.rng.random_range(STALLED_US)) }
}

fn delay(delay_us: u64) -> Amounts {
    Amounts { delay_us: Some(delay_us), ..Amounts::default() }
}

fn steps(fault: &Fault, lasts: Nanos, _: u16) -> Result<Vec<Step>, String> {
    let delay_us = match fault.amounts.delay_us {
        Some(us) if (1..=MAX_US).contains(&us) => us,
        Some(us) => return Err(format!("delay_us = {us} is not between 1 and {MAX_US}")),
        None => return Err(format!("`{}` needs `delay_us`", fault.kind.name)),
    };
    Ok(vec![Step::whole(lasts, Action::DelaySyncs(fault.nodes()?, delay_us))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::tests::drawn;

    #[test]
    fn a_delay_is_drawn_and_one_of_zero_or_of_hours_is_refused() {
        for (kind, range) in [("slow-disk", SLOW_US), ("stalled-disk", STALLED_US)] {
            for seed in 0..50 {
                let mut fault = drawn(kind, 3, seed);
                let steps = fault.steps(Nanos(1), 3).expect("it was drawn");
                let [Step { action: Action::DelaySyncs(nodes, us), .. }] = &steps[..] else { panic!("{steps:?}") };
                assert!(range.contains(us) && !nodes.is_empty(), "{steps:?}");
                assert_eq!(fault.leaves_a_quorum(Nanos(1), 3), nodes.len() == 1, "what all disks delay need not succeed in time");
                for bad in [Some(0), Some(MAX_US + 1), None] {
                    fault.amounts.delay_us = bad;
                    assert!(fault.steps(Nanos(1), 3).expect_err("no such delay").contains("delay_us"));
                }
            }
        }
    }
}
