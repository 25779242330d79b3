//! A ballot that is promised before there is an operation for it; see [`super::fast`].

use super::env::Env;
use crate::acceptor::Acceptor;
use crate::ballot::Ballot;
use crate::mutants::Mutant;
use crate::row::Row;
use rand::Rng;

/// A ballot that is promised by a quorum and not used yet, and the newest row below it.
#[derive(Debug, Clone, Hash)]
pub(crate) struct Prepared {
    pub(crate) ballot: Ballot,
    pub(crate) row: Row,
}

impl Prepared {
    /// Whether it is worth a try. That this node itself has promised a higher ballot means that
    /// another coordinator is at work: a propose would be rejected.
    pub(crate) fn is_current<R: Rng + ?Sized>(&self, own: &Acceptor, env: &Env<'_, R>) -> bool {
        // Nor are operations answered at a ballot below forgotten aborts: a client takes it for the birth
        // of its next operation, which would then be refused as too old.
        let young = self.ballot.micros > self.row.data.dedupe.aborted_watermark_us;
        // A row at this ballot would stay hidden by a put that is newer than the ballot, though it was judged on it.
        let unhidden = own.cell().is_none_or(|cell| !cell.hides(self.ballot.micros));
        (own.promised() <= self.ballot && young && unhidden) || env.mutants().has(Mutant::ReuseBallot)
    }
}
