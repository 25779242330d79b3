//! Rounds 3 and 4: what follows from the newest row, and from a quorum of accepts.

use super::env::Env;
use super::evaluate::{Evaluation, stamp_above};
use super::prepared::Prepared;
use super::state::{Aim, Basis, Coordination, Hidden, LearnAim, State};
use crate::action::Point;
use crate::ballot::Ballot;
use crate::cell::overlaid;
use crate::ids::MonoTime;
use crate::lease::LeaseMode;
use crate::message::Body;
use crate::mutants::Mutant;
use crate::quorum::NodeSet;
use crate::request::Outcome;
use crate::row::{Found, OpFate, Row, RowData, Update};
use rand::Rng;
use std::sync::Arc;

impl Coordination {
    /// Judges the operation on the row, which all of a promising quorum reported, and proposes what
    /// follows from it.
    pub(super) fn act_on<R: Rng + ?Sized>(&mut self, row: &Row, env: &mut Env<'_, R>) -> Option<Outcome> {
        if self.is_too_late(env) {
            return Some(self.on_deadline(env));
        }
        self.leased.row = row.learned;
        let data = self.with_cell(row);
        match self.evaluate(&data, env) {
            Evaluation::Own => self.propose_own(&data, env),
            Evaluation::Refused { current } if self.skips_fence(env) => return Some(self.refused(current)),
            Evaluation::Refused { current } => {
                self.rest_on(&data, env.now);
                self.propose(Aim::Fence { current, update: Update::Empty }, env);
            }
            Evaluation::End(outcome) => return Some(outcome),
        }
        None
    }

    /// The same, where only whole rows are proposed. The row is the newest of a promising quorum.
    ///
    /// **No refresh.** That all members reported the row is needed only for an *empty* update: it can
    /// hide an older one from a later coordinator (claim 2). A whole row hides nothing, since it
    /// contains what it builds on.
    ///
    /// **No fence** before a read is answered, if no member reported an accepted update above the
    /// row. Each update chosen before this prepare has an accepting quorum that shares a member with
    /// the promising one; that member reported it, or a row that contains it: so it is in this row,
    /// and the read misses nothing that was answered. The row itself is chosen, so no later read
    /// sees less. An update below this ballot that no member reported can still be finished by another
    /// coordinator: it was not answered yet, and comes after this read. But an empty update above the
    /// row may hide a chosen one, so then the row is proposed again. So it is when this operation has
    /// proposed before: the answer says that none of that happens any more.
    pub(super) fn act_on_promised<R: Rng + ?Sized>(&mut self, row: &Row, hidden: Hidden, env: &mut Env<'_, R>) -> Option<Outcome> {
        if self.is_too_late(env) {
            return Some(self.on_deadline(env));
        }
        self.leased.row = row.learned;
        if row.learned > self.have && env.shared.config.lease.mode == LeaseMode::Read {
            // This node is not refreshed, and only a row that it has can be read locally.
            let me = env.shared.me;
            env.send(me, &self.request.key, self.tag, Body::Learn { row: row.clone() });
        }
        // Who handed the operation over may have proposed it, too.
        let untouched = hidden == Hidden::Nothing && self.proposals.first_us.is_none() && !self.proposals.earlier_open;
        let data = self.with_cell(row);
        match self.evaluate(&data, env) {
            Evaluation::Own => self.propose_own(&data, env),
            Evaluation::Refused { current } if untouched || self.skips_fence(env) => {
                // Nothing was proposed at this ballot, which a quorum has promised.
                self.rest_on(&data, self.round_began);
                self.leave_prepared(self.tag.ballot, row.clone(), env);
                return Some(self.refused(current));
            }
            Evaluation::Refused { current } => {
                self.rest_on(&data, env.now);
                self.propose(Aim::Fence { current, update: Update::Row(data) }, env);
            }
            Evaluation::End(outcome) => return Some(outcome),
        }
        None
    }

    /// The row has just been chosen at this attempt's ballot, and who accepted it promised `next`.
    ///
    /// Safety: no prepare is needed at `next`. A quorum accepted the row and promised `next` in one
    /// step each, so between the two ballots nothing can be chosen: a replica that accepted something there
    /// either did so before, and then rejected the row, or after, against its promise. The row is the
    /// newest for `next` as if a prepare had reported it. And to a read or a refused CAS it is its
    /// own fence: nothing below its ballot can be chosen any more.
    fn act_on_chosen<R: Rng + ?Sized>(&mut self, row: &Row, next: Ballot, env: &mut Env<'_, R>) -> Option<Outcome> {
        if self.is_too_late(env) {
            return Some(self.on_deadline(env));
        }
        let data = self.with_cell(row);
        match self.evaluate(&data, env) {
            Evaluation::Own => {
                let promises = self.answers.count;
                self.take_ballot(next, env);
                self.diagnostics.promises = promises;
                self.propose_own(&data, env);
                None
            }
            Evaluation::Refused { current } => {
                self.rest_on(&data, self.round_began);
                self.leave_prepared(next, row.clone(), env);
                Some(self.refused(current))
            }
            Evaluation::End(outcome) => {
                self.leave_prepared(next, row.clone(), env);
                Some(outcome)
            }
        }
    }

    /// Time is up, though the timer has not gone off yet: a process that was stopped finds its mail
    /// before its timers. Nothing new may be proposed then. Otherwise
    ///   n1 stops; the client gives up and sends again to n2, which applies the operation;
    ///   the row forgets it; n1 goes on, does not find it in the row, and applies it again.
    pub(crate) fn is_too_late<R: Rng + ?Sized>(&self, env: &Env<'_, R>) -> bool {
        env.now >= self.deadline
    }

    /// The content of a row as clients of this node see it: with the put that its own replica has, if that is newer.
    fn with_cell(&self, row: &Row) -> Arc<RowData> {
        overlaid(&row.data, row.learned.micros, self.cell.as_ref())
    }

    fn propose_own<R: Rng + ?Sized>(&mut self, data: &RowData, env: &mut Env<'_, R>) {
        let own = self.own_row(data, stamp_above(data, self.tag.ballot.micros), env);
        self.rest_on(&own, env.now);
        self.propose(Aim::Own(own), env);
    }

    /// The answer will rest on this row, which some quorum decides about no earlier than `since`: see `piggybacked`.
    fn rest_on(&mut self, row: &Arc<RowData>, since: MonoTime) {
        self.basis = Some(Basis { row: row.clone(), since });
    }

    /// A ballot is left over for the next operation on this key.
    fn leave_prepared<R: Rng + ?Sized>(&mut self, ballot: Ballot, row: Row, env: &Env<'_, R>) {
        if env.shared.config.rounds.keeps_ballots() {
            self.prepared = Some(Prepared { ballot, row });
        }
    }

    /// Round 3. One update at this ballot, whatever happens: see claim 3.
    pub(super) fn propose<R: Rng + ?Sized>(&mut self, aim: Aim, env: &mut Env<'_, R>) {
        let (update, first, all) = match &aim {
            Aim::Repair(data) => (Update::Row(data.clone()), None, None),
            Aim::Fence { current: _, update } => (update.clone(), None, None),
            Aim::Own(data) => {
                let stamp_us = data.dedupe.newest().map_or(0, |own| own.proposed_us);
                self.proposals.begin(self.tag, stamp_us, env.disproof());
                let points = (Some(Point::AfterProposeFirst), Some(Point::AfterProposeAll));
                (Update::Row(data.clone()), points.0, points.1)
            }
        };
        let next = self.wants_next(&aim, env).then(|| env.next_ballot());
        let body = Body::Propose { update: update.clone(), next };
        self.state = State::Propose { aim, update, next };
        self.diagnostics.accepts = 0;
        self.leased.proposed = true;
        self.note_lease(env);
        self.begin_round(env);
        env.broadcast(&self.request.key, self.tag, &body, NodeSet::EMPTY, first, all);
    }

    /// Whether another proposal is likely to follow at once. Ballots that may repeat cannot be
    /// promised ahead.
    fn wants_next<R: Rng + ?Sized>(&self, aim: &Aim, env: &Env<'_, R>) -> bool {
        let follows = match aim {
            Aim::Repair(_) => env.shared.config.rounds.learns_later(),
            Aim::Own(_) | Aim::Fence { .. } => env.shared.config.rounds.keeps_ballots(),
        };
        follows && !env.mutants().has(Mutant::NonUniqueNonce)
    }

    pub(super) fn on_accepted<R: Rng + ?Sized>(&mut self, place: u32, env: &mut Env<'_, R>) -> Option<Outcome> {
        let State::Propose { aim, next, .. } = &self.state else {
            return env.ignore_answer();
        };
        if !self.answers.yes(place, env.mutants()) {
            return env.ignore_answer();
        }
        self.diagnostics.accepts = self.answers.count;
        if self.answers.count < env.quorum() {
            return None;
        }
        let (aim, next) = (aim.clone(), *next);
        self.note_latency(env);
        if env.shared.config.rounds.learns_later() {
            return self.on_chosen(aim, next, env);
        }
        match aim {
            Aim::Fence { current, update: _ } => return Some(self.refused(current)),
            Aim::Own(data) => self.teach(LearnAim::Own, data, env),
            Aim::Repair(data) => {
                // The unfinished update can contain this operation's own, from an earlier attempt.
                let found = data.dedupe.find(self.op(), self.request_hash, self.proposals.first_us, 0);
                let aim = if found == Found::Known(OpFate::Applied) { LearnAim::Own } else { LearnAim::Repair };
                self.teach(aim, data, env);
            }
        }
        None
    }

    /// The proposal is chosen, where that is enough for an answer: replicas learn it in their own
    /// time, and what they have not learned when the next prepare comes, that one repairs.
    fn on_chosen<R: Rng + ?Sized>(&mut self, aim: Aim, next: Option<Ballot>, env: &mut Env<'_, R>) -> Option<Outcome> {
        let points = match &aim {
            Aim::Own(_) => (Some(Point::AfterLearnFirst), Some(Point::AfterLearnAll)),
            Aim::Repair(_) | Aim::Fence { .. } => (None, None),
        };
        self.leased.row = self.tag.ballot;
        if let Some(data) = aim.row() {
            env.prune_later(&self.request.key, &Row { learned: self.tag.ballot, data });
        }
        env.broadcast(&self.request.key, self.tag, &Body::Chosen, NodeSet::EMPTY, points.0, points.1);
        match aim {
            Aim::Own(data) => {
                if let Some(next) = next {
                    self.leave_prepared(next, Row { learned: self.tag.ballot, data }, env);
                }
                Some(self.done())
            }
            Aim::Fence { current, update } => {
                if let (Some(next), Update::Row(data)) = (next, update) {
                    self.leave_prepared(next, Row { learned: self.tag.ballot, data }, env);
                }
                Some(self.refused(current))
            }
            Aim::Repair(data) => match next {
                Some(next) => self.act_on_chosen(&Row { learned: self.tag.ballot, data }, next, env),
                None => {
                    self.begin_attempt(env);
                    None
                }
            },
        }
    }

    /// Round 4: the update is chosen and is sent to the replicas.
    fn teach<R: Rng + ?Sized>(&mut self, aim: LearnAim, data: Arc<RowData>, env: &mut Env<'_, R>) {
        let row = Row { learned: self.tag.ballot, data };
        env.prune_later(&self.request.key, &row);
        self.leased.row = row.learned;
        let body = Body::Learn { row: row.clone() };
        self.state = State::Learn { aim, row };
        self.begin_round(env);
        let points = (Some(Point::AfterLearnFirst), Some(Point::AfterLearnAll));
        env.broadcast(&self.request.key, self.tag, &body, NodeSet::EMPTY, points.0, points.1);
    }

    pub(super) fn on_learned<R: Rng + ?Sized>(&mut self, place: u32, learned: Ballot, env: &mut Env<'_, R>) -> Option<Outcome> {
        match &self.state {
            State::Learn { aim, row } if row.learned == learned => {
                let aim = *aim;
                if !self.answers.yes(place, env.mutants()) {
                    return env.ignore_answer();
                }
                if aim == LearnAim::Own {
                    self.diagnostics.learned_by = self.answers.count;
                }
                if self.answers.count < env.quorum() {
                    return None;
                }
                match aim {
                    LearnAim::Own => Some(self.done()),
                    LearnAim::Repair => {
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
                // All of them, then prepare again: the promises must report the row (claim 2).
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
