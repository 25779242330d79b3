//! Reads of keys that this node has never seen, in one round trip that leaves no state behind.
//!
//! Without this, each read of an absent key would permanently leave a durable promise and a fence at every replica,
//! and a client reading random keys would fill the memory of all nodes.
//!
//! The coordinator asks all replicas for their row at [`Ballot::ZERO`]. A replica that has accepted and learned
//! nothing for the key replies so. Any other rejects, and the read continues as an ordinary operation.
//!
//! **Why it is safe.** Suppose every member of a quorum Q has replied that it has accepted nothing. Any update chosen
//! before the read began was accepted by a quorum, which shares a member with Q. That member accepted before it
//! replied, and it neither forgets the update nor loses it in a crash: a pending update is never dropped, and a
//! dropped copy leaves the learned ballot behind. So nothing was chosen before the read began. An earlier read can
//! have returned only chosen updates, and the reply "never written" claims nothing about later ones. No promise is
//! needed: an update that is chosen later comes after this read.

use super::Keys;
use crate::ballot::Ballot;
use crate::cell::{PlainCall, PlainRequest};
use crate::config::AbsentReads;
use crate::coordinator::{Env, ForwardHistory, PlainOp};
use crate::forward::Origin;
use crate::ids::{ClientToken, Key, MonoTime, TimerId};
use crate::message::{Body, Message, RequestKind, Tag};
use crate::mutants::Mutant;
use crate::quorum::NodeSet;
use crate::request::{Call, ClientRequest, Diagnostics, NotAppliedWhy, Outcome, Phase};
use crate::slot::reply;
use rand::Rng;
use rustc_hash::FxHashSet;
use std::collections::BTreeMap;

/// Slot number in the timer ids of these reads. No key has this number.
pub(crate) const ABSENT_READS: u32 = u32::MAX - 2;
/// Set in the attempt number of these reads, so that their tags never match those of a slot's operations.
const SERIAL_BIT: u32 = 1 << 31;

/// The running reads of keys without a slot, by serial number. Each is bounded by its own time limit.
#[derive(Debug, Clone, Default)]
pub(crate) struct AbsentOps {
    running: BTreeMap<u32, AbsentOp>,
    next_serial: u32,
}

#[derive(Debug, Clone)]
enum AbsentOp {
    /// A serial read.
    Read(Box<AbsentRead>),
    /// A get of the last-write-wins path, with its key.
    Get(Key, PlainOp),
}

#[derive(Debug, Clone)]
struct AbsentRead {
    token: ClientToken,
    request: ClientRequest,
    tag: Tag,
    deadline: MonoTime,
    answered: NodeSet,
    patience_ns: u64,
    round_trips: u32,
}

impl AbsentOp {
    fn token(&self) -> ClientToken {
        match self {
            AbsentOp::Read(read) => read.token,
            AbsentOp::Get(_, get) => get.token,
        }
    }
}

impl AbsentOps {
    pub(crate) fn len(&self) -> usize {
        self.running.len()
    }

    fn new_serial(&mut self) -> u32 {
        self.next_serial = self.next_serial.wrapping_add(1);
        self.next_serial | SERIAL_BIT
    }
}

impl AbsentRead {
    fn diagnostics<R: Rng + ?Sized>(&self, env: &Env<'_, R>) -> Box<Diagnostics> {
        let mut diagnostics = Box::new(Diagnostics::new(self.request.op, env.quorum()));
        diagnostics.phase = Phase::Read;
        diagnostics.promises = self.answered.count();
        diagnostics.round_trips = self.round_trips;
        diagnostics
    }

    /// Sends the request to the replicas that have not replied yet.
    fn ask<R: Rng + ?Sized>(&mut self, env: &mut Env<'_, R>) {
        self.round_trips += 1;
        env.shared.counters.round_trips += 1;
        let at = env.now.after_ns(self.patience_ns).min(self.deadline);
        env.timer(TimerId { slot: ABSENT_READS, serial: self.tag.attempt }, at);
        let body = Body::Read { have: Ballot::ZERO };
        env.broadcast(&self.request.key, self.tag, &body, self.answered, None, None);
    }
}

impl Keys {
    /// Begins a read of a key without a slot. Returns the request if it must run as an ordinary operation.
    pub(in crate::replica) fn begin_absent_read<R: Rng + ?Sized>(
        &mut self,
        token: ClientToken,
        request: ClientRequest,
        env: &mut Env<'_, R>,
    ) -> Option<ClientRequest> {
        let reads_here = env.mutants().has(Mutant::LwtReadsAtOne);
        let eligible = env.shared.config.absent_reads == AbsentReads::Quorum && !reads_here && matches!(request.call, Call::Read);
        if !eligible || self.find(&request.key).is_some() {
            return Some(request);
        }
        let serial = self.absent.new_serial();
        let tag = Tag { op: request.op, attempt: serial, incarnation: env.shared.clock.incarnation(), ballot: Ballot::ZERO };
        let deadline = env.now.after_ns(request.timeout_ns);
        let patience_ns = env.shared.config.resend_after_ns;
        let mut read = AbsentRead { token, request, tag, deadline, answered: NodeSet::EMPTY, patience_ns, round_trips: 0 };
        read.ask(env);
        self.absent.running.insert(serial, AbsentOp::Read(Box::new(read)));
        None
    }

    /// The same for a get of the last-write-wins path.
    pub(in crate::replica) fn begin_absent_get<R: Rng + ?Sized>(
        &mut self,
        token: ClientToken,
        request: PlainRequest,
        env: &mut Env<'_, R>,
    ) -> Option<PlainRequest> {
        let eligible = env.shared.config.absent_reads == AbsentReads::Quorum && matches!(request.call, PlainCall::Get);
        if !eligible || self.find(&request.key).is_some() {
            return Some(request);
        }
        let serial = self.absent.new_serial();
        let key = request.key.clone();
        let get = PlainOp::begin(token, request, serial, TimerId { slot: ABSENT_READS, serial }, env);
        self.absent.running.insert(serial, AbsentOp::Get(key, get));
        None
    }

    /// Serves a request that needs no slot. Returns `None` if it needs one.
    pub(in crate::replica) fn serve_absent(&self, message: &Message) -> Option<Message> {
        // Every request passes through here, so the key is looked up only where it matters.
        let may_be_absent = match message.body {
            Body::Read { .. } => message.tag.ballot.is_zero(),
            Body::Get | Body::Prune { .. } => true,
            _ => false,
        };
        if !may_be_absent {
            return None;
        }
        let acceptor = self.find(&message.key).map(|at| &self.slots[at].acceptor);
        let body = match (&message.body, acceptor) {
            (Body::Read { .. }, None) if message.tag.ballot.is_zero() => Body::RowRead { learned: Ballot::ZERO, newer: None },
            (Body::Read { .. }, Some(acceptor)) if message.tag.ballot.is_zero() => {
                if acceptor.has_accepted_nothing() {
                    Body::RowRead { learned: Ballot::ZERO, newer: None }
                } else {
                    Body::Reject { request: RequestKind::Read, seen: acceptor.promised() }
                }
            }
            (Body::Get, None) => Body::Got { cell: None },
            // There is no copy to drop.
            (Body::Prune { ballot }, None) => Body::Pruned { pruned: *ballot },
            _ => return None,
        };
        Some(Message { key: message.key.clone(), tag: message.tag, body })
    }

    /// Whether a reply belongs to one of these operations rather than to a slot's operation.
    pub(super) fn is_absent_reply(tag: Tag) -> bool {
        tag.ballot.is_zero() && tag.attempt & SERIAL_BIT != 0
    }

    /// Handles such a reply.
    pub(super) fn on_absent_reply<R: Rng + ?Sized>(&mut self, from: u32, message: Message, env: &mut Env<'_, R>) {
        let serial = message.tag.attempt;
        match (self.absent.running.get_mut(&serial), message.body) {
            (Some(AbsentOp::Read(read)), body) if read.tag == message.tag && read.request.key == message.key => {
                if matches!(body, Body::RowRead { learned: Ballot::ZERO, newer: None }) {
                    read.answered.insert(from);
                    if read.answered.count() >= env.quorum() {
                        self.end_absent(serial, Outcome::Read { current: None }, env);
                    }
                } else if let Some(AbsentOp::Read(read)) = self.absent.running.remove(&serial) {
                    // The key exists after all.
                    self.continue_in_slot(*read, env);
                }
            }
            (Some(AbsentOp::Get(key, get)), Body::Got { cell }) if get.is(message.tag) && *key == message.key => {
                if let Some(outcome) = get.answer(from, Some(cell)) {
                    self.end_absent(serial, outcome, env);
                }
            }
            (Some(_) | None, _) => env.shared.counters.answers_ignored += 1,
        }
    }

    fn continue_in_slot<R: Rng + ?Sized>(&mut self, read: AbsentRead, env: &mut Env<'_, R>) {
        let AbsentRead { token, mut request, deadline, .. } = read;
        request.timeout_ns = deadline.since_ns(env.now);
        let at = self.find_or_add(&request.key, env.shared);
        self.slots[at].admit(Origin::Client(token), request, ForwardHistory::default(), env);
    }

    /// Asks again, or ends the read if its time is up.
    pub(in crate::replica) fn absent_timer<R: Rng + ?Sized>(&mut self, serial: u32, env: &mut Env<'_, R>) {
        let late = match self.absent.running.get_mut(&serial) {
            Some(AbsentOp::Read(read)) if env.now < read.deadline => {
                read.patience_ns = read.patience_ns.saturating_mul(2);
                env.shared.counters.resends += 1;
                read.ask(env);
                None
            }
            // A read cannot take effect later.
            Some(AbsentOp::Read(_)) => Some(Outcome::NotApplied { why: NotAppliedWhy::TimeoutBeforePropose }),
            Some(AbsentOp::Get(_, get)) => get.late(env.now),
            None => None,
        };
        if let Some(outcome) = late {
            self.end_absent(serial, outcome, env);
        }
    }

    /// Ends the reads of clients that have disconnected.
    fn abandon_absent<R: Rng + ?Sized>(&mut self, gone: &FxHashSet<ClientToken>, env: &mut Env<'_, R>) {
        let of_gone = self.absent.running.iter().filter(|(_, op)| gone.contains(&op.token()));
        for serial in of_gone.map(|(serial, _)| *serial).collect::<Vec<u32>>() {
            self.end_absent(serial, Outcome::NotApplied { why: NotAppliedWhy::TimeoutBeforePropose }, env);
        }
    }

    /// Ends the requests of a client that has disconnected.
    pub(in crate::replica) fn on_client_gone<R: Rng + ?Sized>(&mut self, requests: &[(Key, ClientToken)], env: &mut Env<'_, R>) {
        if self.absent.len() > 0 {
            self.abandon_absent(&requests.iter().map(|(_, token)| *token).collect(), env);
        }
        for (key, token) in requests {
            if let Some(at) = self.find(key) {
                self.slots[at].on_client_gone(*token, env);
            }
        }
    }

    fn end_absent<R: Rng + ?Sized>(&mut self, serial: u32, outcome: Outcome, env: &mut Env<'_, R>) {
        match self.absent.running.remove(&serial) {
            Some(AbsentOp::Read(read)) => {
                let diagnostics = read.diagnostics(env);
                reply(Origin::Client(read.token), &read.request.key, outcome, diagnostics, env);
            }
            Some(AbsentOp::Get(key, get)) => reply(Origin::Client(get.token), &key, outcome, get.diagnostics(), env),
            None => {}
        }
    }
}
