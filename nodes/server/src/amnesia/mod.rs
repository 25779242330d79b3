//! Notices that a node has lost promises: its log was truncated, its folder wiped or restored from an old copy.
//!
//! # Rule
//! Nodes exchange positions: for each node, its folder, its process, and the newest batch of its log that was *synced*.
//! A node's own position is in each of its messages. Those it knows of all nodes are in its learns and heartbeats, and
//! are written to its log with the next batch, before anything that was received later is answered. When a process of a
//! node connects, its peer compares what it knows with the node's [`History`], and either registers the process, or
//! shows what is missing and takes no message from it. A restarted node is silent until enough of the n-1 others have
//! registered it (q is the size of a quorum):
//!
//! | the log of the node | others that must confirm |
//! |---|---|
//! | ends as one does after a kill or a stop | q-1 |
//! | had a damaged end, which was cut off | n-q+1, or all if there are fewer |
//! | does not exist: the folder is new | all: none may ever have known another folder of this node |
//!
//! Before it votes it has also tried to reach each of the rest: two nodes with equally old folders could confirm each
//! other, while a third that knows more is within reach. It listens to all of them at any later time, and ends as soon as
//! one knows a position that its log lacks. Confirming takes no vote. So nodes that start together confirm each other.
//!
//! # Why no sound node is refused
//! A message leaves a node after the sync of all that it relies on, and the position in it counts only synced batches.
//! Recovery keeps every synced batch, also after a loss of power. So whatever was seen is in the log.
//!
//! # Why a loss is noticed
//! Let a write be acknowledged with `--rounds classic` or `merged`. A quorum has learned it, and each learn carried the
//! positions of the nodes whose accepts its coordinator had counted. So a set K of q nodes has these positions on disk.
//! Let X be in K and lose its tail. The other q-1 of K and n-q+1 confirmations are more than the n-1 nodes other than
//! X: at least one of those that confirm knows the position, and does not confirm. With `async-learn` and `fast` this
//! holds once the learns are on disk, which is a moment after the reply.
//!
//! # What remains
//! A loss that leaves no trace (a log cut between two batches and padded with zeroes, or an old copy of the whole
//! folder) looks like a stop, so q-1 nodes are enough for it to vote. With three nodes that is one, and it may be one
//! that has not heard of the lost batches yet: in the time of a heartbeat, or for as long as it is cut off. Until a
//! node that knows more is reached, the lost promises may be missed.

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

/// What to do about a node that has lost a part of its state. There is no way to add it to the cluster again.
pub(crate) const REMEDY: &str = "It may have lost promises and accepted updates, so it must not vote: keep it stopped. The other \
     nodes work without it while a quorum of them is up. Only the folder as it last was can bring it back; if that is lost, \
     copy the values to a new cluster with empty folders";

/// Why a node asks more of the others than after an ordinary restart. It is kept in the folder until enough of them have
/// confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Doubt {
    /// None: the log ends as one does after a kill.
    None,
    /// The end of the log was damaged and was cut off.
    Cut,
    /// The folder is new, and this node has never voted on it.
    New,
}

/// Number of other nodes that must confirm before a node of `nodes` votes.
pub(crate) fn confirmations_needed(nodes: usize, doubt: Doubt) -> usize {
    let (others, quorum) = (nodes - 1, usize::from(quorum_of(nodes)));
    match doubt {
        Doubt::None => quorum - 1,
        Doubt::Cut => (nodes - quorum + 1).min(others),
        Doubt::New => others,
    }
}
