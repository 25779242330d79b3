//! `heckle demo`: in under a minute, a healthy cluster passes a run with faults, and a planted bug is caught.

use super::mutants::apply_to_exposing_plan;
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

/// The planted bug: nodes answer before their records are written.
const PLANTED_BUG: &str = "answer-before-write";
/// Line width of the counterexample, in characters.
const STORY_WIDTH: usize = 96;
/// Maximum number of runs within which the bug must be found.
const MAX_RUNS: u32 = 3;
const HEALTHY_PLAN: &str = "name = \"demo-healthy\"\n[load]\nduration = \"20s\"\nwarmup = \"2s\"\n[faults]\nkinds = [\"kill\", \"pause\", \"partition\"]\nquiet_tail = \"3s\"\n";

/// Runs the verb.
pub(super) fn main(args: &DemoArgs) -> ExitCode {
    stop::catch_interrupts();
    match run_demo(args) {
        Ok(code) => ExitCode::from(code),
        Err(e) => super::broken("demo", &e),
    }
}

fn run_demo(args: &DemoArgs) -> Result<u8, String> {
    outln!("heckle demo: two stories, under a minute.\n");
    outln!("1. A healthy cluster: three real processes run Paxos, sixteen clients contend for four keys,");
    outln!("   while a node is killed, a node is paused and the network is cut.\n");
    let (folder, results) = run_plan(args, HEALTHY_PLAN, None)?;
    if results.verdict != RunVerdict::Valid {
        outln!("   This was expected to be valid, and is {}: {}", results.verdict.word(), printable(&results.reasons.join("; ")));
        outln!("   Look at it: heckle show {}", folder.root().display());
        return Ok(crate::run::pipeline::exit_code(&results).max(exit::INCONCLUSIVE));
    }
    outln!("   valid: {} ops, {}.", results.ops.invoked, list_faults(&results));
    outln!("   One order that respects real time explains every answer of every client.");
    outln!("   picture: {}\n", folder.path("plots/latency-raw.png").display());

    outln!("2. The same cluster with a planted bug, `{PLANTED_BUG}`: nodes answer before their records are on");
    outln!("   disk. Now and then all nodes are killed simultaneously and restarted with their data.\n");
    for attempt in 1..=MAX_RUNS {
        let (folder, results) = run_plan(args, &format!("[cluster]\nmutant = \"{PLANTED_BUG}\"\n"), Some(attempt))?;
        if stop::interrupts() > 0 {
            return Ok(exit::INTERRUPTED);
        }
        if results.verdict == RunVerdict::Invalid {
            print_caught_bug(&folder, &results);
            return Ok(exit::OK);
        }
        outln!("   attempt {attempt} of {MAX_RUNS}: not found ({})", printable(&results.reasons.join("; ")));
    }
    outln!("   The planted bug was not found: checker or faults do not work as intended here.");
    Ok(exit::INCONCLUSIVE)
}

fn list_faults(results: &Results) -> String {
    let each: Vec<String> = results.faults.iter().map(|f| format!("{} {}", f.kind, f.targets.join(" against "))).collect();
    each.join(", ")
}

fn print_caught_bug(folder: &RunFolder, results: &Results) {
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
        outln!("   picture: {}", folder.path(&violation.path).join("counterexample.png").display());
        outln!("   step through it in a browser: {}", folder.path(&violation.path).join("timeline.html").display());
    } else {
        outln!("   caught: {}", printable(&results.reasons.join("; ")));
    }
    outln!("\nBoth stories hold. Type next:");
    outln!("   heckle explain latest-failed      the contradiction, step by step");
    outln!("   heckle run --duration 30s         a run of your own");
    outln!("   heckle doctor                     what this machine can do");
    outln!("(`heckle` is target/release/heckle, or `cargo run --release --`.)");
}

fn run_plan(args: &DemoArgs, toml: &str, attempt: Option<u32>) -> Result<(RunFolder, Results), String> {
    let settings: Settings = toml::from_str(toml).expect("the demo's plans are tested");
    let settings = apply_to_exposing_plan(settings, false)?;
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
    fn plans_of_the_demo_are_valid() {
        for toml in [HEALTHY_PLAN.to_owned(), format!("[cluster]\nmutant = \"{PLANTED_BUG}\"\n")] {
            let settings = apply_to_exposing_plan(toml::from_str(&toml).expect("TOML"), false).expect("a known mutant");
            let plan = Plan::resolve(&settings, crate::systems::all()).expect("makes sense");
            assert!(plan.injections.len() >= 3);
        }
    }
}
