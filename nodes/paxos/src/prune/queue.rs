//! The queue of decisions waiting to be pruned.

use crate::ids::{Key, MonoTime};
use crate::quorum::NodeSet;
use crate::row::Row;
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::{Hash, Hasher};
use std::mem::size_of;

/// Size of a decision waiting to be pruned, in bytes, without its key.
pub const PRUNE_SLOT_BYTES: usize = size_of::<Slot>();

/// Decisions waiting to be pruned. One slot per key.
#[derive(Debug, Clone, Default)]
pub(crate) struct PruneQueue {
    pub(super) slots: Vec<Option<Slot>>,
    pub(super) free: Vec<u32>,
    pub(super) by_key: FxHashMap<Key, u32>,
    /// Entries (time, slot, use), one for each occupied slot. The time is no later than when the slot is due.
    pub(super) due: BinaryHeap<Reverse<(MonoTime, u32, u64)>>,
    /// Total number of slot uses so far.
    pub(super) uses: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) key: Key,
    /// The decided row. It is sent to members that do not have a row at least as new.
    pub(super) row: Row,
    /// Number of this use of the slot. Entries of `due` for earlier uses are ignored.
    pub(super) number: u64,
    pub(super) step: Step,
    pub(super) tries: u32,
    pub(super) due: MonoTime,
}

/// The pruning step of a decision, with the members that have replied in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Step {
    Learning(NodeSet),
    Pruning(NodeSet),
}

impl Slot {
    pub(super) fn bytes(&self) -> u64 {
        (PRUNE_SLOT_BYTES + self.key.len()) as u64
    }
}

impl PruneQueue {
    /// Hashes the queue without its times: see [`crate::Replica::fingerprint`].
    pub(crate) fn fingerprint<H: Hasher>(&self, state: &mut H) {
        for waiting in self.slots.iter().flatten() {
            let Slot { key, row, number: _, step, tries: _, due: _ } = waiting;
            (key, row, step).hash(state);
        }
    }

    /// Number of slots in use.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Earliest time at which a slot may be due.
    pub(crate) fn next_at(&self) -> Option<MonoTime> {
        self.due.peek().map(|Reverse((at, ..))| *at)
    }

    pub(super) fn slot(&mut self, key: &Key) -> Option<&mut Slot> {
        let at = *self.by_key.get(key)?;
        self.slots[at as usize].as_mut()
    }
}
