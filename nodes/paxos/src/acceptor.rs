//! The storing role: what one replica keeps for one key, and how it answers.
//!
//! Paxos made to last: the register is decided again and again under rising ballots, as in
//! Cassandra's lightweight transactions and in CASPaxos. Every answer comes with the record that
//! must be durable before the answer may leave.

use crate::ballot::Ballot;
use crate::cell::Cell;
use crate::ids::Key;
use crate::message::{Body, RequestKind};
use crate::mutants::{Mutant, Mutants};
use crate::record::{Record, StateBytes};
use crate::row::{Accepted, Row, RowData, Update};
use std::mem::size_of;
use std::sync::Arc;

/// What a replica keeps for one key.
#[derive(Debug, Clone, Hash)]
pub struct Acceptor {
    promised: Ballot,
    /// The update accepted last. Above the learned ballot it is **pending**: it may be chosen, and
    /// nothing but a higher accept or learn may take it away. At the learned ballot it is the
    /// **copy** of the row that was decided here: done with, ignored everywhere, and in the way
    /// until it is overwritten, pruned or expired, as `system.paxos` keeps the most recent commit
    /// beside the table in Cassandra and `ScyllaDB`.
    accepted: Option<Accepted>,
    row: Row,
    /// The newest put, while it is newer than the row.
    cell: Option<Cell>,
}

/// An answer, and what it relies on.
#[derive(Debug)]
pub struct Answer {
    /// What to say.
    pub body: Body,
    /// What must be durable first; `None` if nothing changed.
    pub record: Option<Record>,
}

impl Answer {
    fn unchanged(body: Body) -> Self {
        Self { body, record: None }
    }
}

impl Default for Acceptor {
    fn default() -> Self {
        Self { promised: Ballot::ZERO, accepted: None, row: Row::absent(), cell: None }
    }
}

impl Acceptor {
    /// Highest ballot promised.
    #[must_use]
    pub fn promised(&self) -> Ballot {
        self.promised
    }

    /// What is accepted and not yet learned.
    #[must_use]
    pub fn accepted(&self) -> Option<&Accepted> {
        self.accepted.as_ref().filter(|held| held.ballot > self.row.learned)
    }

    /// The accepted copy of the row, if it is still kept.
    #[must_use]
    pub fn copy(&self) -> Option<&Accepted> {
        self.accepted.as_ref().filter(|held| held.ballot <= self.row.learned)
    }

    /// The row learned last.
    #[must_use]
    pub fn row(&self) -> &Row {
        &self.row
    }

    /// The newest put, while it is newer than the row.
    #[must_use]
    pub fn cell(&self) -> Option<&Cell> {
        self.cell.as_ref()
    }

    /// The last-write-wins path: keeps a put if it is newer than row and cell. Says "done" in any case: what is older was
    /// overwritten before it came.
    pub fn put(&mut self, key: &Key, cell: Cell) -> Answer {
        let record = self.keep_if_newer(&cell).then(|| Record::Put { key: key.clone(), cell });
        Answer { body: Body::PutDone, record }
    }

    /// The last-write-wins path: the newer of row and cell.
    #[must_use]
    pub fn get(&self) -> Answer {
        Answer::unchanged(Body::Got { cell: crate::cell::seen(&self.row, self.cell.as_ref()) })
    }

    fn keep_if_newer(&mut self, cell: &Cell) -> bool {
        let newer = cell.hides(self.row.learned.micros) && self.cell.as_ref().is_none_or(|held| held < cell);
        if newer {
            self.cell = Some(cell.clone());
        }
        newer
    }

    /// Round 1. Promises iff the ballot is above everything promised.
    ///
    /// Not at an equal ballot: an equal one is a duplicate, and its sender may have gone on to
    /// propose. The sender does not count the reject, since it names its own ballot.
    pub fn prepare(&mut self, key: &Key, ballot: Ballot, have: Option<Ballot>, mutants: Mutants) -> Answer {
        let higher = if mutants.has(Mutant::PromiseOnEqual) { ballot.micros >= self.promised.micros } else { ballot > self.promised };
        if !higher {
            return self.reject(RequestKind::Prepare);
        }
        let old_promise = std::mem::replace(&mut self.promised, ballot);
        self.check(mutants);
        let accepted = if mutants.has(Mutant::KeepAcceptedAtLearn) { self.accepted.clone() } else { self.accepted().cloned() };
        Answer {
            body: Body::Promise {
                old_promise,
                accepted,
                learned: self.row.learned,
                newer: have.filter(|have| self.row.learned > *have).map(|_| self.row.clone()),
            },
            record: Some(Record::Promised { key: key.clone(), ballot }),
        }
    }

    /// Round 2. Answers with the row unless a higher ballot was promised: then the reader is
    /// outbid and would find out only at propose.
    #[must_use]
    pub fn read(&self, ballot: Ballot, have: Ballot) -> Answer {
        if ballot < self.promised {
            return self.reject(RequestKind::Read);
        }
        let learned = self.row.learned;
        let newer = (learned > have).then(|| self.row.clone());
        Answer::unchanged(Body::RowRead { learned, newer })
    }

    /// Round 3. Accepts iff nothing higher was promised. Accepting *is* promising, and an empty
    /// update overwrites an accepted one as any other does.
    ///
    /// With `next`, the answer says that nothing between the two ballots was accepted or ever will
    /// be. One record makes both durable: were they two, a crash between them could let
    ///   accept(b, next b') -> ok, restart, accept(c) for b < c < b'
    /// slip in what the coordinator, who skips the prepare of b', never hears of.
    pub fn propose(&mut self, key: &Key, ballot: Ballot, next: Option<Ballot>, update: Update, mutants: Mutants) -> Answer {
        if self.has_accepted(ballot) {
            return self.accept_again(key, next, mutants);
        }
        let allowed = if mutants.has(Mutant::AcceptIgnoresPromise) {
            true
        } else if mutants.has(Mutant::PromiseOnEqual) {
            ballot.micros >= self.promised.micros
        } else {
            ballot >= self.promised
        };
        if !allowed {
            return self.reject(RequestKind::Propose);
        }
        if !mutants.has(Mutant::AcceptKeepsPromisedLow) {
            self.promised = self.promised.max(ballot).max(next.unwrap_or(Ballot::ZERO));
        }
        if let (true, Update::Row(data)) = (mutants.has(Mutant::ApplyAtAccept), &update) {
            self.row = Row { learned: ballot, data: data.clone() };
        }
        let accepted = Accepted { ballot, update };
        self.accepted = Some(accepted.clone());
        self.check(mutants);
        Answer { body: Body::Accepted, record: Some(Record::Accepted { key: key.clone(), accepted, promised: self.promised }) }
    }

    /// Whether this very proposal was accepted before: it is still held, or it was learned (then the
    /// update is in the row, and stored again it would only take room until the next learn) and
    /// nothing was accepted since.
    fn has_accepted(&self, ballot: Ballot) -> bool {
        match &self.accepted {
            Some(held) if held.ballot == ballot => true,
            Some(held) => self.row.learned == ballot && held.ballot < ballot,
            None => !ballot.is_zero() && self.row.learned == ballot,
        }
    }

    /// A second copy of a proposal. That it was accepted stays true whatever was promised since. If
    /// the row came by a learn before the proposal itself, `next` is yet to be promised.
    fn accept_again(&mut self, key: &Key, next: Option<Ballot>, mutants: Mutants) -> Answer {
        let raise = next.filter(|next| *next > self.promised && !mutants.has(Mutant::AcceptKeepsPromisedLow));
        let record = raise.map(|ballot| {
            self.promised = ballot;
            Record::Promised { key: key.clone(), ballot }
        });
        Answer { body: Body::Accepted, record }
    }

    /// Round 4 without an answer: what was accepted at this ballot is chosen. Returns what changed.
    ///
    /// Only what was accepted at this very ballot: at another one it is another update. A replica
    /// that lost the proposal lags until it accepts or learns a newer one, as if this message had
    /// been lost as well.
    pub fn chosen(&mut self, key: &Key, ballot: Ballot, mutants: Mutants) -> Option<Record> {
        let row = self.row_if_accepted(ballot)?;
        self.take_row(row, mutants);
        self.check(mutants);
        (!mutants.has(Mutant::LearnNotSynced)).then(|| Record::Chosen { key: key.clone(), ballot })
    }

    /// The accepted update as a row, if it has this ballot and is newer than the row learned.
    fn row_if_accepted(&self, ballot: Ballot) -> Option<Row> {
        let held = self.accepted.as_ref().filter(|held| held.ballot == ballot && ballot > self.row.learned)?;
        match &held.update {
            Update::Row(data) => Some(Row { learned: ballot, data: data.clone() }),
            Update::Empty => None,
        }
    }

    /// Round 4, and refresh. Row and learned ballot rise together, in one record; what was
    /// accepted at or below is done with in the same one.
    pub fn learn(&mut self, key: &Key, row: Row, mutants: Mutants) -> Answer {
        let body = Body::Learned { learned: row.learned };
        // An older row never overwrites a newer one. Otherwise
        //   learn(b=5) -> ok, late learn(b=4) -> ok, read
        // would return what was overwritten.
        if row.learned <= self.row.learned {
            return Answer::unchanged(body);
        }
        let record = if mutants.has(Mutant::LearnNotSynced) {
            // The row sits in memory and reaches the disk with the next snapshot.
            None
        } else if self.holds(&row) {
            Some(Record::Chosen { key: key.clone(), ballot: row.learned })
        } else {
            Some(Record::Learned { key: key.clone(), row: row.clone() })
        };
        self.take_row(row, mutants);
        self.check(mutants);
        Answer { body, record }
    }

    /// Every replica has durably learned a row at `ballot` or above: the copy at or below it goes,
    /// the ballots stay. Lazy: a copy that comes back with a crash is in the way again, no more.
    pub fn prune(&mut self, key: &Key, ballot: Ballot, mutants: Mutants) -> Answer {
        let held = self.copy().is_some_and(|copy| copy.ballot <= ballot);
        if held || mutants.has(Mutant::PruneDropsBallot) {
            self.drop_copy(mutants);
        }
        let record = held.then(|| Record::Pruned { key: key.clone(), ballot });
        Answer { body: Body::Pruned { pruned: ballot }, record }
    }

    /// Drops what ballots above `cutoff_us` make superfluous; says whether anything was dropped.
    /// The node must reject every ballot at or below the cutoff from now on: see
    /// [`crate::expiry`], where this is argued.
    pub(crate) fn expire(&mut self, cutoff_us: u64) -> bool {
        let mut dropped = false;
        let implied = self.implied();
        if self.promised > implied && self.promised.micros <= cutoff_us {
            self.promised = implied;
            dropped = true;
        }
        // Never a pending one, empty or not: it may be chosen, or be the fence that hides one that
        // must not be.
        if self.copy().is_some_and(|copy| copy.ballot.micros <= cutoff_us) {
            self.accepted = None;
            dropped = true;
        }
        if let Some(dedupe) = self.row.data.dedupe.expired(cutoff_us) {
            let data = &*self.row.data;
            self.row.data = Arc::new(RowData { version: data.version, value: data.value.clone(), dedupe });
            dropped = true;
        }
        dropped
    }

    /// What a snapshot keeps of the promise: nothing if row or accepted update imply it.
    #[must_use]
    pub fn promise_to_keep(&self) -> Ballot {
        if self.promised > self.implied() { self.promised } else { Ballot::ZERO }
    }

    /// All that Paxos knows, as one record.
    #[must_use]
    pub fn to_record(&self, key: &Key) -> Record {
        Record::State { key: key.clone(), promised: self.promise_to_keep(), accepted: self.accepted.clone(), row: self.row.clone() }
    }

    /// The cell as a record, for a snapshot.
    #[must_use]
    pub fn cell_record(&self, key: &Key) -> Option<Record> {
        self.cell.as_ref().map(|cell| Record::Put { key: key.clone(), cell: cell.clone() })
    }

    /// Takes back a put.
    pub(crate) fn recover_put(&mut self, cell: &Cell) {
        self.keep_if_newer(cell);
    }

    /// Accepting and learning are promising.
    fn implied(&self) -> Ballot {
        self.accepted.as_ref().map_or(self.row.learned, |held| held.ballot.max(self.row.learned))
    }

    /// Whether the very row is held as accepted. A ballot carries one update, so equal ballots
    /// would do, but for mutants.
    fn holds(&self, row: &Row) -> bool {
        self.accepted
            .as_ref()
            .is_some_and(|held| held.ballot == row.learned && matches!(&held.update, Update::Row(data) if *data == row.data))
    }

    fn drop_copy(&mut self, mutants: Mutants) {
        if self.copy().is_some() {
            self.accepted = None;
        }
        if mutants.has(Mutant::PruneDropsBallot) && self.accepted.is_none() {
            self.promised = Ballot::ZERO;
            self.row.learned = Ballot::ZERO;
        }
    }

    /// The mutant `ttl-by-local-time`: promise and accepted update are gone, the latter even if
    /// pending.
    pub(crate) fn forget_all_but_row(&mut self) {
        self.promised = Ballot::ZERO;
        self.accepted = None;
    }

    /// Takes back a prune.
    pub(crate) fn recover_pruned(&mut self, ballot: Ballot, mutants: Mutants) {
        // Whatever the row: it was durable before the prune could be requested.
        if self.accepted.as_ref().is_some_and(|held| held.ballot <= ballot) {
            self.accepted = None;
        }
        if self.row.learned <= ballot {
            self.drop_copy(mutants);
        }
    }

    /// Takes back one persisted change. Monotone: older than known changes nothing.
    pub(crate) fn recover(&mut self, promised: Ballot, accepted: Option<Accepted>, row: Option<Row>, mutants: Mutants) {
        self.promised = self.promised.max(promised);
        if let Some(row) = row
            && row.learned > self.row.learned
        {
            self.take_row(row, mutants);
        }
        if let Some(accepted) = accepted {
            let newest = self.accepted.as_ref().is_none_or(|held| {
                // A mutant lets an older update overwrite a newer one; recovery must then agree
                // with what the log says happened last.
                held.ballot < accepted.ballot || mutants.has(Mutant::AcceptIgnoresPromise)
            });
            if newest && accepted.ballot >= self.row.learned {
                if !mutants.has(Mutant::AcceptKeepsPromisedLow) {
                    self.promised = self.promised.max(accepted.ballot);
                }
                self.accepted = Some(accepted);
            }
        }
    }

    /// Takes back [`Record::Chosen`]. Log and snapshot keep the order, so what it names is held, or
    /// what followed it is known already.
    pub(crate) fn recover_chosen(&mut self, ballot: Ballot, mutants: Mutants) {
        if let Some(row) = self.row_if_accepted(ballot) {
            self.take_row(row, mutants);
        }
    }

    /// Bytes of this key by kind, without its name.
    #[must_use]
    pub fn bytes(&self) -> StateBytes {
        let ballot = |held: bool| if held { size_of::<Ballot>() as u64 } else { 0 };
        let value = |data: &RowData| data.value.as_ref().map_or(0, crate::ids::Value::len) as u64;
        let data = &*self.row.data;
        let mut sum = StateBytes {
            rows: u64::from(data.version > 0),
            data: value(data) + self.cell.as_ref().map_or(0, Cell::bytes),
            promise: ballot(!self.row.learned.is_zero()) + ballot(self.promised > self.implied()),
            dedupe: data.dedupe.bytes(),
            ..StateBytes::default()
        };
        if let Some(accepted) = &self.accepted {
            sum.accepted = ballot(true);
            if let Update::Row(data) = &accepted.update {
                sum.accepted += value(data) + data.dedupe.bytes();
            }
        }
        sum
    }

    fn take_row(&mut self, row: Row, mutants: Mutants) {
        // Learning a ballot promises it as well. Otherwise a coordinator below the learned ballot
        // could still collect promises and accepts for an update that no longer counts.
        if !mutants.has(Mutant::AcceptKeepsPromisedLow) && !mutants.has(Mutant::LearnKeepsPromisedLow) {
            self.promised = self.promised.max(row.learned);
        }
        // What is accepted at the learned ballot is the row, and stays as its copy. What is below
        // it was overtaken.
        let overtaken = self.accepted.as_ref().is_some_and(|held| held.ballot < row.learned);
        if overtaken && !mutants.has(Mutant::KeepAcceptedAtLearn) {
            self.accepted = None;
        }
        self.row = row;
        // The newer of the two stays, and what was hidden goes for good.
        let learned_us = self.row.learned.micros;
        self.cell = self.cell.take().filter(|cell| cell.hides(learned_us));
    }

    fn reject(&self, request: RequestKind) -> Answer {
        Answer::unchanged(Body::Reject { request, seen: self.promised })
    }

    fn check(&self, mutants: Mutants) {
        let low = [Mutant::AcceptKeepsPromisedLow, Mutant::PromiseOnEqual, Mutant::TtlByLocalTime];
        let excused = low.into_iter().any(|mutant| mutants.has(mutant));
        // Invariant: accepted <= promised. Accepting *is* promising. Were the promise left behind,
        //   accept(b=5) -> ok, prepare(b=4) -> promised, accept(b=4) -> ok
        // and two updates could be chosen (Scylla #6139).
        assert!(
            excused || self.accepted.as_ref().is_none_or(|held| held.ballot <= self.promised),
            "accepted {:?} is above the promise {}",
            self.accepted.as_ref().map(|held| held.ballot),
            self.promised
        );
        // Invariant: learned <= promised. Were it not so,
        //   learn(b=5), prepare(b=4) -> promised
        // and the coordinator of 4 would build on a row from its own future.
        assert!(excused || self.row.learned <= self.promised, "learned {} is above the promise {}", self.row.learned, self.promised);
    }
}
