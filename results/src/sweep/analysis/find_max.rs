//! Bisection to the highest rate that an arm sustains.
//!
//! The next rate is a function of the runs so far, so an interrupted bisection continues where it stopped. A rate holds if most of
//! its runs meet all limits, and fails if at least half of them miss one. Near the maximum, repeats disagree, which is reported as an
//! interval: from the highest rate at which every run held to the lowest rate at which none did.

use crate::sweep::points::{Vote, vote};
use crate::sweep::sweep_json::{Maximum, Sweep};

/// Default resolution: the bisection stops when the lowest failing rate is at most 5 % above the highest sustained rate.
pub const RESOLUTION: f64 = 1.05;

/// The runs of an arm at one rate, counted by whether they met the limits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trial {
    /// The rate.
    pub rate: f64,
    /// Number of runs that met all limits.
    pub held: u32,
    /// Number of runs that missed a limit.
    pub missed: u32,
    /// Number of all runs, whether or not they are conclusive.
    pub made: u32,
}

/// The next step of a bisection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// Execute runs at this rate until it has all its repeats.
    Try(f64),
    /// The maximum has been found to the resolution, or lies outside the range.
    Done,
    /// No run at this rate is conclusive, so the bisection cannot continue.
    Stuck(f64),
}

/// The range, resolution and repeats of a bisection.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// The lowest rate.
    pub from: f64,
    /// The highest rate.
    pub to: f64,
    /// See [`RESOLUTION`].
    pub resolution: f64,
    /// Number of runs per rate.
    pub repeats: u32,
}

impl Trial {
    fn holds(self) -> bool {
        self.held > self.missed
    }

    fn decides(self) -> bool {
        self.held + self.missed > 0
    }
}

impl Range {
    /// Returns the next step. `trials` are the trials so far, in any order.
    pub fn next(self, trials: &[Trial]) -> Step {
        let at = |rate: f64| trials.iter().copied().find(|t| same(t.rate, rate)).filter(|t| t.made >= self.repeats);
        let (mut low, mut high) = (self.from, self.to);
        for (end, holds) in [(low, true), (high, false)] {
            match at(end) {
                None => return Step::Try(end),
                Some(trial) if !trial.decides() => return Step::Stuck(end),
                // The maximum is outside the range.
                Some(trial) if trial.holds() != holds => return Step::Done,
                Some(_) => {}
            }
        }
        while high / low > self.resolution {
            let middle = between(low, high);
            if middle <= low || middle >= high {
                return Step::Done;
            }
            match at(middle) {
                None => return Step::Try(middle),
                Some(trial) if !trial.decides() => return Step::Stuck(middle),
                Some(trial) if trial.holds() => low = middle,
                Some(_) => high = middle,
            }
        }
        Step::Done
    }

    /// Returns the maximum number of rates that a bisection tries.
    pub fn max_steps(self) -> u32 {
        let (mut steps, mut ratio) = (2, self.to / self.from);
        // Rates are rounded, so a part may be slightly more than half.
        while ratio > self.resolution && steps < 64 {
            ratio = ratio.sqrt() * 1.01;
            steps += 1;
        }
        steps
    }
}

/// Returns the geometric mean of two rates, rounded to three digits if the rounded value still lies between them.
fn between(low: f64, high: f64) -> f64 {
    let middle = (low * high).sqrt();
    let rounded = three_digits(middle);
    if rounded > low && rounded < high { rounded } else { middle }
}

/// Rounds to three significant digits.
pub fn three_digits(x: f64) -> f64 {
    if x <= 0.0 {
        return x;
    }
    let unit = 10f64.powf(x.log10().floor() - 2.0);
    // Dividing by a power of ten avoids rates such as `0.30000000000000004`.
    if unit >= 1.0 { (x / unit).round() * unit } else { (x / unit).round() / (1.0 / unit).round() }
}

fn same(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

/// Returns the trials of an arm from the runs of a sweep.
pub fn trials(sweep: &Sweep, arm: &str) -> Vec<Trial> {
    let mut all: Vec<Trial> = vec![];
    for run in sweep.runs.iter().filter(|r| r.arm == arm) {
        let i = all.iter().position(|t| same(t.rate, run.value.number)).unwrap_or_else(|| {
            all.push(Trial { rate: run.value.number, held: 0, missed: 0, made: 0 });
            all.len() - 1
        });
        all[i].made += 1;
        match vote(run, sweep.design.answered_limit) {
            Some(Vote::Held) => all[i].held += 1,
            Some(Vote::Missed) => all[i].missed += 1,
            None => {}
        }
    }
    all.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    all
}

/// Returns the range of a sweep with `--find-max`, or `None` for other sweeps.
pub fn range(sweep: &Sweep) -> Option<Range> {
    let design = &sweep.design;
    let (first, last) = design.values.first().zip(design.values.last()).filter(|_| design.find_max)?;
    Some(Range { from: first.number, to: last.number, resolution: design.resolution.unwrap_or(RESOLUTION), repeats: design.repeats })
}

/// Computes the maximum of each arm. Empty for sweeps without `--find-max`.
pub fn maxima(sweep: &Sweep) -> Vec<Maximum> {
    let Some(range) = range(sweep) else { return vec![] };
    let arms = sweep.running_arms().map(|(_, arm)| arm.name.as_str());
    arms.map(|arm| {
        let trials = trials(sweep, arm);
        let mut found = maximum(&trials);
        found.complete = range.next(&trials) == Step::Done;
        found.arm = arm.to_owned();
        let failing = trials.iter().find(|t| t.decides() && !t.holds()).map(|t| t.rate);
        let point = failing.and_then(|rate| sweep.points_of(arm).find(|p| same(p.value.number, rate)));
        found.limited_by = point.map(|p| p.limited_by.keys().cloned().collect()).unwrap_or_default();
        found
    })
    .collect()
}

/// Computes the maximum and its interval from trials in ascending order of rate.
fn maximum(trials: &[Trial]) -> Maximum {
    let decided = || trials.iter().filter(|t| t.decides());
    Maximum {
        rate_per_s: decided().take_while(|t| t.holds()).last().map(|t| t.rate),
        low_per_s: decided().take_while(|t| t.missed == 0).last().map(|t| t.rate),
        high_per_s: decided().rev().take_while(|t| t.held == 0).last().map(|t| t.rate),
        ..Maximum::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: Range = Range { from: 100.0, to: 8_000.0, resolution: RESOLUTION, repeats: 3 };

    fn trial(rate: f64, held: u32, missed: u32) -> Trial {
        Trial { rate, held, missed, made: held + missed }
    }

    /// Bisects a system that sustains rates up to `capacity`, and returns the trials.
    fn bisect(range: Range, capacity: f64) -> Vec<Trial> {
        let mut trials = vec![];
        while let Step::Try(rate) = range.next(&trials) {
            assert!(trials.len() < 64, "the bisection does not end: {trials:?}");
            trials.push(if rate <= capacity { trial(rate, 3, 0) } else { trial(rate, 0, 3) });
        }
        trials.sort_by(|a, b| a.rate.total_cmp(&b.rate));
        trials
    }

    #[test]
    fn finds_the_highest_rate_that_holds() {
        for capacity in [101.0, 150.0, 997.0, 2_345.0, 7_900.0] {
            let trials = bisect(RANGE, capacity);
            let found = maximum(&trials);
            let (rate, high) = (found.rate_per_s.expect("found"), found.high_per_s.expect("found"));
            assert!(rate <= capacity && high > capacity, "{capacity}: {rate} to {high}");
            assert!(high / rate <= RESOLUTION + 1e-9, "{capacity}: {rate} to {high}");
            assert_eq!(found.low_per_s, found.rate_per_s);
            assert!(trials.len() as u32 <= RANGE.max_steps(), "{} steps, {} announced", trials.len(), RANGE.max_steps());
        }
    }

    #[test]
    fn a_maximum_outside_of_the_range_ends_the_bisection() {
        assert_eq!(bisect(RANGE, 50.0), [trial(100.0, 0, 3)]);
        assert_eq!(maximum(&bisect(RANGE, 50.0)).rate_per_s, None);
        assert_eq!(bisect(RANGE, 9_000.0), [trial(100.0, 3, 0), trial(8_000.0, 3, 0)]);
        let found = maximum(&bisect(RANGE, 9_000.0));
        assert_eq!((found.rate_per_s, found.high_per_s), (Some(8_000.0), None));
    }

    #[test]
    fn a_rate_is_repeated_until_it_has_all_runs() {
        let mut trials = vec![trial(100.0, 3, 0)];
        assert_eq!(RANGE.next(&trials), Step::Try(8_000.0));
        trials.push(trial(8_000.0, 0, 2));
        assert_eq!(RANGE.next(&trials), Step::Try(8_000.0));
        trials[1].made = 3;
        assert_eq!(RANGE.next(&trials), Step::Try(894.0));
    }

    #[test]
    fn runs_that_decide_nothing_stop_the_bisection() {
        let trials = [trial(100.0, 3, 0), Trial { rate: 8_000.0, held: 0, missed: 0, made: 3 }];
        assert_eq!(RANGE.next(&trials), Step::Stuck(8_000.0));
    }

    #[test]
    fn disagreement_of_repeats_widens_the_interval() {
        let found = maximum(&[trial(100.0, 3, 0), trial(400.0, 2, 1), trial(500.0, 1, 2), trial(800.0, 0, 3)]);
        assert_eq!((found.rate_per_s, found.low_per_s, found.high_per_s), (Some(400.0), Some(100.0), Some(800.0)));
        // If a rate holds above one that fails, that is luck.
        let found = maximum(&[trial(100.0, 3, 0), trial(400.0, 0, 3), trial(500.0, 2, 1), trial(800.0, 0, 3)]);
        assert_eq!((found.rate_per_s, found.low_per_s, found.high_per_s), (Some(100.0), Some(100.0), Some(800.0)));
    }

    #[test]
    fn rates_are_round_but_never_equal() {
        assert_eq!(three_digits(894.427), 894.0);
        assert_eq!(three_digits(12_345.6), 12_300.0);
        assert_eq!(three_digits(0.123_456).to_string(), "0.123");
        let narrow = Range { from: 1_000.0, to: 1_004.0, resolution: 1.000_001, repeats: 1 };
        let trials = bisect(narrow, 1_001.7);
        assert!(trials.windows(2).all(|w| w[0].rate < w[1].rate), "{trials:?}");
    }
}
