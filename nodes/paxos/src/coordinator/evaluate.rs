//! Evaluates an operation on the newest row, at the attempt's ballot. Every attempt evaluates again.

use super::env::Env;
use super::state::Coordination;
use crate::ids::Value;
use crate::mutants::Mutant;
use crate::request::{Call, ClientRequest, InvalidWhy, NotAppliedWhy, Outcome, Provenance, UnknownWhy};
use crate::row::{DedupeEntry, Lookup, OpFate, RowData};
use rand::Rng;
use std::sync::Arc;

/// The result of evaluating an operation on the newest row.
pub(super) enum Evaluation {
    /// The condition holds: the operation's own update is proposed next.
    Own,
    /// A read, or a CAS whose condition does not hold. `current` is the value to return, once no older update can be
    /// chosen after the reply.
    Refused { current: Option<Value> },
    /// The row already determines the outcome.
    End(Outcome),
}

impl Coordination {
    /// Looks up the operation in the row, then evaluates its condition.
    pub(super) fn evaluate<R: Rng + ?Sized>(&self, data: &RowData, env: &Env<'_, R>) -> Evaluation {
        let expected = match &self.request.call {
            Call::Read => return Evaluation::Refused { current: data.value.clone() },
            Call::Fate { of, born } => return self.evaluate_fate(*of, *born, data, env),
            Call::Write { .. } => None,
            Call::Cas { expected, .. } => Some(expected),
        };
        // This comes before the condition: if a retry finds its own id, it was already applied, and its condition may
        // fail because of its own update.
        if let Some(outcome) = self.look_up(data, env) {
            return Evaluation::End(outcome);
        }
        match expected {
            Some(expected) if *expected != data.value => Evaluation::Refused { current: data.value.clone() },
            Some(_) | None => Evaluation::Own,
        }
    }

    /// The outcome already recorded in the row's table, if any.
    fn look_up<R: Rng + ?Sized>(&self, data: &RowData, env: &Env<'_, R>) -> Option<Outcome> {
        if env.mutants().has(Mutant::BlindRetry) {
            return None;
        }
        let first_us = match self.request.provenance {
            // Another coordinator may have handled the operation first, and the row may have forgotten it.
            Provenance::First | Provenance::FirstAfter { .. } => self.leased.other_coordinator_us().or(self.proposals.first_us),
            Provenance::Resent { born } => Some(born.micros),
        };
        let disproof = env.disproof();
        match data.dedupe.find(self.op(), self.request_hash, first_us, self.request.provenance.born().micros) {
            Lookup::Absent => None,
            Lookup::Known(OpFate::Applied) => Some(Outcome::Applied),
            Lookup::Known(OpFate::Aborted) => Some(Outcome::NotApplied { why: NotAppliedWhy::Aborted }),
            Lookup::OtherRequest => Some(Outcome::Invalid { why: InvalidWhy::IdReused }),
            Lookup::Superseded => Some(self.interrupted_outcome(disproof, NotAppliedWhy::Superseded, UnknownWhy::Superseded)),
            Lookup::Evicted => Some(Outcome::Unknown { why: UnknownWhy::Evicted }),
            Lookup::TooOld => Some(self.interrupted_outcome(disproof, NotAppliedWhy::TooOld, UnknownWhy::TooOld)),
        }
    }

    /// The outcome of an operation that only needs to read this row's value.
    pub(crate) fn outcome_with_value<R: Rng + ?Sized>(&self, data: &RowData, env: &Env<'_, R>) -> Outcome {
        match self.evaluate(data, env) {
            Evaluation::Refused { current } => self.refused_outcome(current),
            Evaluation::End(outcome) => outcome,
            Evaluation::Own => unreachable!("its condition does not hold"),
        }
    }

    /// Whether a mutant omits the fence before the reply.
    pub(super) fn skips_fence<R: Rng + ?Sized>(&self, env: &Env<'_, R>) -> bool {
        let skip = match &self.request.call {
            Call::Read => Mutant::SkipEmptyFenceRead,
            Call::Write { .. } | Call::Cas { .. } | Call::Fate { .. } => Mutant::SkipEmptyFenceCas,
        };
        env.mutants().has(skip)
    }

    /// The outcome once the fence is in place: none of this coordinator's earlier proposals for the operation can
    /// still be chosen, since each has a lower ballot and is not in the row.
    pub(super) fn refused_outcome(&self, current: Option<Value>) -> Outcome {
        match (&self.request.call, self.request.provenance) {
            (Call::Read, _) => Outcome::Read { current },
            (Call::Fate { .. }, _) => unreachable!("a question for a fate proposes no fence"),
            (Call::Write { .. } | Call::Cas { .. }, Provenance::First | Provenance::FirstAfter { .. }) => {
                Outcome::ConditionNotMet { current }
            }
            // The fence does not stop another coordinator that is still running the operation: that one can prepare a
            // higher ballot, evaluate the condition later, and still apply the operation.
            (Call::Write { .. } | Call::Cas { .. }, Provenance::Resent { .. }) => Outcome::Unknown { why: UnknownWhy::ResentElsewhere },
        }
    }

    /// The row with the operation's own update applied.
    pub(super) fn row_with_update<R: Rng + ?Sized>(&self, data: &RowData, stamp_us: u64, env: &Env<'_, R>) -> Arc<RowData> {
        let applied = DedupeEntry { op: self.op(), request_hash: self.request_hash, proposed_us: stamp_us, fate: OpFate::Applied };
        let (value, entry) = match &self.request.call {
            Call::Read => (data.value.clone(), applied),
            Call::Write { new } | Call::Cas { expected: _, new } => (Some(new.clone()), applied),
            Call::Fate { of, .. } => {
                (data.value.clone(), DedupeEntry { op: *of, request_hash: 0, proposed_us: stamp_us, fate: OpFate::Aborted })
            }
        };
        let config = &env.shared.config;
        // Entries expire relative to this update's stamp. Expiry is part of the update, so it is the same on every
        // replica.
        let cutoff_us = config.paxos_ttl_us.map_or(0, |ttl_us| stamp_us.saturating_sub(ttl_us));
        let expired = data.dedupe.expired(cutoff_us);
        let dedupe = expired.as_ref().unwrap_or(&data.dedupe).with(entry, config.dedupe_limits());
        Arc::new(RowData { version: data.version + 1, value, dedupe })
    }
}

/// A stamp for an update of this row, at `floor_us` or later. It is above the stamps of all existing entries, so the
/// entries stay in stamp order whatever the ballots.
pub(super) fn stamp_above(data: &RowData, floor_us: u64) -> u64 {
    data.dedupe.newest().map_or(floor_us, |newest| floor_us.max(newest.proposed_us.saturating_add(1)))
}

/// FNV-1a hash of the request. It must be the same on every node and in every build, since rows store it.
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

    /// Hashes the length first: ("ab", "c") and ("a", "bc") must differ.
    fn bytes(&mut self, bytes: &[u8]) {
        for byte in (bytes.len() as u64).to_le_bytes() {
            self.byte(byte);
        }
        for byte in bytes {
            self.byte(*byte);
        }
    }
}
