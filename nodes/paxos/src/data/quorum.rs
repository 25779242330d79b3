//! The members of the cluster, and sets of members.

use crate::ids::NodeId;
use crate::mutants::{Mutant, Mutants};

/// Largest number of members: a [`NodeSet`] is one word.
pub const MAX_MEMBERS: usize = 64;

/// All nodes of the cluster, in the order used by every [`NodeSet`].
#[derive(Debug, Clone)]
pub struct Members {
    nodes: Vec<NodeId>,
    quorum: u32,
}

impl Members {
    /// Sorts the members. There are at most [`MAX_MEMBERS`], as [`crate::Config::validate`] checks.
    #[must_use]
    pub fn new(mut nodes: Vec<NodeId>, mutants: Mutants) -> Self {
        nodes.sort_unstable();
        let half = u32::try_from(nodes.len() / 2).expect("at most 64 members");
        // Two majorities always share a member. Two halves may not, and each could choose a different update.
        let quorum = if mutants.has(Mutant::QuorumTooSmall) { half.max(1) } else { half + 1 };
        Self { nodes, quorum }
    }

    /// Number of members.
    #[must_use]
    pub fn count(&self) -> u32 {
        u32::try_from(self.nodes.len()).expect("at most 64 members")
    }

    /// Number of members in a quorum: floor(n/2)+1.
    #[must_use]
    pub fn quorum(&self) -> u32 {
        self.quorum
    }

    /// The nodes in ascending order.
    #[must_use]
    pub fn nodes(&self) -> &[NodeId] {
        &self.nodes
    }

    /// Position of a node in every [`NodeSet`]. `None` if the node is not a member.
    #[must_use]
    pub fn place(&self, node: NodeId) -> Option<u32> {
        self.nodes.binary_search(&node).ok().and_then(|at| u32::try_from(at).ok())
    }
}

/// A set of members. Quorums are counted with sets, so that duplicate replies are harmless.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct NodeSet(u64);

impl NodeSet {
    /// The empty set.
    pub const EMPTY: NodeSet = NodeSet(0);

    /// Adds the member at `place`. Returns whether it is new.
    pub fn insert(&mut self, place: u32) -> bool {
        let before = self.0;
        self.0 |= 1 << place;
        self.0 != before
    }

    /// Whether the set contains the member at `place`.
    #[must_use]
    pub fn contains(self, place: u32) -> bool {
        self.0 & (1 << place) != 0
    }

    /// The members in either set.
    #[must_use]
    pub fn union(self, other: NodeSet) -> NodeSet {
        NodeSet(self.0 | other.0)
    }

    /// The members that are not in the set.
    #[must_use]
    pub fn complement(self) -> NodeSet {
        NodeSet(!self.0)
    }

    /// Number of members in the set.
    #[must_use]
    pub fn count(self) -> u32 {
        self.0.count_ones()
    }
}
