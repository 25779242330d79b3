//! Timing of an operation: resent rounds, backoff, and its deadline.

use super::env::{Env, Shared};
use super::state::{Coordination, Decision, Disproof, LearnGoal, ProposeGoal, SendCount, State};
use crate::acceptor::Acceptor;
use crate::action::Point;
use crate::backoff::adaptive_wait;
use crate::config::Backoff;
use crate::ids::MonoTime;
use crate::message::Body;
use crate::mutants::Mutant;
use crate::request::{NotAppliedWhy, Outcome, UnknownWhy};
use rand::{Rng, RngExt};

impl<R: ?Sized> Env<'_, R> {
    pub(super) fn disproof(&self) -> Disproof {
        self.shared.disproof()
    }
}

impl Shared {
    pub(crate) fn disproof(&self) -> Disproof {
        Disproof { members: self.members.count(), links: self.config.links, mutants: self.config.mutants }
    }
}

impl Coordination {
    /// Handles the operation's timer. `own` is this node's acceptor for the key.
    pub(crate) fn on_timer<R: Rng + ?Sized>(&mut self, own: &Acceptor, env: &mut Env<'_, R>) -> Option<Outcome> {
        self.have = own.row().learned;
        self.cell = own.cell().cloned();
        if env.now < self.armed {
            // This is an older timer. The one set for `armed` is still pending.
            return None;
        }
        self.armed = MonoTime(u64::MAX);
        if env.now >= self.deadline {
            return Some(self.on_deadline(env));
        }
        let ended = if env.now >= self.wake { self.on_wake(env) } else { None };
        if ended.is_none() {
            self.arm(env);
        }
        ended
    }

    /// Ensures that a timer expires at `wake` or the deadline. A timer set for a later time is left in place and
    /// ignored when it fires, and one set for an earlier time checks again and rearms. So rounds need no separate
    /// timers.
    pub(crate) fn arm<R: Rng + ?Sized>(&mut self, env: &mut Env<'_, R>) {
        let at = self.wake.min(self.deadline);
        if at < self.armed {
            self.armed = at;
            env.timer(self.timer, at);
        }
    }

    /// Begins a new round, which is resent after `patience_ns` without enough replies.
    pub(super) fn begin_round<R: Rng + ?Sized>(&mut self, env: &mut Env<'_, R>) {
        self.answers = Default::default();
        self.diagnostics.rejects = 0;
        self.diagnostics.round_trips += 1;
        env.shared.counters.round_trips += 1;
        self.round_began = env.now;
        self.wake = env.now.after_ns(self.patience_ns);
        self.arm(env);
    }

    /// Records the latency of a prepare or propose round that has reached its quorum.
    pub(super) fn note_latency<R: Rng + ?Sized>(&self, env: &mut Env<'_, R>) {
        env.shared.latencies.record(env.now, env.now.since_ns(self.round_began));
    }

    /// When the contention timeout of the operation ends.
    fn contention_ends<R: Rng + ?Sized>(&self, env: &Env<'_, R>) -> MonoTime {
        env.shared.config.contention_timeout_ns.map_or(MonoTime(u64::MAX), |ns| self.began.after_ns(ns))
    }

    fn on_contention<R: Rng + ?Sized>(&self, env: &Env<'_, R>) -> Outcome {
        self.interrupted_outcome(env.disproof(), NotAppliedWhy::Contention, UnknownWhy::Contention)
    }

    /// Handles too many rejects: another coordinator has a higher ballot.
    pub(crate) fn outbid<R: Rng + ?Sized>(&mut self, env: &mut Env<'_, R>) -> Option<Outcome> {
        if let Some(wait_ns) = self.on_lease_refusal(env) {
            self.wait(wait_ns, env);
            return None;
        }
        self.diagnostics.preempted += 1;
        env.shared.counters.preempted += 1;
        let own = matches!(&self.state, State::Propose { goal: ProposeGoal::Own(_), .. });
        if own && env.mutants().has(Mutant::PartialAcceptIsFail) {
            return Some(Outcome::NotApplied { why: NotAppliedWhy::TimeoutBeforePropose });
        }
        if own && env.mutants().has(Mutant::NackAllIsFail) {
            return Some(self.on_deadline(env));
        }
        let ends = self.contention_ends(env);
        if env.now >= ends {
            return Some(self.on_contention(env));
        }
        let wait_ns = match env.shared.config.backoff {
            _ if env.mutants().has(Mutant::NoBackoff) => 0,
            Backoff::None => 0,
            Backoff::Uniform { max_ns } => env.rng.random_range(0..=max_ns),
            Backoff::Adaptive { max_ns } => {
                let quantiles = env.shared.latencies.quantiles(env.now);
                adaptive_wait(self.diagnostics.preempted, quantiles, max_ns, env.rng)
            }
        };
        if wait_ns == 0 {
            self.begin_attempt(env);
            return None;
        }
        self.wait(wait_ns.min(ends.since_ns(env.now)), env);
        None
    }

    fn wait<R: Rng + ?Sized>(&mut self, wait_ns: u64, env: &mut Env<'_, R>) {
        self.state = State::Backoff;
        self.diagnostics.backoff_ns += wait_ns;
        env.shared.counters.backoff_ns += wait_ns;
        self.wake = env.now.after_ns(wait_ns);
        self.arm(env);
    }

    /// Handles a round that received too few replies in time, or the end of the backoff.
    fn on_wake<R: Rng + ?Sized>(&mut self, env: &mut Env<'_, R>) -> Option<Outcome> {
        if self.answers.no.count() > 0 && matches!(self.state, State::Prepare(_) | State::Read { .. } | State::Propose { .. }) {
            // The grace period after a reject has ended without a quorum.
            return self.outbid(env);
        }
        let again = self.answers.resends < env.shared.config.resends_per_round;
        let heard = self.answers.yes;
        let (body, except) = match &self.state {
            State::Backoff if self.diagnostics.preempted > 0 && env.now >= self.contention_ends(env) => {
                return Some(self.on_contention(env));
            }
            State::Backoff => {
                self.begin_attempt(env);
                return None;
            }
            // The shared proposal has a separate timer.
            State::Batched { .. } => return None,
            // A replica whose promise was lost on the way would reject a second prepare at the same ballot. A higher
            // ballot costs no more.
            State::Prepare(_) => return self.give_up_attempt(env),
            State::Read { newest, .. } => (Body::Read { have: newest.learned }, heard),
            State::Refresh { row, behind } => (Body::Learn { row: row.clone() }, heard.union(behind.complement())),
            State::Propose { goal: _, update, next } => (Body::Propose { update: update.clone(), next: *next }, heard),
            State::Learn { row, .. } => (Body::Learn { row: row.clone() }, heard),
        };
        if !again {
            return self.give_up_round(env);
        }
        if let (State::Propose { goal: ProposeGoal::Own(_), .. }, Some(last)) = (&self.state, &mut self.proposals.last) {
            last.sent = SendCount::MoreThanOnce;
        }
        self.answers.resends += 1;
        env.shared.counters.resends += 1;
        env.broadcast(&self.request.key, self.tag, &body, except, None, None);
        self.wake = env.now.after_ns(self.patience_ns << self.answers.resends.min(16));
        None
    }

    /// Handles a round that has used up its resends.
    fn give_up_round<R: Rng + ?Sized>(&mut self, env: &mut Env<'_, R>) -> Option<Outcome> {
        match &self.state {
            // The update is chosen. The next coordinator finishes the learning.
            State::Learn { goal: LearnGoal::Own, .. } => Some(self.on_deadline(env)),
            State::Propose { goal: ProposeGoal::Own(_), .. } if env.mutants().has(Mutant::PartialAcceptIsFail) => {
                Some(self.on_deadline(env))
            }
            State::Propose { .. }
            | State::Learn { goal: LearnGoal::Repair, .. }
            | State::Prepare(_)
            | State::Read { .. }
            | State::Refresh { .. }
            | State::Backoff
            | State::Batched { .. } => self.give_up_attempt(env),
        }
    }

    pub(crate) fn give_up_attempt<R: Rng + ?Sized>(&mut self, env: &mut Env<'_, R>) -> Option<Outcome> {
        env.shared.counters.resends += 1;
        // Limited, because otherwise an operation that hit a partition would keep waiting long after the partition
        // has healed.
        let most = env.shared.config.resend_after_ns.saturating_mul(2);
        self.patience_ns = self.patience_ns.saturating_mul(2).min(most);
        self.begin_attempt(env);
        None
    }

    /// The outcome when time is up, based on what is known so far.
    pub(crate) fn on_deadline<R: Rng + ?Sized>(&mut self, env: &mut Env<'_, R>) -> Outcome {
        let not_applied = NotAppliedWhy::TimeoutBeforePropose;
        match &self.state {
            State::Learn { goal: LearnGoal::Own, .. } if env.mutants().has(Mutant::LearnErrorIsFail) => {
                Outcome::NotApplied { why: not_applied }
            }
            State::Learn { goal: LearnGoal::Own, .. } => self.chosen_outcome(),
            State::Propose { goal: ProposeGoal::Own(_), .. } | State::Batched { decision: Decision::Own }
                if env.mutants().has(Mutant::PartialAcceptIsFail) =>
            {
                Outcome::NotApplied { why: not_applied }
            }
            State::Propose { .. }
            | State::Learn { goal: LearnGoal::Repair, .. }
            | State::Prepare(_)
            | State::Read { .. }
            | State::Refresh { .. }
            | State::Backoff
            | State::Batched { .. } => self.interrupted_outcome(env.disproof(), not_applied, UnknownWhy::Timeout),
        }
    }

    /// Announces that the outcome is known.
    pub(crate) fn announce_end<R: Rng + ?Sized>(&self, env: &mut Env<'_, R>) {
        env.announce(Point::BeforeReply, &self.request.key, self.op(), self.tag.ballot);
    }
}
