//! What the draws of kinds share.

use crate::target::{Node, Target, all_nodes};
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};

/// What one fault is drawn from.
pub struct Draw<'a> {
    /// How many nodes there are.
    pub nodes: u16,
    /// How far clocks may drift, parts per million.
    pub drift_ppm: i64,
    /// The node that was drawn last.
    pub last: &'a mut Option<Node>,
    /// Where choices come from.
    pub rng: &'a mut dyn Rng,
}

impl Draw<'_> {
    /// One node. Not the same twice running, where there is a choice: a night should visit them all.
    pub fn node(&mut self) -> Node {
        let mut node = Node(self.rng.random_range(1..=self.nodes));
        if self.nodes > 1 && Some(node) == *self.last {
            node = Node(node.0 % self.nodes + 1);
        }
        *self.last = Some(node);
        node
    }

    /// Half the time one node, half the time all.
    pub fn one_or_all(&mut self) -> Target {
        let one = self.node();
        Target::Nodes(if self.rng.random() { vec![one] } else { all_nodes(self.nodes) })
    }

    /// All nodes in a drawn order.
    pub fn shuffled(&mut self) -> Vec<Node> {
        let mut all = all_nodes(self.nodes);
        all.shuffle(self.rng);
        all
    }
}
