//! The state of one key at one node: its acceptor, the operation being coordinated, and the waiting ones.

mod fair_queue;
mod gone;
mod in_flight;
mod reply_throttle;
mod returns;

use crate::acceptor::Acceptor;
use crate::action::{Action, Sync};
use crate::ballot::Ballot;
use crate::cell::{Cell, PlainRequest, newest_cell};
use crate::coordinator::{Coordination, Env, ForwardHistory, ForwardedOp, FreshRow, InFlightBatch, PlainOp, Prepared, Waiting};
use crate::forward::{Forwarded, Origin};
use crate::ids::{ClientToken, IoId, Key, MonoTime, NodeId, TimerId};
use crate::message::{Body, Message, RequestKind, Tag};
use crate::mutants::Mutant;
use crate::record::Record;
use crate::request::{Call, ClientRequest, Diagnostics, NotAppliedWhy, Outcome, Phase, UnknownWhy};
use crate::row::Update;
use rand::Rng;
use std::collections::VecDeque;

/// The state of one key at one node.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    pub(crate) key: Key,
    pub(crate) acceptor: Acceptor,
    /// The newest batch that contains a record of this key. No reply may be sent before it is durable, even a reply
    /// that changes nothing: a duplicate propose can arrive while the first is still on its way to the disk, and its
    /// reply makes the same claim.
    pub(crate) newest_io: IoId,
    /// The newest batch with a lazily learned row. A reply that claims to have the row must wait for this batch, and
    /// must ensure that it is synced.
    pub(crate) lazy_io: IoId,
    /// The operations being coordinated. There is at most one, except with a mutant.
    pub(crate) active: Vec<Coordination>,
    /// A proposal at a ballot promised in advance, and the operations that share it.
    pub(crate) batch: Option<InFlightBatch>,
    /// When the timer of the key's batches expires. `MonoTime(u64::MAX)` if none is set.
    pub(crate) batch_timer_armed: MonoTime,
    /// Operations whose shared proposal failed, in their original order. At most as many as fit in one proposal.
    pub(crate) retries: VecDeque<Coordination>,
    /// Waiting operations, in order of arrival. At most `queue_per_key`.
    pub(crate) queue: VecDeque<Waiting>,
    /// Operations forwarded to the holder of a lease. At most `queue_per_key`.
    pub(crate) forwarded: Vec<ForwardedOp>,
    /// Puts and gets of the last-write-wins path. At most `queue_per_key`.
    pub(crate) plain_ops: Vec<PlainOp>,
    /// The turns of the key's clients.
    pub(crate) turns: fair_queue::FairQueue,
    /// What is known about this node's own row under a read lease.
    pub(crate) fresh: Option<FreshRow>,
    /// A ballot already promised for the next operation.
    pub(crate) prepared: Option<Prepared>,
    /// Whether this key is in the list of keys with a prepared ballot.
    pub(crate) listed: bool,
    pub(crate) place: u32,
    pub(crate) next_serial: u32,
    /// For a mutant: the wall-clock time of the last write.
    pub(crate) written_us: u64,
}

impl Slot {
    /// Creates the slot of a new key, at this position in the node's table.
    pub(crate) fn new(key: Key, place: u32) -> Self {
        Self {
            key,
            acceptor: Acceptor::default(),
            newest_io: IoId(0),
            lazy_io: IoId(0),
            active: Vec::new(),
            batch: None,
            batch_timer_armed: MonoTime(u64::MAX),
            retries: VecDeque::new(),
            queue: VecDeque::new(),
            forwarded: Vec::new(),
            plain_ops: Vec::new(),
            turns: fair_queue::FairQueue::default(),
            fresh: None,
            prepared: None,
            listed: false,
            place,
            next_serial: 0,
            written_us: 0,
        }
    }

    /// Number of running and waiting operations.
    pub(crate) fn in_flight(&self) -> usize {
        let members = self.batch.as_ref().map_or(0, |batch| batch.members.len());
        self.active.len() + members + self.retries.len() + self.queue.len() + self.forwarded.len() + self.plain_ops.len()
    }

    /// Takes a client's request: runs it if the key is free, and queues it otherwise.
    ///
    /// Only one operation per key runs at a time, since two coordinators in one node would only outbid each other.
    ///
    /// `history` is the history of an operation forwarded by another node.
    pub(crate) fn admit<R: Rng + ?Sized>(&mut self, origin: Origin, request: ClientRequest, history: ForwardHistory, env: &mut Env<'_, R>) {
        let timer = self.next_timer();
        let deadline = env.now.after_ns(request.timeout_ns);
        let mut waiting = Waiting { origin, request, deadline, arrived: env.now, timer, armed: MonoTime(u64::MAX), history };
        let holder =
            if history.must_stay() || self.forwarded.len() >= env.shared.config.queue_per_key { None } else { env.known_holder(&self.key) };
        if let Some(holder) = holder {
            waiting.history.born_us = Some(self.acceptor.row().learned.micros);
            let diagnostics = Box::new(Diagnostics::new(waiting.request.op, env.quorum()));
            self.forwarded.push(ForwardedOp::send(waiting, diagnostics, holder, env));
            return;
        }
        env.touch_lease(&self.key);
        if let Some(current) = self.local_read(&waiting.request, env) {
            self.answer_locally(waiting, current, env);
        } else if !self.is_busy() && self.queue.is_empty() && self.turns.has_no_reservation() {
            self.queue.push_back(waiting);
            self.begin_next(env);
        } else if self.is_busy() && self.queue.len() >= env.shared.config.queue_per_key {
            env.shared.counters.queue_full += 1;
            refuse(waiting, NotAppliedWhy::Busy, env);
            self.leak_lock(env);
        } else {
            waiting.armed = deadline;
            env.timer(timer, deadline);
            let known_value = self.prepared.as_ref().map(|prepared| prepared.row.data.value.as_ref());
            let has_learned = known_value.is_none_or(|value| !fair_queue::only_needs_value(&waiting, value));
            self.turns.on_arrival(waiting.request.op.client, has_learned, env.now);
            self.queue.push_back(waiting);
            if !self.is_busy() {
                self.begin_next(env);
            }
        }
    }

    fn next_timer(&mut self) -> TimerId {
        self.next_serial = self.next_serial.wrapping_add(1).max(fair_queue::RESERVATION_SERIAL + 1);
        TimerId { slot: self.place, serial: self.next_serial }
    }

    /// Takes a client's put or get. It does not wait, since puts and gets are not ordered with other operations.
    pub(crate) fn admit_plain<R: Rng + ?Sized>(&mut self, token: ClientToken, request: PlainRequest, env: &mut Env<'_, R>) {
        if self.plain_ops.len() >= env.shared.config.queue_per_key {
            env.shared.counters.queue_full += 1;
            let diagnostics = Box::new(Diagnostics::new(request.op, env.quorum()));
            reply(Origin::Client(token), &self.key, Outcome::NotApplied { why: NotAppliedWhy::Busy }, diagnostics, env);
            return;
        }
        let timer = self.next_timer();
        self.plain_ops.push(PlainOp::begin(token, request, 1, timer, env));
    }

    /// Handles a replica's reply to a put, or to a get with its value.
    pub(crate) fn on_plain_reply<R: Rng + ?Sized>(&mut self, from: u32, tag: Tag, got: Option<Option<Cell>>, env: &mut Env<'_, R>) {
        let Some(at) = self.plain_ops.iter().position(|plain_ops| plain_ops.is(tag)) else {
            env.shared.counters.answers_ignored += 1;
            return;
        };
        if let Some(outcome) = self.plain_ops[at].answer(from, got) {
            self.end_plain(at, outcome, env);
        }
    }

    fn end_plain<R: Rng + ?Sized>(&mut self, at: usize, outcome: Outcome, env: &mut Env<'_, R>) {
        let ended = self.plain_ops.swap_remove(at);
        reply(Origin::Client(ended.token), &self.key, outcome, ended.diagnostics(), env);
    }

    /// Handles a request from a coordinator. Returns the reply and the batch for which it must wait.
    pub(crate) fn serve<R: Rng + ?Sized>(&mut self, message: Message, env: &mut Env<'_, R>) -> Option<(Message, Option<IoId>)> {
        let Message { key, tag, body } = message;
        let mutants = env.mutants();
        let before = self.acceptor.bytes();
        env.expire_by_local_time(self);
        let below = env.is_below_floor(tag.ballot);
        let answer = match body {
            Body::Prepare { .. } if below => env.reject_by_floor(RequestKind::Prepare),
            Body::Read { .. } if below => env.reject_by_floor(RequestKind::Read),
            Body::Propose { .. } if below => env.reject_by_floor(RequestKind::Propose),
            Body::Prepare { have } => self.acceptor.prepare(&key, tag.ballot, have, mutants),
            Body::Read { have } => self.acceptor.read(tag.ballot, have),
            Body::Propose { update, next } => self.acceptor.propose(&key, tag.ballot, next, update, mutants),
            Body::Learn { row } => self.acceptor.learn(&key, row, mutants),
            Body::Chosen => {
                self.learn_lazily(tag.ballot, env);
                env.shared.state.replace(&before, &self.acceptor.bytes());
                return None;
            }
            Body::Prune { ballot } => self.acceptor.prune(&key, ballot, mutants),
            Body::Put { cell } => {
                // Later ballots of this node are above the put, so an operation that sees the put is newer.
                env.observe(Ballot { micros: cell.us, node: cell.node, nonce: 0 });
                self.acceptor.put(&key, cell)
            }
            Body::Get => self.acceptor.get(),
            Body::Promise { .. }
            | Body::RowRead { .. }
            | Body::Accepted
            | Body::Learned { .. }
            | Body::Pruned { .. }
            | Body::Reject { .. } => return None,
            Body::Busy { .. } | Body::Forward(_) | Body::Forwarded(_) | Body::NotHolder { .. } => return None,
            Body::PutDone | Body::Got { .. } => return None,
        };
        env.shared.state.replace(&before, &self.acceptor.bytes());
        let unsynced = match &answer.body {
            Body::Promise { .. } => mutants.has(Mutant::PromiseNotSynced),
            Body::Accepted => mutants.has(Mutant::AcceptNotSynced),
            // No reply relies on it: a copy restored by a crash only takes up space again.
            Body::Pruned { .. } => true,
            _ => false,
        };
        let counters = &mut env.shared.counters;
        match &answer.body {
            Body::Promise { .. } => counters.promises += 1,
            Body::Accepted => counters.accepts += u64::from(answer.record.is_some()),
            Body::Learned { .. } => counters.learns += u64::from(answer.record.is_some()),
            Body::Reject { .. } => counters.rejects += 1,
            Body::Pruned { .. } => counters.pruned += u64::from(answer.record.is_some()),
            Body::Prune { .. } => {}
            Body::RowRead { .. } | Body::Prepare { .. } | Body::Read { .. } | Body::Propose { .. } | Body::Learn { .. } | Body::Chosen => {}
            Body::Busy { .. } | Body::Forward(_) | Body::Forwarded(_) | Body::NotHolder { .. } => {}
            Body::Put { .. } | Body::PutDone | Body::Get | Body::Got { .. } => {}
        }
        let record = answer.record.or_else(|| self.record_for_claim(&answer.body, env));
        if let Some(record) = record {
            let sync = if unsynced { Sync::Lazy } else { Sync::Required };
            let io_id = env.persist(record, sync);
            if !unsynced {
                self.newest_io = io_id;
            }
        }
        let after = (self.newest_io > env.shared.durable && !unsynced).then_some(self.newest_io);
        Some((Message { key, tag, body: answer.body }, after))
    }

    /// Learns the update accepted at this ballot, which has been chosen. No reply is sent, so nothing waits for the
    /// disk.
    ///
    /// Safety: a promise or a read reply that reports this row before it is durable makes no claim that a crash could
    /// invalidate. The row remains chosen. And if a promise is based on it (claim 2 of `coordinator`: a fence above
    /// it may then be accepted here), the record of that promise comes later in the log, so the sync that releases
    /// the promise also covers the row's record. A crash before that sync undoes the row and the promise together, as
    /// if the message had arrived later.
    fn learn_lazily<R: Rng + ?Sized>(&mut self, ballot: Ballot, env: &mut Env<'_, R>) {
        if let Some(record) = self.acceptor.chosen(&self.key, ballot, env.mutants()) {
            env.shared.counters.learns += 1;
            self.lazy_io = env.persist(record, Sync::Lazy);
        }
    }

    /// For a reply that changes nothing but claims that the row is durable, while the row is still on its way to the
    /// disk and no sync was requested: writes the row again, so that there is a sync to wait for.
    fn record_for_claim<R: Rng + ?Sized>(&self, answer: &Body, env: &Env<'_, R>) -> Option<Record> {
        let claims = matches!(answer, Body::Accepted | Body::Learned { .. }) && self.lazy_io > env.shared.durable.max(self.newest_io);
        claims.then(|| Record::Learned { key: self.key.clone(), row: self.acceptor.row().clone() })
    }

    /// Handles a reply for the operation being coordinated.
    pub(crate) fn answer<R: Rng + ?Sized>(&mut self, from: u32, message: Message, env: &mut Env<'_, R>) {
        if self.batch.as_ref().is_some_and(|batch| batch.tag == message.tag) {
            self.batch_answer(from, &message, env);
            return;
        }
        let Some(at) = self.active.iter().position(|active| active.tag.op == message.tag.op) else {
            env.shared.counters.answers_ignored += 1;
            return;
        };
        let ended = self.active[at].on_answer(from, message, &self.acceptor, env);
        match ended {
            Some(outcome) => self.end(at, outcome, env),
            None => self.forward_held_off(at, env),
        }
    }

    /// Forwards an operation held off by a lease to the lease's holder, if allowed, and starts the next one.
    fn forward_held_off<R: Rng + ?Sized>(&mut self, at: usize, env: &mut Env<'_, R>) {
        if let Some(holder) = self.active[at].leased.forward_to.take() {
            let leaving = self.active.swap_remove(at);
            self.fresh = leaving.fresh_after(None, self.fresh);
            self.forwarded.push(leaving.forward(holder, env));
            if !self.is_busy() {
                self.begin_next(env);
            }
        }
    }

    /// Handles the holder's reply to a forwarded operation.
    pub(crate) fn on_forwarded<R: Rng + ?Sized>(&mut self, from: NodeId, op: crate::OpId, result: Forwarded, env: &mut Env<'_, R>) {
        env.note_holder(&self.key, result.lease, from);
        let Some(at) = self.forwarded.iter().position(|forwarded| forwarded.is(op, result.serial)) else {
            env.shared.counters.answers_ignored += 1;
            return;
        };
        let (origin, outcome, diagnostics) = self.forwarded.swap_remove(at).on_reply(result);
        // The client treats it as a ballot of this node, whose ballots only rise.
        env.observe(diagnostics.ballot);
        reply(origin, &self.key, outcome, diagnostics, env);
    }

    /// Handles the holder's refusal to accept a forwarded operation.
    pub(crate) fn on_not_holder<R: Rng + ?Sized>(&mut self, from: NodeId, op: crate::OpId, serial: u64, env: &mut Env<'_, R>) {
        env.note_holder(&self.key, None, from);
        let Some(at) = self.forwarded.iter().position(|forwarded| forwarded.is(op, serial)) else {
            env.shared.counters.answers_ignored += 1;
            return;
        };
        // This operation has waited the longest, so it comes first among equals.
        let waiting = self.forwarded.swap_remove(at).into_waiting();
        self.queue.push_front(waiting);
        if !self.is_busy() {
            self.begin_next(env);
        }
    }

    /// Handles a timer of this key.
    pub(crate) fn timer<R: Rng + ?Sized>(&mut self, id: TimerId, env: &mut Env<'_, R>) {
        if id.serial == in_flight::BATCH_SERIAL {
            self.batch_timer(env);
        } else if id.serial == fair_queue::RESERVATION_SERIAL {
            if !self.is_busy() {
                self.begin_next(env);
            }
        } else if let Some(at) = self.active.iter().position(|active| active.timer == id) {
            match self.active[at].on_timer(&self.acceptor, env) {
                Some(outcome) => self.end(at, outcome, env),
                None => self.forward_held_off(at, env),
            }
        } else if let Some(at) = self.forwarded.iter().position(|forwarded| forwarded.timer() == id) {
            if self.forwarded[at].is_over(env.now) {
                let (origin, outcome, diagnostics) = self.forwarded.swap_remove(at).on_no_reply();
                reply(origin, &self.key, outcome, diagnostics, env);
            }
        } else if let Some(at) = self.plain_ops.iter().position(|plain_ops| plain_ops.timer == id) {
            if let Some(outcome) = self.plain_ops[at].late(env.now) {
                self.end_plain(at, outcome, env);
            }
        } else if let Some(at) = self.retries.iter().position(|waiting| waiting.timer == id) {
            if let Some(mut waiting) = self.retries.remove(at) {
                match waiting.on_timer(&self.acceptor, env) {
                    Some(outcome) => self.finish(waiting, outcome, env),
                    None => self.retries.insert(at, waiting),
                }
            }
        } else if let Some(at) = self.queue.iter().position(|waiting| waiting.timer == id) {
            if env.now < self.queue[at].deadline {
                return;
            }
            let waiting = self.queue.remove(at).expect("the position was just found");
            refuse(waiting, NotAppliedWhy::TimeoutInQueue, env);
            self.leak_lock(env);
        }
    }

    /// The mutant: an operation that never held the key's lock releases it (Scylla #19698).
    fn leak_lock<R: Rng + ?Sized>(&mut self, env: &mut Env<'_, R>) {
        if env.mutants().has(Mutant::KeyLockLeak) {
            self.begin_next(env);
        }
    }

    fn end<R: Rng + ?Sized>(&mut self, at: usize, outcome: Outcome, env: &mut Env<'_, R>) {
        let mut ended = self.active.swap_remove(at);
        self.keep(ended.prepared.take(), env);
        let basis = ended.basis.take();
        let refused = self.answer_piggybacked(&ended, &outcome, basis.as_ref(), env);
        let half_ns = env.now.since_ns(ended.began) / 2;
        self.reserve_for(refused, half_ns, half_ns, env);
        self.finish(ended, outcome, env);
        if !self.is_busy() {
            self.begin_next(env);
        }
    }

    /// The key is free: starts the next waiting operation.
    fn begin_next<R: Rng + ?Sized>(&mut self, env: &mut Env<'_, R>) {
        if self.propose_batch(env) || self.is_reserved(env) {
            return;
        }
        if let Some(mut next) = self.next_waiting(env) {
            self.note_turn(next.op().client);
            env.shared.counters.overlaps += u64::from(self.is_busy());
            next.begin_attempt(env);
            self.active.push(next);
        }
    }

    fn answer_locally<R: Rng + ?Sized>(&self, waiting: Waiting, outcome: Outcome, env: &mut Env<'_, R>) {
        env.shared.counters.local_reads += 1;
        let mut diagnostics = Box::new(Diagnostics::new(waiting.request.op, env.quorum()));
        diagnostics.phase = Phase::LocalRead;
        diagnostics.ballot = self.acceptor.row().learned;
        reply(waiting.origin, &self.key, outcome, diagnostics, env);
    }

    /// The result of a read from this node's own row, if a read lease allows it.
    ///
    /// Safety: the row is the newest while the lease under which the last quorum round was sent is running (see
    /// `note_lease`), if it is still the row on which that round was evaluated and no proposal is in flight here.
    /// `now` was read after the request arrived, so the read is linearized at `now` and may be answered at any later
    /// time: `now` lies between the client's request and its reply, however long this process is suspended in
    /// between.
    fn local_read<R: Rng + ?Sized>(&self, request: &ClientRequest, env: &Env<'_, R>) -> Option<Outcome> {
        let own = self.acceptor.row();
        let holds = self.fresh?.is_valid(own.learned, env.own_lease(&self.key), env.now);
        let pending = self.acceptor.accepted().is_some_and(|held| held.ballot > own.learned && held.update != Update::Empty);
        let quiet = self.batch.is_none() && self.active.iter().all(Coordination::has_proposed_nothing);
        let reads = matches!(request.call, Call::Read) && quiet;
        (reads && holds && !pending).then(|| Outcome::Read { current: newest_cell(own, self.acceptor.cell()).map(|cell| cell.value) })
    }

    /// Answers an operation, or returns it to its sender, if it needs no coordination at this node or no longer does.
    fn answer_or_return<R: Rng + ?Sized>(&self, waiting: Waiting, env: &mut Env<'_, R>) -> Option<Waiting> {
        if let Some(current) = self.local_read(&waiting.request, env) {
            self.answer_locally(waiting, current, env);
            return None;
        }
        // The lease ended while the operation waited. Nothing has been done for it yet, so the node that forwarded it
        // may continue with it.
        if let (Origin::Node { to, serial, tag }, None) = (waiting.origin, env.own_lease(&self.key)) {
            env.shared.counters.forwards_refused += 1;
            env.send_to(to, &self.key, tag, Body::NotHolder { serial });
            return None;
        }
        Some(waiting)
    }
}

/// Answers a request that never ran.
fn refuse<R: Rng + ?Sized>(waiting: Waiting, why: NotAppliedWhy, env: &mut Env<'_, R>) {
    let diagnostics = Box::new(Diagnostics::new(waiting.request.op, env.quorum()));
    let outcome = match waiting.request.call {
        // The operation was coordinated here before it was forwarded, and an update proposed for it then may still be
        // chosen.
        Call::Write { .. } | Call::Cas { .. } if waiting.history.open => Outcome::Unknown { why: UnknownWhy::Timeout },
        Call::Read | Call::Write { .. } | Call::Cas { .. } | Call::Fate { .. } => waiting.request.unserved_outcome(why),
    };
    reply(waiting.origin, &waiting.request.key, outcome, diagnostics, env);
}

/// Replies to a client and counts the reply. For a forwarded operation, replies to the forwarding node, which answers
/// the client.
pub(crate) fn reply<R: Rng + ?Sized>(origin: Origin, key: &Key, outcome: Outcome, diagnostics: Box<Diagnostics>, env: &mut Env<'_, R>) {
    let token = match origin {
        Origin::Client(token) => token,
        Origin::Node { to, serial, tag } => {
            let lease = env.own_lease(key).map(|held| (held.ballot, held.until.since_ns(env.now)));
            env.send_to(to, key, tag, Body::Forwarded(Box::new(Forwarded { serial, outcome, diagnostics, lease })));
            return;
        }
    };
    let counters = &mut env.shared.counters;
    match &outcome {
        Outcome::Applied => counters.applied += 1,
        Outcome::Read { .. } => counters.reads += 1,
        Outcome::ConditionNotMet { .. } => counters.condition_not_met += 1,
        Outcome::Fate { .. } => counters.fates += 1,
        Outcome::NotApplied { .. } => counters.not_applied += 1,
        Outcome::Unknown { .. } => counters.unknown += 1,
        Outcome::Invalid { .. } => counters.invalid += 1,
    }
    // Nothing to wait for: the state on which the outcome is based was durable before the replies arrived.
    env.out.push(Action::Reply { token, outcome, diagnostics, after: None });
}
