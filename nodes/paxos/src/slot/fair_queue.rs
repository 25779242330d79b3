//! Whose turn it is, where several operations wait for one key.
//!
//! In order of arrival a compare-and-set key belongs to the last winner: it knows the value and comes back behind
//! losers that do not; each of them sees the value when its turn comes, and by the time it is back the winner has
//! changed it again. Three rules end that.
//! 1. *Piggybacked refusals*: when an operation ends, those that waited before its deciding round began, and that only have to be shown
//!    the value, are answered with it. No operation is coordinated only to be refused.
//! 2. *In turn*: the client whose last turn is the longest ago comes first. Where proposals are shared, only an update is a turn.
//! 3. *Reservation*: if all that waits has had its turn later than a client that has just been refused, the key stays free a moment
//!    for that client to come back with what it has learned. Half as long as the round took, so that a win costs half a
//!    round more at most, or, with a ballot at hand, as long as clients take of late (see `returns`); and ever more
//!    rarely while none comes.

use super::Slot;
use super::returns::Returns;
use crate::config::Queue;
use crate::coordinator::{Basis, Coordination, Env, Waiting};
use crate::ids::{MonoTime, TimerId};
use crate::mutants::Mutant;
use crate::request::{Call, Outcome, Provenance};
use rand::Rng;
use std::collections::VecDeque;

/// Clients whose last turn is remembered for a key.
const MOST_CLIENTS: usize = 128;
/// A key is reserved no longer than this.
const LONGEST_HOLD_NS: u64 = 5_000_000;
/// After so many times that none came, one chance in `2^n` is left.
const MOST_MISSES: u32 = 6;

/// The turns of a key's clients.
#[derive(Debug, Clone, Default)]
pub(crate) struct FairQueue {
    /// Clients by their last turn, the latest last.
    taken: VecDeque<u64>,
    /// Clients that were refused last and have not come back yet, of so many, and when they were refused.
    expected: Vec<u64>,
    refused: usize,
    refused_at: MonoTime,
    /// How many came back before `until_first`.
    in_time: usize,
    /// Whether the key is reserved for them; until when for all of them, and until when for the first.
    reserved: bool,
    until_all: MonoTime,
    until_first: MonoTime,
    /// When the timer goes off.
    armed: MonoTime,
    /// How many come back at all.
    pub(super) returns: Returns,
    /// How often in a row none came, and how many chances to wait were passed over because of it.
    misses: u32,
    passed: u32,
}

impl FairQueue {
    /// Greater for a later turn; 0 for a client that had none.
    fn rank(&self, client: u64) -> usize {
        self.taken.iter().rposition(|known| *known == client).map_or(0, |at| at + 1)
    }

    fn take(&mut self, client: u64) {
        if let Some(at) = self.taken.iter().rposition(|known| *known == client) {
            self.taken.remove(at);
        } else if self.taken.len() >= MOST_CLIENTS {
            self.taken.pop_front();
        }
        self.taken.push_back(client);
    }

    pub(super) fn expects_none(&self) -> bool {
        !self.reserved || self.expected.is_empty()
    }

    /// An operation has come to wait. Does its client expect the value that it was shown?
    pub(super) fn came(&mut self, client: u64, has_learned: bool, now: MonoTime) {
        if let Some(at) = self.expected.iter().position(|known| *known == client) {
            self.expected.swap_remove(at);
            if has_learned {
                self.in_time += usize::from(now <= self.until_first);
                self.returns.took(now.since_ns(self.refused_at));
            }
        }
    }

    /// Waits for clients to come back, unless that was in vain too often.
    fn wait_for(&mut self, clients: Vec<u64>, now: MonoTime, all_ns: u64, one_ns: u64) {
        if clients.is_empty() {
            return;
        }
        self.settle(now);
        self.passed += 1;
        if self.passed < 1 << self.misses.min(MOST_MISSES) {
            return;
        }
        self.passed = 0;
        (self.refused, self.refused_at, self.in_time) = (clients.len(), now, 0);
        self.expected = clients;
        self.reserved = true;
        self.until_all = now.after_ns(all_ns.min(LONGEST_HOLD_NS));
        self.until_first = now.after_ns(one_ns.min(LONGEST_HOLD_NS));
        self.armed = MonoTime(u64::MAX);
    }

    /// Takes account of who has come back. Of those who still have time nothing is known.
    fn settle(&mut self, now: MonoTime) {
        let known = if now < self.until_first { self.refused - self.expected.len() } else { self.refused };
        if known > 0 {
            self.returns.note(known, self.in_time);
            if self.in_time > 0 {
                self.misses = 0;
            }
        }
        self.expected.clear();
        (self.refused, self.reserved) = (0, false);
    }
}

impl Slot {
    /// Puts all that waits in the order of turns. Of those that had none, the first to come stays first.
    pub(super) fn sort_by_turn<R: Rng + ?Sized>(&mut self, env: &Env<'_, R>) {
        let turns = &self.turns;
        if env.shared.config.queue == Queue::Fair && self.queue.len() > 1 {
            self.queue.make_contiguous().sort_by_cached_key(|waiting| turns.rank(waiting.request.op.client));
        }
    }

    /// A client has its turn. A key without a queue keeps no record of turns.
    pub(super) fn note_turn(&mut self, client: u64) {
        if !(self.turns.taken.is_empty() && self.queue.is_empty()) {
            self.turns.take(client);
        }
    }

    /// Of the operations of a shared proposal, those that change something have their turn. To be shown a value is no turn: a
    /// client that comes back with it would stand behind others that have read it meanwhile.
    pub(super) fn note_batch_turns(&mut self) {
        let members = self.batch.as_ref().map_or(&[][..], |batch| &batch.members);
        if members.len() + self.turns.taken.len() < 2 {
            return;
        }
        for op in members.iter().filter(|op| op.is_own()) {
            self.turns.take(op.op().client);
        }
    }

    /// Answers those that the end of `leader` decides for, too. Says which clients were refused.
    ///
    /// Safety: the row was the newest at some moment between the sending of the deciding round and its quorum: a
    /// proposal at that ballot was chosen, or a quorum promised it and reported nothing newer. An operation that waited here
    /// before that round was sent takes effect at that moment, right after the leader, and may be answered at any later time. Only
    /// operations that nothing was ever proposed for are refused here: a refusal says that they will never take effect.
    pub(super) fn piggyback_refusals<R: Rng + ?Sized>(
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
        let shown =
            |waiting: &Waiting| (waiting.arrived < *since || late) && env.now < waiting.deadline && only_shown(waiting, row.value.as_ref());
        if !self.queue.iter().any(shown) {
            return refused;
        }
        let (answered, kept) = partition(std::mem::take(&mut self.queue), shown);
        self.queue = kept;
        self.turns.take(leader.op().client);
        for waiting in answered {
            env.shared.counters.piggybacked += 1;
            let (mut op, ended) = Coordination::new(waiting, &self.acceptor, env);
            let outcome = ended.unwrap_or_else(|| op.shown(row, env));
            op.copy_rounds(leader);
            if matches!(outcome, Outcome::ConditionNotMet { .. }) {
                refused.push(op.op().client);
            }
            op.announce_end(env);
            op.finish_diagnostics(&outcome);
            super::reply(op.origin, &self.key, outcome, op.diagnostics, env);
        }
        refused
    }

    /// Clients that were refused may come back now with what they have learned: all of them are waited for so long, and
    /// longer, if need be, until there is one.
    pub(super) fn expect<R: Rng + ?Sized>(&mut self, refused: Vec<u64>, all_ns: u64, one_ns: u64, env: &Env<'_, R>) {
        if env.shared.config.queue == Queue::Fair {
            self.turns.wait_for(refused, env.now, all_ns, one_ns);
        }
    }

    /// Whether the key stays free a little longer, for a client whose turn is before all that waits. With a ballot at
    /// hand, for all who are expected: what leaves together is decided together.
    pub(super) fn is_reserved<R: Rng + ?Sized>(&mut self, env: &mut Env<'_, R>) -> bool {
        if self.turns.expects_none() || self.queue.is_empty() || !self.again.is_empty() {
            return false;
        }
        let until = if self.turns.in_time > 0 { self.turns.until_all } else { self.turns.until_first };
        if env.now >= until || self.queue.len() >= env.shared.config.queue_per_key {
            self.turns.reserved = false;
            self.turns.misses += u32::from(self.turns.in_time == 0);
            return false;
        }
        let all = self.prepared.as_ref().is_some_and(|prepared| prepared.is_current(&self.acceptor, env));
        let turns = &self.turns;
        let before_all_that_waits = || {
            let first = self.queue.iter().map(|waiting| turns.rank(waiting.request.op.client)).min().unwrap_or(0);
            turns.expected.iter().any(|client| turns.rank(*client) < first)
        };
        let held = all || before_all_that_waits();
        if held {
            let due = if env.now < turns.until_all { turns.until_all } else { turns.until_first };
            env.shared.counters.reservations += u64::from(turns.armed == MonoTime(u64::MAX));
            if due != turns.armed {
                self.turns.armed = due;
                env.timer(TimerId { slot: self.place, serial: RESERVATION_SERIAL }, due);
            }
        }
        held
    }
}

fn partition(queue: VecDeque<Waiting>, takes: impl Fn(&Waiting) -> bool) -> (Vec<Waiting>, VecDeque<Waiting>) {
    let (mut taken, mut kept) = (vec![], VecDeque::with_capacity(queue.len()));
    for waiting in queue {
        if takes(&waiting) { taken.push(waiting) } else { kept.push_back(waiting) }
    }
    (taken, kept)
}

/// Whether an operation only has to be shown this value, and nothing that was ever proposed for it can be chosen.
pub(super) fn only_shown(waiting: &Waiting, value: Option<&crate::Value>) -> bool {
    let fresh = matches!(waiting.request.provenance, Provenance::First | Provenance::FirstAfter { .. }) && !waiting.past.open;
    match &waiting.request.call {
        Call::Read => true,
        Call::Cas { expected, .. } => fresh && expected.as_ref() != value,
        Call::Write { .. } | Call::Fate { .. } => false,
    }
}

impl Coordination {
    /// Its rounds are those of another.
    fn copy_rounds(&mut self, leader: &Coordination) {
        let (mine, theirs) = (&mut self.diagnostics, &leader.diagnostics);
        mine.ballot = theirs.ballot;
        mine.promises = theirs.promises;
        mine.accepts = theirs.accepts;
        mine.max_seen_ballot = theirs.max_seen_ballot;
    }
}

/// The serial of the timer of a reserved key.
pub(super) const RESERVATION_SERIAL: u32 = 1;
