//! The environment of a coordinator during one step: time, randomness, the outbox and the node's clock.

use crate::action::{Action, Actions, Point, Sync};
use crate::backoff::Latencies;
use crate::ballot::{Ballot, BallotClock};
use crate::config::{Config, Points};
use crate::counters::Counters;
use crate::expiry::state::Expiry;
use crate::forward::{ForwardWindow, ReplyTracker};
use crate::ids::{IoId, Key, MonoTime, OpId, TimerId, WallTime};
use crate::lease::{LeaseAction, Leases};
use crate::message::{Body, Message, Tag};
use crate::mutants::{Mutant, Mutants};
use crate::prune::queue::PruneQueue;
use crate::quorum::{Members, NodeSet};
use crate::record::{Record, StateBytes};
use rand::Rng;
use std::collections::VecDeque;

/// State shared by all keys of a node.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) members: Members,
    /// This node's position among the members.
    pub(crate) me: u32,
    pub(crate) clock: BallotClock,
    pub(crate) counters: Counters,
    /// Requests from this node to its own acceptor, handled before the step ends. Holds at most one per message of
    /// the step.
    pub(crate) to_self: VecDeque<Message>,
    /// Slots of the keys with a promised ballot ready for use, oldest first. Trimmed to the `prepared_keys` setting
    /// at the end of each step.
    pub(crate) prepared_keys: VecDeque<u32>,
    /// Latencies of this node's recent rounds.
    pub(crate) latencies: Latencies,
    /// Number of the newest batch of records.
    pub(crate) next_io: u64,
    /// All batches up to this one are durable.
    pub(crate) durable: IoId,
    /// The batch with this process's incarnation. Until it is durable, no ballot may be sent: after a crash, the next
    /// process would take the same incarnation and could generate the same ballot.
    pub(crate) birth: IoId,
    /// Size of the state in bytes by kind, updated with every change.
    pub(crate) state: StateBytes,
    pub(crate) prune: PruneQueue,
    pub(crate) expiry: Expiry,
    /// When the housekeeping timer expires. `MonoTime(u64::MAX)` if none is set.
    pub(crate) housekeeping_at: MonoTime,
    pub(crate) leases: Leases,
    /// Actions that leases have requested. Empty between steps; kept to reuse its memory.
    pub(crate) lease_out: Vec<LeaseAction>,
    /// Number of operations that this process has forwarded to holders.
    pub(crate) forwards: u64,
    /// For each member, by position: the forwards received from it.
    pub(crate) windows: Vec<ForwardWindow>,
    pub(crate) reply_tracker: ReplyTracker,
}

/// [`Shared`] and the arguments of the running step.
pub(crate) struct Env<'a, R: ?Sized> {
    pub(crate) shared: &'a mut Shared,
    pub(crate) now: MonoTime,
    pub(crate) wall: WallTime,
    pub(crate) rng: &'a mut R,
    pub(crate) out: &'a mut Actions,
}

impl<R: Rng + ?Sized> Env<'_, R> {
    pub(crate) fn mutants(&self) -> Mutants {
        self.shared.config.mutants
    }

    pub(crate) fn quorum(&self) -> u32 {
        self.shared.members.quorum()
    }

    /// Largest number of rejects that still leaves a quorum possible.
    pub(crate) fn tolerable_rejects(&self) -> u32 {
        self.shared.members.count() - self.shared.members.quorum()
    }

    pub(crate) fn next_ballot(&mut self) -> Ballot {
        if self.mutants().has(Mutant::NonUniqueNonce) {
            // The mutant uses whole milliseconds, the same node for all, and no nonce. So ballots repeat within and
            // between coordinators.
            self.shared.clock.next(self.wall, self.rng);
            let floor = self.shared.clock.last_micros();
            return Ballot { micros: floor.next_multiple_of(1000), node: crate::NodeId(0), nonce: 0 };
        }
        self.shared.clock.next(self.wall, self.rng)
    }

    /// Raises the ballot floor above a ballot that was seen.
    pub(crate) fn observe(&mut self, seen: Ballot) {
        if !self.mutants().has(Mutant::NoBallotBump) {
            self.shared.clock.observe(seen);
        }
    }

    /// Sends to one member, which may be this node itself.
    pub(crate) fn send(&mut self, place: u32, key: &Key, tag: Tag, body: Body) {
        let message = Message { key: key.clone(), tag, body };
        if place == self.shared.me {
            self.shared.to_self.push_back(message);
            return;
        }
        let after = (self.shared.birth > self.shared.durable).then_some(self.shared.birth);
        let to = self.shared.members.nodes()[place as usize];
        self.shared.counters.messages_sent += 1;
        self.out.push(Action::Send { to, message, after });
    }

    /// Sends to all members that are not in `except`. This node's own acceptor comes last, so that the messages leave
    /// before this node writes to disk. Announces `first` after the send to the first other node, and `all` at the
    /// end.
    pub(crate) fn broadcast(&mut self, key: &Key, tag: Tag, body: &Body, except: NodeSet, first: Option<Point>, all: Option<Point>) {
        let me = self.shared.me;
        let mut first = first;
        for place in (0..self.shared.members.count()).filter(|place| *place != me) {
            if !except.contains(place) {
                self.send(place, key, tag, body.clone());
                if let Some(point) = first.take() {
                    self.announce(point, key, tag.op, tag.ballot);
                }
            }
        }
        if let Some(point) = all {
            self.announce(point, key, tag.op, tag.ballot);
        }
        if !except.contains(me) {
            self.send(me, key, tag, body.clone());
        }
    }

    pub(crate) fn announce(&mut self, point: Point, key: &Key, op: OpId, ballot: Ballot) {
        if self.shared.config.points == Points::Announced {
            self.out.push(Action::Point { point, key: key.clone(), op, ballot });
        }
    }

    /// Adds a record to the step's batch.
    pub(crate) fn persist(&mut self, record: Record, sync: Sync) -> IoId {
        let newest = self.shared.next_io;
        let io_id = self.out.persist(&mut self.shared.next_io, record, sync);
        self.shared.counters.records += 1;
        self.shared.counters.batches += self.shared.next_io - newest;
        io_id
    }

    /// Counts a reply that is no longer needed, and otherwise ignores it.
    pub(crate) fn ignore_answer<T>(&mut self) -> Option<T> {
        self.shared.counters.answers_ignored += 1;
        None
    }

    pub(crate) fn timer(&mut self, id: TimerId, at: MonoTime) {
        self.out.push(Action::Timer { id, at });
    }
}
