//! One key at one node: its acceptor, the operation being coordinated, and those that wait.

mod fair_queue;
mod in_flight;
mod reply_throttle;
mod returns;

use crate::acceptor::Acceptor;
use crate::action::{Action, Sync};
use crate::ballot::Ballot;
use crate::cell::{Cell, PlainRequest, seen};
use crate::coordinator::{Coordination, Env, ForwardedOp, Fresh, InFlightBatch, Past, PlainOp, Prepared, Waiting};
use crate::forward::{Forwarded, Origin};
use crate::ids::{ClientToken, IoId, Key, MonoTime, NodeId, TimerId};
use crate::message::{Body, Message, RequestKind, Tag};
use crate::mutants::Mutant;
use crate::record::Record;
use crate::request::{Call, ClientRequest, Diagnostics, NotAppliedWhy, Outcome, Phase, UnknownWhy};
use crate::row::Update;
use rand::Rng;
use std::collections::VecDeque;

/// One key at one node.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    pub(crate) key: Key,
    pub(crate) acceptor: Acceptor,
    /// The newest batch that holds a record of this key. No answer may leave before it is durable,
    /// also one that changes nothing: a second copy of a propose arrives while the first is still
    /// on its way to the disk, and its answer claims the same.
    pub(crate) newest_io: IoId,
    /// The newest batch with a lazily learned row. Answers that claim the row is here must wait for
    /// it, and make sure that it is synced.
    pub(crate) lazy_io: IoId,
    /// The operations being coordinated: one, but for a mutant.
    pub(crate) active: Vec<Coordination>,
    /// A proposal at a ballot that was promised before, and the operations that share it.
    pub(crate) batch: Option<InFlightBatch>,
    /// When the timer of the key's batches goes off; the end of time if none is set.
    pub(crate) batch_timer_armed: MonoTime,
    /// Those whose shared proposal failed, in their order. Bounded by one proposal's worth.
    pub(crate) again: VecDeque<Coordination>,
    /// Those that wait, in the order they came. Bounded by `queue_per_key`.
    pub(crate) queue: VecDeque<Waiting>,
    /// Those at the holder of a lease. Bounded by `queue_per_key` as well.
    pub(crate) away: Vec<ForwardedOp>,
    /// Puts and gets of the last-write-wins path. Bounded by `queue_per_key` as well.
    pub(crate) plain: Vec<PlainOp>,
    /// Whose turn it is.
    pub(crate) turns: fair_queue::FairQueue,
    /// What is known of the own row under a read lease.
    pub(crate) fresh: Option<Fresh>,
    /// A ballot that is promised already, for the next operation.
    pub(crate) prepared: Option<Prepared>,
    /// Whether this key is counted among those that have one.
    pub(crate) listed: bool,
    pub(crate) place: u32,
    pub(crate) next_serial: u32,
    /// For a mutant: when something was last written here, by the wall clock.
    pub(crate) written_us: u64,
}

impl Slot {
    /// A key that nothing is known about, in the given place of the node's table.
    pub(crate) fn new(key: Key, place: u32) -> Self {
        Self {
            key,
            acceptor: Acceptor::default(),
            newest_io: IoId(0),
            lazy_io: IoId(0),
            active: Vec::new(),
            batch: None,
            batch_timer_armed: MonoTime(u64::MAX),
            again: VecDeque::new(),
            queue: VecDeque::new(),
            away: Vec::new(),
            plain: Vec::new(),
            turns: fair_queue::FairQueue::default(),
            fresh: None,
            prepared: None,
            listed: false,
            place,
            next_serial: 0,
            written_us: 0,
        }
    }

    /// Operations that are running or waiting.
    pub(crate) fn in_flight(&self) -> usize {
        let members = self.batch.as_ref().map_or(0, |batch| batch.members.len());
        self.active.len() + members + self.again.len() + self.queue.len() + self.away.len() + self.plain.len()
    }

    /// Takes a client's request: it runs if the key is free, else waits its turn.
    ///
    /// One operation a key at a time: two coordinators in one node would only outbid each other,
    /// and first come, first served is fair within the node.
    ///
    /// An operation that another node handed over has a past.
    pub(crate) fn admit<R: Rng + ?Sized>(&mut self, origin: Origin, request: ClientRequest, past: Past, env: &mut Env<'_, R>) {
        let timer = self.next_timer();
        let deadline = env.now.after_ns(request.timeout_ns);
        let mut waiting = Waiting { origin, request, deadline, arrived: env.now, timer, armed: MonoTime(u64::MAX), past };
        let holder = if past.stays() || self.away.len() >= env.shared.config.queue_per_key { None } else { env.known_holder(&self.key) };
        if let Some(holder) = holder {
            waiting.past.born_us = Some(self.acceptor.row().learned.micros);
            let diagnostics = Box::new(Diagnostics::new(waiting.request.op, env.quorum()));
            self.away.push(ForwardedOp::send(waiting, diagnostics, holder, env));
            return;
        }
        env.touch_lease(&self.key);
        if let Some(current) = self.local_read(&waiting.request, env) {
            self.answer_locally(waiting, current, env);
        } else if !self.is_busy() && self.queue.is_empty() && self.turns.expects_none() {
            self.queue.push_back(waiting);
            self.begin_next(env);
        } else if self.is_busy() && self.queue.len() >= env.shared.config.queue_per_key {
            env.shared.counters.queue_full += 1;
            refuse(waiting, NotAppliedWhy::Busy, env);
            self.leak_lock(env);
        } else {
            waiting.armed = deadline;
            env.timer(timer, deadline);
            let shown = self.prepared.as_ref().map(|prepared| prepared.row.data.value.as_ref());
            let has_learned = shown.is_none_or(|value| !fair_queue::only_shown(&waiting, value));
            self.turns.came(waiting.request.op.client, has_learned, env.now);
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

    /// Takes a client's put or get. It does not wait: nothing orders it among the others.
    pub(crate) fn admit_plain<R: Rng + ?Sized>(&mut self, token: ClientToken, request: PlainRequest, env: &mut Env<'_, R>) {
        if self.plain.len() >= env.shared.config.queue_per_key {
            env.shared.counters.queue_full += 1;
            let diagnostics = Box::new(Diagnostics::new(request.op, env.quorum()));
            reply(Origin::Client(token), &self.key, Outcome::NotApplied { why: NotAppliedWhy::Busy }, diagnostics, env);
            return;
        }
        let timer = self.next_timer();
        self.plain.push(PlainOp::begin(token, request, timer, env));
    }

    /// Takes a replica's answer to a put, or to a get with what it has.
    pub(crate) fn answer_plain<R: Rng + ?Sized>(&mut self, from: u32, tag: Tag, got: Option<Option<Cell>>, env: &mut Env<'_, R>) {
        let Some(at) = self.plain.iter().position(|plain| plain.is(tag)) else {
            env.shared.counters.answers_ignored += 1;
            return;
        };
        if let Some(outcome) = self.plain[at].answer(from, got) {
            self.end_plain(at, outcome, env);
        }
    }

    fn end_plain<R: Rng + ?Sized>(&mut self, at: usize, outcome: Outcome, env: &mut Env<'_, R>) {
        let ended = self.plain.swap_remove(at);
        reply(Origin::Client(ended.token), &self.key, outcome, ended.diagnostics(), env);
    }

    /// Answers a request from a coordinator. Returns the answer and the batch it must wait for.
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
                self.learn_later(tag.ballot, env);
                env.shared.state.replace(&before, &self.acceptor.bytes());
                return None;
            }
            Body::Prune { ballot } => self.acceptor.prune(&key, ballot, mutants),
            Body::Put { cell } => {
                // Ballots made here from now on are above it: what sees it is newer.
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
            // Nothing relies on it: a copy that comes back with a crash is in the way again, no more.
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
        let record = answer.record.or_else(|| self.claim(&answer.body, env));
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

    /// What was accepted at this ballot is chosen. There is no answer, so nothing waits for the disk.
    ///
    /// Safety: a promise or a row that reports this row before it is durable says nothing that a
    /// crash could make untrue. The row is chosen for good. And if a promise rests on it (claim 2 of
    /// `coordinator`: a fence above it may then be accepted here), its own record comes later in the
    /// log, so the sync that lets the promise out covers this one too. A crash before that sync takes
    /// back row and promise alike, as if the message had come later.
    fn learn_later<R: Rng + ?Sized>(&mut self, ballot: Ballot, env: &mut Env<'_, R>) {
        if let Some(record) = self.acceptor.chosen(&self.key, ballot, env.mutants()) {
            env.shared.counters.learns += 1;
            self.lazy_io = env.persist(record, Sync::Lazy);
        }
    }

    /// An answer that changes nothing but claims that the row is durable, while it is only on its
    /// way to the disk and no sync was requested: the row is written once more, so that there
    /// is a sync to wait for.
    fn claim<R: Rng + ?Sized>(&self, answer: &Body, env: &Env<'_, R>) -> Option<Record> {
        let claims = matches!(answer, Body::Accepted | Body::Learned { .. }) && self.lazy_io > env.shared.durable.max(self.newest_io);
        claims.then(|| Record::Learned { key: self.key.clone(), row: self.acceptor.row().clone() })
    }

    /// Takes an answer for the operation being coordinated.
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
            None => self.forward_if_held_off(at, env),
        }
    }

    /// An operation that a lease holds off goes to the holder, if it may, and the next one has its turn.
    fn forward_if_held_off<R: Rng + ?Sized>(&mut self, at: usize, env: &mut Env<'_, R>) {
        if let Some(holder) = self.active[at].leased.leaves.take() {
            let leaving = self.active.swap_remove(at);
            self.fresh = leaving.fresh_after(None, self.fresh);
            self.away.push(leaving.leave(holder, env));
            if !self.is_busy() {
                self.begin_next(env);
            }
        }
    }

    /// The holder has answered.
    pub(crate) fn on_forward_answer<R: Rng + ?Sized>(&mut self, from: NodeId, op: crate::OpId, answer: Forwarded, env: &mut Env<'_, R>) {
        env.note_holder(&self.key, answer.lease, from);
        let Some(at) = self.away.iter().position(|away| away.is(op, answer.serial)) else {
            env.shared.counters.answers_ignored += 1;
            return;
        };
        let (origin, outcome, diagnostics) = self.away.swap_remove(at).answered(answer);
        // The client takes it for one of this node's, which only rise.
        env.observe(diagnostics.ballot);
        reply(origin, &self.key, outcome, diagnostics, env);
    }

    /// The holder has not taken it.
    pub(crate) fn on_forward_refused<R: Rng + ?Sized>(&mut self, from: NodeId, op: crate::OpId, serial: u64, env: &mut Env<'_, R>) {
        env.note_holder(&self.key, None, from);
        let Some(at) = self.away.iter().position(|away| away.is(op, serial)) else {
            env.shared.counters.answers_ignored += 1;
            return;
        };
        // It has waited the longest: among equals it comes first.
        let waiting = self.away.swap_remove(at).back();
        self.queue.push_front(waiting);
        if !self.is_busy() {
            self.begin_next(env);
        }
    }

    /// A timer of this key went off.
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
                None => self.forward_if_held_off(at, env),
            }
        } else if let Some(at) = self.away.iter().position(|away| away.timer() == id) {
            if self.away[at].is_over(env.now) {
                let (origin, outcome, diagnostics) = self.away.swap_remove(at).lost();
                reply(origin, &self.key, outcome, diagnostics, env);
            }
        } else if let Some(at) = self.plain.iter().position(|plain| plain.timer == id) {
            if let Some(outcome) = self.plain[at].late(env.now) {
                self.end_plain(at, outcome, env);
            }
        } else if let Some(at) = self.again.iter().position(|waiting| waiting.timer == id) {
            if let Some(mut waiting) = self.again.remove(at) {
                match waiting.on_timer(&self.acceptor, env) {
                    Some(outcome) => self.finish(waiting, outcome, env),
                    None => self.again.insert(at, waiting),
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

    /// The mutant: an operation that never held the key's lock gives it back (Scylla #19698).
    fn leak_lock<R: Rng + ?Sized>(&mut self, env: &mut Env<'_, R>) {
        if env.mutants().has(Mutant::KeyLockLeak) {
            self.begin_next(env);
        }
    }

    fn end<R: Rng + ?Sized>(&mut self, at: usize, outcome: Outcome, env: &mut Env<'_, R>) {
        let mut ended = self.active.swap_remove(at);
        self.keep(ended.prepared.take(), env);
        let basis = ended.basis.take();
        let refused = self.piggyback_refusals(&ended, &outcome, basis.as_ref(), env);
        let half_ns = env.now.since_ns(ended.began) / 2;
        self.expect(refused, half_ns, half_ns, env);
        self.finish(ended, outcome, env);
        if !self.is_busy() {
            self.begin_next(env);
        }
    }

    /// The key is free: the next operation in the queue runs.
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

    /// The answer to a read from the own row, if a read lease allows it.
    ///
    /// Safety: the row is the newest while the lease runs that the last quorum round was sent under (see
    /// `note_lease`), if it is still the row that round was judged on and nothing is on its way here. `now` was read
    /// after the request had come, so the read is right at `now` and may be answered at any time later: it lies
    /// between the client's question and its answer, however long this process sleeps in between.
    fn local_read<R: Rng + ?Sized>(&self, request: &ClientRequest, env: &Env<'_, R>) -> Option<Outcome> {
        let own = self.acceptor.row();
        let holds = self.fresh?.holds(own.learned, env.own_lease(&self.key), env.now);
        let pending = self.acceptor.accepted().is_some_and(|held| held.ballot > own.learned && held.update != Update::Empty);
        let quiet = self.batch.is_none() && self.active.iter().all(Coordination::is_quiet);
        let reads = matches!(request.call, Call::Read) && quiet;
        (reads && holds && !pending).then(|| Outcome::Read { current: seen(own, self.acceptor.cell()).map(|cell| cell.value) })
    }

    /// Answers or gives back what needs no coordination here, or not any more.
    fn spare<R: Rng + ?Sized>(&self, waiting: Waiting, env: &mut Env<'_, R>) -> Option<Waiting> {
        if let Some(current) = self.local_read(&waiting.request, env) {
            self.answer_locally(waiting, current, env);
            return None;
        }
        // It has waited here while the lease ended. Nothing was done for it yet, so the node that handed it over may go on.
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
        // It was here before and went to a holder in between: what was proposed for it then may still be chosen.
        Call::Write { .. } | Call::Cas { .. } if waiting.past.open => Outcome::Unknown { why: UnknownWhy::Timeout },
        Call::Read | Call::Write { .. } | Call::Cas { .. } | Call::Fate { .. } => waiting.request.unserved(why),
    };
    reply(waiting.origin, &waiting.request.key, outcome, diagnostics, env);
}

/// Answers a client and counts the answer; or the node that handed the operation over, which answers the client.
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
    // Nothing to wait for: what the outcome rests on was durable before the answers to it came.
    env.out.push(Action::Reply { token, outcome, diagnostics, after: None });
}
