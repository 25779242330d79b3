//! Executes the runs pair by pair, in an order drawn for each pair, each on a fresh cluster. Until the last run has ended, runs are
//! only checked for whether they count, and no effect is computed.

use super::arms::Experiment;
use crate::build_info::build_info;
use crate::run::noise::CpuMeter;
use crate::run::pipeline::{Job, perform};
use crate::run::report::read_history;
use crate::run::{RunOptions, progress};
use crate::stop;
use heckle_checker::judge::Checker;
use heckle_faults::schedule_file;
use heckle_history::prng::Seed;
use heckle_results::charts::axis::{digits, duration};
use heckle_results::compare::compare_json::{Comparison, Run};
use heckle_results::compare::conclude::MeasuredRun;
use heckle_results::compare::decide::Ending;
use heckle_results::compare::figures::{FIGURES, Kind, RunFigures, compute_figures};
use heckle_results::compare::phases::Phase;
use heckle_results::compare::runs::{self, Eligibility, Limits, Pilot, eligibility, pairs_possible};
use heckle_results::experiment::Disqualified;
use heckle_results::gates::Expression;
use heckle_results::results_json::{Results, RunVerdict};
use heckle_results::{RunFolder, measure};
use std::path::Path;

/// All completed runs, and how the comparison ended.
pub(super) struct CompletedRuns {
    /// The runs.
    pub(super) made: Vec<MeasuredRun>,
    /// Whether the comparison ended as planned or was interrupted.
    pub(super) ending: Ending,
}

/// Executes all runs below `folder`. Adds violations to `comparison` as they occur.
///
/// # Errors
/// If the harness or the machine fails. This ends the comparison, because an arm whose first run fails would fail again.
pub(super) fn run_pairs(experiment: &Experiment, comparison: &mut Comparison, folder: &Path, quiet: bool) -> Result<CompletedRuns, String> {
    let mut made: Vec<MeasuredRun> = vec![];
    let mut announced = false;
    for pair in 1..=experiment.pairs {
        let order = experiment.order(pair);
        let stay: Vec<usize> = order.into_iter().filter(|i| comparison.arms[*i].disqualified.is_none()).collect();
        // Without the reference, or without any other arm, there is nothing to compare.
        if comparison.arms[0].disqualified.is_some() || stay.len() < 2 {
            break;
        }
        for (place, arm) in (1u32..).zip(stay) {
            if stop::interrupts() > 0 {
                return Ok(CompletedRuns { made, ending: Ending::Interrupted });
            }
            let (run, violated) = run_one(experiment, comparison, folder, (pair, place, arm))?;
            let name = &experiment.arms[arm].name;
            if run.run.verdict == RunVerdict::Error && !made.iter().any(|m| m.run.arm == *name) {
                let why = run.run.dropped.map(|d| d.why).unwrap_or_default();
                return Err(format!("the first run of arm `{name}` broke, in {}: {why}", folder.join(&run.run.path).display()));
            }
            if !quiet {
                errln!("{}", run_line(experiment.pairs, &run, violated.is_some()));
            }
            comparison.arms[arm].disqualified = comparison.arms[arm].disqualified.take().or(violated);
            made.push(run);
        }
        if pair == 1
            && let Some(pilot) = runs::pilot(made.iter().map(|m| &m.run))
        {
            let stops = pilot.hopeless && !experiment.finish;
            if !quiet {
                errln!("{}", pilot_line(&pilot, experiment));
            }
            if stops {
                break;
            }
        }
        if let Some(words) = no_claim_possible(experiment, comparison, &made, pair) {
            if !quiet && !announced {
                errln!("{words}");
            }
            announced = true;
            if !experiment.finish {
                break;
            }
        }
    }
    let ending = if stop::interrupts() > 0 { Ending::Interrupted } else { Ending::AsPlanned };
    Ok(CompletedRuns { made, ending })
}

/// Describes what the first pair predicts for the others.
fn pilot_line(pilot: &Pilot, experiment: &Experiment) -> String {
    let mend = if pilot.mend.is_empty() { String::new() } else { format!("\n  to mend it: {}", pilot.mend) };
    let goes_on = match (pilot.hopeless, experiment.finish, experiment.pairs) {
        (false, ..) => "the series goes on, since this may be chance",
        (true, true, _) => "the series goes on because of --finish",
        (true, false, 1) => "it was the only one",
        (true, false, _) => "the other pairs would end like this one, so it stops here; --finish runs them anyway",
    };
    format!("the first pair does not count: {}{mend}\n  {goes_on}", pilot.why)
}

/// Returns a message if too many pairs were dropped to support any claim. A comparison planned with too few pairs is run anyway.
fn no_claim_possible(experiment: &Experiment, comparison: &Comparison, made: &[MeasuredRun], done: u32) -> Option<String> {
    let needed = comparison.design.pairs_needed;
    let possible = pairs_possible(comparison, made.iter().map(|m| &m.run), done);
    if experiment.pairs < needed || possible >= needed || done == experiment.pairs {
        return None;
    }
    let goes_on = if experiment.finish { "--finish runs the rest anyway" } else { "it stops here; --finish runs the rest" };
    let dropped = experiment.pairs - possible;
    Some(format!("no claim is possible any more: {dropped} of {} pairs are lost and {needed} are needed; {goes_on}", experiment.pairs))
}

fn run_one(
    experiment: &Experiment,
    comparison: &Comparison,
    folder: &Path,
    which: (u32, u32, usize),
) -> Result<(MeasuredRun, Option<Disqualified>), String> {
    let (pair, place, arm) = which;
    let plan = experiment.plan(arm, pair)?;
    let schedule = format!("{:016x}", Seed(0).part(&schedule_file::format(&plan.injections)).0);
    let gates = plan.gates.iter().map(|g| g.parse::<Expression>().map_err(|e| e.to_string())).collect::<Result<Vec<_>, String>>()?;
    let options = RunOptions { keep_going: false, progress: progress::ProgressStyle::Quiet };
    let meter = CpuMeter::start();
    let job = Job { plan, gates, out: folder.to_owned(), checker: Checker::Auto, options, build: build_info(), warning: None };
    let (run_folder, results) = perform(&job)?;
    let others_cpu = meter.share_of_others().map(|o| (o * 1e4).round() / 1e4);
    let path = run_folder.root().strip_prefix(folder).unwrap_or(run_folder.root()).display().to_string();
    let design = &comparison.design;
    let (dropped, violated) =
        match eligibility(&results, design.load, others_cpu, Limits { noise: design.noise_limit, late: design.late_limit }) {
            Eligibility::Counts => (None, None),
            Eligibility::Dropped(dropped) => (Some(dropped), None),
            Eligibility::Violated(why) => (None, Some(Disqualified { path: path.clone(), why })),
        };
    let taken = if results.verdict == RunVerdict::Error { RunFigures::default() } else { read_figures(&run_folder, &results)? };
    let window_s = results.load.window_s;
    let run = Run {
        pair,
        place,
        arm: experiment.arms[arm].name.clone(),
        seed: results.seed.clone(),
        schedule,
        path,
        verdict: results.verdict,
        exit_code: results.exit_code,
        offered_per_s: if window_s > 0.0 { (taken.waits.len() as f64 / window_s * 1e3).round() / 1e3 } else { 0.0 },
        achieved_per_s: results.load.achieved_per_s,
        late_ratio: results.load.late_ratio,
        others_cpu,
        dropped,
        ..Run::default()
    };
    Ok((MeasuredRun { run, taken }, violated))
}

fn read_figures(folder: &RunFolder, results: &Results) -> Result<RunFigures, String> {
    let history = read_history(&folder.history())?;
    Ok(compute_figures(&history, &measure::analyze(&history), results))
}

/// Formats one line for a completed run, with its own figures but no comparison.
fn run_line(pairs: u32, made: &MeasuredRun, violated: bool) -> String {
    let run = &made.run;
    let whole = made.taken.readings.get(&Phase::Whole);
    let figures = FIGURES.iter().filter(|f| f.kind == Kind::Primary).filter_map(|f| {
        let reading = whole?.get(f.name)?;
        let bound = if reading.censored() { "at least " } else { "" };
        Some(format!("{} {bound}{}", f.what, f.words(reading.number())))
    });
    let mut words = vec![format!("pair {:>2}/{pairs}  {:<16} {}", run.pair, run.arm, run.verdict.word())];
    words.extend(figures);
    if violated {
        words.push("VIOLATION: this arm is out".into());
    }
    words.extend(run.dropped.as_ref().map(|d| format!("dropped, {}: {}", d.kind.word(), d.why)));
    words.join("  ")
}

/// Formats the planned duration of all runs.
pub(super) fn planned_duration(experiment: &Experiment) -> String {
    /// Time for start, judgement and plots of a run, in addition to its planned duration.
    const RUN_OVERHEAD_MS: f64 = 2_500.0;
    let runs = f64::from(experiment.pairs) * experiment.arms.len() as f64;
    let each_ms = experiment.run_for.as_secs_f64() * 1e3 + RUN_OVERHEAD_MS;
    format!("{} runs of about {}: about {}", digits(runs), duration(each_ms), duration(runs * each_ms))
}
