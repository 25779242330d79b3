//! Confirms an alarm from the trend: both binaries run the affected cell in pairs with the same seed, in random
//! order, in the same night and on the same machine. Other influences on a figure over many nights thus affect both arms of a pair alike.

use super::book::SuiteState;
use super::child::{self, ChildRun};
use super::matrix::Matrix;
use super::run_name::run_name;
use crate::stop;
use heckle_history::prng::Seed;
use heckle_results::compare::decide::{ALPHA, PAIRS_NEEDED};
use heckle_results::compare::holm;
use heckle_results::compare::paired::{Pair, Reading, Scale, estimate};
use heckle_results::suite::suite_json::Confirmation;
use heckle_results::suite::trend::Metric;
use rand::RngExt;
use std::path::Path;

/// Maximum number of cells to confirm in one night, worst first.
const MAX_CELLS: usize = 3;

/// Confirms the alarms of `book` with pairs of `baseline` and `exe`. Alarms beyond the limit stay warnings.
pub fn confirm(book: &mut SuiteState, matrix: &Matrix, exe: &Path, baseline: &Path, out: &Path) {
    let mut cells: Vec<String> = vec![];
    book.suite.trips.sort_by(|a, b| b.worse_by.total_cmp(&a.worse_by));
    for trip in &book.suite.trips {
        if !cells.contains(&trip.cell) && cells.len() < MAX_CELLS {
            cells.push(trip.cell.clone());
        }
    }
    let pairs: Vec<(String, Vec<[Option<f64>; 8]>)> =
        cells.iter().map(|cell| (cell.clone(), pairs(book, matrix, cell, [exe, baseline], out))).collect();
    let mut found = vec![];
    for (at, trip) in book.suite.trips.iter().enumerate() {
        let (Some((_, pairs)), Some(metric)) = (pairs.iter().find(|(c, _)| *c == trip.cell), metric(&trip.metric)) else { continue };
        found.extend(compare(pairs, metric).map(|(confirmation, p)| (at, confirmation, p)));
    }
    // Testing several figures makes it more likely that one of them looks worse by chance, hence Holm's correction.
    let adjusted = holm::adjust(&found.iter().map(|(_, _, p)| *p).collect::<Vec<f64>>());
    for ((at, mut confirmation, _), p) in found.into_iter().zip(adjusted) {
        confirmation.regression = confirmation.ratio > 1.0 && p <= ALPHA && confirmation.pairs as usize >= PAIRS_NEEDED;
        book.suite.trips[at].confirmed = Some(confirmation);
    }
}

fn metric(name: &str) -> Option<Metric> {
    Metric::ALL.into_iter().find(|m| m.name() == name)
}

/// Returns the figures of each pair: four for this binary, then four for the older one.
fn pairs(book: &SuiteState, matrix: &Matrix, cell: &str, [exe, baseline]: [&Path; 2], out: &Path) -> Vec<[Option<f64>; 8]> {
    let Some(plan) = matrix.cells.iter().find(|c| c.name == cell) else { return vec![] };
    let seed: Seed = book.suite.seed.parse().unwrap_or(Seed(0));
    let mut order = seed.stream(&format!("confirm/{cell}"));
    let mut all = vec![];
    for pair in 0..PAIRS_NEEDED {
        let mut figures = [None; 8];
        let both = if order.random_bool(0.5) { [0, 1] } else { [1, 0] };
        for arm in both {
            if stop::interrupts() > 0 {
                return all;
            }
            let name = format!("{}-{}", if arm == 0 { "now" } else { "then" }, run_name(cell));
            let settings = crate::plan::settings::Settings { name: Some(name.chars().take(64).collect()), ..plan.settings.clone() };
            let seed = seed.part(&format!("confirm/{cell}/{pair}"));
            let run = ChildRun { exe: if arm == 0 { exe } else { baseline }, settings: &settings, seed, out: &book.root, all: out };
            let line = child::run(&run);
            errln!(
                "[confirm {}/{PAIRS_NEEDED}] {}: {} in {:.1} s",
                pair + 1,
                settings.name.as_deref().unwrap_or_default(),
                line.verdict.word(),
                line.wall_s
            );
            if matches!(line.exit_code, 0 | 3) {
                for (i, metric) in Metric::ALL.into_iter().enumerate() {
                    figures[arm * 4 + i] = metric.of(&line);
                }
            }
        }
        all.push(figures);
    }
    all
}

fn compare(pairs: &[[Option<f64>; 8]], metric: Metric) -> Option<(Confirmation, f64)> {
    let at = Metric::ALL.iter().position(|m| *m == metric)?;
    let higher_is_better = metric == Metric::AchievedPerS;
    let whole = pairs.iter().filter_map(|p| p[at].zip(p[4 + at]));
    let pairs: Vec<Pair> = whole
        .map(|(now, then)| {
            // A ratio above one must mean worse for every figure: for a rate, the arms change places.
            let (worse, better) = if higher_is_better { (then, now) } else { (now, then) };
            Pair { reference: Reading::Exact(better), arm: Reading::Exact(worse) }
        })
        .collect();
    let e = estimate(&pairs, Scale::Ratio, 0.0)?;
    let ratio = |log: f64| log.exp();
    let confirmation = Confirmation {
        pairs: e.n as u32,
        ratio: e.effect.map_or(f64::NAN, ratio),
        interval: (e.interval.0.map_or(0.0, ratio), e.interval.1.map_or(f64::INFINITY, ratio)),
        regression: false,
    };
    Some((confirmation, e.p))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(now: &[f64], then: &[f64]) -> Vec<[Option<f64>; 8]> {
        let one = |(n, t): (&f64, &f64)| [Some(*n), None, Some(1.0 / n), None, Some(*t), None, Some(1.0 / t), None];
        now.iter().zip(then).map(one).collect()
    }

    #[test]
    fn a_worse_figure_has_a_ratio_above_one() {
        let slower = pairs(&[13.0, 12.5, 13.1, 12.8, 13.3, 12.9, 13.2, 12.7], &[10.0, 10.1, 9.9, 10.2, 10.0, 9.8, 10.1, 10.0]);
        for metric in [Metric::P99Ms, Metric::AchievedPerS] {
            let (c, p) = compare(&slower, metric).expect("pairs");
            assert!(c.ratio > 1.2 && c.interval.0 > 1.0 && p < 0.01 && c.pairs == 8, "{c:?} {p}");
        }
        let same = pairs(&[10.0, 11.0, 9.0, 10.5, 9.5, 10.2, 9.8, 10.0], &[10.1, 10.9, 9.2, 10.3, 9.6, 10.0, 9.9, 10.1]);
        let (c, p) = compare(&same, Metric::P99Ms).expect("pairs");
        assert!(c.interval.0 < 1.0 && c.interval.1 > 1.0 && p > 0.05, "{c:?} {p}");
        assert!(compare(&[], Metric::P99Ms).is_none());
    }
}
