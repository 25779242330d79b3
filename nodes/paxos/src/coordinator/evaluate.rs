//! Judging an operation on the newest row, at this ballot. Every attempt judges anew.

use super::env::Env;
use super::state::Coordination;
use crate::ids::Value;
use crate::mutants::Mutant;
use crate::request::{Call, ClientRequest, InvalidWhy, NotAppliedWhy, Outcome, Provenance, UnknownWhy};
use crate::row::{DedupeEntry, Found, OpFate, RowData};
use rand::Rng;
use std::sync::Arc;

/// What the newest row means for the operation.
pub(super) enum Evaluation {
    /// Its condition holds: its own update comes next.
    Own,
    /// A read, or a CAS whose condition does not hold: this is what it is shown, once no older update
    /// can come after the answer.
    Refused { current: Option<Value> },
    /// The row answers it already.
    End(Outcome),
}

impl Coordination {
    /// Looks for the operation in the row, then judges its condition.
    pub(super) fn evaluate<R: Rng + ?Sized>(&self, data: &RowData, env: &Env<'_, R>) -> Evaluation {
        let expected = match &self.request.call {
            Call::Read => return Evaluation::Refused { current: data.value.clone() },
            Call::Fate { of, born } => return self.evaluate_fate(*of, *born, data, env),
            Call::Write { .. } => None,
            Call::Cas { expected, .. } => Some(expected),
        };
        // Before the condition: a retry that finds its own id was applied already, and the
        // condition no longer holds because of itself.
        if let Some(outcome) = self.look_up(data, env) {
            return Evaluation::End(outcome);
        }
        match expected {
            Some(expected) if *expected != data.value => Evaluation::Refused { current: data.value.clone() },
            Some(_) | None => Evaluation::Own,
        }
    }

    /// The answer that the row's table already holds, if any.
    fn look_up<R: Rng + ?Sized>(&self, data: &RowData, env: &Env<'_, R>) -> Option<Outcome> {
        if env.mutants().has(Mutant::BlindRetry) {
            return None;
        }
        let first_us = match self.request.provenance {
            // Another coordinator may have had it first, and be forgotten.
            Provenance::First | Provenance::FirstAfter { .. } => self.leased.foreign_us().or(self.proposals.first_us),
            Provenance::Resent { born } => Some(born.micros),
        };
        let disproof = env.disproof();
        match data.dedupe.find(self.op(), self.request_hash, first_us, self.request.provenance.born().micros) {
            Found::Absent => None,
            Found::Known(OpFate::Applied) => Some(Outcome::Applied),
            Found::Known(OpFate::Aborted) => Some(Outcome::NotApplied { why: NotAppliedWhy::Aborted }),
            Found::OtherRequest => Some(Outcome::Invalid { why: InvalidWhy::IdReused }),
            Found::Superseded => Some(self.unfinished(disproof, NotAppliedWhy::Superseded, UnknownWhy::Superseded)),
            Found::Evicted => Some(Outcome::Unknown { why: UnknownWhy::Evicted }),
            Found::TooOld => Some(self.unfinished(disproof, NotAppliedWhy::TooOld, UnknownWhy::TooOld)),
        }
    }

    /// The answer to an operation that only has to be shown what this row holds.
    pub(crate) fn shown<R: Rng + ?Sized>(&self, data: &RowData, env: &Env<'_, R>) -> Outcome {
        match self.evaluate(data, env) {
            Evaluation::Refused { current } => self.refused(current),
            Evaluation::End(outcome) => outcome,
            Evaluation::Own => unreachable!("its condition does not hold"),
        }
    }

    /// Whether a mutant leaves out the fence before the answer.
    pub(super) fn skips_fence<R: Rng + ?Sized>(&self, env: &Env<'_, R>) -> bool {
        let skip = match &self.request.call {
            Call::Read => Mutant::SkipEmptyFenceRead,
            Call::Write { .. } | Call::Cas { .. } | Call::Fate { .. } => Mutant::SkipEmptyFenceCas,
        };
        env.mutants().has(skip)
    }

    /// The answer once the fence stands: none of this coordinator's earlier proposals of the
    /// operation can be chosen any more, since each has a lower ballot and is not in the row.
    pub(super) fn refused(&self, current: Option<Value>) -> Outcome {
        match (&self.request.call, self.request.provenance) {
            (Call::Read, _) => Outcome::Read { current },
            (Call::Fate { .. }, _) => unreachable!("a question for a fate proposes no fence"),
            (Call::Write { .. } | Call::Cas { .. }, Provenance::First | Provenance::FirstAfter { .. }) => {
                Outcome::ConditionNotMet { current }
            }
            // The fence says nothing about another coordinator that still runs the operation: it
            // can prepare higher, judge the condition later, and apply it after all.
            (Call::Write { .. } | Call::Cas { .. }, Provenance::Resent { .. }) => Outcome::Unknown { why: UnknownWhy::ResentElsewhere },
        }
    }

    /// The row with the own update in it.
    pub(super) fn own_row<R: Rng + ?Sized>(&self, data: &RowData, stamp_us: u64, env: &Env<'_, R>) -> Arc<RowData> {
        let applied = DedupeEntry { op: self.op(), request_hash: self.request_hash, proposed_us: stamp_us, fate: OpFate::Applied };
        let (value, entry) = match &self.request.call {
            Call::Read => (data.value.clone(), applied),
            Call::Write { new } | Call::Cas { expected: _, new } => (Some(new.clone()), applied),
            Call::Fate { of, .. } => {
                (data.value.clone(), DedupeEntry { op: *of, request_hash: 0, proposed_us: stamp_us, fate: OpFate::Aborted })
            }
        };
        let config = &env.shared.config;
        // Expiry as of this update's stamp: a part of the update, the same on every replica.
        let cutoff_us = config.paxos_ttl_us.map_or(0, |ttl_us| stamp_us.saturating_sub(ttl_us));
        let expired = data.dedupe.expired(cutoff_us);
        let dedupe = expired.as_ref().unwrap_or(&data.dedupe).with(entry, config.dedupe_limits());
        Arc::new(RowData { version: data.version + 1, value, dedupe })
    }
}

/// A stamp for an update of this row, at `floor_us` or later. It is above those of all entries there
/// are, so that the entries stand in the order of their stamps however the ballots came about.
pub(super) fn stamp_above(data: &RowData, floor_us: u64) -> u64 {
    data.dedupe.newest().map_or(floor_us, |newest| floor_us.max(newest.proposed_us.saturating_add(1)))
}

/// A hash of what is asked, equal on every node and in every build, since rows keep it: FNV-1a.
pub(crate) fn request_hash(request: &ClientRequest) -> u64 {
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    hash.bytes(request.key.as_bytes());
    match &request.call {
        Call::Read => hash.byte(0),
        Call::Fate { of, born } => {
            hash.byte(4);
            for number in [of.client, of.seq, born.micros] {
                hash.bytes(&number.to_le_bytes());
            }
        }
        Call::Write { new } => {
            hash.byte(1);
            hash.bytes(new.as_bytes());
        }
        Call::Cas { expected: None, new } => {
            hash.byte(2);
            hash.bytes(new.as_bytes());
        }
        Call::Cas { expected: Some(expected), new } => {
            hash.byte(3);
            hash.bytes(expected.as_bytes());
            hash.bytes(new.as_bytes());
        }
    }
    hash.0
}

struct Fnv(u64);

impl Fnv {
    fn byte(&mut self, byte: u8) {
        self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }

    /// Length first: ("ab", "c") and ("a", "bc") must differ.
    fn bytes(&mut self, bytes: &[u8]) {
        for byte in (bytes.len() as u64).to_le_bytes() {
            self.byte(byte);
        }
        for byte in bytes {
            self.byte(*byte);
        }
    }
}
