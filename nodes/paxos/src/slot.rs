//! One key at one node: its acceptor, the operation being coordinated, and those that wait.

use crate::acceptor::Acceptor;
use crate::action::{Action, Sync};
use crate::coordinator::{Coordination, Env, Waiting};
use crate::ids::{ClientToken, IoId, Key, MonoTime, TimerId};
use crate::message::{Body, Message};
use crate::mutants::Mutant;
use crate::request::{ClientRequest, Diagnostics, NotAppliedWhy, Outcome};
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
    place: u32,
    next_serial: u32,
}

impl Slot {
    /// A key that nothing is known about, in the given place of the node's table.
    pub(crate) fn new(key: Key, place: u32) -> Self {
        Self { key, acceptor: Acceptor::default(), newest_io: IoId(0), active: Vec::new(), queue: VecDeque::new(), place, next_serial: 0 }
    }

    /// Operations that are running or waiting.
    pub(crate) fn in_flight(&self) -> usize {
        self.active.len() + self.queue.len()
    }

    /// Takes a client's request: it runs if the key is free, else waits its turn.
    ///
    /// One operation a key at a time: two coordinators in one node would only outbid each other,
    /// and first come, first served is fair within the node.
    pub(crate) fn admit<R: Rng + ?Sized>(&mut self, token: ClientToken, request: ClientRequest, env: &mut Env<'_, R>) {
        self.next_serial = self.next_serial.wrapping_add(1);
        let timer = TimerId { slot: self.place, serial: self.next_serial };
        let deadline = env.now.after_ns(request.timeout_ns);
        let mut waiting = Waiting { token, request, deadline, timer, armed: MonoTime(u64::MAX) };
        if self.active.is_empty() {
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
        if let Some(outcome) = ended {
            self.end(at, outcome, env);
        }
    }

    /// A timer of this key went off.
    pub(crate) fn timer<R: Rng + ?Sized>(&mut self, id: TimerId, env: &mut Env<'_, R>) {
        if let Some(at) = self.active.iter().position(|active| active.timer == id) {
            if let Some(outcome) = self.active[at].on_timer(env) {
                self.end(at, outcome, env);
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
        reply(ended.token, outcome, ended.diagnostics, env);
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
                return;
            }
        }
    }

    fn begin<R: Rng + ?Sized>(&mut self, waiting: Waiting, env: &mut Env<'_, R>) {
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
    let outcome = waiting.request.unserved(why);
    reply(waiting.token, outcome, diagnostics, env);
}

/// Answers a client and counts the answer.
pub(crate) fn reply<R: Rng + ?Sized>(token: ClientToken, outcome: Outcome, diagnostics: Box<Diagnostics>, env: &mut Env<'_, R>) {
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
