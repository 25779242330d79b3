//! Trends: one figure over many nightly suites, and the conditions for a warning.
//!
//! The median of the last three nights is compared with the median of up to fourteen nights before them. It must be worse by a
//! factor *and* by more than the usual variation between nights (median absolute deviation), since a single bad night or a noisy
//! figure proves nothing. This is only a warning: paired runs in the same night can confirm it.
//!
//! Different machines are not compared: a new fingerprint starts a new series.

use super::suite_json::{SuiteResults, TrendWarning};
use crate::index::RunLine;
use crate::median;
use crate::results_json::Status;

/// Number of nights that represent the current state.
pub const RECENT_NIGHTS: usize = 3;
/// Maximum number of nights in the baseline.
pub const MAX_BASELINE_NIGHTS: usize = 14;
/// Minimum number of nights in the baseline: with fewer, a median is not meaningful.
pub const MIN_BASELINE_NIGHTS: usize = 4;
/// Minimum factor for a warning.
pub const MIN_FACTOR: f64 = 1.2;
/// Minimum difference for a warning, in median absolute deviations.
pub const MIN_DEVIATIONS: f64 = 2.0;

/// A figure with a trend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// 99th percentile of latency.
    P99Ms,
    /// Median latency.
    P50Ms,
    /// Operations per second.
    AchievedPerS,
    /// Share of operations with an unknown outcome, in percent.
    UnknownPercent,
}

impl Metric {
    /// All figures, in the order of reports.
    pub const ALL: [Metric; 4] = [Metric::P99Ms, Metric::P50Ms, Metric::AchievedPerS, Metric::UnknownPercent];

    /// Name of the figure, with its unit.
    pub fn name(self) -> &'static str {
        match self {
            Metric::P99Ms => "p99_ms",
            Metric::P50Ms => "p50_ms",
            Metric::AchievedPerS => "achieved_per_s",
            Metric::UnknownPercent => "unknown_percent",
        }
    }

    /// Returns the figure of one run, or `None` if the run does not have it.
    pub fn of(self, run: &RunLine) -> Option<f64> {
        let some = |x: f64| (x > 0.0).then_some(x);
        match self {
            Metric::P99Ms => some(run.p99_ms),
            Metric::P50Ms => some(run.p50_ms),
            Metric::AchievedPerS => some(run.achieved_per_s),
            Metric::UnknownPercent => (run.ops > 0).then(|| run.unknown as f64 * 100.0 / run.ops as f64),
        }
    }

    /// Returns the factor by which `now` is worse than `then`.
    fn worse_by(self, now: f64, then: f64) -> f64 {
        match self {
            Metric::AchievedPerS => then / now,
            Metric::P99Ms | Metric::P50Ms | Metric::UnknownPercent => now / then,
        }
    }
}

/// The figure of one cell in one suite.
#[derive(Debug, Clone, PartialEq)]
pub struct Night {
    /// Start time of the suite.
    pub started_utc: String,
    /// Fingerprint of the machine.
    pub env: String,
    /// The commit of the tool.
    pub git: String,
    /// Median over the repeats of the cell, or `None` if the cell has no figure in this suite.
    pub value: Option<f64>,
}

/// Returns the figure of a cell over the nights, oldest first. Leaves out suites that are still running.
pub fn series(suites: &[SuiteResults], cell: &str, metric: Metric) -> Vec<Night> {
    let over = suites.iter().filter(|s| s.status != Status::Running);
    over.map(|suite| {
        let held = suite.cells.iter().find(|c| c.name == cell);
        // A run that failed or found a violation did not measure the usual behaviour.
        let measured = held.iter().flat_map(|c| c.counted()).filter(|r| matches!(r.code(), 0 | 3));
        let values: Vec<f64> = measured.filter_map(|r| metric.of(&r.run)).collect();
        Night {
            started_utc: suite.started_utc.clone(),
            env: suite.env.fingerprint.clone(),
            git: suite.build.git.clone(),
            value: median(&values),
        }
    })
    .collect()
}

/// The range of a figure in the baseline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Band {
    /// Median of the baseline.
    pub median: f64,
    /// Median absolute deviation of the baseline.
    pub deviation: f64,
}

/// Returns the values of the nights on the newest machine, oldest first.
pub fn newest_series(nights: &[Night]) -> Vec<f64> {
    let Some(env) = nights.last().map(|n| &n.env) else { return vec![] };
    let since = nights.iter().rposition(|n| n.env != *env).map_or(0, |i| i + 1);
    nights[since..].iter().filter_map(|n| n.value).collect()
}

/// Returns the range of the baseline, or `None` if it has too few nights.
pub fn band(values: &[f64]) -> Option<Band> {
    let before = &values[..values.len().checked_sub(RECENT_NIGHTS)?];
    let before = &before[before.len().saturating_sub(MAX_BASELINE_NIGHTS)..];
    if before.len() < MIN_BASELINE_NIGHTS {
        return None;
    }
    let middle = median(before)?;
    let distances: Vec<f64> = before.iter().map(|v| (v - middle).abs()).collect();
    Some(Band { median: middle, deviation: median(&distances)? })
}

/// Returns a warning if the last nights are worse than the baseline, or `None` if they are not or there are too few nights.
pub fn trip(cell: &str, metric: Metric, nights: &[Night]) -> Option<TrendWarning> {
    let values = newest_series(nights);
    let band = band(&values)?;
    let recent = median(&values[values.len() - RECENT_NIGHTS..])?;
    let worse_by = metric.worse_by(recent, band.median);
    let trips = worse_by > MIN_FACTOR && (recent - band.median).abs() > MIN_DEVIATIONS * band.deviation;
    trips.then(|| TrendWarning {
        cell: cell.to_owned(),
        metric: metric.name().to_owned(),
        recent,
        baseline: band.median,
        worse_by,
        confirmed: None,
    })
}

/// Returns all warnings for the newest suite. `suites` are the suites of one name, oldest first.
pub fn trips(suites: &[SuiteResults]) -> Vec<TrendWarning> {
    let Some(newest) = suites.last() else { return vec![] };
    let of_cell = |cell: &str| Metric::ALL.into_iter().filter_map(|m| trip(cell, m, &series(suites, cell, m))).collect::<Vec<_>>();
    newest.cells.iter().filter(|c| c.counted().count() > 0).flat_map(|c| of_cell(&c.name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nights(values: &[f64]) -> Vec<Night> {
        values.iter().map(|v| Night { started_utc: String::new(), env: "a".into(), git: String::new(), value: Some(*v) }).collect()
    }

    #[track_caller]
    fn check(values: &[f64], metric: Metric, trips: bool) {
        assert_eq!(trip("c", metric, &nights(values)).is_some(), trips, "{values:?}");
    }

    #[test]
    #[rustfmt::skip] // A table.
    fn a_warning_needs_a_factor_a_distance_and_three_nights() {
        //     nights before                  last three
        check(&[10.0, 11.0, 10.0, 9.0,        13.0, 14.0, 13.0], Metric::P99Ms, true);
        check(&[10.0, 11.0, 10.0, 9.0,        11.0, 11.5, 11.0], Metric::P99Ms, false);  // below the factor
        check(&[10.0, 11.0, 10.0, 9.0,        10.0, 90.0, 10.0], Metric::P99Ms, false);  // one bad night
        check(&[5.0, 20.0, 9.0, 30.0, 12.0,   20.0, 21.0, 22.0], Metric::P99Ms, false);  // always noisy
        check(&[10.0, 10.0, 10.0,             20.0, 20.0, 20.0], Metric::P99Ms, false);  // too few earlier nights
        check(&[10.0, 11.0, 10.0, 9.0,        5.0, 5.0, 5.0],    Metric::P99Ms, false);  // better
        check(&[100.0, 99.0, 100.0, 101.0,    60.0, 60.0, 60.0], Metric::AchievedPerS, true);
        check(&[100.0, 99.0, 100.0, 101.0,    160.0, 160.0, 160.0], Metric::AchievedPerS, false);
        // Only fourteen earlier nights count: bad figures long ago do not excuse a regression today.
        let mut long = vec![30.0; 20];
        long.extend([10.0; 14]);
        long.extend([13.0; 3]);
        check(&long, Metric::P99Ms, true);
    }

    #[test]
    fn a_new_machine_starts_a_new_series() {
        let mut mixed = nights(&[10.0, 10.0, 10.0, 10.0, 20.0, 20.0, 20.0]);
        assert!(trip("c", Metric::P99Ms, &mixed).is_some());
        for night in &mut mixed[4..] {
            night.env = "b".into();
        }
        assert_eq!(newest_series(&mixed), [20.0; 3]);
        assert!(trip("c", Metric::P99Ms, &mixed).is_none());
    }

    #[test]
    fn known_medians() {
        assert_eq!(band(&[1.0, 2.0, 3.0, 4.0, 9.0, 9.0, 9.0]), Some(Band { median: 2.5, deviation: 1.0 }));
    }
}
