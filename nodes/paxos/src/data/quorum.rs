//! The members of the cluster, and sets of them.

use crate::ids::NodeId;
use crate::mutants::{Mutant, Mutants};

/// Most members a cluster can have: a [`NodeSet`] is one word.
pub const MAX_MEMBERS: usize = 64;

/// All nodes of the cluster, in one order that every set refers to.
#[derive(Debug, Clone)]
pub struct Members {
    nodes: Vec<NodeId>,
    quorum: u32,
}

impl Members {
    /// The members, sorted. At most [`MAX_MEMBERS`], checked by [`crate::Config::validate`].
    #[must_use]
    pub fn new(mut nodes: Vec<NodeId>, mutants: Mutants) -> Self {
        nodes.sort_unstable();
        let half = u32::try_from(nodes.len() / 2).expect("at most 64 members");
        // Two majorities share a member; two halves need not, and both could choose.
        let quorum = if mutants.has(Mutant::QuorumTooSmall) { half.max(1) } else { half + 1 };
        Self { nodes, quorum }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u32 {
        u32::try_from(self.nodes.len()).expect("at most 64 members")
    }

    /// How many make a quorum: floor(n/2)+1.
    #[must_use]
    pub fn quorum(&self) -> u32 {
        self.quorum
    }

    /// The nodes in ascending order.
    #[must_use]
    pub fn nodes(&self) -> &[NodeId] {
        &self.nodes
    }

    /// The place of a node in every [`NodeSet`]; `None` for a stranger.
    #[must_use]
    pub fn place(&self, node: NodeId) -> Option<u32> {
        self.nodes.binary_search(&node).ok().and_then(|at| u32::try_from(at).ok())
    }
}

/// A set of members. Counting a set instead of answers is what makes a duplicate answer harmless.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct NodeSet(u64);

impl NodeSet {
    /// No member.
    pub const EMPTY: NodeSet = NodeSet(0);

    /// Adds the member at `place`; says whether it was new.
    pub fn insert(&mut self, place: u32) -> bool {
        let before = self.0;
        self.0 |= 1 << place;
        self.0 != before
    }

    /// Whether the member at `place` is in.
    #[must_use]
    pub fn contains(self, place: u32) -> bool {
        self.0 & (1 << place) != 0
    }

    /// The members in either set.
    #[must_use]
    pub fn union(self, other: NodeSet) -> NodeSet {
        NodeSet(self.0 | other.0)
    }

    /// Everybody else.
    #[must_use]
    pub fn complement(self) -> NodeSet {
        NodeSet(!self.0)
    }

    /// How many are in.
    #[must_use]
    pub fn count(self) -> u32 {
        self.0.count_ones()
    }
}
