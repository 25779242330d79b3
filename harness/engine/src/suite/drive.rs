//! Executes all runs of a suite, one after another, within the budget: first the planted bugs, since a night without
//! them proves nothing, then every cell once, then the repetitions.

use super::book::SuiteState;
use super::child::{self, ChildRun};
use super::matrix::{CanaryPlan, CellPlan, Matrix};
use super::order::{self, LastRun};
use super::run_name::run_name;
use crate::plan::settings::Settings;
use crate::plan::units::Span;
use crate::{exit, stop};
use heckle_history::printable::printable;
use heckle_history::prng::Seed;
use heckle_results::atomic;
use heckle_results::index::{self, RunLine};
use heckle_results::run_folder::slug;
use heckle_results::suite::suite_json::SuiteRun;
use heckle_results::suite::summary::EXPECTED;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often a run that broke (as opposed to failed) is retried.
const RETRIES: u32 = 1;

/// Name prefix of runs with planted bugs.
const CANARY_PREFIX: &str = "canary-";

/// Options for the runs of a suite.
pub struct SuiteOptions<'a> {
    /// The binary to run.
    pub exe: &'a Path,
    /// The folder of all runs.
    pub out: &'a Path,
    /// Time limit of this session.
    pub budget: Option<Span>,
    /// Print a line for each run.
    pub show_progress: bool,
}

/// Executes all remaining runs. Returns whether the suite was interrupted.
///
/// # Errors
/// If the suite's folder cannot be written.
pub fn drive(book: &mut SuiteState, matrix: &Matrix, options: &SuiteOptions<'_>) -> Result<bool, String> {
    let runs = index::read(options.out).map_err(|e| format!("cannot read the index of runs: {e}"))?;
    let mut driver = Driver { options, runs, began: Instant::now(), done: 0, wanted: runs_in_total(book, matrix) };
    for (at, plan) in matrix.canaries.iter().enumerate() {
        if !driver.canary(book, at, plan)? {
            return Ok(true);
        }
    }
    let last_runs: Vec<LastRun> = matrix.cells.iter().map(|c| order::last_run(&driver.runs, is_run_of(&matrix.name, &c.name))).collect();
    let run_order = order::run_order(&last_runs);
    for repeat in 1..=matrix.repeat {
        for at in &run_order {
            if !driver.cell(book, *at, &matrix.cells[*at], &matrix.name, repeat)? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn runs_in_total(book: &SuiteState, matrix: &Matrix) -> usize {
    let cells: usize = book.suite.cells.iter().map(|c| (c.wanted as usize).saturating_sub(c.counted().count())).sum();
    cells + matrix.canaries.len() - book.suite.canaries.iter().filter(|c| c.complete()).count()
}

/// Returns a filter for the runs of a cell, which are in the suite's folder and the cell's folder below it.
fn is_run_of(suite: &str, cell: &str) -> impl Fn(&RunLine) -> bool {
    let (suite, plan) = (format!("{}/", slug(suite)), run_name(cell));
    move |run: &RunLine| run.plan == plan && run.path.starts_with(&suite)
}

struct Driver<'a> {
    options: &'a SuiteOptions<'a>,
    runs: Vec<RunLine>,
    began: Instant,
    done: usize,
    wanted: usize,
}

/// Result of an attempt to execute a run.
enum RunAttempt {
    Run(Vec<SuiteRun>),
    NoBudget(String),
    Interrupted,
}

impl Driver<'_> {
    /// Runs a planted bug until it is caught. Returns `false` if interrupted.
    fn canary(&mut self, book: &mut SuiteState, at: usize, plan: &CanaryPlan) -> Result<bool, String> {
        let name = format!("{CANARY_PREFIX}{}", plan.mutant);
        while !book.suite.canaries[at].complete() {
            let repeat = book.suite.canaries[at].runs.iter().filter(|r| r.counted).count() as u32 + 1;
            let usual = order::usual_wall_s(&self.runs, |r| r.plan == name);
            match self.run(book, &name, &plan.settings, repeat, estimate(usual, plan.estimate)) {
                RunAttempt::Run(runs) => book.suite.canaries[at].runs.extend(runs),
                RunAttempt::NoBudget(why) => {
                    book.suite.canaries[at].not_run = Some(why);
                    break;
                }
                RunAttempt::Interrupted => return Ok(false),
            }
            book.write()?;
        }
        Ok(true)
    }

    fn cell(&mut self, book: &mut SuiteState, at: usize, plan: &CellPlan, suite: &str, repeat: u32) -> Result<bool, String> {
        if book.suite.cells[at].counted().any(|r| r.repeat == repeat) {
            return Ok(true);
        }
        let usual = order::usual_wall_s(&self.runs, is_run_of(suite, &plan.name));
        let ran = self.run(book, &run_name(&plan.name), &plan.settings, repeat, estimate(usual, plan.estimate));
        let cell = &mut book.suite.cells[at];
        match ran {
            RunAttempt::Run(runs) => {
                cell.runs.extend(runs);
                cell.not_run = None;
            }
            RunAttempt::NoBudget(why) => cell.not_run = Some(why),
            RunAttempt::Interrupted => return Ok(false),
        }
        book.write()?;
        Ok(true)
    }

    /// Executes one run, and retries it if it broke. An interrupted run does not count and is repeated in the next session.
    fn run(&mut self, book: &mut SuiteState, name: &str, settings: &Settings, repeat: u32, estimate: Duration) -> RunAttempt {
        if stop::interrupts() > 0 {
            return RunAttempt::Interrupted;
        }
        if let Some(budget) = self.options.budget
            && self.began.elapsed() + estimate > budget.0
        {
            return RunAttempt::NoBudget(format!("about {:.0} s would have gone over the budget of {budget}", estimate.as_secs_f64()));
        }
        let seed: Seed = book.suite.seed.parse().unwrap_or(Seed(0));
        let settings = Settings { name: Some(name.to_owned()), ..settings.clone() };
        let mut runs: Vec<SuiteRun> = vec![];
        for attempt in 1..=1 + RETRIES {
            let seed = seed.part(&format!("{name}/{repeat}/{attempt}"));
            let run = ChildRun { exe: self.options.exe, settings: &settings, seed, out: &book.root, all: self.options.out };
            let line = child::run(&run);
            self.print_line(name, &line, attempt);
            self.add_to_index(&line);
            book.suite.wall_s += line.wall_s;
            if line.exit_code == i32::from(exit::INTERRUPTED) {
                return RunAttempt::Interrupted;
            }
            let again = line.exit_code == i32::from(exit::BROKEN) && attempt <= RETRIES && stop::interrupts() == 0;
            runs.push(SuiteRun { repeat, attempt, counted: !again, run: line });
            if !again {
                break;
            }
        }
        self.done += 1;
        RunAttempt::Run(runs)
    }

    /// Adds the line to the index of all runs, and points the links at the newest run, so that a suite's runs can be found like any others.
    fn add_to_index(&self, line: &RunLine) {
        if line.path.is_empty() {
            return;
        }
        let out = self.options.out;
        let mut kept = index::append(out, line).and_then(|()| atomic::replace_link(&out.join("latest"), Path::new(&line.path)));
        if line.exit_code != 0 {
            kept = kept.and_then(|()| atomic::replace_link(&out.join("latest-failed"), Path::new(&line.path)));
        }
        if let Err(e) = kept {
            errln!("the index of runs is not up to date: {e}");
        }
    }

    fn print_line(&self, name: &str, line: &RunLine, attempt: u32) {
        if !self.options.show_progress {
            return;
        }
        let (seconds, at) = (self.began.elapsed().as_secs_f64(), self.done + 1);
        errln!("[{seconds:>5.0}s {at}/{}] {}", self.wanted, describe(name, line, attempt));
    }
}

/// Describes a run in one line. A planted bug should be found, so its violation is a success.
fn describe(name: &str, line: &RunLine, attempt: u32) -> String {
    let again = if attempt > 1 { " (again)" } else { "" };
    let p99 = if line.p99_ms > 0.0 { format!(", p99 {:.1} ms", line.p99_ms) } else { String::new() };
    let (came_to, why) = match (name.starts_with(CANARY_PREFIX), line.exit_code) {
        (true, 1) => ("caught".to_owned(), format!(": {EXPECTED}")),
        (true, 0) => ("not caught".to_owned(), format!(": {}", line.verdict.word())),
        (false, 0) => (line.verdict.word().to_owned(), String::new()),
        (_, _) => (line.verdict.word().to_owned(), format!(": {}", printable(&line.reason))),
    };
    format!("{name}{again}: {came_to} in {:.1} s{p99}{why}", line.wall_s)
}

fn estimate(usual_s: Option<f64>, planned: Span) -> Duration {
    usual_s.map_or(planned.0, Duration::from_secs_f64)
}

#[cfg(test)]
mod tests;
