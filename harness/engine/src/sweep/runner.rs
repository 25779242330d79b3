//! One run of a sweep: the usual run from plan to report, below the folder of the sweep.

use super::drive::Made;
use super::order::Cell;
use crate::plan::Plan;
use crate::run::RunOptions;
use crate::run::noise::CpuMeter;
use crate::run::pipeline::{Job, perform};
use crate::run::progress::ProgressStyle;
use heckle_checker::judge::Checker;
use heckle_results::experiment::Disqualified;
use heckle_results::gates::Expression;
use heckle_results::results_json::{BuildInfo, Results, Status};
use heckle_results::sweep::eligibility::{Counts, counts, limited_by};
use heckle_results::sweep::figures;
use heckle_results::sweep::sweep_json::Run;
use std::path::Path;
use std::time::Instant;

/// Parameters shared by all runs of a sweep.
#[derive(Debug, Clone, Copy)]
pub struct Common<'a> {
    /// The folder of the sweep.
    pub folder: &'a Path,
    /// The limits that a point must hold.
    pub slo: &'a [Expression],
    /// Maximum share of the machine that other processes may use.
    pub noise_limit: f64,
    /// The commit that this program is built from.
    pub build: &'a BuildInfo,
}

/// Executes the run of `cell` according to `plan`.
///
/// # Errors
/// If its folder cannot be created or written.
pub fn make(arm: &str, cell: &Cell, plan: Plan, common: Common<'_>) -> Result<Made, String> {
    let options = RunOptions { keep_going: false, progress: ProgressStyle::Quiet };
    let build = common.build.clone();
    let job = Job { plan, gates: vec![], out: common.folder.to_owned(), checker: Checker::Auto, options, build, warning: None };
    let (began, meter) = (Instant::now(), CpuMeter::start());
    let (run_folder, results) = perform(&job)?;
    let others_cpu = meter.share_of_others().map(|share| (share * 1e4).round() / 1e4);
    let path = run_folder.root().strip_prefix(common.folder).unwrap_or(run_folder.root()).display().to_string();
    let mut run = summary(&results, others_cpu, common);
    (run.arm, run.value, run.repeat, run.path) = (arm.to_owned(), cell.value.clone(), cell.repeat, path);
    run.wall_s = (began.elapsed().as_secs_f64() * 1e3).round() / 1e3;
    if let Counts::Violated(why) = counts(&results) {
        let violation = Disqualified { path: run.path.clone(), why };
        return Ok(Made::Run(Box::new(run), Some(violation)));
    }
    Ok(if results.status == Status::Interrupted { Made::Interrupted } else { Made::Run(Box::new(run), None) })
}

/// Summarizes a run from its results.
fn summary(results: &Results, others_cpu: Option<f64>, common: Common<'_>) -> Run {
    let (not_counted, no_evidence) = match counts(results) {
        Counts::Yes => (None, None),
        Counts::WithoutEvidence(why) => (None, Some(why)),
        Counts::No(why) => (Some(why), None),
        Counts::Violated(why) => (Some(format!("violation: {why}")), None),
    };
    Run {
        seed: results.seed.clone(),
        verdict: results.verdict,
        exit_code: results.exit_code,
        not_counted,
        no_evidence,
        limited_by: limited_by(results, others_cpu, common.noise_limit),
        others_cpu,
        slo: common.slo.iter().map(|limit| limit.compare(results)).collect(),
        figures: figures::of(results),
        ..Run::default()
    }
}
