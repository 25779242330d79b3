//! `heckle suite`: runs a matrix within a time budget, and resumes it if it was interrupted.

use crate::build_info::build_info;
use crate::cli::SuiteArgs;
use crate::plan::units::Span;
use crate::plans;
use crate::stop;
use crate::suite::book::{self, OpenOptions, SuiteState};
use crate::suite::drive::{self, SuiteOptions};
use crate::suite::matrix::{Matrix, Shard};
use crate::suite::{confirm, matrix};
use heckle_history::prng::Seed;
use heckle_results::atomic;
use heckle_results::suite::suite_json::SuiteResults;
use heckle_results::suite::{junit, summary, trend, trend_html};
use heckle_results::utc::UnixSeconds;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

struct SuiteRequest {
    matrix: Matrix,
    shard: Option<Shard>,
    seed: Option<Seed>,
    budget: Option<Span>,
    exe: PathBuf,
}

/// Runs the verb.
pub(super) fn main(args: &SuiteArgs) -> ExitCode {
    let asked = match parse_request(args) {
        Ok(asked) => asked,
        Err(e) => return super::usage("suite", &e),
    };
    stop::catch_interrupts();
    match run_suite(args, &asked) {
        Ok((root, suite)) => {
            if args.output.json {
                out!("{}", suite.to_json());
            } else {
                out!("{}", summary::text(&suite, &root.display().to_string(), super::width(), super::colour()));
            }
            ExitCode::from(u8::try_from(suite.exit_code).unwrap_or(crate::exit::BROKEN))
        }
        Err(e) => super::broken("suite", &e),
    }
}

fn parse_request(args: &SuiteArgs) -> Result<SuiteRequest, String> {
    let settings = plans::read(&args.plan)?;
    let shard = args.shard.as_deref().map(str::parse).transpose()?;
    let matrix = Matrix::of(&settings, &super::mutants::matrix_context(), args.profile.as_deref(), shard)
        .map_err(|e| format!("{}: {e}", args.plan.display()))?;
    let seed = match args.seed.as_deref().or(settings.seed.as_deref()) {
        None | Some("random") => None,
        Some(text) => Some(text.parse()?),
    };
    let exe = std::env::current_exe().map_err(|e| format!("cannot find this program's own file: {e}"))?;
    let cells = matrix.cells.len();
    if let Some(asked) = args.min_cells.filter(|n| *n as usize > cells) {
        return Err(format!("--min-cells {asked}: the matrix has {cells} cells{}", if shard.is_some() { " in this shard" } else { "" }));
    }
    if let Some(baseline) = args.baseline_bin.as_deref().filter(|b| !b.is_file()) {
        return Err(format!("--baseline-bin {}: there is no such file; name the heckle binary of an earlier build", baseline.display()));
    }
    Ok(SuiteRequest { budget: args.budget.or(matrix.budget), matrix, shard, seed, exe })
}

fn run_suite(args: &SuiteArgs, asked: &SuiteRequest) -> Result<(PathBuf, SuiteResults), String> {
    let out = args.out.out.as_path();
    let now = UnixSeconds(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()));
    let begin = OpenOptions {
        out,
        matrix: &asked.matrix,
        profile: args.profile.as_deref(),
        shard: asked.shard,
        seed: asked.seed,
        fresh: args.fresh,
        now,
        build: build_info(),
    };
    let mut book = SuiteState::open(&begin)?;
    book.suite.min_cells = args.min_cells;
    book.suite.budget_s = asked.budget.map(|b| b.0.as_secs_f64());
    if !args.output.quiet {
        print_start(&book, &asked.matrix, asked.budget);
    }
    let options = SuiteOptions { exe: &asked.exe, out, budget: asked.budget, show_progress: !args.output.quiet };
    let interrupted = drive::drive(&mut book, &asked.matrix, &options)?;
    book.suite.conclude(interrupted);
    let mut nights = suites_so_far(out, &asked.matrix.name, &book);
    book.suite.trips = trend::trips(&nights);
    if let (Some(baseline), false, false) = (&args.baseline_bin, interrupted, book.suite.trips.is_empty()) {
        confirm::confirm(&mut book, &asked.matrix, &asked.exe, baseline, out);
    }
    book.suite.conclude(interrupted);
    if let Some(newest) = nights.iter_mut().find(|s| s.suite_id == book.suite.suite_id) {
        newest.clone_from(&book.suite);
    }
    write_reports(&book, &nights).map_err(|e| format!("cannot write the suite's folder: {e}"))?;
    Ok((book.root, book.suite))
}

fn print_start(book: &SuiteState, matrix: &matrix::Matrix, budget: Option<Span>) {
    let done = book.suite.cells.iter().map(|c| c.counted().count()).sum::<usize>();
    let taken_up = if book.suite.sittings > 1 { format!(", taken up again with {done} runs done") } else { String::new() };
    let within = budget.map(|b| format!(" within {b}")).unwrap_or_default();
    errln!(
        "{}: {} cells x {} and {} canaries{within}, seed {}{taken_up}\n{}",
        matrix.name,
        matrix.cells.len(),
        matrix.repeat,
        matrix.canaries.len(),
        book.suite.seed,
        book.root.display()
    );
}

/// Returns all suites of this name, shard and profile, oldest first, including the current one in its current state.
fn suites_so_far(out: &Path, name: &str, book: &SuiteState) -> Vec<SuiteResults> {
    let alike = |s: &SuiteResults| (&s.shard, &s.profile) == (&book.suite.shard, &book.suite.profile);
    let mut all: Vec<SuiteResults> = book::suites(out, name).into_iter().map(|(_, s)| s).filter(alike).collect();
    all.retain(|s| s.suite_id != book.suite.suite_id);
    all.push(book.suite.clone());
    all.sort_by(|a, b| a.suite_id.cmp(&b.suite_id));
    all
}

fn write_reports(book: &SuiteState, nights: &[SuiteResults]) -> std::io::Result<()> {
    let replace = |file: &str, text: String| atomic::replace(&book.root.join(file), text.as_bytes());
    replace("junit.xml", junit::xml(&book.suite))?;
    replace("summary.md", summary::markdown(&book.suite))?;
    replace("trend.html", trend_html::page(nights))?;
    replace(heckle_results::suite::suite_json::FILE, book.suite.to_json())
}
