//! Decisions that wait to be pruned.

use crate::ids::{Key, MonoTime};
use crate::quorum::NodeSet;
use crate::row::Row;
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::{Hash, Hasher};
use std::mem::size_of;

/// Bytes that a decision takes while it waits to be pruned, without its key.
pub const PRUNE_SLOT_BYTES: usize = size_of::<Slot>();

/// Decisions that wait to be pruned. One slot a key.
#[derive(Debug, Clone, Default)]
pub(crate) struct PruneQueue {
    pub(super) slots: Vec<Option<Slot>>,
    pub(super) free: Vec<u32>,
    pub(super) by_key: FxHashMap<Key, u32>,
    /// One entry for each occupied slot, at or before the time it is due: (when, slot, use).
    pub(super) due: BinaryHeap<Reverse<(MonoTime, u32, u64)>>,
    /// Counts the uses of slots.
    pub(super) uses: u64,
}

#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) key: Key,
    /// What was decided. It is sent to replicas that have nothing as new.
    pub(super) row: Row,
    /// Which use of the slot this is: an entry of `due` for an earlier one is void.
    pub(super) number: u64,
    pub(super) step: Step,
    pub(super) tries: u32,
    pub(super) due: MonoTime,
}

/// How far a decision has come. The members are those that have answered.
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
    /// What waits, without the times: see [`crate::Replica::fingerprint`].
    pub(crate) fn fingerprint<H: Hasher>(&self, state: &mut H) {
        for waiting in self.slots.iter().flatten() {
            let Slot { key, row, number: _, step, tries: _, due: _ } = waiting;
            (key, row, step).hash(state);
        }
    }

    /// Slots in use.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// When the next slot is due at the earliest.
    pub(crate) fn next_at(&self) -> Option<MonoTime> {
        self.due.peek().map(|Reverse((at, ..))| *at)
    }

    pub(super) fn slot(&mut self, key: &Key) -> Option<&mut Slot> {
        let at = *self.by_key.get(key)?;
        self.slots[at as usize].as_mut()
    }
}
