//! All runs of a suite, one after another, within the budget: the planted bugs first, since a night without them proves
//! nothing; then every cell once, then every cell again.

use super::book::Book;
use super::child::{self, Errand};
use super::matrix::{CanaryPlan, CellPlan, Matrix};
use super::order::{self, Past};
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

/// How often a run that broke (not: failed) is tried again.
const RETRIES: u32 = 1;

/// Runs of planted bugs have names that begin so.
const CANARY: &str = "canary-";

/// How a suite is driven.
pub struct SuiteOptions<'a> {
    /// The binary that runs.
    pub exe: &'a Path,
    /// The folder of all runs.
    pub out: &'a Path,
    /// How long this sitting may take.
    pub budget: Option<Span>,
    /// Say a line for each run.
    pub tell: bool,
}

/// Works through what is left. Returns whether it was interrupted.
///
/// # Errors
/// If the suite's folder cannot be written.
pub fn drive(book: &mut Book, matrix: &Matrix, manner: &SuiteOptions<'_>) -> Result<bool, String> {
    let runs = index::read(manner.out).map_err(|e| format!("cannot read the index of runs: {e}"))?;
    let mut driver = Driver { manner, runs, began: Instant::now(), done: 0, wanted: wanted(book, matrix) };
    for (at, plan) in matrix.canaries.iter().enumerate() {
        if !driver.canary(book, at, plan)? {
            return Ok(true);
        }
    }
    let pasts: Vec<Past> = matrix.cells.iter().map(|c| order::past(&driver.runs, of_cell(&matrix.name, &c.name))).collect();
    let turns = order::turns(&pasts);
    for repeat in 1..=matrix.repeat {
        for at in &turns {
            if !driver.cell(book, *at, &matrix.cells[*at], &matrix.name, repeat)? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn wanted(book: &Book, matrix: &Matrix) -> usize {
    let cells: usize = book.suite.cells.iter().map(|c| (c.wanted as usize).saturating_sub(c.counted().count())).sum();
    cells + matrix.canaries.len() - book.suite.canaries.iter().filter(|c| c.complete()).count()
}

/// Runs of a cell are known by the suite's folder and the cell's own below it.
fn of_cell(suite: &str, cell: &str) -> impl Fn(&RunLine) -> bool {
    let (suite, plan) = (format!("{}/", slug(suite)), run_name(cell));
    move |run: &RunLine| run.plan == plan && run.path.starts_with(&suite)
}

/// The name of a cell's runs: a plan's name, which names a folder. A long one is cut and told apart by its hash: two cells that
/// differ in their last axis alone must neither share a folder and a past nor, since seeds are drawn by name, their seeds.
pub fn run_name(cell: &str) -> String {
    const LONGEST: usize = 64;
    if cell.len() <= LONGEST {
        return slug(cell);
    }
    let hash = format!("-{:08x}", Seed(0).part(cell).0 >> 32);
    slug(&cell.chars().take(LONGEST - hash.len()).collect::<String>()) + &hash
}

struct Driver<'a> {
    manner: &'a SuiteOptions<'a>,
    runs: Vec<RunLine>,
    began: Instant,
    done: usize,
    wanted: usize,
}

/// What came of a wish to run something.
enum Ran {
    Run(Vec<SuiteRun>),
    NoBudget(String),
    Interrupted,
}

impl Driver<'_> {
    /// Runs a planted bug until it is caught. `false` if interrupted.
    fn canary(&mut self, book: &mut Book, at: usize, plan: &CanaryPlan) -> Result<bool, String> {
        let name = format!("{CANARY}{}", plan.mutant);
        while !book.suite.canaries[at].complete() {
            let repeat = book.suite.canaries[at].runs.iter().filter(|r| r.counted).count() as u32 + 1;
            let usual = order::usual_wall_s(&self.runs, |r| r.plan == name);
            match self.run(book, &name, &plan.settings, repeat, estimate(usual, plan.estimate)) {
                Ran::Run(runs) => book.suite.canaries[at].runs.extend(runs),
                Ran::NoBudget(why) => {
                    book.suite.canaries[at].not_run = Some(why);
                    break;
                }
                Ran::Interrupted => return Ok(false),
            }
            book.write()?;
        }
        Ok(true)
    }

    fn cell(&mut self, book: &mut Book, at: usize, plan: &CellPlan, suite: &str, repeat: u32) -> Result<bool, String> {
        if book.suite.cells[at].counted().any(|r| r.repeat == repeat) {
            return Ok(true);
        }
        let usual = order::usual_wall_s(&self.runs, of_cell(suite, &plan.name));
        let ran = self.run(book, &run_name(&plan.name), &plan.settings, repeat, estimate(usual, plan.estimate));
        let cell = &mut book.suite.cells[at];
        match ran {
            Ran::Run(runs) => {
                cell.runs.extend(runs);
                cell.not_run = None;
            }
            Ran::NoBudget(why) => cell.not_run = Some(why),
            Ran::Interrupted => return Ok(false),
        }
        book.write()?;
        Ok(true)
    }

    /// Makes one run, and again if it broke. What was interrupted does not count and is made anew by the next sitting.
    fn run(&mut self, book: &mut Book, name: &str, settings: &Settings, repeat: u32, estimate: Duration) -> Ran {
        if stop::interrupts() > 0 {
            return Ran::Interrupted;
        }
        if let Some(budget) = self.manner.budget
            && self.began.elapsed() + estimate > budget.0
        {
            return Ran::NoBudget(format!("about {:.0} s would have gone over the budget of {budget}", estimate.as_secs_f64()));
        }
        let seed: Seed = book.suite.seed.parse().unwrap_or(Seed(0));
        let settings = Settings { name: Some(name.to_owned()), ..settings.clone() };
        let mut runs: Vec<SuiteRun> = vec![];
        for attempt in 1..=1 + RETRIES {
            let seed = seed.part(&format!("{name}/{repeat}/{attempt}"));
            let errand = Errand { exe: self.manner.exe, settings: &settings, seed, out: &book.root, all: self.manner.out };
            let line = child::run(&errand);
            self.tell(name, &line, attempt);
            self.keep(&line);
            book.suite.wall_s += line.wall_s;
            if line.exit_code == i32::from(exit::INTERRUPTED) {
                return Ran::Interrupted;
            }
            let again = line.exit_code == i32::from(exit::BROKEN) && attempt <= RETRIES && stop::interrupts() == 0;
            runs.push(SuiteRun { repeat, attempt, counted: !again, run: line });
            if !again {
                break;
            }
        }
        self.done += 1;
        Ran::Run(runs)
    }

    /// The line goes into the index of all runs, and the links point at the newest: a run of a suite is found like any other.
    fn keep(&self, line: &RunLine) {
        if line.path.is_empty() {
            return;
        }
        let out = self.manner.out;
        let mut kept = index::append(out, line).and_then(|()| atomic::point(&out.join("latest"), Path::new(&line.path)));
        if line.exit_code != 0 {
            kept = kept.and_then(|()| atomic::point(&out.join("latest-failed"), Path::new(&line.path)));
        }
        if let Err(e) = kept {
            errln!("the index of runs is not up to date: {e}");
        }
    }

    fn tell(&self, name: &str, line: &RunLine, attempt: u32) {
        if !self.manner.tell {
            return;
        }
        let (seconds, at) = (self.began.elapsed().as_secs_f64(), self.done + 1);
        errln!("[{seconds:>5.0}s {at}/{}] {}", self.wanted, words(name, line, attempt));
    }
}

/// A run in a line. A planted bug is to be found, so its violation is the good news.
fn words(name: &str, line: &RunLine, attempt: u32) -> String {
    let again = if attempt > 1 { " (again)" } else { "" };
    let p99 = if line.p99_ms > 0.0 { format!(", p99 {:.1} ms", line.p99_ms) } else { String::new() };
    let (came_to, why) = match (name.starts_with(CANARY), line.exit_code) {
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
