//! The fast path of a key: selects the operations that join a proposal, and handles its result.

use super::Slot;
use super::refuse;
use super::reply_throttle::is_refused;
use crate::coordinator::{BatchStatus, Coordination, Env, InFlightBatch, Prepared, ProposalBuilder, Waiting};
use crate::ids::{MonoTime, TimerId};
use crate::message::{Body, Message};
use crate::quorum::NodeSet;
use crate::request::{NotAppliedWhy, Outcome};
use rand::Rng;

impl Slot {
    /// If a ballot is already promised, proposes all waiting operations at it, up to the size limit. Returns whether
    /// a proposal was sent.
    pub(super) fn propose_batch<R: Rng + ?Sized>(&mut self, env: &mut Env<'_, R>) -> bool {
        if self.batch.is_some() || !self.active.is_empty() || (self.retries.is_empty() && self.queue.is_empty()) {
            return false;
        }
        if self.is_reserved(env) {
            return false;
        }
        let Some(prepared) = self.prepared.take().filter(|prepared| prepared.is_current(&self.acceptor, env)) else {
            return false;
        };
        let mut builder = ProposalBuilder::new(prepared, &self.acceptor, env);
        self.sort_by_turns(env);
        let mut refused = vec![];
        while builder.has_room(env) {
            if let Some(mut op) = self.retries.pop_front() {
                if op.is_too_late(env) {
                    let outcome = op.on_deadline(env);
                    self.finish(op, outcome, env);
                } else {
                    builder.add_op(op, env);
                }
            } else if let Some(waiting) = self.queue.pop_front() {
                if is_refused(&waiting, &builder, env) {
                    refused.push(waiting);
                } else if let Some(op) = self.begin(waiting, env) {
                    builder.add_op(op, env);
                }
            } else {
                break;
            }
        }
        self.add_refused(refused, &mut builder, env);
        match builder.propose_batch(&self.key, env) {
            Ok(batch) => {
                self.batch = Some(batch);
                self.note_batch_turns();
                self.arm_batch_timer(env);
                true
            }
            Err(unused) => {
                self.keep(Some(unused), env);
                false
            }
        }
    }

    /// Returns the next operation in turn. Operations that have been tried before come first. Operations that end
    /// before they begin are answered here.
    pub(super) fn next_waiting<R: Rng + ?Sized>(&mut self, env: &mut Env<'_, R>) -> Option<Coordination> {
        if let Some(op) = self.retries.pop_front() {
            return Some(op);
        }
        self.sort_by_turns(env);
        while let Some(waiting) = self.queue.pop_front() {
            if let Some(op) = self.begin(waiting, env) {
                return Some(op);
            }
        }
        None
    }

    /// Begins a waiting operation, unless it is too late or already answered.
    pub(super) fn begin<R: Rng + ?Sized>(&mut self, waiting: Waiting, env: &mut Env<'_, R>) -> Option<Coordination> {
        if env.now >= waiting.deadline {
            refuse(waiting, NotAppliedWhy::TimeoutInQueue, env);
            return None;
        }
        let waiting = self.answer_or_return(waiting, env)?;
        match Coordination::new(waiting, &self.acceptor, env) {
            (op, Some(outcome)) => {
                self.finish(op, outcome, env);
                None
            }
            (op, None) => Some(op),
        }
    }

    /// Handles a reply to the current proposal.
    pub(super) fn batch_answer<R: Rng + ?Sized>(&mut self, from: u32, message: &Message, env: &mut Env<'_, R>) {
        if let Some(batch) = &mut self.batch {
            let status = batch.on_answer(from, message, env);
            self.on_batch_status(status, env);
        }
    }

    /// Handles the timer of the key's batches.
    pub(super) fn batch_timer<R: Rng + ?Sized>(&mut self, env: &mut Env<'_, R>) {
        if env.now < self.batch_timer_armed {
            return;
        }
        self.batch_timer_armed = MonoTime(u64::MAX);
        self.advance_batch(env);
    }

    /// Resends the batch or gives it up, and answers the operations whose time is up.
    pub(super) fn advance_batch<R: Rng + ?Sized>(&mut self, env: &mut Env<'_, R>) {
        let Some(batch) = &mut self.batch else {
            return;
        };
        let (status, late) = batch.on_timer(&self.key, env);
        for mut op in late {
            let outcome = op.on_deadline(env);
            self.finish(op, outcome, env);
        }
        self.on_batch_status(status, env);
    }

    fn on_batch_status<R: Rng + ?Sized>(&mut self, status: BatchStatus, env: &mut Env<'_, R>) {
        match status {
            BatchStatus::Waiting => self.arm_batch_timer(env),
            BatchStatus::Chosen => {
                if let Some(batch) = self.batch.take() {
                    self.complete(batch, env);
                }
            }
            BatchStatus::Outbid | BatchStatus::Lost => {
                if let Some(batch) = self.batch.take() {
                    self.abandon(batch, status, env);
                }
            }
        }
    }

    fn complete<R: Rng + ?Sized>(&mut self, batch: InFlightBatch, env: &mut Env<'_, R>) {
        let tag = batch.tag;
        let round_ns = env.now.since_ns(batch.sent);
        let (replies, prepared) = batch.complete();
        let row = prepared.row.clone();
        self.keep(Some(prepared), env);
        let refused = replies.iter().filter(|(_, outcome)| matches!(outcome, Outcome::ConditionNotMet { .. }));
        let (all_ns, one_ns) = self.turns.returns.wait_times_ns(round_ns);
        self.reserve_for(refused.map(|(op, _)| op.op().client).collect(), all_ns, one_ns, env);
        for (op, outcome) in replies {
            self.finish(op, outcome, env);
        }
        // The next proposal contains this row, so its acceptors need no separate learn message.
        if !self.propose_batch(env) {
            env.enqueue_prune(&self.key, &row);
            let points = (Some(crate::Point::AfterLearnFirst), Some(crate::Point::AfterLearnAll));
            env.broadcast(&self.key, tag, &Body::Chosen, NodeSet::EMPTY, points.0, points.1);
            if !self.is_busy() {
                self.begin_next(env);
            }
        }
    }

    /// Continues the operations one by one, in order, ahead of those that have not been tried yet.
    fn abandon<R: Rng + ?Sized>(&mut self, batch: InFlightBatch, status: BatchStatus, env: &mut Env<'_, R>) {
        let (members, kept) = batch.abandon(env);
        // The proposal may still be chosen, in which case this node's own row is not the newest.
        self.fresh = None;
        for mut op in members.into_iter().rev() {
            op.arm(env);
            self.retries.push_front(op);
        }
        self.keep(kept, env);
        if self.prepared.is_some() && self.propose_batch(env) {
            return;
        }
        let Some(mut op) = self.retries.pop_front() else {
            self.begin_next(env);
            return;
        };
        let ended = if status == BatchStatus::Outbid { op.outbid(env) } else { op.give_up_attempt(env) };
        self.active.push(op);
        let at = self.active.len() - 1;
        match ended {
            Some(outcome) => self.end(at, outcome, env),
            None => self.forward_held_off(at, env),
        }
    }

    /// Keeps a promised ballot for the next operation on this key, and drops the previous one.
    pub(super) fn keep<R: Rng + ?Sized>(&mut self, prepared: Option<Prepared>, env: &mut Env<'_, R>) {
        self.prepared = prepared;
        if self.prepared.is_some() && !self.listed {
            self.listed = true;
            env.shared.prepared_keys.push_back(self.place);
        }
    }

    /// Drops the prepared ballot, because other keys need the space. The next operation on this key prepares again.
    pub(crate) fn forget_prepared(&mut self) {
        self.prepared = None;
        self.listed = false;
    }

    pub(super) fn arm_batch_timer<R: Rng + ?Sized>(&mut self, env: &mut Env<'_, R>) {
        let Some(due) = self.batch.as_ref().map(InFlightBatch::due) else {
            return;
        };
        // One timer serves many batches: it may fire early, check, and be set again.
        if due < self.batch_timer_armed {
            self.batch_timer_armed = due;
            env.timer(TimerId { slot: self.place, serial: BATCH_SERIAL }, due);
        }
    }

    /// Whether a mutant has started an operation while another one is running.
    pub(super) fn is_busy(&self) -> bool {
        !self.active.is_empty() || self.batch.is_some()
    }

    /// Ends an operation that has been removed from all lists.
    pub(super) fn finish<R: Rng + ?Sized>(&mut self, mut ended: Coordination, outcome: Outcome, env: &mut Env<'_, R>) {
        ended.announce_end(env);
        ended.finish_diagnostics(&outcome);
        self.fresh = ended.fresh_after(Some(&outcome), self.fresh);
        super::reply(ended.origin, &self.key, outcome, ended.diagnostics, env);
    }
}

/// Serial number of the timer for the key's batches. Operations count from 1.
pub(super) const BATCH_SERIAL: u32 = 0;
