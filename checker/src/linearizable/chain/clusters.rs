//! What the steps work on: a cluster is a value with those who saw it, a chain a run of clusters that follow each other.

use super::super::facts::Time;
use heckle_history::Value;
use rustc_hash::FxHashMap;

/// No cluster, no op.
pub(super) const NONE: u32 = u32::MAX;

/// The cluster of "never written".
pub(super) const INITIAL: u32 = 0;

/// A value, its writer and its observers. Half a million of them exist at once for a million ops, so it is small.
#[derive(Debug, Clone)]
pub(super) struct Cluster {
    /// The place of the op that writes the value; [`NONE`] for "never written".
    pub(super) writer: u32,
    /// The least completion, and whose it is. [`START`] for "never written": it holds before everything.
    pub(super) first: Time,
    pub(super) first_op: u32,
    /// The greatest invocation, and whose it is.
    pub(super) last: Time,
    pub(super) last_op: u32,
    /// The cluster of the value that the one effective CAS writes which expects this one.
    pub(super) next: u32,
    /// Whether the value must have held.
    pub(super) needed: bool,
    /// Whether the writer is a CAS.
    pub(super) swapped: bool,
}

pub(super) struct Clusters {
    /// By number; [`INITIAL`] comes first, the others in the order of their writers' invokes.
    pub(super) all: Vec<Cluster>,
    /// Beside each of the key's ops: the cluster it observed, or [`NONE`].
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

/// A run of linked clusters.
#[derive(Debug, Clone)]
pub(super) struct Chain {
    /// Its first cluster; the others follow by `next`.
    pub(super) root: u32,
    /// The least completion on it.
    pub(super) first: Time,
    /// The greatest invocation on it.
    pub(super) last: Time,
}

impl Chain {
    /// Whether its zone is forward: something on it completed before something else on it was invoked.
    pub(super) fn forward(&self) -> bool {
        self.first < self.last
    }
}

/// From values to clusters. Values mostly come from one counter, and then a table is smaller and faster than a map.
pub(super) enum Index {
    Dense { least: i64, table: Vec<u32> },
    Sparse(FxHashMap<i64, u32>),
}

/// A table may have this many slots for each value in it.
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
                // A value below the least wraps to a slot beyond the table.
                let slot = usize::try_from(value.wrapping_sub(*least) as u64).ok()?;
                table.get(slot).copied().filter(|&c| c != NONE)
            }
            Index::Sparse(map) => map.get(&value).copied(),
        }
    }

    /// Enters a value; the cluster it already had, if any.
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
