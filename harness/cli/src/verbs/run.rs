//! `heckle run`: flags and plan file to a run of [`crate::run::pipeline`].

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
    let job = match job(args) {
        Ok(job) => job,
        Err(e) => return super::usage("run", &e),
    };
    stop::catch_interrupts();
    match perform(&job) {
        Ok((folder, results)) => super::tell_results(&folder, &results, &args.voice),
        Err(e) => super::broken("run", &e),
    }
}

fn job(args: &RunArgs) -> Result<Job, String> {
    let flags = Settings { seed: args.seed.clone(), ..args.settings.settings() };
    let file = args.plan.as_deref().map(plans::read).transpose()?.unwrap_or_default();
    let of_suite = args.plan.as_deref().filter(|_| file.suite.is_some() || !file.canary.is_empty()).map(of_suite);
    if let Some(words) = &of_suite {
        errln!("{words}");
    }
    let settings = super::mutants::over_exposing_plan(file.overlaid(&flags), !args.voice.quiet)?;
    let mut plan = Plan::resolve(&settings, crate::systems::all())?;
    if let Some(path) = &args.schedule {
        let text = input::text(path, input::SCHEDULE).map_err(|e| format!("cannot read the schedule {}: {e}", path.display()))?;
        let injections = schedule_file::parse(&text, plan.nodes).map_err(|e| format!("{}, {e}", path.display()))?;
        plan = plan.with_schedule(injections)?;
    }
    if plan.bin.is_none() {
        // What has to be installed is said before a folder is made.
        plan.system.program()?;
    }
    let gates = plan.gates.iter().chain(&args.gate).map(|g| g.parse().map_err(|e: heckle_results::gates::GateError| e.to_string()));
    let gates = gates.collect::<Result<Vec<Expression>, String>>()?;
    let options = RunOptions { keep_going: args.keep_going, progress: progress::ProgressStyle::fitting(args.voice.quiet) };
    Ok(Job { warning: of_suite, plan, gates, build: build_info(), out: args.out.out.clone(), checker: engine(args.checker), options })
}

/// What is said of a suite's plan that is run alone.
fn of_suite(path: &Path) -> String {
    let file = path.display();
    let quoted = heckle_results::rerun::quote(&file.to_string());
    format!("{file} is the plan of a suite: this is one run of its base, without matrix and canaries; all of it: heckle suite {quoted}")
}

/// The engines a flag asks for.
pub(super) fn engine(arg: CheckerArg) -> Checker {
    match arg {
        CheckerArg::Auto => Checker::Auto,
        CheckerArg::Chain => Checker::Chain,
        CheckerArg::Porcupine => Checker::Porcupine,
        CheckerArg::Both => Checker::Both,
    }
}
