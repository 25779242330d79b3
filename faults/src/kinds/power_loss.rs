//! `power-loss`: data that a node has written but not synced is lost. A kill never loses such data, because the page
//! cache outlives the process.

use crate::action::{Action, Signal, Step};
use crate::draw::Draw;
use crate::fault::{Amounts, Fault};
use crate::kind::{Aim, Control, Coverage, Evidence, Kind, Model, Needs};
use crate::target::{Node, Target, TargetShape, all_nodes};
use heckle_history::Nanos;
use rand::{Rng, RngExt};

/// Power fails simultaneously on one node, a minority, a majority or all nodes.
pub(crate) static POWER_LOSS: Kind = Kind {
    name: "power-loss",
    about: "power fails on one node, a minority, a majority or all: un-synced bytes and names are lost, the last write is torn",
    hits: TargetShape::SomeNodes,
    model: Model::Inside,
    needs: Needs { nodes: 1, control: &[Control::Processes(Signal::Kill), Control::UnsyncedData] },
    evidence: Evidence::EachNode(&["power_lost", "restarted"]),
    coverage: Coverage::DuringIfQuorum,
    aim: Some(Aim {
        about: "power fails on {role}: un-synced bytes and names are lost",
        amounts: seeded,
        target: |node, _| Target::Nodes(vec![node]),
    }),
    draw: some_nodes,
    steps,
};

/// Power fails simultaneously on all nodes.
pub(crate) static POWER_LOSS_ALL: Kind = Kind {
    name: "power-loss:all",
    about: "power fails on all nodes at the same moment",
    hits: TargetShape::EveryNode,
    coverage: Coverage::AfterHeal,
    aim: None,
    draw: |draw| Fault { kind: &POWER_LOSS_ALL, target: Target::Nodes(all_nodes(draw.nodes)), amounts: seeded(draw.rng) },
    ..POWER_LOSS
};

/// Draws a seed small enough for JSON readers in any language to represent exactly.
fn seeded(rng: &mut dyn Rng) -> Amounts {
    Amounts { seed: Some(rng.random_range(0..1 << 32)), ..Amounts::default() }
}

fn some_nodes(draw: &mut Draw<'_>) -> Fault {
    let quorum = usize::from(draw.nodes / 2 + 1);
    let minority = (usize::from(draw.nodes) - quorum).max(1);
    let nodes: Vec<Node> = match draw.rng.random_range(0..4) {
        0 => vec![draw.node()],
        1 => draw.shuffled().into_iter().take(minority).collect(),
        2 => draw.shuffled().into_iter().take(quorum).collect(),
        _ => all_nodes(draw.nodes),
    };
    Fault { kind: &POWER_LOSS, target: Target::Nodes(nodes), amounts: seeded(draw.rng) }
}

fn steps(fault: &Fault, lasts: Nanos, _: u16) -> Result<Vec<Step>, String> {
    let seed = fault.amounts.seed.ok_or_else(|| format!("`{}` needs `seed`, a number", fault.kind.name))?;
    Ok(vec![Step::whole(lasts, Action::LosePower(fault.nodes()?, seed))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::tests::drawn;
    use std::collections::BTreeSet;

    fn hit(fault: &Fault) -> usize {
        let Target::Nodes(nodes) = &fault.target else { panic!("{fault:?}") };
        assert_eq!(nodes.iter().collect::<BTreeSet<_>>().len(), nodes.len(), "each node once");
        nodes.len()
    }

    #[test]
    fn one_a_minority_a_majority_or_all_lose_power_in_one_step() {
        for (nodes, sizes) in [(1, vec![1]), (3, vec![1, 2, 3]), (5, vec![1, 2, 3, 5])] {
            let drawn = (0..60).map(|seed| drawn("power-loss", nodes, seed));
            let seen: BTreeSet<usize> = drawn.map(|fault| hit(&fault)).collect();
            assert_eq!(seen, sizes.into_iter().collect());
        }
        let all = drawn("power-loss:all", 3, 1);
        let steps = all.steps(Nanos(9), 3).expect("it was drawn");
        let [Step { action: Action::LosePower(nodes, _), .. }] = &steps[..] else { panic!("{steps:?}") };
        assert_eq!(nodes.len(), 3);
        assert!(!all.leaves_a_quorum(Nanos(9), 3));
    }

    #[test]
    fn different_faults_lose_different_parts() {
        let seeds: BTreeSet<_> = (0..20).map(|seed| drawn("power-loss", 3, seed).amounts.seed).collect();
        assert!(seeds.len() > 15 && !seeds.contains(&None));
        let mut without = drawn("power-loss", 3, 1);
        without.amounts.seed = None;
        assert!(without.steps(Nanos(1), 3).expect_err("no seed").contains("`seed`"));
    }

    /// A node that was only killed, because its un-synced data was not kept separately, has lost no power.
    #[test]
    fn a_kill_alone_is_no_evidence() {
        let shown = |figures: &[&str]| POWER_LOSS.evidence.is_shown(&figures.iter().map(|name| ((*name).to_owned(), 1.0)).collect(), 1);
        assert!(shown(&["power_lost", "restarted"]));
        assert!(!shown(&["killed", "restarted"]) && !shown(&["power_lost"]));
    }
}
