//! `heckle demo`: in under a minute, a healthy cluster passes under faults, and a planted bug is caught.

use super::mutants::over_exposing_plan;
use crate::build_info::build_info;
use crate::cli::DemoArgs;
use crate::exit;
use crate::plan::Plan;
use crate::plan::settings::Settings;
use crate::run::pipeline::{Job, perform};
use crate::run::{RunOptions, progress};
use crate::stop;
use heckle_checker::judge::Checker;
use heckle_history::printable::printable;
use heckle_results::RunFolder;
use heckle_results::results_json::{Results, RunVerdict};
use heckle_results::terminal::wrap;
use std::process::ExitCode;

/// The bug that is planted: answers leave before their records are written.
const PLANTED: &str = "answer-before-write";
/// Letters in a line of its story.
const STORY_WIDTH: usize = 96;
/// Runs in which it must be found, at most.
const RUNS_TO_FIND: u32 = 3;
const HEALTHY: &str = "name = \"demo-healthy\"\n[load]\nduration = \"20s\"\nwarmup = \"2s\"\n[faults]\nkinds = [\"kill\", \"pause\", \"partition\"]\nquiet_tail = \"3s\"\n";

/// Runs the verb.
pub(super) fn main(args: &DemoArgs) -> ExitCode {
    stop::catch_interrupts();
    match tell(args) {
        Ok(code) => ExitCode::from(code),
        Err(e) => super::broken("demo", &e),
    }
}

fn tell(args: &DemoArgs) -> Result<u8, String> {
    outln!("heckle demo: two stories, under a minute.\n");
    outln!("1. A healthy cluster: three real processes run Paxos, sixteen clients contend for four keys,");
    outln!("   while a node is killed, a node is paused and the network is cut.\n");
    let (folder, results) = one(args, HEALTHY, None)?;
    if results.verdict != RunVerdict::Valid {
        outln!("   This was expected to be valid, and is {}: {}", results.verdict.word(), printable(&results.reasons.join("; ")));
        outln!("   Look at it: heckle show {}", folder.root().display());
        return Ok(crate::run::pipeline::exit_code(&results).max(exit::INCONCLUSIVE));
    }
    outln!("   valid: {} ops, {}.", results.ops.invoked, faults(&results));
    outln!("   One order explains every answer of every client, real time respected.");
    outln!("   picture: {}\n", folder.path("plots/latency-raw.png").display());

    outln!("2. The same cluster with a planted bug, `{PLANTED}`: nodes answer before their records are on");
    outln!("   disk. All nodes are killed at once now and then, and started again on their data.\n");
    for attempt in 1..=RUNS_TO_FIND {
        let (folder, results) = one(args, &format!("[cluster]\nmutant = \"{PLANTED}\"\n"), Some(attempt))?;
        if stop::interrupts() > 0 {
            return Ok(exit::INTERRUPTED);
        }
        if results.verdict == RunVerdict::Invalid {
            caught(&folder, &results);
            return Ok(exit::OK);
        }
        outln!("   attempt {attempt} of {RUNS_TO_FIND}: not found ({})", printable(&results.reasons.join("; ")));
    }
    outln!("   The planted bug was not found: the judge or the faults do not do their work here.");
    Ok(exit::INCONCLUSIVE)
}

fn faults(results: &Results) -> String {
    let each: Vec<String> = results.faults.iter().map(|f| format!("{} {}", f.kind, f.targets.join(" against "))).collect();
    each.join(", ")
}

fn caught(folder: &RunFolder, results: &Results) {
    if let Some(violation) = results.linearizability.violations.first() {
        outln!("   caught: {} on key {}.", printable(&violation.kind.replace('_', " ")), printable(&violation.key));
        if let Some(story) = &violation.story {
            wrap(&printable(story), STORY_WIDTH).iter().for_each(|line| outln!("   {line}"));
            outln!();
        }
        outln!("   {}", printable(&violation.words));
        for step in &violation.steps {
            outln!("   - {}", printable(step));
        }
        outln!("   picture:  {}", folder.path("plots/latency-raw.png").display());
        outln!("   timeline: {}", folder.path(&violation.path).join("timeline.html").display());
    } else {
        outln!("   caught: {}", printable(&results.reasons.join("; ")));
    }
    outln!("\nBoth stories hold. Type next:");
    outln!("   heckle explain latest-failed      the contradiction, step by step");
    outln!("   heckle run --duration 30s         a run of your own");
    outln!("   heckle doctor                     what this machine can do");
    outln!("(`heckle` is target/release/heckle, or `cargo run --release --`.)");
}

fn one(args: &DemoArgs, toml: &str, attempt: Option<u32>) -> Result<(RunFolder, Results), String> {
    let settings: Settings = toml::from_str(toml).expect("the demo's plans are tested");
    let settings = over_exposing_plan(settings, false)?;
    let mut plan = Plan::resolve(&settings, crate::systems::all())?;
    if attempt.is_some() {
        plan.name = "demo-planted-bug".into();
    }
    let options = RunOptions { keep_going: false, progress: progress::ProgressStyle::fitting(args.quiet) };
    perform(&Job { plan, gates: vec![], out: args.out.out.clone(), checker: Checker::Auto, options, build: build_info(), warning: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plans_of_the_demo_make_sense() {
        for toml in [HEALTHY.to_owned(), format!("[cluster]\nmutant = \"{PLANTED}\"\n")] {
            let settings = over_exposing_plan(toml::from_str(&toml).expect("TOML"), false).expect("a known mutant");
            let plan = Plan::resolve(&settings, crate::systems::all()).expect("makes sense");
            assert!(plan.injections.len() >= 3);
        }
    }
}
