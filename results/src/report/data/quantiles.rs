//! Percentiles over time for each kind of operation, in columns.

use crate::latency_slices::{self, LatencySlice};
use crate::measure::{ALL, sort_rank};
use heckle_history::History;
use serde::Serialize;

/// Maximum distance between slices that are joined by a line, in seconds.
const APART_S: f64 = 1.0;

/// The percentiles of one kind, in microseconds. Between slices that are not joined, a column contains `None`.
#[derive(Debug, Serialize)]
pub(super) struct Quantiles {
    kind: String,
    /// Number of ok operations, followed by their percentiles in the whole run: p50, p90, p95, p99, slowest.
    ops: u64,
    whole: [Option<u64>; 5],
    /// Middles of the slices, in seconds.
    x: Vec<f64>,
    p50: Vec<Option<u64>>,
    p90: Vec<Option<u64>>,
    p95: Vec<Option<u64>>,
    p99: Vec<Option<u64>>,
    max: Vec<Option<u64>>,
    /// Latency from when the operation was sent.
    sent_p50: Vec<Option<u64>>,
    sent_p99: Vec<Option<u64>>,
}

pub(super) fn of(history: &History) -> Vec<Quantiles> {
    let (due, mut sent) = (latency_slices::of(history, |op| op.intended), latency_slices::of(history, |op| op.invoked));
    let totals = latency_slices::totals(history);
    let mut all: Vec<Quantiles> = due
        .into_iter()
        .map(|(kind, slices)| {
            let whole = totals.get(&kind).cloned().unwrap_or_default();
            let sent = sent.remove(&kind).unwrap_or_default();
            columns(kind, &whole, &slices, &sent)
        })
        .collect();
    all.sort_by_key(|q| (q.kind != ALL, sort_rank(&q.kind)));
    all
}

fn us(ms: f64) -> Option<u64> {
    Some((ms * 1e3).round() as u64)
}

fn columns(kind: String, whole: &LatencySlice, due: &[LatencySlice], sent: &[LatencySlice]) -> Quantiles {
    let figures = |s: &LatencySlice| [us(s.p50_ms), s.p90_ms.and_then(us), s.p95_ms.and_then(us), s.p99_ms.and_then(us), us(s.max_ms)];
    let mut q = Quantiles {
        kind,
        ops: whole.ops,
        whole: figures(whole),
        x: vec![],
        p50: vec![],
        p90: vec![],
        p95: vec![],
        p99: vec![],
        max: vec![],
        sent_p50: vec![],
        sent_p99: vec![],
    };
    let mut before: Option<f64> = None;
    // Both have the same operations in the same slices, so their indices are the same.
    for (slice, from_sent) in due.iter().zip(sent) {
        if let Some(end) = before.filter(|end| slice.start_s - end > APART_S) {
            q.push((end + slice.start_s) / 2.0, [None; 5], [None; 2]);
        }
        before = Some(slice.end_s);
        q.push((slice.start_s + slice.end_s) / 2.0, figures(slice), [us(from_sent.p50_ms), from_sent.p99_ms.and_then(us)]);
    }
    q
}

impl Quantiles {
    fn push(&mut self, x: f64, figures: [Option<u64>; 5], sent: [Option<u64>; 2]) {
        self.x.push(crate::measure::round(x, 4));
        let columns = [&mut self.p50, &mut self.p90, &mut self.p95, &mut self.p99, &mut self.max];
        columns.into_iter().zip(figures).for_each(|(column, figure)| column.push(figure));
        [&mut self.sent_p50, &mut self.sent_p99].into_iter().zip(sent).for_each(|(column, figure)| column.push(figure));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{self, Sample};

    #[test]
    fn columns_are_of_one_length_and_in_order() {
        let all = of(&sample::history(Sample::default()));
        assert_eq!(all[0].kind, ALL);
        assert!(all.len() >= 3, "kinds apart");
        for q in &all {
            let lengths = [&q.p50, &q.p90, &q.p95, &q.p99, &q.max, &q.sent_p50, &q.sent_p99].map(Vec::len);
            assert_eq!(lengths, [q.x.len(); 7], "{}", q.kind);
            assert!(q.x.windows(2).all(|w| w[0] <= w[1]), "{}", q.kind);
            assert!(q.whole[0] <= q.whole[3] && q.whole[3] <= q.whole[4], "{:?}", q.whole);
        }
        assert!(of(&History::default()).is_empty());
    }
}
