//! `heckle run`: turns flags and a plan file into a run of [`crate::run::pipeline`].

use crate::build_info::build_info;
use crate::cli::{CheckerArg, RunArgs};
use crate::plan::Plan;
use crate::plan::settings::Settings;
use crate::plans;
use crate::run::pipeline::{Job, perform};
use crate::run::{RunOptions, progress};
use crate::stop;
use heckle_checker::judge::Checker;
use heckle_faults::schedule_file;
use heckle_results::gates::Expression;
use heckle_results::input;
use std::path::Path;
use std::process::ExitCode;

/// Runs the verb.
pub(super) fn main(args: &RunArgs) -> ExitCode {
    let job = match build_job(args) {
        Ok(job) => job,
        Err(e) => return super::usage("run", &e),
    };
    stop::catch_interrupts();
    match perform(&job) {
        Ok((folder, results)) => super::print_results(&folder, &results, &args.output),
        Err(e) => super::broken("run", &e),
    }
}

fn build_job(args: &RunArgs) -> Result<Job, String> {
    let flags = Settings { seed: args.seed.clone(), ..args.settings.settings() };
    let file = args.plan.as_deref().map(plans::read).transpose()?.unwrap_or_default();
    let of_suite = args.plan.as_deref().filter(|_| file.suite.is_some() || !file.canary.is_empty()).map(suite_plan_notice);
    if let Some(words) = &of_suite {
        errln!("{words}");
    }
    let settings = super::mutants::apply_to_exposing_plan(file.overlaid(&flags), !args.output.quiet)?;
    let mut plan = Plan::resolve(&settings, crate::systems::all())?;
    if let Some(path) = &args.schedule {
        let text = input::text(path, input::SCHEDULE).map_err(|e| format!("cannot read the schedule {}: {e}", path.display()))?;
        let injections = schedule_file::parse(&text, plan.nodes).map_err(|e| format!("{}, {e}", path.display()))?;
        plan = plan.with_schedule(injections)?;
    }
    if let Some(words) = plan.faults_left_out.as_ref().filter(|_| !args.output.quiet) {
        errln!("{words}");
    }
    if plan.bin.is_none() {
        // Report a missing program before creating a folder.
        plan.system.program()?;
    }
    let gates = plan.gates.iter().chain(&args.gate).map(|g| g.parse().map_err(|e: heckle_results::gates::GateError| e.to_string()));
    let gates = gates.collect::<Result<Vec<Expression>, String>>()?;
    let options = RunOptions { keep_going: args.keep_going, progress: progress::ProgressStyle::fitting(args.output.quiet) };
    Ok(Job { warning: of_suite, plan, gates, build: build_info(), out: args.out.out.clone(), checker: engine(args.checker), options })
}

/// Returns the notice for running a suite's plan as a single run.
fn suite_plan_notice(path: &Path) -> String {
    let file = path.display();
    let quoted = heckle_results::rerun::quote(&file.to_string());
    format!("{file} is the plan of a suite: this is one run of its base, without matrix and canaries; all of it: heckle suite {quoted}")
}

/// Returns the checkers selected by a flag.
pub(super) fn engine(arg: CheckerArg) -> Checker {
    match arg {
        CheckerArg::Auto => Checker::Auto,
        CheckerArg::Chain => Checker::Chain,
        CheckerArg::Porcupine => Checker::Porcupine,
        CheckerArg::Both => Checker::Both,
    }
}
