//! Detects that a node has lost promises: its log was truncated, or its folder was wiped or restored from an old
//! copy.
//!
//! # Rule
//! Nodes exchange positions. A position consists of a node's folder, its process, and the newest *synced* batch of its
//! log. Each message of a node carries the node's own position. Its learns and heartbeats carry all positions it knows,
//! and it writes these to its log with the next batch, before it answers anything received later. When a process of a
//! node connects, its peer compares the positions it knows with the node's [`History`], and either registers the
//! process, or reports what is missing and accepts no messages from it. A restarted node is silent until enough of the
//! n-1 others have registered it (q is the size of a quorum):
//!
//! | the log of the node | others that must confirm |
//! |---|---|
//! | ends as it does after a kill or a stop | q-1 |
//! | had a damaged end, which was cut off | n-q+1, or all if there are fewer |
//! | does not exist: the folder is new | all: none may ever have seen another folder of this node |
//!
//! Before it votes, it must also have tried to reach every other node: otherwise two nodes with equally old folders could
//! confirm each other while a third with newer evidence is reachable. It keeps listening to all of them, and shuts down
//! as soon as one knows a position that its log lacks. A node need not be voting to confirm others, so nodes that start
//! together can confirm each other.
//!
//! # Why no sound node is refused
//! A message leaves a node only after everything it relies on has been synced, and the position in it counts only
//! synced batches. Recovery keeps every synced batch, including after a power loss. So any position that another node
//! has seen is in the log.
//!
//! # Why a loss is detected
//! Let a write be acknowledged with `--rounds classic` or `merged`. A quorum has learned it, and each learn carried the
//! positions of the nodes whose accepts the coordinator had counted. So a set K of q nodes has these positions on disk.
//! Suppose a node X loses the tail of its log. The nodes in K other than X number at least q-1, and X needs n-q+1
//! confirmations. Together that is more than the n-1 nodes other than X, so at least one node whose confirmation is
//! needed knows the position, and does not confirm. With `async-learn` and `fast`, this holds once the learns are on
//! disk, shortly after the reply.
//!
//! # What is not detected
//! A loss that leaves no trace (a log cut between two batches and padded with zeroes, or an old copy of the whole
//! folder) looks like an ordinary stop, so q-1 confirmations are enough for the node to vote. In a cluster of three,
//! that is a single node, and it may not have heard of the lost batches yet: for up to one heartbeat interval, or for
//! as long as it is cut off. Until a node with newer evidence is reached, the loss may go undetected.

mod folder_check;
mod position;
mod seen;
#[cfg(test)]
mod tests;
mod witness;

use serde::{Deserialize, Serialize};

use crate::options::quorum_of;

pub(crate) use folder_check::check_folder;
pub(crate) use position::{History, MAX_PROCESSES, Position, ProcessStart};
pub(crate) use seen::Seen;
pub use witness::LostState;
pub(crate) use witness::{Check, Witness};

/// What to do about a node that has lost part of its state. There is no way to add it to the cluster again.
pub(crate) const REMEDY: &str = "It may have lost promises and accepted updates, so it must not vote: keep it stopped. The other \
     nodes work without it while a quorum of them is up. Only the folder as it last was can bring it back; if that is lost, \
     copy the values to a new cluster with empty folders";

/// Why a node needs more confirmations than after an ordinary restart. Kept in the folder until enough nodes have
/// confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Doubt {
    /// No doubt: the log ends as it does after a kill.
    None,
    /// The end of the log was damaged and was cut off.
    Cut,
    /// The folder is new, and this node has never voted on it.
    New,
}

/// Number of other nodes that must confirm before a node votes, in a cluster of `nodes` nodes.
pub(crate) fn confirmations_needed(nodes: usize, doubt: Doubt) -> usize {
    let (others, quorum) = (nodes - 1, usize::from(quorum_of(nodes)));
    match doubt {
        Doubt::None => quorum - 1,
        Doubt::Cut => (nodes - quorum + 1).min(others),
        Doubt::New => others,
    }
}
