//! Whose turn it is, where several operations wait for one key.
//!
//! In order of arrival a compare-and-set key belongs to whoever has won last: it knows the value and comes back behind
//! losers who do not; each of them is told the value when its turn comes, and by the time it is back the winner has
//! changed it again. Three rules end that.
//! 1. *Told along*: when an operation ends, those that waited before its deciding round began, and that only have to be shown
//!    the value, are answered with it. Nobody is coordinated only to be refused.
//! 2. *In turn*: the client whose last turn is the longest ago comes first.
//! 3. *Held open*: if all that waits has had its turn later than somebody who has just been refused, the key stays free a moment
//!    for that client to come back with what it has learned. Half as long as the round took, so that a win costs half a
//!    round more at most; and ever more rarely while nobody comes.

use super::Slot;
use crate::config::Queue;
use crate::coordinator::{Basis, Coordination, Env, Waiting};
use crate::ids::{MonoTime, TimerId};
use crate::mutants::Mutant;
use crate::request::{Call, Outcome, Provenance};
use rand::Rng;
use std::collections::VecDeque;

/// Clients whose last turn is remembered for a key.
const MOST_CLIENTS: usize = 128;
/// A key is held open no longer than this.
const LONGEST_HOLD_NS: u64 = 5_000_000;
/// After so many times that nobody came, one chance in `2^n` is left.
const MOST_MISSES: u32 = 6;

/// The turns of a key's clients.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turns {
    /// Clients by their last turn, the latest last.
    taken: VecDeque<u64>,
    /// Clients that were refused just now and may come back, and how long they are waited for.
    awaited: Vec<u64>,
    until: MonoTime,
    /// Whether a timer goes off then, and whether any of them has come.
    armed: bool,
    heard: bool,
    /// How often in a row nobody came, and how many chances to wait were passed over because of it.
    misses: u32,
    passed: u32,
}

impl Turns {
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

    /// The place of the one whose turn it is. The first of equals is the one that came first.
    fn next(&self, queue: &VecDeque<Waiting>) -> Option<usize> {
        (0..queue.len()).min_by_key(|at| self.rank(queue[*at].request.op.client))
    }

    pub(super) fn awaits_nobody(&self) -> bool {
        self.awaited.is_empty()
    }

    /// An operation has come to wait.
    pub(super) fn came(&mut self, client: u64) {
        let before = self.awaited.len();
        self.awaited.retain(|awaited| *awaited != client);
        self.heard |= self.awaited.len() < before;
    }

    /// Waits for clients to come back, unless that was in vain too often.
    fn wait_for(&mut self, clients: Vec<u64>, now: MonoTime, round_ns: u64) {
        if clients.is_empty() {
            return;
        }
        self.passed += 1;
        if self.passed < 1 << self.misses.min(MOST_MISSES) {
            return;
        }
        self.passed = 0;
        self.awaited = clients;
        self.until = now.after_ns((round_ns / 2).min(LONGEST_HOLD_NS));
        (self.armed, self.heard) = (false, false);
    }

    /// The time is over.
    fn wait_no_more(&mut self) {
        self.awaited.clear();
        self.misses = if self.heard { 0 } else { self.misses + 1 };
    }
}

impl Slot {
    /// Takes out the operation whose turn it is.
    pub(super) fn pop_next<R: Rng + ?Sized>(&mut self, env: &Env<'_, R>) -> Option<Waiting> {
        match env.shared.config.queue {
            Queue::Fifo => self.queue.pop_front(),
            Queue::Fair if self.queue.len() < 2 => self.queue.pop_front(),
            Queue::Fair => self.turns.next(&self.queue).and_then(|at| self.queue.remove(at)),
        }
    }

    /// A client has its turn. A key that nobody waits for keeps no book.
    pub(super) fn note_turn(&mut self, client: u64) {
        if !(self.turns.taken.is_empty() && self.queue.is_empty()) {
            self.turns.take(client);
        }
    }

    /// Members of one proposal: who won had a turn, and who was refused had one before that.
    pub(super) fn note_flight_turns(&mut self) {
        let members = self.flight.as_ref().map_or(&[][..], |flight| &flight.members);
        if members.len() + self.turns.taken.len() < 2 {
            return;
        }
        for own in [false, true] {
            for op in members.iter().filter(|op| op.is_own() == own) {
                self.turns.take(op.op().client);
            }
        }
    }

    /// Answers those that the end of `leader` decides for, too. Says which clients were refused.
    ///
    /// Safety: the row was the newest at some moment between the sending of the deciding round and its quorum: a
    /// proposal at that ballot was chosen, or a quorum promised it and reported nothing newer. Whoever waited here
    /// before that round was sent asks at that moment, right after the leader, and may be told at any later time. Only
    /// operations that nothing was ever proposed for are refused here: a refusal says that they will never take effect.
    pub(super) fn tell_along<R: Rng + ?Sized>(
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
        let (told, kept) = partition(std::mem::take(&mut self.queue), shown);
        self.queue = kept;
        self.turns.take(leader.op().client);
        for waiting in told {
            env.shared.counters.told_along += 1;
            let (mut op, ended) = Coordination::new(waiting, &self.acceptor, env);
            let outcome = ended.unwrap_or_else(|| op.shown(row, env));
            op.goes_with(leader);
            if matches!(outcome, Outcome::ConditionNotMet { .. }) {
                refused.push(op.op().client);
            }
            op.announce_end(env);
            op.finish_diagnostics(&outcome);
            super::reply(op.origin, &self.key, outcome, op.diagnostics, env);
        }
        refused
    }

    /// Clients that were refused may come back now with what they have learned.
    pub(super) fn expect<R: Rng + ?Sized>(&mut self, refused: Vec<u64>, round_ns: u64, env: &Env<'_, R>) {
        if env.shared.config.queue == Queue::Fair {
            self.turns.wait_for(refused, env.now, round_ns);
        }
    }

    /// Whether the key stays free a little longer, for somebody whose turn is before all that waits. With a ballot at
    /// hand, for all who are awaited: what leaves together is decided together.
    pub(super) fn is_held_open<R: Rng + ?Sized>(&mut self, env: &mut Env<'_, R>) -> bool {
        if self.turns.awaited.is_empty() || self.queue.is_empty() || !self.again.is_empty() {
            return false;
        }
        if env.now >= self.turns.until || self.queue.len() >= env.shared.config.queue_per_key {
            self.turns.wait_no_more();
            return false;
        }
        let all = self.prepared.as_ref().is_some_and(|prepared| prepared.is_current(&self.acceptor, env));
        let turns = &self.turns;
        let first = self.queue.iter().map(|waiting| turns.rank(waiting.request.op.client)).min().unwrap_or(0);
        let held = all || turns.awaited.iter().any(|client| turns.rank(*client) < first);
        if held && !turns.armed {
            env.shared.counters.held_open += 1;
            env.timer(TimerId { slot: self.place, serial: HOLD_SERIAL }, turns.until);
            self.turns.armed = true;
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
fn only_shown(waiting: &Waiting, value: Option<&crate::Value>) -> bool {
    let fresh = matches!(waiting.request.provenance, Provenance::First | Provenance::FirstAfter { .. }) && !waiting.past.open;
    match &waiting.request.call {
        Call::Read => true,
        Call::Cas { expected, .. } => fresh && expected.as_ref() != value,
        Call::Write { .. } | Call::Fate { .. } => false,
    }
}

impl Coordination {
    /// Its rounds are those of another.
    fn goes_with(&mut self, leader: &Coordination) {
        let (mine, theirs) = (&mut self.diagnostics, &leader.diagnostics);
        mine.ballot = theirs.ballot;
        mine.promises = theirs.promises;
        mine.accepts = theirs.accepts;
        mine.max_seen_ballot = theirs.max_seen_ballot;
    }
}

/// The serial of the timer of a key that is held open.
pub(super) const HOLD_SERIAL: u32 = 1;
