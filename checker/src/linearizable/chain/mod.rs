//! The chain checker: a verdict on one key in near-linear time, without search.
//!
//! # Why no search is needed
//! Checking linearizability is NP-complete in general (Gibbons and Korach 1997), but not if every value is written by
//! at most one op. Then each answer identifies the one op it depends on (the read mapping of Gibbons and Korach; zones
//! after Gibbons and Korach 1997 and Golab, Li and Shah 2011). A refused CAS reports the value it found, so it is
//! equivalent to a read. An applied CAS names the value directly before its own, so the order within a key is forced.
//!
//! # The fragment
//! The fragment is one register, initially "never written". Each value is written by at most one op that may have
//! happened. A CAS expects a different value from the one it writes. The ops are reads, blind writes, applied CAS and
//! refused CAS, and any of them may have an unknown outcome. A key outside the fragment is reported with the op that
//! rules it out, and is left to the search.
//!
//! # The steps
//! 1. A *cluster* is a value, its writer and every op that observed it. `first` is the earliest completion in it and
//!    `last` the latest invocation. An unknown op never completes.
//! 2. A value is *needed* if its write is certain, if it was observed, or if a needed CAS expected it. Unknown
//!    updates whose values are not needed are dropped.
//! 3. Each needed CAS links the value it expects to the value it writes. Contradictions found here: a value that no op
//!    wrote; two successors of one value; a refused CAS that found the value it expected; a cycle of links.
//! 4. The needed clusters therefore form *chains*. Within a chain, no op on an earlier value may be invoked after an op
//!    on a later value completed, and no observer may complete before its writer is invoked.
//! 5. The *zone* of a chain is (`first`, `last`) over the whole chain; the chain of "never written" starts before
//!    everything. No order exists iff two chains C and D have first(C) < last(D) and first(D) < last(C).
//! 6. Otherwise output an order: chains by their zones, clusters in chain order, and within a cluster the writer and
//!    then its observers by invocation.
//!
//! # Why this is exact
//! *Dropping loses nothing.* Take any order of the whole history. While a dropped value holds, no kept op occurs, since
//! an observer or a needed CAS would have made the value needed. Delete the dropped ops. The state before each kept op
//! is unchanged, except where a dropped update preceded a blind write, which the state does not affect. Conversely, an
//! unknown op may never happen, so an order of the kept ops is an order of the history.
//!
//! *Clusters and chains are contiguous.* Values are unique, so every observer of v falls between the write of v and the
//! next write, and an applied CAS happens while its expected value still holds, so its value follows directly. Within a
//! chain the order of clusters is therefore fixed, in a cluster the writer comes first, and a chain is a block that no
//! op of another chain can enter.
//!
//! *Within a chain*, an order respects real time iff no op on a later value completes before an op on an earlier one is
//! invoked, which is what step 4 checks.
//!
//! *Between chains.* C must precede D iff some op of C completes before some op of D is invoked, that is, iff first(C)
//! < last(D). An order of the chains exists iff this relation has no cycle. Take a shortest cycle, let X be its member
//! with the greatest `last`, and let Y be X's successor. Y's successor Z has first(Y) < last(Z) <= last(X), so Y must
//! also precede X, and (X, Y) is a cycle of two. Step 5 therefore only needs to consider pairs, and every contradiction
//! has a witness of at most four ops, plus the CAS ops that link their values.
//!
//! Intervals are closed: a completion and an invocation at the same instant overlap.
//!
//! *One scan finds a conflicting pair.* Call a zone forward if first < last. Of two conflicting chains, at least one is
//! forward: first(C) < last(D) <= first(D) < last(C) <= first(C) is impossible. Two forward zones conflict iff they
//! overlap, and if any two overlap, then two neighbours by `first` do. A chain that is not forward conflicts with D iff
//! D is forward and strictly contains it. Since the forward zones are disjoint at this point, only the last one that
//! starts before the chain can.
//!
//! # Refusals that do not report the value found
//! These refusals occur only in foreign histories. They are inserted greedily into the order that was found. If that
//! fails, nothing is proved, and the search decides.

mod outcome; // the conclusion on one key
mod clusters; // values with their observers, and chains of values
mod blame; // turns findings into contradictions with few ops
mod gather; // steps 1 to 3
mod zones; // steps 4 and 5
mod order; // step 6
mod silent; // refusals that do not report the value found

use super::facts::KeyOps;
pub(crate) use outcome::Outcome;
use outcome::Stop;

/// Judges one key.
pub(crate) fn check(ops: &KeyOps<'_>) -> Outcome {
    match order(ops) {
        Ok(order) => silent::place(ops, order),
        Err(Stop::Broken(contradiction)) => Outcome::Invalid(*contradiction),
        Err(Stop::Outside { op, why }) => Outcome::Outside { op, why },
    }
}

fn order(ops: &KeyOps<'_>) -> Result<Vec<u32>, Stop> {
    let clusters = gather::gather(ops)?;
    let chains = zones::chains(ops, &clusters)?;
    let sequence = zones::sequence(ops, &clusters, &chains)?;
    Ok(order::write_out(ops, &clusters, &chains, &sequence))
}
