//! The figures of a sweep: how each is computed from a run, and its spread over repeats.
//!
//! Percentiles come from the histogram of one run and are never averaged. A point shows the median over repeats, with the range
//! from the lowest to the highest as its interval. For independent repeats that range contains the median of all runs with
//! probability 1 − 2^(1−n), whatever their distribution: 75 % for 3 repeats, 94 % for 5.

use crate::charts::axis::{digits, duration};
use crate::measure::{ALL, round};
use crate::median;
use crate::results_json::Results;
use crate::sweep::sweep_json::Spread;
use std::collections::BTreeMap;

/// A figure of a sweep.
#[derive(Debug)]
pub struct Figure {
    /// Its name in `sweep.json`, with the unit.
    pub name: &'static str,
    /// Its name in tables and charts.
    pub what: &'static str,
    /// How it is formatted.
    pub show: Show,
    value: fn(&Results) -> Option<f64>,
}

/// How a figure is formatted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// As a time.
    Milliseconds,
    /// As a rate per second.
    PerSecond,
    /// As a percentage.
    Share,
    /// As an index between 0 and 1.
    Index,
}

/// Throughput: the number of units that were due in the load window and answered, per second.
pub const ANSWERED_PER_S: &str = "answered_per_s";
/// The same, as a share of the target rate.
pub const ANSWERED_RATIO: &str = "answered_ratio";
/// Median latency.
pub const P50_MS: &str = "p50_ms";
/// 95th percentile of latency.
pub const P95_MS: &str = "p95_ms";
/// 99th percentile of latency.
pub const P99_MS: &str = "p99_ms";
/// Share of operations with an unknown outcome.
pub const UNKNOWN_RATIO: &str = "unknown_ratio";
/// Jain's index.
pub const JAIN: &str = "jain";
/// The longest wait for a success.
pub const LONGEST_WAIT_MS: &str = "longest_wait_ms";
/// 99th percentile of waits.
pub const WAIT_P99_MS: &str = "wait_p99_ms";
/// Share of intents that had not succeeded when the load ended. In a closed loop each client has one of these.
pub const UNFINISHED_RATIO: &str = "unfinished_ratio";

/// All figures, in the order of tables.
pub static FIGURES: &[Figure] = &[
    Figure { name: ANSWERED_PER_S, what: "answered/s", show: Show::PerSecond, value: answered_per_s },
    Figure { name: ANSWERED_RATIO, what: "of asked", show: Show::Share, value: answered_ratio },
    Figure { name: P50_MS, what: "p50", show: Show::Milliseconds, value: |r| latency(r, |p| p.p50) },
    Figure { name: P95_MS, what: "p95", show: Show::Milliseconds, value: |r| latency(r, |p| p.p95) },
    Figure { name: P99_MS, what: "p99", show: Show::Milliseconds, value: |r| latency(r, |p| p.p99) },
    Figure { name: UNKNOWN_RATIO, what: "unknown", show: Show::Share, value: unknown_ratio },
    Figure { name: JAIN, what: "Jain", show: Show::Index, value: |r| r.fairness.as_ref().filter(|f| f.won > 0).map(|f| f.jain) },
    Figure { name: WAIT_P99_MS, what: "wait p99", show: Show::Milliseconds, value: |r| r.fairness.as_ref()?.wait_p99_ms },
    Figure { name: LONGEST_WAIT_MS, what: "longest wait", show: Show::Milliseconds, value: longest_wait_ms },
    Figure { name: UNFINISHED_RATIO, what: "unfinished", show: Show::Share, value: unfinished_ratio },
];

/// Returns the figure with this name.
pub fn find(name: &str) -> Option<&'static Figure> {
    FIGURES.iter().find(|f| f.name == name)
}

impl Figure {
    /// Formats a value.
    pub fn words(&self, value: f64) -> String {
        match self.show {
            Show::Milliseconds => duration(value),
            Show::PerSecond => digits(value),
            // Three decimals, since differences near 1 matter.
            Show::Index => format!("{value:.3}"),
            Show::Share => percent(value),
        }
    }

    /// Formats the median with the range over repeats, if there is more than one.
    pub fn spread_words(&self, spread: Spread) -> String {
        let median = self.words(spread.median);
        if spread.n < 2 { median } else { format!("{median} ({} to {})", self.words(spread.min), self.words(spread.max)) }
    }
}

/// Formats a share. A non-zero share is never shown as zero.
pub fn percent(share: f64) -> String {
    if share > 0.0 && share < 0.000_1 { "< 0.01 %".into() } else { format!("{} %", digits(share * 100.0)) }
}

/// Returns all figures that a run has, by name.
pub fn of(results: &Results) -> BTreeMap<String, f64> {
    let value = |f: &Figure| Some((f.name.to_owned(), round((f.value)(results).filter(|x| x.is_finite())?, 6)));
    FIGURES.iter().filter_map(value).collect()
}

/// Returns the spread of one figure over runs, or `None` if no run has it.
pub fn spread(values: &[f64]) -> Option<Spread> {
    let (min, max) = values.iter().fold((f64::MAX, f64::MIN), |(min, max), v| (min.min(*v), max.max(*v)));
    Some(Spread { median: median(values)?, min, max, n: values.len() as u32 })
}

fn latency(r: &Results, of: fn(&crate::results_json::Percentiles) -> f64) -> Option<f64> {
    r.latency_ms.get(ALL).filter(|l| l.ok > 0).map(|l| of(&l.from_intended))
}

/// Returns the rate of units that were due in the load window and answered: operations that are ok, or intents that succeeded.
/// Requests that were sent but timed out are not throughput.
fn answered_per_s(r: &Results) -> Option<f64> {
    let answered = match (&r.fairness, &r.window) {
        (Some(fairness), _) => fairness.won,
        (None, Some(window)) => window.ops.ok,
        (None, None) => return None,
    };
    (r.load.window_s > 0.0).then(|| answered as f64 / r.load.window_s)
}

/// Returns the share of due units that were answered. The number of arrivals of an open loop is exact, so the target rate
/// times the window is the number of units that were due.
fn answered_ratio(r: &Results) -> Option<f64> {
    let asked = r.load.target_per_s.filter(|_| !r.load.max_rate)?;
    Some(answered_per_s(r)? / asked)
}

fn unknown_ratio(r: &Results) -> Option<f64> {
    let ops = r.window.as_ref().map(|w| w.ops).filter(|ops| ops.invoked > 0)?;
    Some(ops.unknown as f64 / ops.invoked as f64)
}

fn longest_wait_ms(r: &Results) -> Option<f64> {
    r.fairness.as_ref().filter(|f| f.intents > 0).map(|f| f.longest_wait_ms)
}

fn unfinished_ratio(r: &Results) -> Option<f64> {
    r.fairness.as_ref().filter(|f| f.intents > 0).map(|f| f.still_waiting as f64 / f.intents as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results_json::{Fairness, Latency, Load, OpCounts, Percentiles, WindowCounts};

    fn results() -> Results {
        let ops = OpCounts { invoked: 1_000, ok: 980, applied: 980, unknown: 20, ..OpCounts::default() };
        let p = Percentiles { p50: 1.0, p90: 2.0, p95: 3.0, p99: 4.0, p999: 5.0, max: 6.0 };
        Results {
            window: Some(WindowCounts { ops, ..WindowCounts::default() }),
            load: Load { target_per_s: Some(500.0), window_s: 2.0, begun: 1_000, sent: 1_000, ..Load::default() },
            latency_ms: [(ALL.to_owned(), Latency { ok: 980, from_intended: p, ..Latency::default() })].into(),
            ..Results::default()
        }
    }

    #[test]
    fn figures_are_taken_from_a_run() {
        let got = of(&results());
        let want = [(ANSWERED_PER_S, 490.0), (ANSWERED_RATIO, 0.98), (P50_MS, 1.0), (P95_MS, 3.0), (P99_MS, 4.0), (UNKNOWN_RATIO, 0.02)];
        assert_eq!(got, want.map(|(name, value)| (name.to_owned(), value)).into());
    }

    #[test]
    fn with_intents_throughput_counts_intents() {
        let fairness = Fairness { intents: 100, won: 90, still_waiting: 10, jain: 0.9, longest_wait_ms: 70.0, ..Fairness::default() };
        let mut closed = Results { fairness: Some(fairness), ..results() };
        closed.load.max_rate = true;
        let got = of(&closed);
        assert_eq!((got[ANSWERED_PER_S], got[JAIN], got[LONGEST_WAIT_MS], got[UNFINISHED_RATIO]), (45.0, 0.9, 70.0, 0.1));
        assert!(!got.contains_key(ANSWERED_RATIO), "a closed loop asks for no rate");
        assert!(!got.contains_key(WAIT_P99_MS), "not reached");
    }

    #[test]
    fn a_run_without_answers_has_no_latency() {
        let mut silent = results();
        silent.latency_ms.clear();
        silent.window = Some(WindowCounts::default());
        let got = of(&silent);
        assert!(!got.contains_key(P99_MS) && !got.contains_key(UNKNOWN_RATIO));
        assert_eq!(got[ANSWERED_RATIO], 0.0);
    }

    #[test]
    fn repeats_have_a_median_and_a_range() {
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Some(Spread { median: 2.0, min: 1.0, max: 3.0, n: 3 }));
        assert_eq!(spread(&[]), None);
        let p99 = find(P99_MS).expect("a figure");
        assert_eq!(p99.spread_words(spread(&[3.0, 1.0, 2.0]).expect("some")), "2 ms (1 ms to 3 ms)");
        assert_eq!(p99.spread_words(spread(&[3.0]).expect("some")), "3 ms");
        assert_eq!((percent(0.0), percent(0.000_03), percent(0.5)), ("0 %".into(), "< 0.01 %".into(), "50 %".into()));
    }
}
