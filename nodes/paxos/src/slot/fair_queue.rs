//! Fair turns for the operations waiting for one key.
//!
//! With first come, first served, the last winner of a compare-and-set key keeps winning: it has the current value,
//! and queues behind losers that do not. Each loser learns the value when its turn comes, and by the time it returns,
//! the winner has changed the value again. Three rules prevent this.
//! 1. *Piggybacked refusal*: when an operation ends, its result also answers others. Operations that were waiting
//!    before its deciding round began, and that only need to return the value, are answered with it. No operation is
//!    coordinated just to be refused.
//! 2. *Turns*: the client whose last turn was longest ago goes first. If proposals are shared, only an update counts
//!    as a turn.
//! 3. *Reservation*: if all waiting clients have had a turn more recently than a client that has just been refused,
//!    the key stays free briefly, so that this client can return with the value it has learned. The reservation lasts
//!    half as long as the round took, so a success costs at most half a round more. With a prepared ballot, it lasts
//!    as long as clients have recently taken to return (see `reply_throttle`). Reservations become rarer while no
//!    client returns.

use super::Slot;
use super::returns::Returns;
use crate::config::Queue;
use crate::coordinator::{Basis, Coordination, Env, Waiting};
use crate::ids::{MonoTime, TimerId};
use crate::mutants::Mutant;
use crate::request::{Call, Outcome, Provenance};
use rand::Rng;
use std::collections::VecDeque;

/// Maximum number of clients per key whose last turn is remembered.
const MAX_CLIENTS: usize = 128;
/// Maximum duration of a reservation, in nanoseconds.
const MAX_RESERVATION_NS: u64 = 5_000_000;
/// After `n` unused reservations in a row, only one opportunity in `2^n` is taken. This caps `n`.
const MAX_MISSES: u32 = 6;

/// The turns of the clients of a key.
#[derive(Debug, Clone, Default)]
pub(crate) struct FairQueue {
    /// Clients in order of their last turn, the most recent last.
    turn_order: VecDeque<u64>,
    /// The most recently refused clients that have not returned yet, their initial number, and when they were
    /// answered.
    awaited: Vec<u64>,
    answered: usize,
    answered_at: MonoTime,
    /// Number of clients that returned in time.
    in_time: usize,
    /// Whether the key is reserved for these clients, until when for all of them, and until when for the first.
    reserved: bool,
    all_until: MonoTime,
    until: MonoTime,
    /// When the timer expires.
    armed: MonoTime,
    /// Statistics on how many clients return.
    pub(super) returns: Returns,
    /// Number of unused reservations in a row, and number of opportunities skipped because of them.
    misses: u32,
    skipped: u32,
}

impl FairQueue {
    /// Rank of a client's last turn. Later turns have higher ranks, and a client that has had no turn has rank 0.
    fn rank(&self, client: u64) -> usize {
        self.turn_order.iter().rposition(|known| *known == client).map_or(0, |at| at + 1)
    }

    fn take(&mut self, client: u64) {
        if let Some(at) = self.turn_order.iter().rposition(|known| *known == client) {
            self.turn_order.remove(at);
        } else if self.turn_order.len() >= MAX_CLIENTS {
            self.turn_order.pop_front();
        }
        self.turn_order.push_back(client);
    }

    pub(super) fn has_no_reservation(&self) -> bool {
        !self.reserved || self.awaited.is_empty()
    }

    /// Records that a client has queued an operation, and whether the operation uses the value last sent to the
    /// client.
    pub(super) fn on_arrival(&mut self, client: u64, has_learned: bool, now: MonoTime) {
        if let Some(at) = self.awaited.iter().position(|known| *known == client) {
            self.awaited.swap_remove(at);
            if has_learned {
                self.in_time += usize::from(now <= self.until);
                self.returns.note_delay(now.since_ns(self.answered_at));
            }
        }
    }

    /// Reserves the key for clients that may return, unless too many reservations were unused.
    fn reserve(&mut self, clients: Vec<u64>, now: MonoTime, all_ns: u64, one_ns: u64) {
        if clients.is_empty() {
            return;
        }
        self.update_returns(now);
        self.skipped += 1;
        if self.skipped < 1 << self.misses.min(MAX_MISSES) {
            return;
        }
        self.skipped = 0;
        (self.answered, self.answered_at, self.in_time) = (clients.len(), now, 0);
        self.awaited = clients;
        self.reserved = true;
        self.all_until = now.after_ns(all_ns.min(MAX_RESERVATION_NS));
        self.until = now.after_ns(one_ns.min(MAX_RESERVATION_NS));
        self.armed = MonoTime(u64::MAX);
    }

    /// Updates the statistics with the clients that have returned. Clients that may still return in time are not
    /// counted.
    fn update_returns(&mut self, now: MonoTime) {
        let known = if now < self.until { self.answered - self.awaited.len() } else { self.answered };
        if known > 0 {
            self.returns.note(known, self.in_time);
            if self.in_time > 0 {
                self.misses = 0;
            }
        }
        self.awaited.clear();
        (self.answered, self.reserved) = (0, false);
    }
}

impl Slot {
    /// Sorts the queue by turns. Clients without a turn keep their order of arrival.
    pub(super) fn sort_by_turns<R: Rng + ?Sized>(&mut self, env: &Env<'_, R>) {
        let turns = &self.turns;
        if env.shared.config.queue == Queue::Fair && self.queue.len() > 1 {
            self.queue.make_contiguous().sort_by_cached_key(|waiting| turns.rank(waiting.request.op.client));
        }
    }

    /// Records a client's turn. Nothing is recorded for a key without waiting operations.
    pub(super) fn note_turn(&mut self, client: u64) {
        if !(self.turns.turn_order.is_empty() && self.queue.is_empty()) {
            self.turns.take(client);
        }
    }

    /// Records the turns of a shared proposal: only updates count. If a refusal counted as a turn, a client returning
    /// with the value would be behind others that have read the value since.
    pub(super) fn note_batch_turns(&mut self) {
        let members = self.batch.as_ref().map_or(&[][..], |batch| &batch.members);
        if members.len() + self.turns.turn_order.len() < 2 {
            return;
        }
        for op in members.iter().filter(|op| op.is_own()) {
            self.turns.take(op.op().client);
        }
    }

    /// Answers the waiting operations that are also decided by the end of `leader`. Returns the clients that were
    /// refused.
    ///
    /// Safety: the row was the newest at some moment between the start of the deciding round and its quorum, since a
    /// proposal at that ballot was chosen, or a quorum promised it and reported nothing newer. An operation that
    /// waited here before that round was sent takes effect at that moment, right after the leader, and may be
    /// answered at any later time. Only operations for which nothing was ever proposed are refused here, since a
    /// refusal says that they will never take effect.
    pub(super) fn answer_piggybacked<R: Rng + ?Sized>(
        &mut self,
        leader: &Coordination,
        outcome: &Outcome,
        basis: Option<&Basis>,
        env: &mut Env<'_, R>,
    ) -> Vec<u64> {
        let mut refused = vec![];
        let decided = matches!(outcome, Outcome::Applied | Outcome::Read { .. } | Outcome::ConditionNotMet { .. });
        let Some(Basis { row, since }) = basis.filter(|_| decided && env.shared.config.queue == Queue::Fair) else {
            return refused;
        };
        if matches!(outcome, Outcome::ConditionNotMet { .. }) {
            refused.push(leader.op().client);
        }
        let late = env.mutants().has(Mutant::ToldAlongLate);
        let shown = |waiting: &Waiting| {
            (waiting.arrived < *since || late) && env.now < waiting.deadline && only_needs_value(waiting, row.value.as_ref())
        };
        if !self.queue.iter().any(shown) {
            return refused;
        }
        let (answered, kept) = partition(std::mem::take(&mut self.queue), shown);
        self.queue = kept;
        self.turns.take(leader.op().client);
        for waiting in answered {
            env.shared.counters.told_along += 1;
            let (mut op, ended) = Coordination::new(waiting, &self.acceptor, env);
            let outcome = ended.unwrap_or_else(|| op.outcome_with_value(row, env));
            op.copy_round_figures(leader);
            if matches!(outcome, Outcome::ConditionNotMet { .. }) {
                refused.push(op.op().client);
            }
            op.announce_end(env);
            op.finish_diagnostics(&outcome);
            super::reply(op.origin, &self.key, outcome, op.diagnostics, env);
        }
        refused
    }

    /// Reserves the key for refused clients, which may return with the value they have learned. Waits `all_ns` for
    /// all of them, and up to `one_ns` if none has returned by then.
    pub(super) fn reserve_for<R: Rng + ?Sized>(&mut self, refused: Vec<u64>, all_ns: u64, one_ns: u64, env: &Env<'_, R>) {
        if env.shared.config.queue == Queue::Fair {
            self.turns.reserve(refused, env.now, all_ns, one_ns);
        }
    }

    /// Whether the key is still reserved for a client whose turn comes before that of every waiting client. With a
    /// prepared ballot, the key stays reserved for all expected clients, since operations in one proposal are decided
    /// together.
    pub(super) fn is_reserved<R: Rng + ?Sized>(&mut self, env: &mut Env<'_, R>) -> bool {
        if self.turns.has_no_reservation() || self.queue.is_empty() || !self.retries.is_empty() {
            return false;
        }
        let until = if self.turns.in_time > 0 { self.turns.all_until } else { self.turns.until };
        if env.now >= until || self.queue.len() >= env.shared.config.queue_per_key {
            self.turns.reserved = false;
            self.turns.misses += u32::from(self.turns.in_time == 0);
            return false;
        }
        let all = self.prepared.as_ref().is_some_and(|prepared| prepared.is_current(&self.acceptor, env));
        let turns = &self.turns;
        let comes_first = || {
            let first = self.queue.iter().map(|waiting| turns.rank(waiting.request.op.client)).min().unwrap_or(0);
            turns.awaited.iter().any(|client| turns.rank(*client) < first)
        };
        let held = all || comes_first();
        if held {
            let due = if env.now < turns.all_until { turns.all_until } else { turns.until };
            env.shared.counters.held_open += u64::from(turns.armed == MonoTime(u64::MAX));
            if due != turns.armed {
                self.turns.armed = due;
                env.timer(TimerId { slot: self.place, serial: RESERVATION_SERIAL }, due);
            }
        }
        held
    }
}

fn partition(queue: VecDeque<Waiting>, takes: impl Fn(&Waiting) -> bool) -> (Vec<Waiting>, VecDeque<Waiting>) {
    let (mut turn_order, mut kept) = (vec![], VecDeque::with_capacity(queue.len()));
    for waiting in queue {
        if takes(&waiting) { turn_order.push(waiting) } else { kept.push_back(waiting) }
    }
    (turn_order, kept)
}

/// Whether an operation only needs to return this value, and nothing ever proposed for it can be chosen.
pub(super) fn only_needs_value(waiting: &Waiting, value: Option<&crate::Value>) -> bool {
    let fresh = matches!(waiting.request.provenance, Provenance::First | Provenance::FirstAfter { .. }) && !waiting.history.open;
    match &waiting.request.call {
        Call::Read => true,
        Call::Cas { expected, .. } => fresh && expected.as_ref() != value,
        Call::Write { .. } | Call::Fate { .. } => false,
    }
}

impl Coordination {
    /// Copies the leader's round figures.
    fn copy_round_figures(&mut self, leader: &Coordination) {
        let (mine, theirs) = (&mut self.diagnostics, &leader.diagnostics);
        mine.ballot = theirs.ballot;
        mine.promises = theirs.promises;
        mine.accepts = theirs.accepts;
        mine.max_seen_ballot = theirs.max_seen_ballot;
    }
}

/// Serial number of the timer for a reserved key.
pub(super) const RESERVATION_SERIAL: u32 = 1;
