//! Latency over time in slices of about the same number of operations, for all kinds together and for each kind.
//!
//! A slice of a fixed duration may hold only a few dozen operations, and then its 99th percentile is just its maximum. These slices
//! hold enough operations for the percentiles that they show. A percentile with fewer than two operations above it is left out. A
//! slice does not span a pause without answers, so an outage appears as a gap.

use crate::measure::{ALL, round};
use heckle_history::{History, Nanos, Operation, Outcome};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Minimum number of operations in a slice: two of them are slower than the 99th percentile.
pub const LEAST_OPS: usize = 200;
/// Approximate number of slices of a whole run.
const SLICES: usize = 180;
/// Reciprocal of the share of the run from which a pause ends a slice. A pause shorter than a second never does.
const PAUSE_SHARE: u64 = 30;
const LEAST_PAUSE: Nanos = Nanos(1_000_000_000);

/// Percentiles of the latency of ok operations, from when they were due, in milliseconds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct LatencySlice {
    /// Due time of its first operation, since the start of the run.
    pub start_s: f64,
    /// Due time of its last operation.
    pub end_s: f64,
    /// Number of ok operations.
    pub ops: u64,
    /// Median.
    pub p50_ms: f64,
    /// 90th percentile. Like the following ones, it is absent if fewer than two operations are slower.
    pub p90_ms: Option<f64>,
    /// 95th percentile.
    pub p95_ms: Option<f64>,
    /// 99th percentile.
    pub p99_ms: Option<f64>,
    /// Maximum.
    pub max_ms: f64,
}

/// Returns the slices of each kind that has ok operations, and of [`ALL`]. Latency is measured from `start` of each operation.
pub fn of(history: &History, start: impl Fn(&Operation) -> Nanos) -> BTreeMap<String, Vec<LatencySlice>> {
    let mut ok: BTreeMap<&str, usize> = BTreeMap::new();
    let answered = || history.ops.iter().filter(|op| matches!(op.outcome, Outcome::Ok(_)));
    for op in answered() {
        *ok.entry(op.name()).or_default() += 1;
        *ok.entry(ALL).or_default() += 1;
    }
    let pause = LEAST_PAUSE.max(Nanos(history.end.0 / PAUSE_SHARE));
    let mut open: BTreeMap<&str, Slicer> = ok.iter().map(|(kind, ops)| (*kind, Slicer::new(*ops, pause))).collect();
    for op in answered() {
        let took = op.completed.since(start(op));
        for kind in [op.name(), ALL] {
            open.entry(kind).or_insert_with(|| Slicer::new(1, pause)).add(op.intended, took);
        }
    }
    open.into_iter().map(|(kind, slicer)| (kind.to_owned(), slicer.finish())).collect()
}

/// Returns the percentiles of the whole run, for comparison with its slices: the same figures over all operations of each kind.
pub fn totals(history: &History) -> BTreeMap<String, LatencySlice> {
    let mut all: BTreeMap<&str, Draft> = BTreeMap::new();
    for op in history.ops.iter().filter(|op| matches!(op.outcome, Outcome::Ok(_))) {
        for kind in [op.name(), ALL] {
            all.entry(kind).or_default().add(op.intended, op.completed.since(op.intended));
        }
    }
    all.into_iter().map(|(kind, draft)| (kind.to_owned(), draft.slice())).collect()
}

/// A slice under construction.
#[derive(Debug, Default)]
struct Draft {
    start: Nanos,
    end: Nanos,
    /// Latencies in microseconds, rounded.
    took_us: Vec<u32>,
}

impl Draft {
    fn add(&mut self, due: Nanos, took: Nanos) {
        if self.took_us.is_empty() {
            (self.start, self.end) = (due, due);
        }
        (self.start, self.end) = (self.start.min(due), self.end.max(due));
        self.took_us.push(u32::try_from((took.0 + 500) / 1_000).unwrap_or(u32::MAX));
    }

    fn slice(mut self) -> LatencySlice {
        self.took_us.sort_unstable();
        let n = self.took_us.len();
        let ms = |rank: usize| round(f64::from(self.took_us[rank.clamp(1, n) - 1]) / 1e3, 3);
        let rank = |q: f64| (q * n as f64).ceil() as usize;
        let quantile = |q: f64| (n - rank(q).min(n) >= 2).then(|| ms(rank(q)));
        LatencySlice {
            start_s: round(self.start.as_secs_f64(), 3),
            end_s: round(self.end.as_secs_f64(), 3),
            ops: n as u64,
            p50_ms: ms(rank(0.5)),
            p90_ms: quantile(0.9),
            p95_ms: quantile(0.95),
            p99_ms: quantile(0.99),
            max_ms: ms(n),
        }
    }
}

struct Slicer {
    wanted: usize,
    pause: Nanos,
    done: Vec<LatencySlice>,
    /// A full slice, into which a short remainder that follows may be merged.
    full: Option<Draft>,
    open: Draft,
}

impl Slicer {
    fn new(ops: usize, pause: Nanos) -> Slicer {
        Slicer { wanted: LEAST_OPS.max(ops / SLICES), pause, done: vec![], full: None, open: Draft::default() }
    }

    fn add(&mut self, due: Nanos, took: Nanos) {
        let last = if self.open.took_us.is_empty() { self.full.as_ref().map(|d| d.end) } else { Some(self.open.end) };
        if last.is_some_and(|end| due.since(end) > self.pause) {
            self.end_stretch();
        }
        self.open.add(due, took);
        if self.open.took_us.len() >= self.wanted {
            self.done.extend(self.full.replace(std::mem::take(&mut self.open)).map(Draft::slice));
        }
    }

    /// Ends a stretch without pauses. Its remainder is merged into the previous slice, if there is one.
    fn end_stretch(&mut self) {
        let rest = std::mem::take(&mut self.open);
        match self.full.take() {
            Some(mut full) => {
                full.end = full.end.max(rest.end);
                full.took_us.extend(rest.took_us);
                self.done.push(full.slice());
            }
            None if rest.took_us.is_empty() => {}
            None => self.done.push(rest.slice()),
        }
    }

    fn finish(mut self) -> Vec<LatencySlice> {
        self.end_stretch();
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{self, Sample};
    use heckle_history::drawn;

    #[test]
    fn every_ok_operation_is_in_one_slice_of_its_kind() {
        let history = sample::history(Sample::default());
        let slices = of(&history, |op| op.intended);
        let ok = history.ops.iter().filter(|op| matches!(op.outcome, Outcome::Ok(_))).count() as u64;
        let sum = |kind: &str| slices[kind].iter().map(|s| s.ops).sum::<u64>();
        assert_eq!(sum(ALL), ok);
        let kinds: Vec<&String> = slices.keys().filter(|kind| *kind != ALL).collect();
        assert_eq!(kinds.iter().map(|kind| sum(kind)).sum::<u64>(), ok, "{kinds:?}");
        assert!(kinds.len() >= 2, "kinds apart: {kinds:?}");
    }

    #[test]
    fn the_99th_percentile_is_not_the_maximum_of_a_slice() {
        let history = sample::history(Sample { faults: 0, ..Sample::default() });
        let slices = &of(&history, |op| op.intended)[ALL];
        assert!(slices.len() > 20, "{}", slices.len());
        for slice in slices {
            assert!(slice.ops >= LEAST_OPS as u64, "{slice:?}");
            let (p90, p95, p99) = (slice.p90_ms.unwrap(), slice.p95_ms.unwrap(), slice.p99_ms.unwrap());
            assert!(slice.p50_ms <= p90 && p90 <= p95 && p95 <= p99 && p99 < slice.max_ms, "{slice:?}");
        }
        assert!(slices.windows(2).all(|w| w[0].start_s <= w[1].start_s), "in the order of time");
    }

    #[test]
    fn few_operations_have_no_percentile_that_rests_on_one() {
        let history = drawn::history("c1 |w 1-->  w 2--->  w 3---->  r 3-> |");
        let slices = of(&history, |op| op.intended);
        let all = &slices[ALL][0];
        assert_eq!(
            (slices[ALL].len(), all.ops, all.p50_ms, all.p90_ms, all.p99_ms, all.max_ms),
            (1, 4, all.p50_ms, None, None, all.max_ms)
        );
        assert_eq!(slices["write"][0].ops + slices["read"][0].ops, 4);
        assert!(of(&History::default(), |op| op.intended).is_empty());
    }

    #[test]
    fn a_pause_without_answers_is_a_gap() {
        let mut history = sample::history(Sample { faults: 0, ..Sample::default() });
        let quiet = |op: &Operation| (10.0..15.0).contains(&op.intended.as_secs_f64());
        history.ops.iter_mut().filter(|op| quiet(op)).for_each(|op| op.outcome = Outcome::Unknown);
        let slices = &of(&history, |op| op.intended)[ALL];
        assert!(slices.iter().all(|s| s.end_s <= 10.01 || s.start_s >= 14.9), "{slices:?}");
    }
}
