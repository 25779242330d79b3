//! The storing role: the per-key state of a replica, and its replies.
//!
//! The register is decided repeatedly, at rising ballots, as in Cassandra's lightweight transactions and in CASPaxos.
//! Every reply comes with the record that must be durable before the reply is sent.

use crate::ballot::Ballot;
use crate::cell::Cell;
use crate::ids::Key;
use crate::message::{Body, RequestKind};
use crate::mutants::{Mutant, Mutants};
use crate::record::{Record, StateBytes};
use crate::row::{Accepted, Row, RowData, Update};
use std::mem::size_of;
use std::sync::Arc;

/// The state a replica keeps for one key.
#[derive(Debug, Clone, Hash)]
pub struct Acceptor {
    promised: Ballot,
    /// The most recently accepted update. Above the learned ballot it is **pending**: it may be chosen, and only a
    /// higher accept or learn may replace it. At the learned ballot it is the **copy** of the learned row. The copy
    /// is no longer needed and is ignored everywhere, but it occupies memory until it is overwritten, pruned or
    /// expired, like the most recent commit that Cassandra and `ScyllaDB` keep in `system.paxos`, separate from the
    /// table.
    accepted: Option<Accepted>,
    row: Row,
    /// The newest put, if it is newer than the row.
    cell: Option<Cell>,
}

/// A reply, and the record on which it relies.
#[derive(Debug)]
pub struct Answer {
    /// The body of the reply.
    pub body: Body,
    /// The record that must be durable first. `None` if nothing changed.
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
    /// The highest ballot promised.
    #[must_use]
    pub fn promised(&self) -> Ballot {
        self.promised
    }

    /// The update accepted but not yet learned.
    #[must_use]
    pub fn accepted(&self) -> Option<&Accepted> {
        self.accepted.as_ref().filter(|held| held.ballot > self.row.learned)
    }

    /// The accepted copy of the row, if it has not been dropped.
    #[must_use]
    pub fn copy(&self) -> Option<&Accepted> {
        self.accepted.as_ref().filter(|held| held.ballot <= self.row.learned)
    }

    /// The most recently learned row.
    #[must_use]
    pub fn row(&self) -> &Row {
        &self.row
    }

    /// Whether this acceptor has never accepted or learned anything, not even an empty update.
    #[must_use]
    pub(crate) fn has_accepted_nothing(&self) -> bool {
        self.accepted.is_none() && self.row.learned.is_zero()
    }

    /// The newest put, if it is newer than the row.
    #[must_use]
    pub fn cell(&self) -> Option<&Cell> {
        self.cell.as_ref()
    }

    /// The last-write-wins path: keeps a put if it is newer than row and cell. The reply is the same in either case,
    /// since an older put counts as already overwritten.
    pub fn put(&mut self, key: &Key, cell: Cell) -> Answer {
        let record = self.keep_if_newer(&cell).then(|| Record::Put { key: key.clone(), cell });
        Answer { body: Body::PutDone, record }
    }

    /// The last-write-wins path: returns the newer of row and cell.
    #[must_use]
    pub fn get(&self) -> Answer {
        Answer::unchanged(Body::Got { cell: crate::cell::newest_cell(&self.row, self.cell.as_ref()) })
    }

    fn keep_if_newer(&mut self, cell: &Cell) -> bool {
        let newer = cell.hides(self.row.learned.micros) && self.cell.as_ref().is_none_or(|held| held < cell);
        if newer {
            self.cell = Some(cell.clone());
        }
        newer
    }

    /// Round 1. Promises iff the ballot is higher than any ballot promised before.
    ///
    /// An equal ballot gets no promise: the request is a duplicate, and its sender may have begun to propose. The
    /// sender ignores the reject, because it names the sender's own ballot.
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

    /// Round 2. Replies with the row unless a higher ballot was promised. In that case a reject saves the reader,
    /// which has been outbid, a pointless propose.
    #[must_use]
    pub fn read(&self, ballot: Ballot, have: Ballot) -> Answer {
        if ballot < self.promised {
            return self.reject(RequestKind::Read);
        }
        let learned = self.row.learned;
        let newer = (learned > have).then(|| self.row.clone());
        Answer::unchanged(Body::RowRead { learned, newer })
    }

    /// Round 3. Accepts iff no higher ballot was promised. Accepting *is* promising, and an empty update overwrites
    /// an accepted one like any other update.
    ///
    /// With `next`, the reply says that nothing between the two ballots was or will be accepted. One record makes
    /// both durable. With two records, a crash between them could allow
    ///   accept(b, next b') -> ok, restart, accept(c) for b < c < b'
    /// and the coordinator, which skips the prepare of b', would never learn of c's update.
    pub fn propose(&mut self, key: &Key, ballot: Ballot, next: Option<Ballot>, update: Update, mutants: Mutants) -> Answer {
        if self.has_accepted(ballot) {
            return self.accept_duplicate(key, next, mutants);
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

    /// Whether this exact proposal was accepted before. Either it is still the accepted update, or it was learned and
    /// nothing has been accepted since. (In the second case the row contains the update, and storing it again would
    /// only waste space until the next learn.)
    fn has_accepted(&self, ballot: Ballot) -> bool {
        match &self.accepted {
            Some(held) if held.ballot == ballot => true,
            Some(held) => self.row.learned == ballot && held.ballot < ballot,
            None => !ballot.is_zero() && self.row.learned == ballot,
        }
    }

    /// Replies to a duplicate proposal. The proposal remains accepted, whatever was promised since. If a learn
    /// delivered the row before the proposal arrived, `next` has yet to be promised.
    fn accept_duplicate(&mut self, key: &Key, next: Option<Ballot>, mutants: Mutants) -> Answer {
        let raise = next.filter(|next| *next > self.promised && !mutants.has(Mutant::AcceptKeepsPromisedLow));
        let record = raise.map(|ballot| {
            self.promised = ballot;
            Record::Promised { key: key.clone(), ballot }
        });
        Answer { body: Body::Accepted, record }
    }

    /// Round 4 without a reply: the update accepted at this ballot is chosen. Returns the change.
    ///
    /// Only the update accepted at exactly this ballot counts, since another ballot carries another update. A replica
    /// that missed the proposal lags until it accepts or learns a newer update, as if this message had also been
    /// lost.
    pub fn chosen(&mut self, key: &Key, ballot: Ballot, mutants: Mutants) -> Option<Record> {
        let row = self.row_if_accepted(ballot)?;
        self.store_row(row, mutants);
        self.check(mutants);
        (!mutants.has(Mutant::LearnNotSynced)).then(|| Record::Chosen { key: key.clone(), ballot })
    }

    /// The accepted update as a row, if it has this ballot and is newer than the learned row.
    fn row_if_accepted(&self, ballot: Ballot) -> Option<Row> {
        let held = self.accepted.as_ref().filter(|held| held.ballot == ballot && ballot > self.row.learned)?;
        match &held.update {
            Update::Row(data) => Some(Row { learned: ballot, data: data.clone() }),
            Update::Empty => None,
        }
    }

    /// Round 4, and refresh. The row and the learned ballot advance together, in one record, which also clears the
    /// update accepted at or below the learned ballot.
    pub fn learn(&mut self, key: &Key, row: Row, mutants: Mutants) -> Answer {
        let body = Body::Learned { learned: row.learned };
        // An older row never overwrites a newer one. Otherwise
        //   learn(b=5) -> ok, late learn(b=4) -> ok, read
        // would return an overwritten value.
        if row.learned <= self.row.learned {
            return Answer::unchanged(body);
        }
        let record = if mutants.has(Mutant::LearnNotSynced) {
            // The mutant: the row stays in memory and reaches the disk only with the next snapshot.
            None
        } else if self.has_accepted_row(&row) {
            Some(Record::Chosen { key: key.clone(), ballot: row.learned })
        } else {
            Some(Record::Learned { key: key.clone(), row: row.clone() })
        };
        self.store_row(row, mutants);
        self.check(mutants);
        Answer { body, record }
    }

    /// Every replica has durably learned a row at `ballot` or above: drops the copy at or below it, and keeps the
    /// ballots. The record is lazy: a crash may restore the copy, which then only takes up space again.
    pub fn prune(&mut self, key: &Key, ballot: Ballot, mutants: Mutants) -> Answer {
        let held = self.copy().is_some_and(|copy| copy.ballot <= ballot);
        if held || mutants.has(Mutant::PruneDropsBallot) {
            self.drop_copy(mutants);
        }
        let record = held.then(|| Record::Pruned { key: key.clone(), ballot });
        Answer { body: Body::Pruned { pruned: ballot }, record }
    }

    /// Drops the state that is redundant once only ballots above `cutoff_us` are accepted. Returns whether anything
    /// was dropped. The node must reject every ballot at or below the cutoff from now on: see [`crate::expiry`] for
    /// the argument.
    pub(crate) fn expire(&mut self, cutoff_us: u64) -> bool {
        let mut dropped = false;
        let implied = self.implied_promise();
        if self.promised > implied && self.promised.micros <= cutoff_us {
            self.promised = implied;
            dropped = true;
        }
        // A pending update is never dropped, empty or not: it may be chosen, or it may be the fence that keeps an
        // older update from being chosen.
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

    /// The promise that a snapshot must store: [`Ballot::ZERO`] if the row or the accepted update implies it.
    #[must_use]
    pub fn snapshot_promise(&self) -> Ballot {
        if self.promised > self.implied_promise() { self.promised } else { Ballot::ZERO }
    }

    /// The whole Paxos state of the key, as one record.
    #[must_use]
    pub fn to_record(&self, key: &Key) -> Record {
        Record::State { key: key.clone(), promised: self.snapshot_promise(), accepted: self.accepted.clone(), row: self.row.clone() }
    }

    /// The cell as a record, for a snapshot.
    #[must_use]
    pub fn cell_record(&self, key: &Key) -> Option<Record> {
        self.cell.as_ref().map(|cell| Record::Put { key: key.clone(), cell: cell.clone() })
    }

    /// Replays a put.
    pub(crate) fn recover_put(&mut self, cell: &Cell) {
        self.keep_if_newer(cell);
    }

    /// The ballot implicitly promised by accepting and learning.
    fn implied_promise(&self) -> Ballot {
        self.accepted.as_ref().map_or(self.row.learned, |held| held.ballot.max(self.row.learned))
    }

    /// Whether this exact row is the accepted one. A ballot carries only one update, so comparing ballots would
    /// suffice if it were not for mutants.
    fn has_accepted_row(&self, row: &Row) -> bool {
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

    /// The mutant `ttl-by-local-time`: drops the promise and the accepted update, even a pending one.
    pub(crate) fn forget_all_but_row(&mut self) {
        self.promised = Ballot::ZERO;
        self.accepted = None;
    }

    /// Replays a prune.
    pub(crate) fn recover_pruned(&mut self, ballot: Ballot, mutants: Mutants) {
        // No need to check the row: it was durable before any node could request the prune.
        if self.accepted.as_ref().is_some_and(|held| held.ballot <= ballot) {
            self.accepted = None;
        }
        if self.row.learned <= ballot {
            self.drop_copy(mutants);
        }
    }

    /// Replays one persisted change. Monotone: a change older than the current state has no effect.
    pub(crate) fn recover(&mut self, promised: Ballot, accepted: Option<Accepted>, row: Option<Row>, mutants: Mutants) {
        self.promised = self.promised.max(promised);
        if let Some(row) = row
            && row.learned > self.row.learned
        {
            self.store_row(row, mutants);
        }
        if let Some(accepted) = accepted {
            let newest = self.accepted.as_ref().is_none_or(|held| {
                // A mutant lets an older update overwrite a newer one. Recovery must then end with the last change in
                // the log.
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

    /// Replays [`Record::Chosen`]. Logs and snapshots preserve the order of records, so either the named update is
    /// held, or the state is already newer.
    pub(crate) fn recover_chosen(&mut self, ballot: Ballot, mutants: Mutants) {
        if let Some(row) = self.row_if_accepted(ballot) {
            self.store_row(row, mutants);
        }
    }

    /// Size of this key's state in bytes by kind, without the key itself.
    #[must_use]
    pub fn bytes(&self) -> StateBytes {
        let ballot = |held: bool| if held { size_of::<Ballot>() as u64 } else { 0 };
        let value = |data: &RowData| data.value.as_ref().map_or(0, crate::ids::Value::len) as u64;
        let data = &*self.row.data;
        let mut sum = StateBytes {
            rows: u64::from(data.version > 0),
            data: value(data) + self.cell.as_ref().map_or(0, Cell::bytes),
            promise: ballot(!self.row.learned.is_zero()) + ballot(self.promised > self.implied_promise()),
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

    fn store_row(&mut self, row: Row, mutants: Mutants) {
        // Learning a row also promises its ballot. Otherwise a coordinator below the learned ballot could still
        // collect promises and accepts for an update that no longer counts.
        if !mutants.has(Mutant::AcceptKeepsPromisedLow) && !mutants.has(Mutant::LearnKeepsPromisedLow) {
            self.promised = self.promised.max(row.learned);
        }
        // An update accepted at the learned ballot is the row itself, and is kept as its copy. An update below it has
        // been superseded.
        let overtaken = self.accepted.as_ref().is_some_and(|held| held.ballot < row.learned);
        if overtaken && !mutants.has(Mutant::KeepAcceptedAtLearn) {
            self.accepted = None;
        }
        self.row = row;
        // Only the newer of row and cell is kept.
        let learned_us = self.row.learned.micros;
        self.cell = self.cell.take().filter(|cell| cell.hides(learned_us));
    }

    fn reject(&self, request: RequestKind) -> Answer {
        Answer::unchanged(Body::Reject { request, seen: self.promised })
    }

    fn check(&self, mutants: Mutants) {
        let low = [Mutant::AcceptKeepsPromisedLow, Mutant::PromiseOnEqual, Mutant::TtlByLocalTime];
        let excused = low.into_iter().any(|mutant| mutants.has(mutant));
        // Invariant: accepted <= promised. Accepting *is* promising. If the promise were left behind,
        //   accept(b=5) -> ok, prepare(b=4) -> promised, accept(b=4) -> ok
        // and two updates could be chosen (Scylla #6139).
        assert!(
            excused || self.accepted.as_ref().is_none_or(|held| held.ballot <= self.promised),
            "accepted {:?} is above the promise {}",
            self.accepted.as_ref().map(|held| held.ballot),
            self.promised
        );
        // Invariant: learned <= promised. Otherwise
        //   learn(b=5), prepare(b=4) -> promised
        // and the coordinator of 4 would build on a row chosen at a higher ballot.
        assert!(excused || self.row.learned <= self.promised, "learned {} is above the promise {}", self.row.learned, self.promised);
    }
}
