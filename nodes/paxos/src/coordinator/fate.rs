//! Fate queries, which make sure that their own result stays true.
//!
//! The query runs like a write, at a ballot above all ballots seen. Unfinished updates are finished first. If the
//! queried operation is among them, it has been applied. Otherwise the query proposes an update that keeps the value
//! and records the id as aborted.
//!
//! **Why "not applied" stays true.** Let the abort be chosen at ballot f.
//! 1. *Proposals of the operation below f* can no longer be chosen: by claim 1 of the parent module, every update
//!    chosen below f was in the row that f was built on, and the operation was not among them. Every row chosen after
//!    f is built on f's row.
//! 2. *Proposals above f* are evaluated on a row that includes the abort, so the coordinator finds the id aborted and
//!    proposes nothing. A fence alone would not be enough, since it stops only ballots below f. A coordinator that
//!    was paused, or one that gets a request that waited in a socket or was forwarded twice, could use a ballot above
//!    f, find a row without the id, and apply the operation.
//! 3. *The table may forget the abort.* Then the operation's `born` is at or below the abort watermark, since the
//!    abort's stamp is above `born` (`observe_birth`), and the operation is refused as too old. A deadline could not
//!    replace this check: the deadline of a late request starts when the request arrives.

use super::env::Env;
use super::evaluate::Evaluation;
use super::state::Coordination;
use crate::ballot::Ballot;
use crate::ids::OpId;
use crate::mutants::Mutant;
use crate::request::{Call, Fate, Outcome};
use crate::row::{OpFate, RowData};
use rand::Rng;

impl Coordination {
    /// Looks up the operation `of` in the newest row, and proposes to abort it if the row does not contain it.
    pub(super) fn evaluate_fate<R: Rng + ?Sized>(&self, of: OpId, born: Ballot, data: &RowData, env: &Env<'_, R>) -> Evaluation {
        let end_with = |fate| Evaluation::End(Outcome::Fate { fate });
        let entry = data.dedupe.entries.iter().rev();
        // The content of a learned row was chosen and stays true, so it needs no fence.
        let own = entry.clone().find(|entry| entry.op == of);
        if let Some(entry) = own {
            return end_with(match entry.fate {
                OpFate::Applied => Fate::Applied,
                OpFate::Aborted => Fate::NotApplied,
            });
        }
        if entry.clone().any(|entry| entry.fate == OpFate::Applied && entry.op.client == of.client && entry.op.seq > of.seq) {
            return end_with(Fate::Superseded);
        }
        // All ballots of the operation are above its birth, so evicting its entry would have raised the watermark
        // above the birth.
        if data.dedupe.watermark_us > 0 && born.micros <= data.dedupe.watermark_us {
            return end_with(Fate::Evicted);
        }
        if env.mutants().has(Mutant::FateWithoutFence) {
            return end_with(Fate::NotApplied);
        }
        // Propose an update that keeps the value and records the id as aborted: see `row_with_update`.
        Evaluation::Own
    }

    /// The outcome once the operation's own update is chosen.
    pub(super) fn chosen_outcome(&self) -> Outcome {
        match self.request.call {
            Call::Fate { .. } => Outcome::Fate { fate: Fate::NotApplied },
            Call::Read | Call::Write { .. } | Call::Cas { .. } => Outcome::Applied,
        }
    }
}
