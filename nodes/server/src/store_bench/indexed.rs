//! Stores with an index: for each key, they hold the record that a snapshot would hold.
//!
//! A node holds all state in memory, so it would read from such a store only at startup. So only the durable
//! transaction is timed, not the work of applying the records of a batch to their keys.

use std::collections::BTreeSet;

use heckle_paxos::{Accepted, Ballot, Key, Record, Row, Update};
use rustc_hash::FxHashMap;

use super::Times;
use super::records::Visit;
use crate::storage::batch::{Batch, BatchBuilder};
use crate::storage::{StorageError, Store};
use crate::wire::record::{decode_record, encode_record};

/// A key-value store.
pub(super) trait Index: Send {
    /// Writes all entries in one transaction, which is durable when this returns.
    fn put_all(&mut self, entries: &[(Key, Vec<u8>)]) -> Result<(), StorageError>;

    /// Calls `visit` with the value of every key.
    fn for_each_value(&self, visit: &mut Visit<'_>) -> Result<(), StorageError>;

    /// Converts an error from the store.
    fn failed(&self, what: &'static str, why: String) -> StorageError;
}

/// A [`Store`] on top of an index. The index compacts itself, so there are never segments for a snapshot to replace.
pub(super) struct Indexed<I> {
    index: I,
    states: FxHashMap<Key, KeyState>,
    batches: u64,
    times: Times,
}

impl<I: Index> Indexed<I> {
    /// Passes all recovered records to `visit` and continues from that state.
    pub(super) fn recover(index: I, times: Times, visit: &mut Visit<'_>) -> Result<Indexed<I>, StorageError> {
        let mut states = FxHashMap::<Key, KeyState>::default();
        index.for_each_value(&mut |bytes| {
            visit(bytes)?;
            apply(&mut states, decode_record(bytes).map_err(|error| error.to_string())?).map(drop)
        })?;
        Ok(Indexed { index, states, batches: 0, times })
    }
}

impl<I: Index> Store for Indexed<I> {
    fn append(&mut self, batch: &mut BatchBuilder) -> Result<(), StorageError> {
        self.batches += 1;
        let bytes = batch.seal(0, self.batches);
        let sealed = Batch::parse(bytes, 0).expect("it was sealed a moment ago");
        let mut changed = BTreeSet::new();
        for record in sealed.records() {
            let key = decode_record(record).map_err(|error| error.to_string()).and_then(|record| apply(&mut self.states, record));
            changed.insert(key.map_err(|why| self.index.failed("record for", why))?);
        }
        let entry = |key: Key| {
            let mut bytes = Vec::new();
            encode_record(&self.states[&key].record(&key), &mut bytes);
            (key, bytes)
        };
        let entries: Vec<(Key, Vec<u8>)> = changed.into_iter().map(entry).collect();
        self.times.measure(|| self.index.put_all(&entries))
    }

    fn seal(&mut self) -> Result<u64, StorageError> {
        Ok(self.batches)
    }

    fn remove_up_to(&mut self, _batch: u64) -> Result<(), StorageError> {
        Ok(())
    }

    fn segments(&self) -> usize {
        0
    }

    fn finish(&mut self) -> Result<(), StorageError> {
        Ok(())
    }
}

/// The Paxos state of a key.
#[derive(Debug)]
struct KeyState {
    promised: Ballot,
    accepted: Option<Accepted>,
    row: Row,
}

/// Applies one record, as the core does in recovery. The check after recovery compares the result with the core's
/// own.
fn apply(states: &mut FxHashMap<Key, KeyState>, record: Record) -> Result<Key, String> {
    let mut state = |key: &Key, change: &dyn Fn(&mut KeyState)| {
        change(states.entry(key.clone()).or_default());
        Ok(key.clone())
    };
    match record {
        Record::Promised { key, ballot } => state(&key, &|s| s.promise(ballot)),
        Record::Accepted { key, accepted, promised } => state(&key, &|s| {
            s.promise(promised);
            s.accept(accepted.clone());
        }),
        Record::Chosen { key, ballot } => state(&key, &|s| s.choose(ballot)),
        Record::Learned { key, row } => state(&key, &|s| s.learn(row.clone())),
        Record::State { key, promised, accepted, row } => state(&key, &|s| {
            s.promise(promised);
            s.learn(row.clone());
            if let Some(accepted) = accepted.clone() {
                s.accept(accepted);
            }
        }),
        other @ (Record::Incarnation { .. }
        | Record::LeaseLimits(_)
        | Record::Floor { .. }
        | Record::Pruned { .. }
        | Record::Put { .. }) => Err(format!("the workload writes no such record: {other:?}")),
    }
}

impl Default for KeyState {
    fn default() -> KeyState {
        KeyState { promised: Ballot::ZERO, accepted: None, row: Row::absent() }
    }
}

impl KeyState {
    fn promise(&mut self, ballot: Ballot) {
        self.promised = self.promised.max(ballot);
    }

    fn accept(&mut self, accepted: Accepted) {
        if self.accepted.as_ref().is_none_or(|held| held.ballot < accepted.ballot) && accepted.ballot >= self.row.learned {
            self.promise(accepted.ballot);
            self.accepted = Some(accepted);
        }
    }

    fn choose(&mut self, ballot: Ballot) {
        let held = self.accepted.as_ref().filter(|held| held.ballot == ballot);
        if let Some(Accepted { update: Update::Row(data), .. }) = held {
            self.learn(Row { learned: ballot, data: data.clone() });
        }
    }

    fn learn(&mut self, row: Row) {
        if row.learned > self.row.learned {
            self.promise(row.learned);
            self.accepted = self.accepted.take().filter(|held| held.ballot >= row.learned);
            self.row = row;
        }
    }

    fn record(&self, key: &Key) -> Record {
        let implied = self.accepted.as_ref().map_or(self.row.learned, |held| held.ballot.max(self.row.learned));
        let promised = if self.promised > implied { self.promised } else { Ballot::ZERO };
        Record::State { key: key.clone(), promised, accepted: self.accepted.clone(), row: self.row.clone() }
    }
}
