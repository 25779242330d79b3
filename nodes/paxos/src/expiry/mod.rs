//! Expiry of Paxos state (`paxos_ttl_us`), based on ballots.
//!
//! A node keeps track of the newest ballot it has generated or seen. State whose ballot is older by more than the
//! time to live has expired: promises, accepted copies of learned rows, and the oldest entries in the tables of
//! operation ids. Node clocks are not used, so expiry does not depend on when and where a record was written
//! (otherwise two updates can win: Scylla #6149, mutant `ttl-by-local-time`).
//!
//! **The floor.** Before a node drops anything, it raises its floor to the cutoff, and from then on rejects every
//! prepare, read and propose at or below it, for all keys. So dropping a promise is harmless: the ballots it refused
//! are still refused. The floor only ever rises, and all it does is reject, which any replica may do at any time. It
//! is written to disk with the snapshot that omits the expired state. Until then, the log still contains the promises
//! themselves.
//!
//! **State that never expires.** An accepted update above the learned ballot, empty or not: it may be chosen, or be
//! the fence that keeps an older one from being chosen. The learned ballot, which every promise reports. The entry of
//! an aborted operation, and all entries after it.
//!
//! **Different tables.** Each replica drops entries independently, so rows with the same learned ballot can differ,
//! but only in expired entries. The watermark of each table covers its dropped entries. A coordinator may use either
//! row: in one it finds the entry and the outcome, in the other it finds the watermark and reports an unknown
//! outcome. Neither reports "absent" for an applied operation, and the next update is built on one of them, including
//! its watermark.

pub(crate) mod state;

use crate::acceptor::Answer;
use crate::ballot::Ballot;
use crate::coordinator::Env;
use crate::ids::NodeId;
use crate::message::{Body, RequestKind};
use crate::mutants::Mutant;
use crate::slot::Slot;
use rand::Rng;

/// Time between two turns of the sweep, in nanoseconds.
const TURN_NS: u64 = 20_000_000;
/// Number of sweeps over all keys per time to live.
const SWEEPS_PER_TTL: u64 = 4;
/// Smallest and largest number of keys checked in one turn.
const KEYS_PER_TURN: std::ops::RangeInclusive<u64> = 64..=4_096;

fn keys_per_turn(keys: u64, ttl_us: u64) -> u64 {
    let turns = (ttl_us.saturating_mul(1_000) / SWEEPS_PER_TTL / TURN_NS).max(1);
    (keys / turns + 1).clamp(*KEYS_PER_TURN.start(), *KEYS_PER_TURN.end())
}

/// Duration of a sweep over this many keys, in nanoseconds: a quarter of the time to live, unless the limits on keys
/// per turn make it longer or shorter. Sweeps run back to back.
#[must_use]
pub fn sweep_ns(keys: u64, ttl_us: u64) -> u64 {
    keys.div_ceil(keys_per_turn(keys, ttl_us)) * TURN_NS
}

impl<R: Rng + ?Sized> Env<'_, R> {
    /// Whether a ballot must be rejected for every key.
    pub(crate) fn is_below_floor(&self, ballot: Ballot) -> bool {
        let floor_us = self.shared.expiry.floor_us;
        floor_us > 0 && ballot.micros <= floor_us
    }

    /// The reject for a ballot at or below the floor. It names the highest such ballot, so that the sender's next one
    /// is above the floor.
    pub(crate) fn reject_by_floor(&mut self, request: RequestKind) -> Answer {
        self.shared.counters.below_floor += 1;
        let seen = Ballot { micros: self.shared.expiry.floor_us, node: NodeId(u16::MAX), nonce: u64::MAX };
        Answer { body: Body::Reject { request, seen }, record: None }
    }

    /// Whether another turn of the sweep could drop anything.
    pub(crate) fn may_expire(&self) -> bool {
        let expiry = &self.shared.expiry;
        self.ttl_us().is_some() && self.shared.clock.last_micros() > expiry.swept_us
    }

    /// Time until the next turn, in nanoseconds.
    pub(crate) const SWEEP_TURN_NS: u64 = TURN_NS;

    fn ttl_us(&self) -> Option<u64> {
        self.shared.config.paxos_ttl_us.filter(|_| !self.mutants().has(Mutant::TtlByLocalTime))
    }

    /// Checks the next few keys.
    pub(crate) fn expire_next_keys(&mut self, slots: &mut [Slot]) {
        let Some(ttl_us) = self.ttl_us() else {
            return;
        };
        let newest_us = self.shared.clock.last_micros();
        let expiry = &mut self.shared.expiry;
        if expiry.cursor == 0 {
            expiry.sweep_us = newest_us;
        }
        let cutoff_us = expiry.sweep_us.saturating_sub(ttl_us);
        expiry.raise_floor(cutoff_us);
        let end = slots.len().min(expiry.cursor + keys_per_turn(slots.len() as u64, ttl_us) as usize);
        for slot in &mut slots[expiry.cursor.min(end)..end] {
            let before = slot.acceptor.bytes();
            if slot.acceptor.expire(cutoff_us) {
                self.shared.counters.expired += 1;
                self.shared.state.replace(&before, &slot.acceptor.bytes());
            }
        }
        expiry.cursor = end;
        if end == slots.len() {
            expiry.cursor = 0;
            expiry.swept_us = expiry.sweep_us;
        }
    }

    /// The mutant: drops state that, by this node's own wall clock, was written longer ago than the time to live.
    pub(crate) fn expire_by_local_time(&self, slot: &mut Slot) {
        if let (true, Some(ttl_us)) = (self.mutants().has(Mutant::TtlByLocalTime), self.shared.config.paxos_ttl_us) {
            if slot.written_us > 0 && self.wall.0.saturating_sub(slot.written_us) > ttl_us {
                slot.acceptor.forget_all_but_row();
            }
            slot.written_us = self.wall.0;
        }
    }
}
