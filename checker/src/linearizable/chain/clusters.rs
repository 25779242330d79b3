//! The data used by the steps: a cluster is a value with its observers, and a chain is a sequence of linked clusters.

use super::super::facts::Time;
use heckle_history::Value;
use rustc_hash::FxHashMap;

/// Marks the absence of a cluster or an op.
pub(super) const NONE: u32 = u32::MAX;

/// The cluster of "never written".
pub(super) const INITIAL: u32 = 0;

/// A value, its writer and its observers. It is kept small, because a history of a million ops has half a million of them in
/// memory.
#[derive(Debug, Clone)]
pub(super) struct Cluster {
    /// Index of the op that writes the value; [`NONE`] for "never written".
    pub(super) writer: u32,
    /// The earliest completion and its op. [`START`] for "never written", which holds before every op.
    pub(super) first: Time,
    pub(super) first_op: u32,
    /// The latest invocation and its op.
    pub(super) last: Time,
    pub(super) last_op: u32,
    /// The cluster of the value written by the effective CAS that expects this one.
    pub(super) next: u32,
    /// Whether the value must have held.
    pub(super) needed: bool,
    /// Whether the writer is a CAS.
    pub(super) swapped: bool,
}

pub(super) struct Clusters {
    /// The clusters by number: [`INITIAL`] first, then the others in the order of their writers' invokes.
    pub(super) all: Vec<Cluster>,
    /// For each of the key's ops, the cluster it observed, or [`NONE`].
    pub(super) observed: Vec<u32>,
    pub(super) index: Index,
}

impl Clusters {
    pub(super) fn of(&self, value: Option<Value>) -> Option<u32> {
        match value {
            None => Some(INITIAL),
            Some(v) => self.index.get(v.0),
        }
    }

    pub(super) fn get(&self, cluster: u32) -> &Cluster {
        &self.all[cluster as usize]
    }
}

/// A sequence of linked clusters.
#[derive(Debug, Clone)]
pub(super) struct Chain {
    /// The first cluster; the others follow by `next`.
    pub(super) root: u32,
    /// The earliest completion of an op on the chain.
    pub(super) first: Time,
    /// The latest invocation of an op on the chain.
    pub(super) last: Time,
}

impl Chain {
    /// Returns whether the zone of the chain is forward: an op on it completed before another op on it was invoked.
    pub(super) fn forward(&self) -> bool {
        self.first < self.last
    }
}

/// Maps values to clusters. Values usually come from one counter, in which case a table is smaller and faster than a
/// map.
pub(super) enum Index {
    Dense { least: i64, table: Vec<u32> },
    Sparse(FxHashMap<i64, u32>),
}

/// Maximum number of table slots per value.
const SLOTS_PER_VALUE: u64 = 8;

impl Index {
    pub(super) fn for_values(least: i64, greatest: i64, count: usize) -> Self {
        let span = greatest.abs_diff(least).saturating_add(1);
        if count > 0 && span <= (count as u64).saturating_mul(SLOTS_PER_VALUE) {
            Index::Dense { least, table: vec![NONE; span as usize] }
        } else {
            Index::Sparse(FxHashMap::with_capacity_and_hasher(count, Default::default()))
        }
    }

    fn get(&self, value: i64) -> Option<u32> {
        match self {
            Index::Dense { least, table } => {
                // A value below the least one wraps around to a slot beyond the table.
                let slot = usize::try_from(value.wrapping_sub(*least) as u64).ok()?;
                table.get(slot).copied().filter(|&c| c != NONE)
            }
            Index::Sparse(map) => map.get(&value).copied(),
        }
    }

    /// Inserts a value; returns the cluster it already had, if any.
    pub(super) fn insert(&mut self, value: i64, cluster: u32) -> Option<u32> {
        match self {
            Index::Dense { least, table } => {
                let old = std::mem::replace(&mut table[value.wrapping_sub(*least) as u64 as usize], cluster);
                (old != NONE).then_some(old)
            }
            Index::Sparse(map) => map.insert(value, cluster),
        }
    }
}
