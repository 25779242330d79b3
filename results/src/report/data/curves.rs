//! Percentile curves of groups of operations: by outcome, kind, node and fault. The horizontal axis is the reciprocal of the
//! share of slower operations, on a log scale, so that every nine takes up the same space (Gil Tene's HdrHistogram plots).

use super::{End, EndedHistory, KINDS, kind, under_load};
use crate::measure::{Latencies, Measured};
use heckle_history::Operation;
use serde::Serialize;
use std::collections::BTreeMap;

/// Number of points per factor of ten in the share of slower operations.
const POINTS_PER_DECADE: f64 = 12.0;
/// Maximum number of nodes with their own curve.
const MAX_NODES: u16 = 16;

/// A percentile curve.
#[derive(Debug, Serialize)]
pub(super) struct Curve {
    /// The criterion by which operations are grouped.
    by: &'static str,
    name: String,
    /// Number of operations in the group.
    count: u64,
    /// Reciprocals of the share of slower operations.
    x: Vec<f64>,
    /// Latencies in microseconds.
    y: Vec<f64>,
}

pub(super) fn of(ends: EndedHistory<'_>, measured: &Measured) -> Vec<Curve> {
    let mut parts: BTreeMap<(usize, &'static str, usize, String), Latencies> = BTreeMap::new();
    let mut add = |order: usize, by: &'static str, rank: usize, name: &str, ns| {
        parts.entry((order, by, rank, name.to_owned())).or_insert_with(Latencies::new).add(ns);
    };
    let names: Vec<&str> = ends.history.names.nodes().map(|(_, name)| name).collect();
    for op in ends.history.ops.iter().filter(|op| under_load(measured.window, op)) {
        let took = ends.took(op);
        let (rank, name) = match End::of(op) {
            End::Ok => (0, "ok"),
            End::NotMet => (1, "condition not met"),
            End::Failed => (2, "failed"),
            End::Unknown => (3, "unknown: gave up after"),
        };
        add(0, "outcome", rank, name, took);
        if matches!(End::of(op), End::Failed | End::Unknown) {
            continue;
        }
        add(0, "outcome", 4, "all ok, from when sent", ends.completed(op).since(op.invoked));
        add(1, "kind", usize::from(kind(op)), KINDS[usize::from(kind(op))], took);
        if let Some(node) = op.node.filter(|n| n.0 < MAX_NODES) {
            add(2, "node", usize::from(node.0), names[usize::from(node.0)], took);
        }
        let (rank, name) = overlapping_fault(measured, op);
        add(3, "calm or fault", rank, name, took);
    }
    parts.into_iter().map(|((_, by, _, name), latencies)| curve(by, name, &latencies)).collect()
}

/// Returns the latest fault that overlapped the operation, or "calm" if there was none.
fn overlapping_fault<'a>(measured: &'a Measured, op: &Operation) -> (usize, &'a str) {
    let met = measured.faults.iter().rfind(|f| f.began <= op.completed && f.end(measured.end) >= op.intended);
    let first = |kind: &str| measured.faults.iter().position(|f| f.kind == kind).unwrap_or(0) + 1;
    met.map_or((0, "calm"), |f| (first(&f.kind), f.kind.as_str()))
}

fn curve(by: &'static str, name: String, latencies: &Latencies) -> Curve {
    let count = latencies.histogram.len();
    let (mut x, mut y) = (vec![], vec![]);
    let last = ((count as f64).log10() * POINTS_PER_DECADE).floor().max(0.0) as i32;
    for step in 0..=last {
        let slower = 10f64.powf(-f64::from(step) / POINTS_PER_DECADE);
        x.push(round_to_three_digits(1.0 / slower));
        // The upper edge of a bucket may exceed the slowest operation.
        y.push((latencies.histogram.value_at_quantile(1.0 - slower).min(latencies.slowest.0) / 1_000) as f64);
    }
    // The slowest of n operations is at the share 1/n.
    x.push(count as f64);
    y.push((latencies.slowest.0 / 1_000) as f64);
    Curve { by, name, count, x, y }
}

fn round_to_three_digits(x: f64) -> f64 {
    let scale = 10f64.powf(2.0 - x.log10().floor());
    (x * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure;
    use crate::sample::{self, Sample};

    #[test]
    fn groups_add_up_and_curves_are_monotonic() {
        let history = sample::history(Sample::default());
        let measured = measure::analyze(&history);
        let curves = of(EndedHistory { history: &history }, &measured);
        let of = |by: &str| curves.iter().filter(|c| c.by == by).map(|c| c.count).sum::<u64>();
        let ok = measured.latency_ms[measure::ALL].ok;
        assert_eq!((of("kind"), of("node"), of("calm or fault")), (ok, ok, ok));
        for curve in &curves {
            assert!(curve.x.is_sorted() && curve.y.is_sorted(), "{curve:?}");
        }
        let kinds: Vec<&str> = curves.iter().filter(|c| c.by == "calm or fault").map(|c| c.name.as_str()).collect();
        assert_eq!(kinds, ["calm", "kill", "pause", "partition"]);
    }
}
