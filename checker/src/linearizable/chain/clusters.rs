//! Steps 1 to 3: values and who saw them, which of them are needed, and what follows what.

use super::super::facts::{Fact, KeyOps, START, Time};
use super::{Stop, blame};
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
    index: Index,
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

/// From values to clusters. Values mostly come from one counter, and then a table is smaller and faster than a map.
enum Index {
    Dense { least: i64, table: Vec<u32> },
    Sparse(FxHashMap<i64, u32>),
}

/// A table may have this many slots for each value in it.
const SLOTS_PER_VALUE: u64 = 8;

impl Index {
    fn for_values(least: i64, greatest: i64, count: usize) -> Self {
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
    fn insert(&mut self, value: i64, cluster: u32) -> Option<u32> {
        match self {
            Index::Dense { least, table } => {
                let old = std::mem::replace(&mut table[value.wrapping_sub(*least) as u64 as usize], cluster);
                (old != NONE).then_some(old)
            }
            Index::Sparse(map) => map.insert(value, cluster),
        }
    }
}

/// Steps 1 to 3.
pub(super) fn gather(ops: &KeyOps<'_>) -> Result<Clusters, Stop> {
    let mut clusters = writers(ops)?;
    observers(ops, &mut clusters)?;
    link(ops, &mut clusters)?;
    Ok(clusters)
}

fn writers(ops: &KeyOps<'_>) -> Result<Clusters, Stop> {
    let (mut least, mut greatest, mut count) = (i64::MAX, i64::MIN, 0);
    for &place in &ops.places {
        if let Some(v) = ops.op(place).call.writes() {
            (least, greatest, count) = (least.min(v.0), greatest.max(v.0), count + 1);
        }
    }
    let mut index = Index::for_values(least, greatest, count);
    let mut all = Vec::with_capacity(count + 1);
    let initial =
        Cluster { writer: NONE, first: START, first_op: NONE, last: START, last_op: NONE, next: NONE, needed: true, swapped: false };
    all.push(initial);
    for &place in &ops.places {
        let timed = ops.fact(place);
        let (new, sure, swapped) = match timed.fact {
            Fact::Wrote { new, sure } => (new, sure, false),
            Fact::Swapped { expected, new, sure } => {
                if expected == Some(new) {
                    let why = format!("it is a CAS from {new} to the same value, so one value has two writers");
                    return Err(Stop::Outside { op: ops.op(place).op, why });
                }
                (new, sure, true)
            }
            Fact::Saw(_) | Fact::SawExpected | Fact::Refused { .. } | Fact::Never | Fact::Nothing => continue,
        };
        if let Some(other) = index.insert(new.0, all.len() as u32) {
            let other: &Cluster = &all[other as usize];
            let why = format!("it writes {new}, which op {} writes too; values must be unique", ops.op(other.writer).op);
            return Err(Stop::Outside { op: ops.op(place).op, why });
        }
        let (invoked, by) = (timed.invoked, timed.by);
        all.push(Cluster { writer: place, first: by, first_op: place, last: invoked, last_op: place, next: NONE, needed: sure, swapped });
    }
    Ok(Clusters { all, observed: vec![], index })
}

fn observers(ops: &KeyOps<'_>, clusters: &mut Clusters) -> Result<(), Stop> {
    let mut observed = vec![NONE; ops.places.len()];
    for (slot, &place) in observed.iter_mut().zip(&ops.places) {
        let timed = ops.fact(place);
        let value = match timed.fact {
            Fact::Saw(value) => value,
            Fact::SawExpected => return Err(Stop::from(blame::saw_expected(ops, place))),
            Fact::Wrote { .. } | Fact::Swapped { .. } | Fact::Refused { .. } | Fact::Never | Fact::Nothing => continue,
        };
        let Some(number) = clusters.of(value) else { return Err(Stop::from(blame::never_written(ops, clusters, place))) };
        *slot = number;
        let cluster = &mut clusters.all[number as usize];
        cluster.needed = true;
        if timed.by < cluster.first {
            (cluster.first, cluster.first_op) = (timed.by, place);
        }
        if timed.invoked > cluster.last {
            (cluster.last, cluster.last_op) = (timed.invoked, place);
        }
    }
    clusters.observed = observed;
    for (number, cluster) in (0u32..).zip(&clusters.all).skip(1) {
        if cluster.first < ops.fact(cluster.writer).invoked {
            return Err(Stop::from(blame::future_read(ops, clusters, number)));
        }
    }
    Ok(())
}

fn link(ops: &KeyOps<'_>, clusters: &mut Clusters) -> Result<(), Stop> {
    let needed = |c: &Cluster| c.needed && c.swapped;
    let mut work: Vec<u32> = (0u32..).zip(&clusters.all).filter(|(_, c)| needed(c)).map(|(i, _)| i).collect();
    while let Some(number) = work.pop() {
        let writer = clusters.get(number).writer;
        let Fact::Swapped { expected, .. } = ops.fact(writer).fact else { continue };
        let Some(before) = clusters.of(expected) else { return Err(Stop::from(blame::never_written(ops, clusters, writer))) };
        let cluster = &mut clusters.all[before as usize];
        if cluster.next != NONE {
            let other = cluster.next;
            return Err(Stop::from(blame::two_successors(ops, clusters, other, number)));
        }
        cluster.next = number;
        if !cluster.needed {
            cluster.needed = true;
            if cluster.swapped {
                work.push(before);
            }
        }
    }
    Ok(())
}
