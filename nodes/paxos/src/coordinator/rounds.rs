//! Rounds 1 and 2, prepare and read, and the handling of replies. Each handler takes one reply and returns the
//! outcome if the reply ends the operation.

use super::env::Env;
use super::evaluate::request_hash;
use super::lease_state::LeaseContext;
use super::state::{Answers, Coordination, Hidden, Promises, Proposals, ProposeGoal, State, Waiting};
use crate::acceptor::Acceptor;
use crate::action::Point;
use crate::ballot::Ballot;
use crate::message::{Body, Message, RequestKind, Tag};
use crate::mutants::Mutant;
use crate::quorum::NodeSet;
use crate::request::{Call, Diagnostics, InvalidWhy, Outcome, Provenance, UnknownWhy};
use crate::row::{Accepted, Row, Update};
use rand::Rng;

/// Maximum amount by which a client can advance the ballot clock, in microseconds: one day. Without a limit, a bad
/// birth ballot could push the clock to its maximum. The outcome of a resent operation with a later birth stays
/// unknown.
const MAX_BORN_AHEAD_US: u64 = 86_400_000_000;

/// The content of a promise.
struct Promised {
    accepted: Option<Accepted>,
    learned: Ballot,
    newer: Option<Row>,
}

impl Coordination {
    /// Starts an operation when its turn comes. `own` is this node's acceptor for the key.
    pub(crate) fn new<R: Rng + ?Sized>(waiting: Waiting, own: &Acceptor, env: &mut Env<'_, R>) -> (Self, Option<Outcome>) {
        let Waiting { origin, request, deadline, arrived: _, timer, armed, history } = waiting;
        let op = request.op;
        let incarnation = env.shared.clock.incarnation();
        let this = Self {
            origin,
            request_hash: request_hash(&request),
            request,
            timer,
            deadline,
            armed,
            began: env.now,
            round_began: env.now,
            wake: deadline,
            patience_ns: env.shared.config.resend_after_ns,
            have: own.row().learned,
            cell: own.cell().cloned(),
            prepared: None,
            tag: Tag { op, attempt: 0, incarnation, ballot: Ballot::ZERO },
            state: State::Backoff,
            answers: Answers::default(),
            proposals: Proposals { earlier_open: history.open, ..Proposals::default() },
            diagnostics: Box::new(Diagnostics::new(op, env.quorum())),
            leased: LeaseContext::new(history, own.row().learned),
            basis: None,
        };
        if matches!(this.request.call, Call::Read) && env.mutants().has(Mutant::LwtReadsAtOne) {
            let current = crate::cell::newest_cell(own.row(), own.cell()).map(|cell| cell.value);
            return (this, Some(Outcome::Read { current }));
        }
        let ended = this.observe_birth(env);
        (this, ended)
    }

    /// Ensures that all stamps of an operation are above its birth ballot: a row's table then forgets none of its
    /// entries before the watermark passes that ballot. The same holds for the entry with which its fate query
    /// declares it aborted.
    fn observe_birth<R: Rng + ?Sized>(&self, env: &mut Env<'_, R>) -> Option<Outcome> {
        let born = match self.request.call {
            Call::Read => return None,
            Call::Fate { born, .. } => born,
            Call::Write { .. } | Call::Cas { .. } => self.request.provenance.born(),
        };
        let clock_us = env.shared.clock.last_micros().max(env.wall.0);
        if born.micros > clock_us.saturating_add(MAX_BORN_AHEAD_US) {
            return Some(match self.request.provenance {
                Provenance::Resent { .. } => Outcome::Unknown { why: UnknownWhy::ResentElsewhere },
                Provenance::First | Provenance::FirstAfter { .. } => Outcome::Invalid { why: InvalidWhy::BornAhead },
            });
        }
        env.observe(born);
        None
    }

    /// Round 1: generates a new ballot and sends prepare to all.
    pub(crate) fn begin_attempt<R: Rng + ?Sized>(&mut self, env: &mut Env<'_, R>) {
        let ballot = env.next_ballot();
        self.set_ballot(ballot, env);
        self.state = State::Prepare(Promises::default());
        env.touch_lease(&self.request.key);
        self.note_lease(env);
        self.begin_round(env);
        let all = Some(Point::AfterPrepareAll);
        let have = env.shared.config.rounds.prepare_reads().then_some(self.have);
        env.broadcast(&self.request.key, self.tag, &Body::Prepare { have }, NodeSet::EMPTY, None, all);
    }

    /// Begins an attempt at this ballot. From now on, only replies for this ballot count.
    pub(super) fn set_ballot<R: Rng + ?Sized>(&mut self, ballot: Ballot, env: &mut Env<'_, R>) {
        self.tag.attempt += 1;
        self.tag.ballot = ballot;
        self.basis = None;
        self.diagnostics.ballot = ballot;
        self.diagnostics.rounds += 1;
        self.diagnostics.promises = 0;
        self.diagnostics.accepts = 0;
        env.shared.counters.attempts += 1;
    }

    /// Handles a reply from the member at `place`. `own` is this node's acceptor for the key.
    pub(crate) fn on_answer<R: Rng + ?Sized>(
        &mut self,
        place: u32,
        message: Message,
        own: &Acceptor,
        env: &mut Env<'_, R>,
    ) -> Option<Outcome> {
        if let Body::Reject { seen, .. } = message.body {
            env.observe(seen);
            self.diagnostics.max_seen_ballot = self.diagnostics.max_seen_ballot.max(seen);
        }
        self.note_proposal(place, &message);
        self.have = own.row().learned;
        self.cell = own.cell().cloned();
        // The tag must match exactly: a reply to an earlier attempt concerns an earlier ballot, and a reply to an
        // earlier process of this node is obsolete.
        if message.tag != self.tag {
            env.shared.counters.answers_ignored += 1;
            return None;
        }
        match message.body {
            Body::Promise { old_promise: _, accepted, learned, newer } => {
                self.on_promise(place, Promised { accepted, learned, newer }, own, env)
            }
            Body::RowRead { learned, newer } => self.on_row(place, learned, newer, env),
            Body::Accepted => self.on_accepted(place, env),
            Body::Learned { learned } => self.on_learned(place, learned, env),
            Body::Reject { request, seen } => self.on_reject(place, request, seen, env),
            Body::Busy { request, holder, remaining_ns } => {
                self.note_busy(holder, remaining_ns, env);
                self.on_reject(place, request, Ballot::ZERO, env)
            }
            // Already handled by the slot.
            Body::Forward(_) | Body::Forwarded(_) | Body::NotHolder { .. } => env.ignore_answer(),
            // Requests go to the acceptor instead.
            Body::Prepare { .. } | Body::Read { .. } | Body::Propose { .. } | Body::Learn { .. } | Body::Chosen => env.ignore_answer(),
            // Part of the last-write-wins path, which is handled elsewhere.
            Body::Put { .. } | Body::PutDone | Body::Get | Body::Got { .. } => env.ignore_answer(),
            // Already handled by the prune queue.
            Body::Prune { .. } | Body::Pruned { .. } => env.ignore_answer(),
        }
    }

    fn on_promise<R: Rng + ?Sized>(&mut self, place: u32, promised: Promised, own: &Acceptor, env: &mut Env<'_, R>) -> Option<Outcome> {
        let Promised { accepted, learned, newer } = promised;
        let State::Prepare(promises) = &mut self.state else {
            return env.ignore_answer();
        };
        if !self.answers.yes(place, env.mutants()) {
            return env.ignore_answer();
        }
        promises.learned = promises.learned.max(learned);
        promises.reported.push((place, learned));
        let highest = promises.accepted.as_ref().map_or(Ballot::ZERO, |held| held.ballot);
        if let Some(accepted) = accepted.filter(|accepted| accepted.ballot > highest) {
            promises.accepted = Some(accepted);
        }
        if let Some(row) = newer.filter(|row| promises.newest.as_ref().is_none_or(|held| held.learned < row.learned)) {
            promises.newest = Some(row);
        }
        self.diagnostics.promises = self.answers.count;
        if self.answers.count < env.quorum() {
            return None;
        }
        let promises = std::mem::take(promises);
        self.note_latency(env);
        self.on_promised(promises, own, env)
    }

    /// A quorum has promised. Unfinished updates are finished first.
    fn on_promised<R: Rng + ?Sized>(&mut self, promises: Promises, own: &Acceptor, env: &mut Env<'_, R>) -> Option<Outcome> {
        let Promises { learned: base, accepted, reported, newest } = promises;
        // Only the accepted update with the highest ballot counts, even if it is empty: an empty one is the fence of
        // a coordinator that had seen everything below it, so an update that it hides was never chosen. If a lower
        // update were repaired instead,
        //   cas refused (fence at 5), repair of 4
        // would change the row after the reply (CASSANDRA-12126).
        let pending = accepted.filter(|held| held.ballot > base && !env.mutants().has(Mutant::IgnoreAccepted));
        let hidden = if pending.is_some() { Hidden::Possible } else { Hidden::Nothing };
        if let Some(Accepted { ballot, update }) = pending {
            let excused = env.mutants().has(Mutant::PromiseOnEqual) || env.mutants().has(Mutant::AcceptKeepsPromisedLow);
            // Invariant: a promise reports only updates below its ballot. Otherwise repair would propose an update at
            // a lower ballot than the one at which it was accepted. Promises from other nodes that break this rule
            // have already been refused.
            assert!(excused || ballot < self.tag.ballot, "promised {} with {ballot} accepted", self.tag.ballot);
            match update {
                Update::Empty => {}
                Update::Row(data) => {
                    self.diagnostics.repairs += 1;
                    self.diagnostics.repaired_op = data.dedupe.newest().map(|entry| entry.op);
                    env.shared.counters.repairs += 1;
                    self.propose(ProposeGoal::Repair(data), env);
                    return None;
                }
            }
        }
        let mut behind = NodeSet::EMPTY;
        for (place, learned) in reported {
            if learned < base {
                behind.insert(place);
            }
        }
        // Round 2. With this node's own ballot in the request, other replicas omit their row unless it is newer.
        let own = own.row().clone();
        let have = own.learned;
        if have > self.tag.ballot {
            return self.outbid(env);
        }
        if env.shared.config.rounds.prepare_reads() {
            let newest = newest.filter(|row| row.learned > own.learned).unwrap_or_else(|| own.clone());
            if !self.is_base(&newest, base, env) {
                return self.on_contradiction(env);
            }
            let trusted = if env.mutants().has(Mutant::TrustOneReplica) { own } else { newest };
            return if env.shared.config.rounds.replies_before_learn() {
                self.act_on_promised(&trusted, hidden, env)
            } else {
                self.on_rows(trusted, behind, env)
            };
        }
        self.state = State::Read { base, behind, newest: own.clone() };
        self.begin_round(env);
        if env.mutants().has(Mutant::TrustOneReplica) {
            return self.act_on(&own, env);
        }
        env.broadcast(&self.request.key, self.tag, &Body::Read { have }, NodeSet::EMPTY, None, None);
        None
    }

    fn on_row<R: Rng + ?Sized>(&mut self, place: u32, learned: Ballot, newer: Option<Row>, env: &mut Env<'_, R>) -> Option<Outcome> {
        let State::Read { base, behind, newest } = &mut self.state else {
            return env.ignore_answer();
        };
        if learned > self.tag.ballot {
            // A coordinator with a higher ballot has already finished.
            return self.outbid(env);
        }
        if !self.answers.yes(place, env.mutants()) {
            return env.ignore_answer();
        }
        if let Some(row) = newer.filter(|row| row.learned > newest.learned) {
            *newest = row;
        }
        // A quorum of rows may not include the newest: the replica that reported it in its promise may be slower than
        // the others.
        if self.answers.count < env.quorum() || newest.learned < *base {
            return None;
        }
        let (row, base, behind) = (newest.clone(), *base, *behind);
        if !self.is_base(&row, base, env) {
            return self.on_contradiction(env);
        }
        self.on_rows(row, behind, env)
    }

    /// Whether the newest row is the newest promised one. Invariant (claim 1 of the parent module): it is, as long as
    /// no node lies. If it is not, an update was chosen that no member of the promising quorum had seen.
    fn is_base<R: Rng + ?Sized>(&self, row: &Row, base: Ballot, env: &Env<'_, R>) -> bool {
        row.learned == base || !env.mutants().is_none()
    }

    /// The replies of different nodes contradict each other. An assertion would let one lying node crash all others.
    /// So the attempt is given up, which is always safe, and the contradiction is counted: in a correct cluster the
    /// counter stays at zero.
    fn on_contradiction<R: Rng + ?Sized>(&mut self, env: &mut Env<'_, R>) -> Option<Outcome> {
        env.shared.counters.contradictions += 1;
        self.outbid(env)
    }

    /// Continues with the newest row.
    fn on_rows<R: Rng + ?Sized>(&mut self, row: Row, behind: NodeSet, env: &mut Env<'_, R>) -> Option<Outcome> {
        if behind.count() > 0 && !env.mutants().has(Mutant::NoRefresh) {
            env.shared.counters.refreshes += 1;
            let body = Body::Learn { row: row.clone() };
            self.state = State::Refresh { row, behind };
            self.begin_round(env);
            let point = Some(Point::AfterRefresh);
            env.broadcast(&self.request.key, self.tag, &body, behind.complement(), None, point);
            return None;
        }
        self.act_on(&row, env)
    }

    fn on_reject<R: Rng + ?Sized>(&mut self, place: u32, request: RequestKind, seen: Ballot, env: &mut Env<'_, R>) -> Option<Outcome> {
        let meant = match (&self.state, request) {
            (State::Prepare(_), RequestKind::Prepare)
            | (State::Read { .. }, RequestKind::Read)
            | (State::Propose { .. }, RequestKind::Propose) => true,
            (State::Prepare(_) | State::Read { .. } | State::Propose { .. }, _)
            | (State::Refresh { .. } | State::Learn { .. } | State::Backoff | State::Batched { .. }, _) => false,
        };
        // A reject that names exactly this ballot answers a second copy of the prepare: the first copy got a promise,
        // and that reply counts.
        if !meant || seen == self.tag.ballot {
            return env.ignore_answer();
        }
        self.answers.no.insert(place);
        self.diagnostics.rejects = self.answers.no.count();
        let spare = if env.mutants().has(Mutant::NackAllIsFail) && matches!(self.state, State::Propose { .. }) {
            // The mutant waits for all rejects, since it treats them as proof.
            env.shared.members.count() - 1
        } else {
            env.tolerable_rejects()
        };
        if self.answers.no.count() > spare {
            return self.outbid(env);
        }
        // Another coordinator has a higher ballot. The other replicas may still form a quorum. But if one of them is
        // down they may not, and waiting out the whole timeout would be pointless.
        let grace = env.now.after_ns(env.shared.config.reject_grace_ns);
        if grace < self.wake {
            self.wake = grace;
            self.arm(env);
        }
        None
    }

    /// Tracks replies to the operation's last own proposal, even after this coordinator has moved on. They decide
    /// between "not applied" and "unknown".
    fn note_proposal(&mut self, place: u32, message: &Message) {
        let Some(last) = self.proposals.last.as_mut().filter(|last| last.tag == message.tag) else {
            return;
        };
        if let Body::Accepted = message.body {
            last.accepted.insert(place);
        } else if let Body::Reject { request: RequestKind::Propose, .. } | Body::Busy { request: RequestKind::Propose, .. } = message.body {
            last.rejected.insert(place);
        }
    }
}
