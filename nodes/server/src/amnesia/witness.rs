//! What this node knows about the logs of the others, and what they have reported about its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::position::{History, Position};
use super::seen::Seen;
use super::{Doubt, REMEDY, confirmations_needed};
use crate::options::NodeId;

/// Whether positions are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    On,
    /// The planted bug `accepts-own-amnesia`.
    Skipped,
}

/// Proof that this node has lost part of its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostState {
    node: NodeId,
    by: NodeId,
    seen: Position,
    history: History,
}

impl fmt::Display for LostState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LostState { node, by, seen, history } = self;
        let Position { folder, incarnation, batch, .. } = seen;
        write!(
            f,
            "{node} has lost data that it had written: {by} saw batch {batch} of its process {incarnation} on data folder {folder:016x}, "
        )?;
        let next = history.processes.iter().find(|process| process.incarnation > *incarnation);
        match next {
            _ if history.folder != *folder => write!(f, "and this is data folder {:016x}", history.folder)?,
            Some(next) if next.first_batch <= *batch => {
                write!(f, "and here the log of that process ends with batch {}", next.first_batch - 1)?
            }
            Some(_) | None => write!(f, "and this folder has no such process")?,
        }
        write!(f, ". {REMEDY}")
    }
}

/// The known positions of all nodes, and the state of this node's restart check.
#[derive(Debug)]
pub(crate) struct Witness {
    me: NodeId,
    check: Check,
    history: History,
    /// Number of other nodes that must confirm this process.
    needed: usize,
    confirmed: BTreeSet<NodeId>,
    /// Nodes that have neither confirmed nor proved unreachable. They may have newer evidence than the nodes that
    /// confirm.
    awaited: BTreeSet<NodeId>,
    lost: Option<LostState>,
    seen: BTreeMap<NodeId, Seen>,
    /// Nodes with seen positions that are not yet in this node's log.
    unsaved: BTreeSet<NodeId>,
}

impl Witness {
    /// Begins the restart check. `seen` contains the positions known before the restart.
    pub(crate) fn new(
        me: NodeId,
        members: &[NodeId],
        doubt: Doubt,
        check: Check,
        history: History,
        seen: BTreeMap<NodeId, Seen>,
    ) -> Witness {
        let others: BTreeSet<NodeId> = members.iter().copied().filter(|member| *member != me).collect();
        let seen = others.iter().map(|member| (*member, seen.get(member).copied().unwrap_or_default())).collect();
        let (needed, awaited) = match check {
            Check::On => (confirmations_needed(members.len(), doubt), others),
            Check::Skipped => (0, BTreeSet::new()),
        };
        Witness { me, check, history, needed, confirmed: BTreeSet::new(), awaited, lost: None, seen, unsaved: BTreeSet::new() }
    }

    pub(crate) fn history(&self) -> &History {
        &self.history
    }

    /// Whether enough nodes have confirmed, all others have been tried, and none has proved a loss.
    pub(crate) fn may_vote(&self) -> bool {
        self.lost.is_none() && self.confirmed.len() >= self.needed && self.awaited.is_empty()
    }

    /// Records that a connection to `peer` has failed, so that the check does not wait for it.
    pub(crate) fn note_unreachable(&mut self, peer: NodeId) {
        self.awaited.remove(&peer);
    }

    /// Number of nodes that have confirmed, and number that must.
    pub(crate) fn confirmations(&self) -> (usize, usize) {
        (self.confirmed.len(), self.needed)
    }

    /// Whether this node must start voting or shut down, given whether it is `voting` now.
    pub(crate) fn changes(&self, voting: bool) -> bool {
        self.lost.is_some() || (!voting && self.may_vote())
    }

    pub(crate) fn take_lost(&mut self) -> Option<LostState> {
        self.lost.take()
    }

    /// Registers a process of `peer` that has connected. It may take part unless this returns an error.
    ///
    /// # Errors
    /// Returns a position of that node which its log does not cover.
    pub(crate) fn register(&mut self, peer: NodeId, history: &History, batch: u64) -> Result<(), Position> {
        let Some(seen) = self.seen.get_mut(&peer) else { return Ok(()) };
        let before = *seen;
        match self.check {
            Check::On => seen.register(history, batch)?,
            Check::Skipped => seen.replace(history, batch),
        }
        if *seen != before {
            self.unsaved.insert(peer);
        }
        Ok(())
    }

    /// Records that, according to a message, `node` has reached `position`. It may be this node itself.
    pub(crate) fn hear(&mut self, from: NodeId, node: NodeId, position: Position) {
        if node != self.me {
            if self.seen.get_mut(&node).is_some_and(|seen| seen.hear(position)) {
                self.unsaved.insert(node);
            }
        } else if self.history.is_current(&position) {
            self.confirmed.insert(from);
            self.awaited.remove(&from);
        } else if self.check == Check::On && self.lost.is_none() && !self.history.covers(&position) {
            self.lost = Some(LostState { node: self.me, by: from, seen: position, history: self.history.clone() });
        }
    }

    /// The process of `peer` that may take part.
    pub(crate) fn registered(&self, peer: NodeId) -> Option<Position> {
        self.seen.get(&peer)?.registered
    }

    /// All known positions of `peer`.
    pub(crate) fn of(&self, peer: NodeId) -> Vec<Position> {
        self.seen.get(&peer).into_iter().flat_map(Seen::positions).collect()
    }

    /// All known positions of all other nodes.
    pub(crate) fn all(&self) -> Vec<(NodeId, Position)> {
        self.seen.iter().flat_map(|(node, seen)| seen.positions().map(|position| (*node, position))).collect()
    }

    /// The same as records, for a snapshot.
    pub(crate) fn records(&self) -> impl Iterator<Item = (NodeId, Seen)> {
        self.seen.iter().map(|(node, seen)| (*node, *seen))
    }

    /// Removes and returns the positions that must be written with the next batch.
    pub(crate) fn take_unsaved(&mut self) -> Vec<(NodeId, Seen)> {
        std::mem::take(&mut self.unsaved).into_iter().map(|node| (node, self.seen[&node])).collect()
    }
}
