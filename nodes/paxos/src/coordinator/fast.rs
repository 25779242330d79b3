//! The fast path: an already promised ballot, and the operations that share a proposal at it.
//!
//! In this mode, every proposal also requests the promise of the coordinator's next ballot. Once a quorum has
//! accepted at b and promised b', the coordinator has the newest row and may propose at b' without a prepare. All
//! operations waiting for the key join that proposal: they are evaluated in order, each on the row that results from
//! the previous one, and a single whole row is proposed for all of them.
//!
//! **Why it is safe.**
//! 1. *The row is the newest below b'.* A quorum accepted it at b and promised b' in one durable step each, so
//!    nothing is chosen between the two: see `act_on_chosen`. Or a quorum promised b' in a prepare, no update was
//!    unfinished, and nothing has been proposed at b' since.
//! 2. *Never an empty update.* The row of b may be accepted but not yet learned anywhere. An empty update at b' would
//!    overwrite it at the acceptors, and no coordinator could repair it any longer. So a read or a refused condition
//!    proposes the whole row again, which also serves as its fence.
//! 3. *A ballot carries one update.* A ballot leaves the cache before it is used. Without a quorum of accepts,
//!    neither the ballot nor the row is used again: some replica may have accepted the update, or another coordinator
//!    may have made a newer one. The operations continue one by one, each with a full prepare, and those with an
//!    update in the proposal count as proposed.
//! 4. *A freshly started process has no such ballot*: prepared ballots are never written to disk.
//! 5. *A reply from the middle of a batch* is sent only once the whole row is chosen: the batch takes effect at one
//!    ballot, in order.

use super::env::Env;
use super::evaluate::{Evaluation, stamp_above};
use super::prepared::Prepared;
use super::state::{Answers, Coordination, Decision, State};
use crate::acceptor::Acceptor;
use crate::action::Point;
use crate::ballot::Ballot;
use crate::cell::overlay;
use crate::ids::{Key, MonoTime};
use crate::message::{Body, Message, RequestKind, Tag};
use crate::mutants::Mutant;
use crate::quorum::NodeSet;
use crate::request::Outcome;
use crate::row::{Row, RowData, Update};
use rand::Rng;
use std::sync::Arc;

/// Collects the operations of one proposal.
#[derive(Debug, Clone)]
pub(crate) struct ProposalBuilder {
    prepared: Prepared,
    /// The row after all updates so far.
    data: Arc<RowData>,
    /// Stamp of all updates of this proposal.
    stamp_us: u64,
    updates: usize,
    members: Vec<Coordination>,
}

impl ProposalBuilder {
    pub(crate) fn new<R: Rng + ?Sized>(prepared: Prepared, own: &Acceptor, env: &Env<'_, R>) -> Self {
        // The ballot is older than the operations, but their stamp must not be: see `DedupeEntry`.
        let stamp_us = stamp_above(&prepared.row.data, env.shared.clock.last_micros().max(prepared.ballot.micros));
        let data = overlay(&prepared.row.data, prepared.row.learned.micros, own.cell());
        Self { data, prepared, stamp_us, updates: 0, members: Vec::new() }
    }

    /// Whether another operation fits. The limit keeps proposals small and leaves room in the table for entries of
    /// earlier operations.
    pub(crate) fn has_room<R: Rng + ?Sized>(&self, env: &Env<'_, R>) -> bool {
        let config = &env.shared.config;
        let most = (config.dedupe_entries.min(config.aborted_entries) / 2).max(1);
        self.members.len() < env.shared.config.batch_ops && self.updates < most
    }

    /// Whether the batch contains an update.
    pub(crate) fn has_update(&self) -> bool {
        self.updates > 0
    }

    /// The value seen by the next operation.
    pub(crate) fn value(&self) -> Option<&crate::Value> {
        self.data.value.as_ref()
    }

    /// Adds an operation, evaluating it on the row that results from the previous ones.
    pub(crate) fn add_op<R: Rng + ?Sized>(&mut self, mut op: Coordination, env: &Env<'_, R>) {
        let decision = match op.evaluate(&self.data, env) {
            Evaluation::Own => {
                self.data = op.row_with_update(&self.data, self.stamp_us, env);
                self.updates += 1;
                op.proposals.join(self.stamp_us);
                Decision::Own
            }
            Evaluation::Refused { current } => Decision::Shown { current },
            Evaluation::End(outcome) => Decision::Decided(outcome),
        };
        op.join(self.prepared.ballot, decision, env);
        self.members.push(op);
    }

    /// Proposes the row. If the batch is empty, returns the unused ballot.
    pub(crate) fn propose_batch<R: Rng + ?Sized>(mut self, key: &Key, env: &mut Env<'_, R>) -> Result<InFlightBatch, Prepared> {
        let Some(first) = self.members.iter().find(|op| op.is_own()).or(self.members.first()) else {
            return Err(self.prepared);
        };
        let tag = Tag { ballot: self.prepared.ballot, ..first.tag };
        let update =
            if self.updates == 0 && env.mutants().has(Mutant::FastProposesEmpty) { Update::Empty } else { Update::Row(self.data.clone()) };
        let next = env.next_ballot();
        env.touch_lease(key);
        for op in &mut self.members {
            op.note_batch(env);
        }
        let deadline = self.members.iter().map(|op| op.deadline).min().unwrap_or(MonoTime(u64::MAX));
        env.shared.counters.attempts += 1;
        env.shared.counters.round_trips += 1;
        let batch = InFlightBatch {
            tag,
            next,
            before: self.prepared.row,
            after: self.data,
            update,
            members: self.members,
            answers: Answers::default(),
            sent: env.now,
            wake: env.now.after_ns(env.shared.config.resend_after_ns),
            deadline,
        };
        let points = if self.updates > 0 { (Some(Point::AfterProposeFirst), Some(Point::AfterProposeAll)) } else { (None, None) };
        env.broadcast(key, tag, &batch.body(), NodeSet::EMPTY, points.0, points.1);
        Ok(batch)
    }
}

/// A proposal in flight.
#[derive(Debug, Clone)]
pub(crate) struct InFlightBatch {
    pub(crate) tag: Tag,
    /// Promised along with each accept.
    pub(crate) next: Ballot,
    /// The row before and after the proposal.
    pub(crate) before: Row,
    pub(crate) after: Arc<RowData>,
    pub(crate) update: Update,
    pub(crate) members: Vec<Coordination>,
    pub(crate) answers: Answers,
    pub(crate) sent: MonoTime,
    pub(crate) wake: MonoTime,
    /// The earliest time limit of the members.
    pub(crate) deadline: MonoTime,
}

/// The status of a batch after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BatchStatus {
    /// The batch is in flight.
    Waiting,
    /// A quorum has accepted.
    Chosen,
    /// Too many rejects: another coordinator has a higher ballot.
    Outbid,
    /// Too few replies arrived in time.
    Lost,
}

impl InFlightBatch {
    fn body(&self) -> Body {
        Body::Propose { update: self.update.clone(), next: Some(self.next) }
    }

    /// Handles a reply to exactly this proposal from the member at `place`.
    pub(crate) fn on_answer<R: Rng + ?Sized>(&mut self, place: u32, message: &Message, env: &mut Env<'_, R>) -> BatchStatus {
        match &message.body {
            Body::Accepted => {
                if self.answers.yes(place, env.mutants()) && self.answers.count >= env.quorum() {
                    env.shared.latencies.record(env.now, env.now.since_ns(self.sent));
                    return BatchStatus::Chosen;
                }
            }
            Body::Reject { request: RequestKind::Propose, seen } => {
                env.observe(*seen);
                for op in &mut self.members {
                    op.diagnostics.max_seen_ballot = op.diagnostics.max_seen_ballot.max(*seen);
                }
                return self.on_refusal(place, env);
            }
            // Another node has a lease. The first member of the batch will have to wait for the lease, or be
            // forwarded.
            Body::Busy { request: RequestKind::Propose, holder, remaining_ns } => {
                if let Some(first) = self.members.first_mut() {
                    first.note_busy(*holder, *remaining_ns, env);
                }
                return self.on_refusal(place, env);
            }
            Body::Reject { request: RequestKind::Prepare | RequestKind::Read, .. }
            | Body::Promise { .. }
            | Body::RowRead { .. }
            | Body::Learned { .. }
            | Body::Prepare { .. }
            | Body::Read { .. }
            | Body::Propose { .. }
            | Body::Learn { .. }
            | Body::Chosen
            | Body::Prune { .. }
            | Body::Pruned { .. }
            | Body::Busy { request: RequestKind::Prepare | RequestKind::Read, .. }
            | Body::Forward(_)
            | Body::Forwarded(_)
            | Body::NotHolder { .. }
            | Body::Put { .. }
            | Body::PutDone
            | Body::Get
            | Body::Got { .. } => env.shared.counters.answers_ignored += 1,
        }
        BatchStatus::Waiting
    }

    fn on_refusal<R: Rng + ?Sized>(&mut self, place: u32, env: &Env<'_, R>) -> BatchStatus {
        self.answers.no.insert(place);
        if self.answers.no.count() > env.tolerable_rejects() {
            return BatchStatus::Outbid;
        }
        // As in any round, the other replicas may still form a quorum, but they get only a short time for it.
        self.wake = self.wake.min(env.now.after_ns(env.shared.config.reject_grace_ns));
        BatchStatus::Waiting
    }

    /// When the batch must be checked again.
    pub(crate) fn due(&self) -> MonoTime {
        self.wake.min(self.deadline)
    }

    /// Handles the passing of time. Removes the operations whose time is up and answers them with what is known so
    /// far.
    pub(crate) fn on_timer<R: Rng + ?Sized>(&mut self, key: &Key, env: &mut Env<'_, R>) -> (BatchStatus, Vec<Coordination>) {
        let late: Vec<Coordination> = self.members.extract_if(.., |op| env.now >= op.deadline).collect();
        self.deadline = self.members.iter().map(|op| op.deadline).min().unwrap_or(MonoTime(u64::MAX));
        if self.members.is_empty() {
            return (BatchStatus::Lost, late);
        }
        if env.now < self.wake {
            return (BatchStatus::Waiting, late);
        }
        if self.answers.no.count() > 0 {
            return (BatchStatus::Outbid, late);
        }
        if self.answers.resends >= env.shared.config.resends_per_round {
            return (BatchStatus::Lost, late);
        }
        self.answers.resends += 1;
        env.shared.counters.resends += 1;
        env.broadcast(key, self.tag, &self.body(), self.answers.yes, None, None);
        self.wake = env.now.after_ns(env.shared.config.resend_after_ns << self.answers.resends.min(16));
        (BatchStatus::Waiting, late)
    }

    /// Completes a chosen batch: returns the outcomes, in order, and the prepared ballot for the next proposal.
    pub(crate) fn complete(self) -> (Vec<(Coordination, Outcome)>, Prepared) {
        let accepts = self.answers.count;
        let ballot = self.tag.ballot;
        let finish = |mut op: Coordination| {
            op.diagnostics.accepts = accepts;
            op.leased.row = ballot;
            let outcome = op.decision();
            (op, outcome)
        };
        let results = self.members.into_iter().map(finish).collect();
        (results, Prepared { ballot: self.next, row: Row { learned: ballot, data: self.after } })
    }

    /// Gives up a failed batch: its operations continue individually. The mutant keeps the prepared ballot, which is
    /// the bug.
    pub(crate) fn abandon<R: Rng + ?Sized>(self, env: &mut Env<'_, R>) -> (Vec<Coordination>, Option<Prepared>) {
        let mut members = self.members;
        for op in &mut members {
            op.diagnostics.accepts = self.answers.count;
            op.diagnostics.rejects = self.answers.no.count();
            op.leave_batch();
        }
        let kept = if env.mutants().has(Mutant::ReuseBallot) {
            Some(self.tag.ballot)
        } else if env.mutants().has(Mutant::FastKeepsCacheAfterFailure) {
            Some(env.next_ballot())
        } else {
            None
        };
        (members, kept.map(|ballot| Prepared { ballot, row: self.before.clone() }))
    }
}

impl Coordination {
    /// Joins a proposal at `ballot`.
    fn join<R: ?Sized>(&mut self, ballot: Ballot, decision: Decision, env: &Env<'_, R>) {
        self.tag.attempt += 1;
        self.tag.ballot = ballot;
        self.state = State::Batched { decision };
        let quorum = env.shared.members.quorum();
        let diagnostics = &mut self.diagnostics;
        diagnostics.ballot = ballot;
        diagnostics.rounds += 1;
        // Each operation waits for a whole round trip. The node's counter counts the shared round trip only once.
        diagnostics.round_trips += 1;
        (diagnostics.promises, diagnostics.accepts, diagnostics.rejects) = (quorum, 0, 0);
    }

    /// Leaves the batch, to run individually.
    fn leave_batch(&mut self) {
        self.state = State::Backoff;
        self.wake = MonoTime(u64::MAX);
    }

    /// Whether the operation's own update is in the proposal.
    pub(crate) fn is_own(&self) -> bool {
        matches!(&self.state, State::Batched { decision: Decision::Own })
    }

    /// The outcome once the proposal is chosen.
    fn decision(&self) -> Outcome {
        match &self.state {
            State::Batched { decision: Decision::Own } => self.chosen_outcome(),
            State::Batched { decision: Decision::Shown { current } } => self.refused_outcome(current.clone()),
            State::Batched { decision: Decision::Decided(outcome) } => outcome.clone(),
            State::Prepare(_)
            | State::Read { .. }
            | State::Refresh { .. }
            | State::Propose { .. }
            | State::Learn { .. }
            | State::Backoff => unreachable!("only members of a batch are asked"),
        }
    }
}
