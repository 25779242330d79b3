//! `heckle rerun`: runs the same plan and seed again, once or several times. Random choices repeat but timing does not,
//! so a rerun is not a replay.

use super::run::engine;
use crate::build_info::build_info;
use crate::cli::{CheckerArg, RerunArgs};
use crate::exit;
use crate::machine;
use crate::plan::Plan;
use crate::plans;
use crate::run::pipeline::{Job, exit_code, perform};
use crate::run::{RunOptions, progress};
use crate::stop;
use heckle_faults::schedule_file;
use heckle_results::RunFolder;
use heckle_results::input;
use std::process::ExitCode;

/// Maximum number of runs; for more, use a suite.
const MAX_TIMES: u32 = 1_000;

/// Runs the verb.
pub(super) fn main(args: &RerunArgs) -> ExitCode {
    let job = match build_job(args) {
        Ok(job) => job,
        Err(e) => return super::usage("rerun", &e),
    };
    stop::catch_interrupts();
    let (mut codes, mut last) = (vec![], None);
    for _ in 0..args.times {
        match perform(&job) {
            Ok((folder, results)) => {
                codes.push(exit_code(&results));
                last = Some((folder, results));
            }
            Err(e) => return super::broken("rerun", &e),
        }
        if stop::interrupts() > 0 {
            break;
        }
    }
    let Some((folder, results)) = last else { return super::usage("rerun", "--times 0 asks for nothing") };
    let printed = super::print_results(&folder, &results, &args.output);
    if args.times == 1 {
        return printed;
    }
    let failed = codes.iter().filter(|c| **c != exit::OK).count();
    errln!("{failed} of {} runs of this plan and seed did not end with 0", codes.len());
    ExitCode::from(exit::worst(&codes))
}

fn build_job(args: &RerunArgs) -> Result<Job, String> {
    if args.times == 0 || args.times > MAX_TIMES {
        return Err(format!("--times {} is not between 1 and {MAX_TIMES}", args.times));
    }
    let folder = RunFolder::find(&args.out.out, &args.run).map_err(|e| e.to_string())?;
    let settings = plans::read(&folder.plan())?;
    let mut plan = Plan::resolve(&settings, crate::systems::all())?;
    if plan.names_programs() && !args.allow_programs {
        let text = input::text(&folder.plan(), input::PLAN).map_err(|e| format!("cannot read {}: {e}", folder.plan().display()))?;
        if !machine::sealed_here(folder.root(), &text) {
            let named = plan.bin.as_ref().map_or("in [system]".to_owned(), |bin| format!("bin = `{}`", bin.display()));
            return Err(format!(
                "the plan of this run names a program, {named}, and this machine did not write the run: read {}, then add --allow-programs",
                folder.plan().display()
            ));
        }
    }
    // The schedule defines the faults, and it may have come from a separate file.
    let text = input::text(&folder.schedule(), input::SCHEDULE).map_err(|e| format!("cannot read {}: {e}", folder.schedule().display()))?;
    let injections = schedule_file::parse(&text, plan.nodes).map_err(|e| format!("{}, {e}", folder.schedule().display()))?;
    plan = plan.with_schedule(injections)?;
    let gates =
        plan.gates.iter().map(|g| g.parse().map_err(|e: heckle_results::gates::GateError| e.to_string())).collect::<Result<_, String>>()?;
    let options = RunOptions { keep_going: false, progress: progress::ProgressStyle::fitting(args.output.quiet) };
    Ok(Job { plan, gates, out: args.out.out.clone(), checker: engine(CheckerArg::Auto), options, build: build_info(), warning: None })
}
