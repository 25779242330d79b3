//! Rounds 3 and 4: acts on the newest row, and on a quorum of accepts.

use super::env::Env;
use super::evaluate::{Evaluation, stamp_above};
use super::prepared::Prepared;
use super::state::{Basis, Coordination, Hidden, LearnGoal, ProposeGoal, State};
use crate::action::Point;
use crate::ballot::Ballot;
use crate::cell::overlay;
use crate::ids::MonoTime;
use crate::lease::LeaseMode;
use crate::message::Body;
use crate::mutants::Mutant;
use crate::quorum::NodeSet;
use crate::request::Outcome;
use crate::row::{Lookup, OpFate, Row, RowData, Update};
use rand::Rng;
use std::sync::Arc;

impl Coordination {
    /// Evaluates the operation on the row reported by all members of a promising quorum, and proposes accordingly.
    pub(super) fn act_on<R: Rng + ?Sized>(&mut self, row: &Row, env: &mut Env<'_, R>) -> Option<Outcome> {
        if self.is_too_late(env) {
            return Some(self.on_deadline(env));
        }
        self.leased.row = row.learned;
        let data = self.with_cell(row);
        match self.evaluate(&data, env) {
            Evaluation::Own => self.propose_own(&data, env),
            Evaluation::Refused { current } if self.skips_fence(env) => return Some(self.refused_outcome(current)),
            Evaluation::Refused { current } => {
                self.set_basis(&data, env.now);
                self.propose(ProposeGoal::Fence { current, update: Update::Empty }, env);
            }
            Evaluation::End(outcome) => return Some(outcome),
        }
        None
    }

    /// The same for modes that propose only whole rows. The row is the newest one reported by a promising quorum.
    ///
    /// **No refresh.** Only an *empty* update requires all members to report the row, since it can hide an older
    /// update from a later coordinator (claim 2). A whole row hides nothing, since it contains the row that it builds
    /// on.
    ///
    /// **No fence** before a read is answered, if no member reported an accepted update above the row. The quorum
    /// that accepted any update chosen before this prepare shares a member with the promising quorum. That member
    /// reported the update, or a row that contains it. So this row contains the update, and the read misses nothing
    /// that has been acknowledged to any client. The row itself is chosen, so no later read sees an older state.
    /// Another coordinator can still finish an update below this ballot that no member reported. Such an update has
    /// not been acknowledged to any client yet, and is ordered after this read. But an empty update above the row may
    /// hide a chosen one, so in that case the row is proposed again. The same applies if this operation has proposed
    /// before, since its outcome claims that none of those proposals will ever take effect.
    pub(super) fn act_on_promised<R: Rng + ?Sized>(&mut self, row: &Row, hidden: Hidden, env: &mut Env<'_, R>) -> Option<Outcome> {
        if self.is_too_late(env) {
            return Some(self.on_deadline(env));
        }
        self.leased.row = row.learned;
        if row.learned > self.have && env.shared.config.lease.mode == LeaseMode::Read {
            // Nothing else brings this node up to date, and local reads are served only from the row stored here.
            let me = env.shared.me;
            env.send(me, &self.request.key, self.tag, Body::Learn { row: row.clone() });
        }
        // The node that forwarded the operation may also have proposed it.
        let untouched = hidden == Hidden::Nothing && self.proposals.first_us.is_none() && !self.proposals.earlier_open;
        let data = self.with_cell(row);
        match self.evaluate(&data, env) {
            Evaluation::Own => self.propose_own(&data, env),
            Evaluation::Refused { current } if untouched || self.skips_fence(env) => {
                // Nothing was proposed at this ballot, which a quorum has promised.
                self.set_basis(&data, self.round_began);
                self.keep_prepared(self.tag.ballot, row.clone(), env);
                return Some(self.refused_outcome(current));
            }
            Evaluation::Refused { current } => {
                self.set_basis(&data, env.now);
                self.propose(ProposeGoal::Fence { current, update: Update::Row(data) }, env);
            }
            Evaluation::End(outcome) => return Some(outcome),
        }
        None
    }

    /// Called when the row has just been chosen at this attempt's ballot, and the replicas that accepted it promised
    /// `next`.
    ///
    /// Safety: no prepare is needed at `next`. A quorum accepted the row and promised `next` in one step each, so
    /// nothing can be chosen between the two ballots: a replica that accepted something in between did so either
    /// earlier, and then it rejected the row, or later, and then it broke its promise. So the row is the newest for
    /// `next`, as if a prepare had reported it. For a read or a refused CAS, the row is its own fence: nothing below
    /// its ballot can be chosen any longer.
    fn act_on_chosen<R: Rng + ?Sized>(&mut self, row: &Row, next: Ballot, env: &mut Env<'_, R>) -> Option<Outcome> {
        if self.is_too_late(env) {
            return Some(self.on_deadline(env));
        }
        let data = self.with_cell(row);
        match self.evaluate(&data, env) {
            Evaluation::Own => {
                let promises = self.answers.count;
                self.set_ballot(next, env);
                self.diagnostics.promises = promises;
                self.propose_own(&data, env);
                None
            }
            Evaluation::Refused { current } => {
                self.set_basis(&data, self.round_began);
                self.keep_prepared(next, row.clone(), env);
                Some(self.refused_outcome(current))
            }
            Evaluation::End(outcome) => {
                self.keep_prepared(next, row.clone(), env);
                Some(outcome)
            }
        }
    }

    /// Whether time is up although the timer has not fired yet: a process that was stopped handles messages before
    /// timers when it resumes. Nothing new may be proposed then. Otherwise
    ///   n1 stops; the client gives up and sends again to n2, which applies the operation;
    ///   the row forgets it; n1 continues, does not find it in the row, and applies it again.
    pub(crate) fn is_too_late<R: Rng + ?Sized>(&self, env: &Env<'_, R>) -> bool {
        env.now >= self.deadline
    }

    /// The content of a row as clients of this node see it: overlaid with the put stored by this node's own replica,
    /// if the put is newer.
    fn with_cell(&self, row: &Row) -> Arc<RowData> {
        overlay(&row.data, row.learned.micros, self.cell.as_ref())
    }

    fn propose_own<R: Rng + ?Sized>(&mut self, data: &RowData, env: &mut Env<'_, R>) {
        let own = self.row_with_update(data, stamp_above(data, self.tag.ballot.micros), env);
        self.set_basis(&own, env.now);
        self.propose(ProposeGoal::Own(own), env);
    }

    /// Records the row on which the outcome will be based. A quorum decides on the row no earlier than `since`: see
    /// `answer_piggybacked`.
    fn set_basis(&mut self, row: &Arc<RowData>, since: MonoTime) {
        self.basis = Some(Basis { row: row.clone(), since });
    }

    /// Keeps a promised ballot for the next operation on this key.
    fn keep_prepared<R: Rng + ?Sized>(&mut self, ballot: Ballot, row: Row, env: &Env<'_, R>) {
        if env.shared.config.rounds.prepares_next_ballot() {
            self.prepared = Some(Prepared { ballot, row });
        }
    }

    /// Round 3. Only one update is proposed at this ballot: see claim 3.
    pub(super) fn propose<R: Rng + ?Sized>(&mut self, goal: ProposeGoal, env: &mut Env<'_, R>) {
        let (update, first, all) = match &goal {
            ProposeGoal::Repair(data) => (Update::Row(data.clone()), None, None),
            ProposeGoal::Fence { current: _, update } => (update.clone(), None, None),
            ProposeGoal::Own(data) => {
                let stamp_us = data.dedupe.newest().map_or(0, |own| own.proposed_us);
                self.proposals.begin(self.tag, stamp_us, env.disproof());
                let points = (Some(Point::AfterProposeFirst), Some(Point::AfterProposeAll));
                (Update::Row(data.clone()), points.0, points.1)
            }
        };
        let next = self.requests_next_promise(&goal, env).then(|| env.next_ballot());
        let body = Body::Propose { update: update.clone(), next };
        self.state = State::Propose { goal, update, next };
        self.diagnostics.accepts = 0;
        self.leased.proposed = true;
        self.note_lease(env);
        self.begin_round(env);
        env.broadcast(&self.request.key, self.tag, &body, NodeSet::EMPTY, first, all);
    }

    /// Whether another proposal is likely to follow soon. Never with a mutant whose ballots may repeat, since those
    /// cannot be promised in advance.
    fn requests_next_promise<R: Rng + ?Sized>(&self, goal: &ProposeGoal, env: &Env<'_, R>) -> bool {
        let follows = match goal {
            ProposeGoal::Repair(_) => env.shared.config.rounds.replies_before_learn(),
            ProposeGoal::Own(_) | ProposeGoal::Fence { .. } => env.shared.config.rounds.prepares_next_ballot(),
        };
        follows && !env.mutants().has(Mutant::NonUniqueNonce)
    }

    pub(super) fn on_accepted<R: Rng + ?Sized>(&mut self, place: u32, env: &mut Env<'_, R>) -> Option<Outcome> {
        let State::Propose { goal, next, .. } = &self.state else {
            return env.ignore_answer();
        };
        if !self.answers.yes(place, env.mutants()) {
            return env.ignore_answer();
        }
        self.diagnostics.accepts = self.answers.count;
        if self.answers.count < env.quorum() {
            return None;
        }
        let (goal, next) = (goal.clone(), *next);
        self.note_latency(env);
        if env.shared.config.rounds.replies_before_learn() {
            return self.on_chosen(goal, next, env);
        }
        match goal {
            ProposeGoal::Fence { current, update: _ } => return Some(self.refused_outcome(current)),
            ProposeGoal::Own(data) => self.begin_learn(LearnGoal::Own, data, env),
            ProposeGoal::Repair(data) => {
                // The unfinished update can contain this operation's own update, from an earlier attempt.
                let found = data.dedupe.find(self.op(), self.request_hash, self.proposals.first_us, 0);
                let goal = if found == Lookup::Known(OpFate::Applied) { LearnGoal::Own } else { LearnGoal::Repair };
                self.begin_learn(goal, data, env);
            }
        }
        None
    }

    /// Handles a chosen proposal in the modes that reply at this point. Replicas learn it later, and the next prepare
    /// repairs it if they have not.
    fn on_chosen<R: Rng + ?Sized>(&mut self, goal: ProposeGoal, next: Option<Ballot>, env: &mut Env<'_, R>) -> Option<Outcome> {
        let points = match &goal {
            ProposeGoal::Own(_) => (Some(Point::AfterLearnFirst), Some(Point::AfterLearnAll)),
            ProposeGoal::Repair(_) | ProposeGoal::Fence { .. } => (None, None),
        };
        self.leased.row = self.tag.ballot;
        if let Some(data) = goal.row() {
            env.enqueue_prune(&self.request.key, &Row { learned: self.tag.ballot, data });
        }
        env.broadcast(&self.request.key, self.tag, &Body::Chosen, NodeSet::EMPTY, points.0, points.1);
        match goal {
            ProposeGoal::Own(data) => {
                if let Some(next) = next {
                    self.keep_prepared(next, Row { learned: self.tag.ballot, data }, env);
                }
                Some(self.chosen_outcome())
            }
            ProposeGoal::Fence { current, update } => {
                if let (Some(next), Update::Row(data)) = (next, update) {
                    self.keep_prepared(next, Row { learned: self.tag.ballot, data }, env);
                }
                Some(self.refused_outcome(current))
            }
            ProposeGoal::Repair(data) => match next {
                Some(next) => self.act_on_chosen(&Row { learned: self.tag.ballot, data }, next, env),
                None => {
                    self.begin_attempt(env);
                    None
                }
            },
        }
    }

    /// Round 4: the update is chosen, so this sends the learn messages.
    fn begin_learn<R: Rng + ?Sized>(&mut self, goal: LearnGoal, data: Arc<RowData>, env: &mut Env<'_, R>) {
        let row = Row { learned: self.tag.ballot, data };
        env.enqueue_prune(&self.request.key, &row);
        self.leased.row = row.learned;
        let body = Body::Learn { row: row.clone() };
        self.state = State::Learn { goal, row };
        self.begin_round(env);
        let points = (Some(Point::AfterLearnFirst), Some(Point::AfterLearnAll));
        env.broadcast(&self.request.key, self.tag, &body, NodeSet::EMPTY, points.0, points.1);
    }

    pub(super) fn on_learned<R: Rng + ?Sized>(&mut self, place: u32, learned: Ballot, env: &mut Env<'_, R>) -> Option<Outcome> {
        match &self.state {
            State::Learn { goal, row } if row.learned == learned => {
                let goal = *goal;
                if !self.answers.yes(place, env.mutants()) {
                    return env.ignore_answer();
                }
                if goal == LearnGoal::Own {
                    self.diagnostics.learned_by = self.answers.count;
                }
                if self.answers.count < env.quorum() {
                    return None;
                }
                match goal {
                    LearnGoal::Own => Some(self.chosen_outcome()),
                    LearnGoal::Repair => {
                        self.begin_attempt(env);
                        None
                    }
                }
            }
            State::Refresh { row, behind } if row.learned == learned && behind.contains(place) => {
                let (row, all) = (row.clone(), behind.count());
                if !self.answers.yes(place, env.mutants()) {
                    return env.ignore_answer();
                }
                if env.mutants().has(Mutant::NoReprepareAfterRefresh) {
                    return self.act_on(&row, env);
                }
                // Wait for all lagging members, then prepare again: the promises must report the row (claim 2).
                if self.answers.count >= all {
                    self.begin_attempt(env);
                }
                None
            }
            State::Learn { .. }
            | State::Refresh { .. }
            | State::Prepare(_)
            | State::Read { .. }
            | State::Propose { .. }
            | State::Backoff
            | State::Batched { .. } => env.ignore_answer(),
        }
    }
}
