//! Steps 1 to 3: values with their observers, which values are needed, and the links between them.

use super::super::facts::{Fact, KeyOps, START};
use super::blame;
use super::clusters::{Cluster, Clusters, Index, NONE};
use super::outcome::Stop;

/// Runs steps 1 to 3.
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
