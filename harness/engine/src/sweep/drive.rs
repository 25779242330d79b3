//! Executes the remaining runs of a sweep. They follow from the runs made so far, so a resumed sweep continues where it stopped.
//! This module touches no processes or files: [`SweepEnvironment`] does.

use super::axis::rate_value;
use super::order::{Cell, grid, shuffled};
use heckle_history::prng::Seed;
use heckle_results::experiment::Disqualified;
use heckle_results::results_json::RunVerdict;
use heckle_results::sweep::Sweep;
use heckle_results::sweep::conclude::{Ending, summarize};
use heckle_results::sweep::find_max::{self, Step};
use heckle_results::sweep::sweep_json::Run;
use std::time::Duration;

/// Number of consecutive broken runs after which the sweep ends, since the cause is then not a single run.
const MAX_BROKEN_IN_A_ROW: usize = 3;

/// The result of an attempt to make a run.
pub enum Made {
    /// The run, and the violation that it found, if any.
    Run(Box<Run>, Option<Disqualified>),
    /// It was interrupted, so it is made again when the sweep is resumed.
    Interrupted,
}

/// The interface of a sweep to the outside world.
pub trait SweepEnvironment {
    /// Makes one run.
    ///
    /// # Errors
    /// If the harness or the machine fails.
    fn run(&mut self, cell: &Cell) -> Result<Made, String>;

    /// Stores a sweep after a run, and displays it with the estimated time left.
    ///
    /// # Errors
    /// If it cannot be stored.
    fn keep(&mut self, sweep: &Sweep, left: Duration) -> Result<(), String>;

    /// Whether a stop was requested.
    fn interrupted(&self) -> bool;

    /// Returns the time since the beginning of this session.
    fn elapsed(&self) -> Duration;
}

/// Executes all remaining runs until the sweep is complete, a stop is requested, or `budget`, the time limit of this session, is used
/// up. Returns the sweep with its runs, and how it ended.
pub fn drive(sweep: Sweep, seed: Seed, budget: Option<Duration>, hooks: &mut dyn SweepEnvironment) -> (Sweep, Ending) {
    let mut driver = Driver { before_s: sweep.head.wall_s, sweep, seed, budget, hooks };
    let ending = driver.all().unwrap_or_else(Ending::Failed);
    driver.sweep.head.wall_s = driver.wall_s();
    (driver.sweep, ending)
}

struct Driver<'a> {
    /// Total duration of earlier sessions, in seconds.
    before_s: f64,
    sweep: Sweep,
    seed: Seed,
    budget: Option<Duration>,
    hooks: &'a mut dyn SweepEnvironment,
}

impl Driver<'_> {
    fn all(&mut self) -> Result<Ending, String> {
        loop {
            let cells = self.next_cells();
            if cells.is_empty() {
                return Ok(Ending::AsPlanned);
            }
            for cell in cells {
                if let Some(ending) = self.make(&cell)? {
                    return Ok(ending);
                }
            }
        }
    }

    /// Returns the next runs, in order: all remaining runs of a grid, or those of the next step of a bisection.
    fn next_cells(&self) -> Vec<Cell> {
        let arms: Vec<usize> = self.sweep.running_arms().filter(|(_, a)| a.disqualified.is_none()).map(|(i, _)| i).collect();
        let design = &self.sweep.design;
        let cells = match find_max::range(&self.sweep) {
            None => grid(self.seed, &arms, &design.values, design.repeats),
            Some(range) => {
                let next = |arm: &usize| match range.next(&find_max::trials(&self.sweep, &self.sweep.arms[*arm].name)) {
                    Step::Try(rate) => Some((*arm, rate)),
                    Step::Done | Step::Stuck(_) => None,
                };
                let steps: Vec<(usize, f64)> = arms.iter().filter_map(next).collect();
                let each = |(arm, rate): &(usize, f64)| {
                    let (arm, value) = (*arm, rate_value(*rate));
                    (1..=design.repeats).map(move |repeat| Cell { arm, value: value.clone(), repeat })
                };
                let name: Vec<String> = steps.iter().map(|(arm, rate)| format!("{arm}@{rate}")).collect();
                shuffled(self.seed, &name.join(","), steps.iter().flat_map(each).collect())
            }
        };
        cells.into_iter().filter(|cell| !self.is_made(cell)).collect()
    }

    fn is_made(&self, cell: &Cell) -> bool {
        let arm = &self.sweep.arms[cell.arm].name;
        self.sweep.runs.iter().any(|r| r.arm == *arm && r.value.text == cell.value.text && r.repeat == cell.repeat)
    }

    /// Executes one run. Returns how the sweep ends, if it ends here.
    fn make(&mut self, cell: &Cell) -> Result<Option<Ending>, String> {
        if self.sweep.arms[cell.arm].disqualified.is_some() {
            return Ok(None);
        }
        if self.hooks.interrupted() {
            return Ok(Some(Ending::Interrupted));
        }
        if self.budget.is_some_and(|budget| self.hooks.elapsed() + self.run_time() > budget) {
            return Ok(Some(Ending::OutOfBudget));
        }
        let Made::Run(run, violation) = self.hooks.run(cell)? else { return Ok(Some(Ending::Interrupted)) };
        if violation.is_some() {
            self.sweep.arms[cell.arm].disqualified = violation;
        }
        let (name, path) = (run.arm.clone(), run.path.clone());
        let (broken, why) = (run.verdict == RunVerdict::Error, run.not_counted.clone().unwrap_or_default());
        let is_first = !self.sweep.runs.iter().any(|r| r.arm == name);
        self.sweep.runs.push(*run);
        self.sweep.head.wall_s = self.wall_s();
        self.sweep = summarize(std::mem::take(&mut self.sweep));
        self.hooks.keep(&self.sweep, self.time_left())?;
        if broken && is_first {
            return Err(format!("the first run of arm `{name}` broke, in {path}: {why}"));
        }
        let row = self.sweep.runs.iter().rev().take_while(|r| r.verdict == RunVerdict::Error).count();
        if row >= MAX_BROKEN_IN_A_ROW {
            return Err(format!("{row} runs in a row broke, the last in {path}: {why}"));
        }
        Ok(None)
    }

    fn wall_s(&self) -> f64 {
        ((self.before_s + self.hooks.elapsed().as_secs_f64()) * 10.0).round() / 10.0
    }

    /// Estimates the duration of a run: the mean of the runs so far, or the planned duration if there are none.
    fn run_time(&self) -> Duration {
        let walls: Vec<f64> = self.sweep.runs.iter().map(|r| r.wall_s).filter(|w| *w > 0.0).collect();
        let mean = walls.iter().sum::<f64>() / walls.len() as f64;
        Duration::from_secs_f64(if walls.is_empty() { self.sweep.design.run_s } else { mean })
    }

    /// Estimates the time until the end of the sweep. A bisection may end earlier, since it may not need its maximum number of runs.
    fn time_left(&self) -> Duration {
        let left = match find_max::range(&self.sweep) {
            None => self.next_cells().len() as u32,
            Some(_) if self.next_cells().is_empty() => 0,
            Some(_) => self.sweep.design.runs.saturating_sub(self.sweep.runs.len() as u32),
        };
        let all = self.run_time() * left;
        self.budget.map_or(all, |budget| all.min(budget.saturating_sub(self.hooks.elapsed())))
    }
}

#[cfg(test)]
mod tests;
