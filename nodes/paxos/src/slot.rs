//! One key at one node: its acceptor, the operation being coordinated, and those that wait.

use crate::acceptor::Acceptor;
use crate::action::{Action, Sync};
use crate::away::Away;
use crate::coordinator::{Coordination, Env, Fresh, Past, Waiting};
use crate::forward::{Forwarded, Origin};
use crate::ids::{IoId, Key, MonoTime, NodeId, TimerId};
use crate::message::{Body, Message};
use crate::mutants::Mutant;
use crate::request::{Call, ClientRequest, Diagnostics, NotAppliedWhy, Outcome, Phase, UnknownWhy};
use crate::row::Update;
use rand::Rng;
use std::collections::VecDeque;

/// One key at one node.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) key: Key,
    pub(crate) acceptor: Acceptor,
    /// The newest batch that holds a record of this key. No answer may leave before it is durable,
    /// also one that changes nothing: a second copy of a propose arrives while the first is still
    /// on its way to the disk, and its answer claims the same.
    newest_io: IoId,
    /// The operations being coordinated: one, but for a mutant.
    active: Vec<Coordination>,
    /// Those that wait, in the order they came. Bounded by `queue_per_key`.
    queue: VecDeque<Waiting>,
    /// Those at the holder of a lease. Bounded by `queue_per_key` as well.
    away: Vec<Away>,
    /// What is known of the own row under a read lease.
    fresh: Option<Fresh>,
    place: u32,
    next_serial: u32,
}

impl Slot {
    /// A key that nothing is known about, in the given place of the node's table.
    pub(crate) fn new(key: Key, place: u32) -> Self {
        Self {
            key,
            acceptor: Acceptor::default(),
            newest_io: IoId(0),
            active: Vec::new(),
            queue: VecDeque::new(),
            away: Vec::new(),
            fresh: None,
            place,
            next_serial: 0,
        }
    }

    /// Operations that are running or waiting.
    pub(crate) fn in_flight(&self) -> usize {
        self.active.len() + self.queue.len() + self.away.len()
    }

    /// Takes a client's request: it runs if the key is free, else waits its turn.
    ///
    /// One operation a key at a time: two coordinators in one node would only outbid each other,
    /// and first come, first served is fair within the node.
    ///
    /// An operation that another node handed over has a past.
    pub(crate) fn admit<R: Rng + ?Sized>(&mut self, origin: Origin, request: ClientRequest, past: Past, env: &mut Env<'_, R>) {
        self.next_serial = self.next_serial.wrapping_add(1);
        let timer = TimerId { slot: self.place, serial: self.next_serial };
        let deadline = env.now.after_ns(request.timeout_ns);
        let mut waiting = Waiting { origin, request, deadline, timer, armed: MonoTime(u64::MAX), past };
        let holder = if past.stays() || self.away.len() >= env.shared.config.queue_per_key { None } else { env.known_holder(&self.key) };
        if let Some(holder) = holder {
            waiting.past.born_us = Some(self.acceptor.row().learned.micros);
            let diagnostics = Box::new(Diagnostics::new(waiting.request.op, env.quorum()));
            self.away.push(Away::send(waiting, diagnostics, holder, env));
            return;
        }
        env.touch_lease(&self.key);
        if let Some(current) = self.local_read(&waiting.request, env) {
            self.answer_locally(waiting, current, env);
        } else if self.active.is_empty() {
            self.begin(waiting, env);
        } else if self.queue.len() >= env.shared.config.queue_per_key {
            env.shared.counters.queue_full += 1;
            refuse(waiting, NotAppliedWhy::Busy, env);
            self.leak_lock(env);
        } else {
            waiting.armed = deadline;
            env.timer(timer, deadline);
            self.queue.push_back(waiting);
        }
    }

    /// Answers a request from a coordinator. Returns the answer and the batch it must wait for.
    pub(crate) fn serve<R: Rng + ?Sized>(&mut self, message: Message, env: &mut Env<'_, R>) -> Option<(Message, Option<IoId>)> {
        let Message { key, tag, body } = message;
        let mutants = env.mutants();
        let answer = match body {
            Body::Prepare => self.acceptor.prepare(&key, tag.ballot, mutants),
            Body::Read { have } => self.acceptor.read(tag.ballot, have),
            Body::Propose { update } => self.acceptor.propose(&key, tag.ballot, update, mutants),
            Body::Learn { row } => self.acceptor.learn(&key, row, mutants),
            Body::Promise { .. } | Body::RowRead { .. } | Body::Accepted | Body::Learned { .. } | Body::Reject { .. } => return None,
            Body::Busy { .. } | Body::Forward(_) | Body::Forwarded(_) | Body::NotHolder { .. } => return None,
        };
        let unsynced = match &answer.body {
            Body::Promise { .. } => mutants.has(Mutant::PromiseNotSynced),
            Body::Accepted => mutants.has(Mutant::AcceptNotSynced),
            _ => false,
        };
        let counters = &mut env.shared.counters;
        match &answer.body {
            Body::Promise { .. } => counters.promises += 1,
            Body::Accepted => counters.accepts += u64::from(answer.record.is_some()),
            Body::Learned { .. } => counters.learns += u64::from(answer.record.is_some()),
            Body::Reject { .. } => counters.rejects += 1,
            Body::RowRead { .. } | Body::Prepare | Body::Read { .. } | Body::Propose { .. } | Body::Learn { .. } => {}
            Body::Busy { .. } | Body::Forward(_) | Body::Forwarded(_) | Body::NotHolder { .. } => {}
        }
        if let Some(record) = answer.record {
            let sync = if unsynced { Sync::Lazy } else { Sync::Required };
            let io_id = env.persist(record, sync);
            if !unsynced {
                self.newest_io = io_id;
            }
        }
        let after = (self.newest_io > env.shared.durable && !unsynced).then_some(self.newest_io);
        Some((Message { key, tag, body: answer.body }, after))
    }

    /// Takes an answer for the operation being coordinated.
    pub(crate) fn answer<R: Rng + ?Sized>(&mut self, from: u32, message: Message, env: &mut Env<'_, R>) {
        let Some(at) = self.active.iter().position(|active| active.tag.op == message.tag.op) else {
            env.shared.counters.answers_ignored += 1;
            return;
        };
        let ended = self.active[at].on_answer(from, message, &self.acceptor, env);
        match ended {
            Some(outcome) => self.end(at, outcome, env),
            None => self.let_leave(at, env),
        }
    }

    /// An operation that a lease holds off goes to the holder, if it may, and the next one has its turn.
    fn let_leave<R: Rng + ?Sized>(&mut self, at: usize, env: &mut Env<'_, R>) {
        if let Some(holder) = self.active[at].leased.leaves.take() {
            let leaving = self.active.swap_remove(at);
            self.fresh = leaving.fresh_after(None, self.fresh);
            self.away.push(leaving.leave(holder, env));
            if self.active.is_empty() {
                self.begin_next(env);
            }
        }
    }

    /// The holder has answered.
    pub(crate) fn come_back<R: Rng + ?Sized>(&mut self, from: NodeId, op: crate::OpId, told: Forwarded, env: &mut Env<'_, R>) {
        env.heard_holder(&self.key, told.lease, from);
        let Some(at) = self.away.iter().position(|away| away.is(op, told.serial)) else {
            env.shared.counters.answers_ignored += 1;
            return;
        };
        let (origin, outcome, diagnostics) = self.away.swap_remove(at).answered(told);
        // The client takes it for one of this node's, which only rise.
        env.observe(diagnostics.ballot);
        reply(origin, &self.key, outcome, diagnostics, env);
    }

    /// The holder has not taken it.
    pub(crate) fn not_taken<R: Rng + ?Sized>(&mut self, from: NodeId, op: crate::OpId, serial: u64, env: &mut Env<'_, R>) {
        env.heard_holder(&self.key, None, from);
        let Some(at) = self.away.iter().position(|away| away.is(op, serial)) else {
            env.shared.counters.answers_ignored += 1;
            return;
        };
        // It has waited the longest: it comes first.
        let waiting = self.away.swap_remove(at).back();
        self.queue.push_front(waiting);
        if self.active.is_empty() {
            self.begin_next(env);
        }
    }

    /// A timer of this key went off.
    pub(crate) fn timer<R: Rng + ?Sized>(&mut self, id: TimerId, env: &mut Env<'_, R>) {
        if let Some(at) = self.active.iter().position(|active| active.timer == id) {
            match self.active[at].on_timer(env) {
                Some(outcome) => self.end(at, outcome, env),
                None => self.let_leave(at, env),
            }
        } else if let Some(at) = self.away.iter().position(|away| away.timer() == id) {
            if self.away[at].is_over(env.now) {
                let (origin, outcome, diagnostics) = self.away.swap_remove(at).lost();
                reply(origin, &self.key, outcome, diagnostics, env);
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
        ended.announce_end(env);
        ended.finish_diagnostics(&outcome);
        self.fresh = ended.fresh_after(Some(&outcome), self.fresh);
        reply(ended.origin, &self.key, outcome, ended.diagnostics, env);
        if self.active.is_empty() {
            self.begin_next(env);
        }
    }

    fn begin_next<R: Rng + ?Sized>(&mut self, env: &mut Env<'_, R>) {
        while let Some(waiting) = self.queue.pop_front() {
            if env.now >= waiting.deadline {
                refuse(waiting, NotAppliedWhy::TimeoutInQueue, env);
            } else {
                self.begin(waiting, env);
                if !self.active.is_empty() {
                    return;
                }
            }
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
        let reads = matches!(request.call, Call::Read) && self.active.iter().all(Coordination::is_quiet);
        (reads && holds && !pending).then(|| Outcome::Read { current: own.data.value.clone() })
    }

    fn begin<R: Rng + ?Sized>(&mut self, waiting: Waiting, env: &mut Env<'_, R>) {
        if let Some(current) = self.local_read(&waiting.request, env) {
            self.answer_locally(waiting, current, env);
            return;
        }
        // It has waited here while the lease ended. Nothing was done for it yet, so whoever handed it over may go on.
        if let (Origin::Node { to, serial, tag }, None) = (waiting.origin, env.own_lease(&self.key)) {
            env.shared.counters.forwards_refused += 1;
            env.send_to(to, &self.key, tag, Body::NotHolder { serial });
            return;
        }
        env.shared.counters.overlaps += u64::from(!self.active.is_empty());
        let (active, ended) = Coordination::begin(waiting, &self.acceptor, env);
        self.active.push(active);
        if let Some(outcome) = ended {
            self.end(self.active.len() - 1, outcome, env);
        }
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
