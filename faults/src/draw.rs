//! Helpers for drawing faults of any kind.

use crate::target::{Node, Target, all_nodes};
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, RngExt};

/// The inputs for drawing one fault.
pub struct Draw<'a> {
    /// Number of nodes.
    pub nodes: u16,
    /// Maximum clock drift, in parts per million.
    pub drift_ppm: i64,
    /// The frequently reached points in the nodes' code.
    pub points: &'a [&'static str],
    /// The node drawn last.
    pub last: &'a mut Option<Node>,
    /// The source of randomness.
    pub rng: &'a mut dyn Rng,
}

impl Draw<'_> {
    /// Draws one node, never the same one twice in a row if there is a choice, so a long run reaches all nodes.
    pub fn node(&mut self) -> Node {
        let mut node = Node(self.rng.random_range(1..=self.nodes));
        if self.nodes > 1 && Some(node) == *self.last {
            node = Node(node.0 % self.nodes + 1);
        }
        *self.last = Some(node);
        node
    }

    /// Draws one node or all nodes, with equal probability.
    pub fn one_or_all(&mut self) -> Target {
        let one = self.node();
        Target::Nodes(if self.rng.random() { vec![one] } else { all_nodes(self.nodes) })
    }

    /// Draws a point, if there are any.
    pub fn point(&mut self) -> Option<Box<str>> {
        self.points.choose(self.rng).map(|point| (*point).into())
    }

    /// Returns all nodes in random order.
    pub fn shuffled(&mut self) -> Vec<Node> {
        let mut all = all_nodes(self.nodes);
        all.shuffle(self.rng);
        all
    }
}
