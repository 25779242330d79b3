//! `partition` and its shapes, which block all frames on some links. Histories and schedules call every shape `partition`; the
//! targets identify the shape.

use crate::action::{Action, LinkEffect, Step};
use crate::draw::Draw;
use crate::fault::{Amounts, Fault};
use crate::kind::{Aim, Control, Coverage, Evidence, Kind, Model, Needs};
use crate::target::{End, Link, Node, Target, TargetShape, client_links, links_from, links_to, node_links};
use rand::RngExt;

/// Cut links in a random shape.
pub(crate) static PARTITION: Kind = Kind {
    name: "partition",
    about: "cut links in a drawn shape",
    hits: TargetShape::Cut,
    model: Model::Inside,
    needs: Needs { nodes: 2, control: &[Control::Links, Control::NodeLinks] },
    evidence: Evidence::Any(&["blocked_frames", "held_frames", "held_bytes", "blocked_connections"]),
    coverage: Coverage::DuringIfQuorum,
    aim: Some(Aim { about: "cut {role} off from the other nodes", amounts: |_| Amounts::default(), target: Target::isolated }),
    draw: some_shape,
    steps: |fault, lasts, nodes| Ok(vec![Step::whole(lasts, Action::Disturb(fault.target.links(nodes), LinkEffect::Cut))]),
};

/// Cut a minority off from the majority.
pub(crate) static MAJORITY: Kind =
    Kind { name: "partition:majority", about: "cut a minority off from the majority", draw: |draw| cut(majority(draw)), ..SHAPE };

/// Cut one node off from all others.
pub(crate) static ISOLATE: Kind = Kind {
    name: "partition:isolate",
    about: "cut one node off from all others",
    draw: |draw| cut(Target::isolated(draw.node(), draw.nodes)),
    ..SHAPE
};

/// One node can send frames but not receive any, or vice versa.
pub(crate) static ONE_WAY: Kind = Kind {
    name: "partition:one-way",
    about: "one node sends but does not receive, or the reverse",
    draw: |draw| cut(Target::Links(one_way(draw))),
    ..SHAPE
};

/// Two halves with one node that can reach both.
pub(crate) static BRIDGE: Kind = Kind {
    name: "partition:bridge",
    about: "two halves joined by one node",
    needs: Needs { nodes: 3, ..PARTITION.needs },
    draw: |draw| cut(bridge(draw)),
    ..SHAPE
};

/// Each node reaches only its neighbours on a ring.
pub(crate) static RING: Kind = Kind {
    name: "partition:ring",
    about: "each node reaches only its ring neighbours",
    // With three nodes, a ring connects all pairs, so no link would be cut.
    needs: Needs { nodes: 4, ..PARTITION.needs },
    draw: |draw| cut(ring(draw)),
    ..SHAPE
};

/// Clients cannot reach one node.
pub(crate) static CLIENTS: Kind = Kind {
    name: "partition:clients",
    about: "clients cannot reach one node",
    needs: Needs { nodes: 1, control: &[Control::Links] },
    draw: |draw| cut(no_clients(draw.node())),
    ..SHAPE
};

/// The properties common to all shapes: everything except name and draw. Shapes cannot target a role, and a file calls them
/// `partition`.
static SHAPE: Kind = Kind { aim: None, ..PARTITION };

/// The shapes that `partition` chooses from. Their order determines the choices of a seed.
static SHAPES: [&Kind; 5] = [&MAJORITY, &ISOLATE, &ONE_WAY, &BRIDGE, &RING];

fn cut(target: Target) -> Fault {
    Fault { kind: &PARTITION, target, amounts: Amounts::default() }
}

fn some_shape(draw: &mut Draw<'_>) -> Fault {
    let fitting: Vec<&Kind> = SHAPES.into_iter().filter(|shape| shape.needs.nodes <= draw.nodes).collect();
    (fitting[draw.rng.random_range(0..fitting.len())].draw)(draw)
}

fn majority(draw: &mut Draw<'_>) -> Target {
    let mut all = draw.shuffled();
    let mut rest = all.split_off(usize::from((draw.nodes - 1) / 2).max(1));
    all.sort_unstable();
    rest.sort_unstable();
    Target::Groups(vec![all, rest])
}

fn one_way(draw: &mut Draw<'_>) -> Vec<Link> {
    let node = draw.node();
    if draw.rng.random() { links_to(node, draw.nodes) } else { links_from(node, draw.nodes) }
}

fn bridge(draw: &mut Draw<'_>) -> Target {
    let all = draw.shuffled();
    let (left, right) = all[1..].split_at(usize::from(draw.nodes - 1) / 2);
    Target::Links(Target::Groups(vec![left.to_vec(), right.to_vec()]).links(draw.nodes))
}

fn ring(draw: &mut Draw<'_>) -> Target {
    let all = draw.shuffled();
    let place = |n: End| all.iter().position(|x| End::Node(*x) == n).expect("a node link joins nodes");
    let len = all.len();
    let neighbours = |l: &Link| {
        let (a, b) = (place(l.from), place(l.to));
        (a + 1) % len == b || (b + 1) % len == a
    };
    Target::Links(node_links(draw.nodes).into_iter().filter(|l| !neighbours(l)).collect())
}

fn no_clients(node: Node) -> Target {
    Target::Links(client_links(node).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::tests::drawn;
    use heckle_history::Nanos;

    #[test]
    fn every_partition_cuts_something_and_names_real_nodes() {
        for kind in SHAPES.into_iter().chain([&PARTITION, &CLIENTS]) {
            for nodes in kind.needs.nodes.max(2)..=7 {
                for seed in 0..50 {
                    let fault = drawn(kind.name, nodes, seed);
                    let steps = fault.steps(Nanos(1), nodes).expect("it was drawn");
                    let [Step { action: Action::Disturb(links, LinkEffect::Cut), .. }] = &steps[..] else { panic!("{steps:?}") };
                    assert!(!links.is_empty(), "{} with {nodes} nodes cuts nothing", kind.name);
                    assert!(kind == &CLIENTS || links.iter().all(|l| node_links(nodes).contains(l)));
                }
            }
        }
    }
}
