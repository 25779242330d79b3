//! The storing role: what one replica keeps for one key, and how it answers.
//!
//! Paxos made to last: the register is decided again and again under rising ballots, as in
//! Cassandra's lightweight transactions and in CASPaxos. Every answer comes with the record that
//! must be durable before the answer may leave.

use crate::ballot::Ballot;
use crate::ids::Key;
use crate::message::{Body, RequestKind};
use crate::mutants::{Mutant, Mutants};
use crate::record::{Record, StateBytes};
use crate::row::{Accepted, Row, Update};
use std::mem::size_of;

/// What a replica keeps for one key.
#[derive(Debug, Clone)]
pub struct Acceptor {
    promised: Ballot,
    accepted: Option<Accepted>,
    row: Row,
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
        Self { promised: Ballot::ZERO, accepted: None, row: Row::absent() }
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
        self.accepted.as_ref()
    }

    /// The row learned last.
    #[must_use]
    pub fn row(&self) -> &Row {
        &self.row
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
        Answer {
            body: Body::Promise {
                old_promise,
                accepted: self.accepted.clone(),
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
        Some(Record::Chosen { key: key.clone(), ballot })
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
    /// accepted at or below is cleared in the same one.
    pub fn learn(&mut self, key: &Key, row: Row, mutants: Mutants) -> Answer {
        let body = Body::Learned { learned: row.learned };
        // An older row never overwrites a newer one. Otherwise
        //   learn(b=5) -> ok, late learn(b=4) -> ok, read
        // would return what was overwritten.
        if row.learned <= self.row.learned {
            return Answer::unchanged(body);
        }
        self.take_row(row.clone(), mutants);
        self.check(mutants);
        Answer { body, record: Some(Record::Learned { key: key.clone(), row }) }
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
            if newest && accepted.ballot > self.row.learned {
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

    /// Adds this key's bytes to the sum.
    pub(crate) fn add_bytes(&self, key: &Key, sum: &mut StateBytes) {
        sum.keys += 1;
        sum.rows += u64::from(self.row.data.version > 0);
        let value = self.row.data.value.as_ref().map_or(0, crate::ids::Value::len);
        sum.data += (key.len() + value) as u64;
        sum.promise += 2 * size_of::<Ballot>() as u64;
        sum.dedupe += self.row.data.dedupe.bytes();
        if let Some(accepted) = &self.accepted {
            sum.accepted += size_of::<Ballot>() as u64;
            if let Update::Row(data) = &accepted.update {
                let value = data.value.as_ref().map_or(0, crate::ids::Value::len);
                sum.accepted += value as u64 + data.dedupe.bytes();
            }
        }
    }

    fn take_row(&mut self, row: Row, mutants: Mutants) {
        // Learning a ballot promises it as well. Otherwise a coordinator below the learned ballot
        // could still collect promises and accepts for an update that no longer counts.
        if !mutants.has(Mutant::AcceptKeepsPromisedLow) {
            self.promised = self.promised.max(row.learned);
        }
        let done = self.accepted.as_ref().is_some_and(|held| held.ballot <= row.learned);
        if done && !mutants.has(Mutant::KeepAcceptedAtLearn) {
            self.accepted = None;
        }
        self.row = row;
    }

    fn reject(&self, request: RequestKind) -> Answer {
        Answer::unchanged(Body::Reject { request, seen: self.promised })
    }

    fn check(&self, mutants: Mutants) {
        let excused = mutants.has(Mutant::AcceptKeepsPromisedLow) || mutants.has(Mutant::PromiseOnEqual);
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
