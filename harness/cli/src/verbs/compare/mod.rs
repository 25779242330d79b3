//! `heckle compare`: runs the same plan in pairs with one setting changed, and reports the differences, their size, and their
//! certainty. See `docs/comparing.md`.

pub(super) mod arms; // also used by `sweep`, which reads arms in the same way
mod runner;

use crate::build_info::build_info;
use crate::cli::CompareArgs;
use crate::exit;
use crate::plan::units::Rate;
use crate::run::environment;
use crate::stop;
use arms::Experiment;
use heckle_results::compare::compare_json::{Arm, Comparison, Design, LoadMode};
use heckle_results::compare::conclude::conclude;
use heckle_results::compare::decide::{ALPHA, PAIRS_NEEDED, SAME_INDEX, SAME_RATIO, SAME_SHARE};
use heckle_results::compare::figures;
use heckle_results::compare::folder::CompareFolder;
use heckle_results::compare::phases::RECOVERY;
use heckle_results::compare::text;
use heckle_results::experiment::ExperimentHead;
use heckle_results::rerun;
use heckle_results::results_json::Status;
use heckle_results::summary::View;
use heckle_results::utc::UnixSeconds;
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Runs the verb.
pub(super) fn main(args: &CompareArgs) -> ExitCode {
    let experiment = match arms::experiment(args) {
        Ok(experiment) => experiment,
        Err(e) => return super::usage("compare", &e),
    };
    stop::catch_interrupts();
    match compare(&experiment, args) {
        Ok((folder, comparison)) => {
            if args.output.json {
                outln!("{}", comparison.to_json().trim_end());
            } else {
                let shown = folder.root().display().to_string();
                out!("{}", text::text(&comparison, View { folder: &shown, width: super::width(), colour: super::colour() }));
            }
            ExitCode::from(u8::try_from(comparison.head.exit_code).unwrap_or(exit::BROKEN))
        }
        Err(e) => super::broken("compare", &e),
    }
}

fn compare(experiment: &Experiment, args: &CompareArgs) -> Result<(CompareFolder, Comparison), String> {
    let began = Instant::now();
    let started = UnixSeconds(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()));
    let mut comparison = planned_comparison(experiment);
    let folder = CompareFolder::create(&args.out.out, &experiment.name, started, rand::random(), &mut comparison)
        .map_err(|e| format!("cannot keep a comparison: {e}; name a writable folder with --out"))?;
    let env = environment::gather(folder.root(), build_info());
    (comparison.head.env, comparison.head.build_profile) = (env.info(), env.build_profile.clone());
    let write = |what: std::io::Result<()>| what.map_err(|e| format!("cannot write the comparison's folder: {e}"));
    write(folder.write_comparison(&comparison))?;
    if !args.output.quiet {
        err!("{}", text::announcement(&comparison, &runner::planned_duration(experiment)));
    }
    let completed = match runner::run_pairs(experiment, &mut comparison, folder.root(), args.output.quiet) {
        Ok(completed) => completed,
        Err(why) => {
            (comparison.head.status, comparison.head.exit_code, comparison.head.verdict) =
                (Status::Done, i32::from(exit::BROKEN), vec![why.clone()]);
            write(folder.write_comparison(&comparison))?;
            return Err(why);
        }
    };
    let mut comparison = conclude(comparison, completed.made, completed.ending);
    comparison.head.wall_s = (began.elapsed().as_secs_f64() * 10.0).round() / 10.0;
    write(folder.write_all(&mut comparison))?;
    Ok((folder, comparison))
}

/// Returns the comparison as planned, with everything that is fixed before the first run.
fn planned_comparison(experiment: &Experiment) -> Comparison {
    let (load, rate_per_s) = match experiment.rate {
        Rate::PerSecond(rate) => (LoadMode::EqualOfferedLoad, Some(rate)),
        Rate::Max => (LoadMode::Saturation, None),
    };
    Comparison {
        head: ExperimentHead {
            name: experiment.name.clone(),
            seed: experiment.seed.to_string(),
            again: repeat_command(experiment),
            build: build_info(),
            ..ExperimentHead::default()
        },
        design: Design {
            pairs: experiment.pairs,
            pairs_needed: PAIRS_NEEDED as u32,
            aa: experiment.aa,
            load,
            state_differs: experiment.state_differs,
            rate_per_s,
            primary: figures::primary(experiment.clients).map(|f| f.name.to_owned()).collect(),
            faults: experiment.faults.clone(),
            alpha: ALPHA,
            same_ratio: SAME_RATIO,
            same_share: SAME_SHARE,
            same_index: SAME_INDEX,
            recovery_s: RECOVERY.as_secs_f64(),
            noise_limit: experiment.noise_limit,
            late_limit: experiment.late_limit,
            stop_rule: stop_rule(experiment),
        },
        arms: experiment.arms.iter().map(|a| Arm { name: a.name.clone(), settings: a.stated.clone(), ..Arm::default() }).collect(),
        ..Comparison::default()
    }
}

/// Describes the stopping rule, which does not depend on the figures.
fn stop_rule(experiment: &Experiment) -> String {
    let pairs = experiment.pairs;
    let dropped = match (experiment.finish, (pairs as usize) < PAIRS_NEEDED) {
        (true, _) => String::new(),
        (false, true) => "; or after the first pair, if none of its runs counts".to_owned(),
        (false, false) => format!(
            "; or after the first pair, if none of its runs counts; or when fewer than {PAIRS_NEEDED} can count, since so many were dropped"
        ),
    };
    format!("after {pairs} pairs, whatever they show; a violation ends its arm{dropped}")
}

/// Returns the command that repeats the comparison with the same seed.
fn repeat_command(experiment: &Experiment) -> String {
    let mut words: Vec<String> = std::env::args().skip(1).map(|a| rerun::quote(&a)).collect();
    if !words.iter().any(|w| w == "--seed" || w.starts_with("--seed=")) {
        words.extend(["--seed".to_owned(), experiment.seed.to_string()]);
    }
    format!("heckle {}", words.join(" "))
}
