//! What became of an operation: a question that makes its own answer true.
//!
//! The question runs like a write, at a ballot above everything seen: what is unfinished is
//! finished first, and if it was the operation asked about, it has been applied. Otherwise an
//! update is proposed and learned that keeps the value and records the id as aborted.
//!
//! **Why "not applied" holds for ever.** Let the abort be chosen at ballot f.
//! 1. *Proposals of the operation below f* cannot be chosen any more: by claim 1 of this module's
//!    parent, whatever was chosen below f was in the row that f was built on, and the operation
//!    was not; and every row chosen after f is built on f's.
//! 2. *Proposals above f* are judged on a row that contains f's, so the coordinator finds the id
//!    aborted and proposes nothing. A mere fence would not do: it stops ballots below f, but a
//!    coordinator that was stopped, or a request that lay in a socket or was forwarded twice, makes
//!    a ballot above f, finds a row without the id, and applies it.
//! 3. *The table may forget the abort.* Then the operation's `born` is at or below the watermark
//!    of aborts, since the abort's stamp is above it (`admit_born`), and it is refused as too old. A deadline
//!    would not do in place of this: that of a late request begins when the request arrives.

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
    /// Looks for the operation `of` in the newest row, and has it aborted if it is not there.
    pub(super) fn evaluate_fate<R: Rng + ?Sized>(&self, of: OpId, born: Ballot, data: &RowData, env: &Env<'_, R>) -> Evaluation {
        let answer = |fate| Evaluation::End(Outcome::Fate { fate });
        let entry = data.dedupe.entries.iter().rev();
        // What a learned row says was chosen and stays true, so it needs no fence.
        let own = entry.clone().find(|entry| entry.op == of);
        if let Some(entry) = own {
            return answer(match entry.fate {
                OpFate::Applied => Fate::Applied,
                OpFate::Aborted => Fate::NotApplied,
            });
        }
        if entry.clone().any(|entry| entry.fate == OpFate::Applied && entry.op.client == of.client && entry.op.seq > of.seq) {
            return answer(Fate::Superseded);
        }
        // All ballots of the operation are above the one it was born at, so an evicted entry of
        // its own would have raised the watermark past that.
        if data.dedupe.watermark_us > 0 && born.micros <= data.dedupe.watermark_us {
            return answer(Fate::Evicted);
        }
        if env.mutants().has(Mutant::FateWithoutFence) {
            return answer(Fate::NotApplied);
        }
        // An update that keeps the value and records the id as aborted: see `own_row`.
        Evaluation::Own
    }

    /// The answer once the own update is chosen.
    pub(super) fn done(&self) -> Outcome {
        match self.request.call {
            Call::Fate { .. } => Outcome::Fate { fate: Fate::NotApplied },
            Call::Read | Call::Write { .. } | Call::Cas { .. } => Outcome::Applied,
        }
    }
}
