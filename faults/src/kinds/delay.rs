//! Delayed frames: all frames of a node by a short time, or the frames in one direction by so much that other operations finish
//! first.

use crate::action::{Action, LinkEffect, Step};
use crate::draw::Draw;
use crate::fault::{Amounts, Fault};
use crate::kind::{Aim, Control, Coverage, Evidence, Kind, Model, Needs};
use crate::target::{Link, Target, TargetShape, links_from, links_to, node_links};
use heckle_history::Nanos;
use rand::{Rng, RngExt};

/// Frames arrive late.
pub(crate) static DELAY: Kind = Kind {
    name: "delay",
    about: "frames arrive late",
    hits: TargetShape::Links,
    model: Model::Inside,
    needs: Needs { nodes: 2, control: &[Control::Links] },
    evidence: Evidence::Any(&["delayed_frames", "delayed_bytes", "released_early"]),
    coverage: Coverage::DuringIfQuorum,
    aim: Some(Aim {
        about: "what the other nodes say to {role} arrives very late",
        amounts: |rng| Amounts { delay_us: Some(rng.random_range(VERY_LATE_US)), ..Amounts::default() },
        target: |node, nodes| Target::Links(links_to(node, nodes)),
    }),
    draw: |draw| {
        let target = draw.one_or_all();
        late(target, 1_000..=40_000, draw.rng)
    },
    steps,
};

/// Frames on one link arrive very late in one direction, so messages on other links overtake them.
pub(crate) static DELAY_LINK: Kind = Kind {
    name: "delay:link",
    about: "frames of one link arrive very late, in one direction",
    needs: Needs { nodes: 2, control: &[Control::Links, Control::NodeLinks] },
    aim: None,
    draw: |draw| {
        let links = node_links(draw.nodes);
        very_late(vec![links[draw.rng.random_range(0..links.len())]], draw)
    },
    ..DELAY
};

/// One node sends frames very late but receives them on time, or vice versa.
pub(crate) static DELAY_ONE_WAY: Kind = Kind {
    name: "delay:one-way",
    about: "one node's frames get out very late but come in on time, or the reverse",
    needs: Needs { nodes: 2, control: &[Control::Links, Control::NodeLinks] },
    aim: None,
    draw: |draw| {
        let node = draw.node();
        very_late(if draw.rng.random() { links_to(node, draw.nodes) } else { links_from(node, draw.nodes) }, draw)
    },
    ..DELAY
};

/// Delay in microseconds: long enough for other nodes to finish a few operations and the work that follows once a key
/// is idle.
const VERY_LATE_US: std::ops::RangeInclusive<u64> = 100_000..=400_000;

fn very_late(links: Vec<Link>, draw: &mut Draw<'_>) -> Fault {
    late(Target::Links(links), VERY_LATE_US, draw.rng)
}

fn late(target: Target, delay_us: std::ops::RangeInclusive<u64>, rng: &mut dyn Rng) -> Fault {
    let (delay_us, jitter_us) = (Some(rng.random_range(delay_us)), Some(rng.random_range(0..=20_000)));
    Fault { kind: &DELAY, target, amounts: Amounts { delay_us, jitter_us, ..Amounts::default() } }
}

fn steps(fault: &Fault, lasts: Nanos, nodes: u16) -> Result<Vec<Step>, String> {
    let delay_us = fault.amounts.delay_us.ok_or("`delay` needs `delay_us`")?;
    let effect = LinkEffect::Delay { delay_us, jitter_us: fault.amounts.jitter_us.unwrap_or(0) };
    Ok(vec![Step::whole(lasts, Action::Disturb(fault.target.links(nodes), effect))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::tests::drawn;
    use crate::target::Node;

    #[test]
    fn very_late_frames_are_delayed_in_one_direction() {
        let (mut ins, mut outs) = (0, 0);
        for seed in 0..100 {
            let nodes = 2 + seed as u16 % 4;
            let late = |kind: &str| {
                let fault = drawn(kind, nodes, seed);
                let fault = if let Target::Role(_) = fault.target { fault.aimed_at(Node(2), nodes).expect("it can be") } else { fault };
                assert!(fault.amounts.delay_us.is_some_and(|us| VERY_LATE_US.contains(&us)), "{kind}: {fault:?}");
                fault.target.links(nodes)
            };
            assert_eq!(late("delay:link").len(), 1);
            assert_eq!(late("delay:coordinator"), links_to(Node(2), nodes));
            let links = late("delay:one-way");
            assert_eq!(links.len(), usize::from(nodes) - 1);
            let (to, from) = (links.iter().all(|l| l.to == links[0].to), links.iter().all(|l| l.from == links[0].from));
            (ins, outs) = (ins + u32::from(to), outs + u32::from(from));
            assert!(to || from, "{links:?}");
        }
        assert!(ins > 20 && outs > 20, "both ways: {ins} in, {outs} out");
    }
}
