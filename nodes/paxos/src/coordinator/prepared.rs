//! A ballot promised before there is an operation to use it. See [`super::fast`].

use super::env::Env;
use crate::acceptor::Acceptor;
use crate::ballot::Ballot;
use crate::mutants::Mutant;
use crate::row::Row;
use rand::Rng;

/// A ballot that a quorum has promised and that has not been used yet, with the newest row below it.
#[derive(Debug, Clone, Hash)]
pub(crate) struct Prepared {
    pub(crate) ballot: Ballot,
    pub(crate) row: Row,
}

impl Prepared {
    /// Whether the ballot is likely to succeed. If this node itself has promised a higher ballot, another coordinator
    /// is active and would cause a propose to be rejected.
    pub(crate) fn is_current<R: Rng + ?Sized>(&self, own: &Acceptor, env: &Env<'_, R>) -> bool {
        // Operations must not be answered at a ballot below a forgotten abort: the client uses the ballot as the
        // birth of its next operation, which would then be refused as too old.
        let young = self.ballot.micros > self.row.data.dedupe.aborted_watermark_us;
        // A put newer than the ballot would hide a row chosen at this ballot, although the row was evaluated with
        // that put.
        let unhidden = own.cell().is_none_or(|cell| !cell.hides(self.ballot.micros));
        (own.promised() <= self.ballot && young && unhidden) || env.mutants().has(Mutant::ReuseBallot)
    }
}
