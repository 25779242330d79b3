//! One figure over many nights, and when it trips.
//!
//! A trip compares the median of the last three nights with that of up to fourteen before them. It must be worse by a
//! factor *and* by more than the nights usually differ (median absolute deviation), since a single bad night, or a figure
//! that always jumps, is no news. A trip only warns: what confirms it are paired runs in the same night.
//!
//! Machines that differ are not compared: a new fingerprint starts a new series.

use super::suite_json::{SuiteResults, Trip};
use crate::index::RunLine;
use crate::median;
use crate::results_json::Status;

/// Nights that speak for today.
pub const RECENT: usize = 3;
/// Nights before those, at most.
pub const BASELINE: usize = 14;
/// Nights before those, at least: with fewer, a median says nothing.
pub const MIN_BASELINE: usize = 4;
/// How many times worse.
pub const FACTOR: f64 = 1.2;
/// How many median absolute deviations worse.
pub const DEVIATIONS: f64 = 2.0;

/// A figure that is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// 99th percentile of latency.
    P99Ms,
    /// Median latency.
    P50Ms,
    /// Ops a second.
    AchievedPerS,
    /// Share of ops with an unknown outcome, in percent.
    UnknownPercent,
}

impl Metric {
    /// All, in the order of a report.
    pub const ALL: [Metric; 4] = [Metric::P99Ms, Metric::P50Ms, Metric::AchievedPerS, Metric::UnknownPercent];

    /// Its name, with the unit.
    pub fn name(self) -> &'static str {
        match self {
            Metric::P99Ms => "p99_ms",
            Metric::P50Ms => "p50_ms",
            Metric::AchievedPerS => "achieved_per_s",
            Metric::UnknownPercent => "unknown_percent",
        }
    }

    /// The figure of one run; `None` where it has none.
    pub fn of(self, run: &RunLine) -> Option<f64> {
        let some = |x: f64| (x > 0.0).then_some(x);
        match self {
            Metric::P99Ms => some(run.p99_ms),
            Metric::P50Ms => some(run.p50_ms),
            Metric::AchievedPerS => some(run.achieved_per_s),
            Metric::UnknownPercent => (run.ops > 0).then(|| run.unknown as f64 * 100.0 / run.ops as f64),
        }
    }

    /// How many times worse `now` is than `then`.
    fn worse_by(self, now: f64, then: f64) -> f64 {
        match self {
            Metric::AchievedPerS => then / now,
            Metric::P99Ms | Metric::P50Ms | Metric::UnknownPercent => now / then,
        }
    }
}

/// One night of one cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Night {
    /// When the suite began.
    pub started_utc: String,
    /// The machine.
    pub env: String,
    /// The commit.
    pub git: String,
    /// The cell's median over its repeats; `None` if the cell has no figure that night.
    pub value: Option<f64>,
}

/// A cell's figure over the nights, oldest first. Suites that are still running are left out.
pub fn series(suites: &[SuiteResults], cell: &str, metric: Metric) -> Vec<Night> {
    let over = suites.iter().filter(|s| s.status != Status::Running);
    over.map(|suite| {
        let held = suite.cells.iter().find(|c| c.name == cell);
        // A run that broke or was violated measured something else.
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

/// What the nights before say a figure should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Band {
    /// Their median.
    pub median: f64,
    /// Their median absolute deviation.
    pub deviation: f64,
}

/// The values of the newest machine's nights, oldest first.
pub fn newest_series(nights: &[Night]) -> Vec<f64> {
    let Some(env) = nights.last().map(|n| &n.env) else { return vec![] };
    let since = nights.iter().rposition(|n| n.env != *env).map_or(0, |i| i + 1);
    nights[since..].iter().filter_map(|n| n.value).collect()
}

/// The band of the nights before the recent ones; `None` with too few.
pub fn band(values: &[f64]) -> Option<Band> {
    let before = &values[..values.len().checked_sub(RECENT)?];
    let before = &before[before.len().saturating_sub(BASELINE)..];
    if before.len() < MIN_BASELINE {
        return None;
    }
    let middle = median(before)?;
    let distances: Vec<f64> = before.iter().map(|v| (v - middle).abs()).collect();
    Some(Band { median: middle, deviation: median(&distances)? })
}

/// Whether the last nights are worse than those before; `None` if they are not, or there are too few.
pub fn trip(cell: &str, metric: Metric, nights: &[Night]) -> Option<Trip> {
    let values = newest_series(nights);
    let band = band(&values)?;
    let recent = median(&values[values.len() - RECENT..])?;
    let worse_by = metric.worse_by(recent, band.median);
    let trips = worse_by > FACTOR && (recent - band.median).abs() > DEVIATIONS * band.deviation;
    trips.then(|| Trip {
        cell: cell.to_owned(),
        metric: metric.name().to_owned(),
        recent,
        baseline: band.median,
        worse_by,
        confirmed: None,
    })
}

/// Every trip of the newest suite. `suites` are those of one name, oldest first.
pub fn trips(suites: &[SuiteResults]) -> Vec<Trip> {
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
    fn a_trip_needs_a_factor_a_distance_and_three_nights() {
        //     nights before                  last three
        check(&[10.0, 11.0, 10.0, 9.0,        13.0, 14.0, 13.0], Metric::P99Ms, true);
        check(&[10.0, 11.0, 10.0, 9.0,        11.0, 11.5, 11.0], Metric::P99Ms, false);  // below the factor
        check(&[10.0, 11.0, 10.0, 9.0,        10.0, 90.0, 10.0], Metric::P99Ms, false);  // one bad night
        check(&[5.0, 20.0, 9.0, 30.0, 12.0,   20.0, 21.0, 22.0], Metric::P99Ms, false);  // it always jumps
        check(&[10.0, 10.0, 10.0,             20.0, 20.0, 20.0], Metric::P99Ms, false);  // too few before
        check(&[10.0, 11.0, 10.0, 9.0,        5.0, 5.0, 5.0],    Metric::P99Ms, false);  // better
        check(&[100.0, 99.0, 100.0, 101.0,    60.0, 60.0, 60.0], Metric::AchievedPerS, true);
        check(&[100.0, 99.0, 100.0, 101.0,    160.0, 160.0, 160.0], Metric::AchievedPerS, false);
        // Only fourteen nights before count: what was worse long ago does not excuse today.
        let mut long = vec![30.0; 20];
        long.extend([10.0; 14]);
        long.extend([13.0; 3]);
        check(&long, Metric::P99Ms, true);
    }

    #[test]
    fn another_machine_starts_another_series() {
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
