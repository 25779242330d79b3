//! The state of the network: the messages that still matter. Messages that can no longer have an effect are omitted,
//! so that different paths reach the same state.

use super::{Budget, Envelope, Node, Progress, World, advance, digest, op_of};
use heckle_paxos::{Action as CoreAction, Actions, Ballot, Body, Event, Message, Tag};
use std::sync::Arc;

/// The kinds of request of a round, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum RoundKind {
    Prepare,
    Read,
    Propose,
    Learn,
}

impl World {
    /// Removes everything that can no longer matter, so that states that differ in nothing else become one:
    ///
    /// - A **reply** that has no effect: its round is over, or it has already been counted. Rounds only advance, so it will
    ///   never have an effect.
    /// - A **request** of an earlier round, whose replies are ignored, if it has no effect: its demand was refused or is
    ///   already met, which stays true because promises and rows only rise.
    /// - When **all operations are over**, every message but a propose: no client waits for a reply, no more replies are
    ///   sent, and a promise or a learn could only cause the rejection of a propose that would break something.
    ///
    /// With a planted bug, promises and rows may fall. Then a message that could have arrived is lost here, as in a lossy
    /// network.
    pub(super) fn tidy(&mut self, changed: usize) {
        if self.is_over() {
            self.net.retain(|held| matches!(held.message.body, Body::Propose { .. }));
        }
        let mut at = 0;
        while at < self.net.len() {
            let held = &self.net[at];
            if (held.from == changed || held.to == changed) && self.is_spent(held) {
                self.net.remove(at);
            } else {
                at += 1;
            }
        }
    }

    /// Whether no coordinator is active, or will be again.
    pub(super) fn is_over(&self) -> bool {
        let over = |progress: &Progress| matches!(progress, Progress::Answered(_) | Progress::Lost);
        let Budget { crashes, blackouts, timers: _, timeouts: _ } = self.left;
        crashes + blackouts == 0 && self.ops.iter().all(over) && self.nodes.iter().all(|node| node.replica.in_flight() == 0)
    }

    fn is_spent(&self, held: &Envelope) -> bool {
        let Message { key, tag, body } = &*held.message;
        let replica = &self.nodes[held.to].replica;
        let learned = replica.row(key).map_or(Ballot::ZERO, |row| row.learned);
        let settled = match body {
            Body::Prepare { .. } | Body::Propose { .. } => tag.ballot <= replica.promised(key),
            Body::Read { .. } => true,
            Body::Learn { row } => row.learned <= learned,
            Body::Chosen => tag.ballot <= learned,
            Body::Prune { .. } => true,
            Body::Promise { .. } | Body::RowRead { .. } | Body::Accepted | Body::Learned { .. } | Body::Pruned { .. } => true,
            Body::Reject { .. } => true,
            Body::Busy { .. } | Body::Forward(_) | Body::Forwarded(_) | Body::NotHolder { .. } => panic!("leases are off here"),
            Body::Put { .. } | Body::PutDone | Body::Get | Body::Got { .. } => panic!("this world has no puts or gets"),
        };
        settled && !self.is_awaited(tag, body) && self.is_idle(held)
    }

    /// Whether it requests something for which its coordinator is still waiting.
    fn is_awaited(&self, tag: &Tag, body: &Body) -> bool {
        let Some(op) = op_of(tag.op) else {
            return false;
        };
        let running = self.ops[op] == Progress::Running || self.left.timeouts > 0;
        round_kind(body).is_some_and(|kind| running && self.rounds[op] == Some((*tag, kind)))
    }

    /// Whether neither the message nor its reply has an effect.
    fn is_idle(&self, held: &Envelope) -> bool {
        let mut node = Node::clone(&self.nodes[held.to]);
        let mut out = Actions::new();
        advance(&mut node, Event::Peer { from: self.node_id(held.from), message: Message::clone(&held.message) }, &mut out);
        if digest(|hasher| node.replica.fingerprint(hasher)) != node.digest {
            return false;
        }
        out.drain().all(|action| match action {
            CoreAction::Send { to, message, after: _ } if to == self.node_id(held.from) && !is_request(&message.body) => {
                let answer = Envelope { from: held.to, to: held.from, message: Arc::new(message), digest: 0 };
                self.is_idle(&answer)
            }
            CoreAction::Send { .. }
            | CoreAction::SendLease { .. }
            | CoreAction::Lease(_)
            | CoreAction::Persist { .. }
            | CoreAction::Timer { .. }
            | CoreAction::Reply { .. } => false,
            CoreAction::Point { .. } => true,
        })
    }
}

/// The kind of round to which a request belongs, or `None` for a reply or a request without a reply.
pub(super) fn round_kind(body: &Body) -> Option<RoundKind> {
    match body {
        Body::Prepare { .. } => Some(RoundKind::Prepare),
        Body::Read { .. } => Some(RoundKind::Read),
        Body::Propose { .. } => Some(RoundKind::Propose),
        Body::Learn { .. } => Some(RoundKind::Learn),
        Body::Chosen | Body::Prune { .. } => None,
        Body::Promise { .. } | Body::RowRead { .. } | Body::Accepted | Body::Learned { .. } | Body::Pruned { .. } => None,
        Body::Reject { .. } | Body::Busy { .. } | Body::Forward(_) | Body::Forwarded(_) | Body::NotHolder { .. } => None,
        Body::Put { .. } | Body::PutDone | Body::Get | Body::Got { .. } => None,
    }
}

fn is_request(body: &Body) -> bool {
    round_kind(body).is_some() || matches!(body, Body::Chosen | Body::Prune { .. })
}
