//! `heckle check`: judges a recorded history again, either that of a run or a separate file.

use super::run::engine;
use super::verdict::print_linearizability;
use crate::cli::CheckArgs;
use crate::run::recheck;
use crate::run::report::{JudgeOptions, Judged, judge_history, read_history_within};
use crate::{exit, history_file};
use heckle_checker::Verdict;
use heckle_checker::checks::CheckResult;
use heckle_checker::judge::Checker;
use heckle_history::Outcome;
use heckle_history::printable::{block, printable};
use heckle_results::conclude::PROVING_CHECKS;
use heckle_results::results_json::{Results, RunVerdict, Status};
use heckle_results::{RunFolder, run_folder::FindError};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Runs the verb.
pub(super) fn main(args: &CheckArgs) -> ExitCode {
    let target = match target(&args.target, &args.out.out) {
        Ok(target) => target,
        Err(e) => return super::usage("check", &e),
    };
    let path = target.history();
    if let Some(format) = &args.format {
        return super::check_foreign::main(args, format, &path);
    }
    let checked = match check(args, &target, &path) {
        Ok(checked) => checked,
        Err(e) => return super::usage("check", &e),
    };
    if args.output.json {
        outln!("{}", json(&checked, &path));
    } else {
        print_report(&checked, &path);
    }
    ExitCode::from(crate::run::pipeline::exit_code(&checked.results))
}

/// A history judged again, with the results that follow from it.
struct CheckOutcome {
    judged: Judged,
    results: Results,
}

/// Judges a history. A run's history yields the same results as the run itself. A separate file is judged by its content alone.
fn check(args: &CheckArgs, target: &Target, path: &Path) -> Result<CheckOutcome, String> {
    let checker = args.checker.map(engine);
    let max_bytes = history_file::own_bytes(args.max_bytes.as_deref())?;
    let history = match target {
        Target::Run(folder) => {
            let again = recheck::of_folder(folder, checker, max_bytes)?;
            return Ok(CheckOutcome { judged: again.judged, results: again.results });
        }
        Target::File(path) => read_history_within(path, max_bytes)?,
    };
    let history = match recheck::of_history(history, path, checker)? {
        Ok((judged, results)) => return Ok(CheckOutcome { judged, results }),
        Err(history) => history,
    };
    let judged = judge_history(history, &[], JudgeOptions { checker: checker.unwrap_or(Checker::Auto), strict: args.strict }, None);
    let mut results = Results::default();
    judged.add_to(&mut results);
    let (verdict, reasons) = verdict_of_file(&judged, &results, args.strict);
    results.status = Status::Done;
    results.verdict = verdict;
    results.exit_code = i32::from(match verdict {
        RunVerdict::Valid => exit::OK,
        RunVerdict::Invalid => exit::VIOLATION,
        RunVerdict::Unknown | RunVerdict::GateMissed | RunVerdict::Error => exit::INCONCLUSIVE,
    });
    results.reasons = reasons;
    Ok(CheckOutcome { judged, results })
}

/// What to check.
pub(super) enum Target {
    /// A history file that belongs to no run.
    File(PathBuf),
    /// A run.
    Run(RunFolder),
}

impl Target {
    /// Returns the path of the history.
    pub(super) fn history(&self) -> PathBuf {
        match self {
            Target::File(path) => path.clone(),
            Target::Run(folder) => folder.history(),
        }
    }
}

/// Resolves `asked` to a file if it exists, otherwise to a run.
pub(super) fn target(asked: &str, out: &Path) -> Result<Target, String> {
    if history_file::exists(Path::new(asked)) {
        return Ok(Target::File(asked.into()));
    }
    let found = RunFolder::find(out, asked).map_err(|e| match e {
        FindError::NotFound { .. } => format!("{e}; nor is there a file of that name"),
        other => other.to_string(),
    });
    Ok(Target::Run(found?))
}

/// Returns the verdict of a separate file. It is invalid only if an answer is proved wrong. Other problems, and checks without a
/// result (a silent key, no final reads), would make a run inconclusive, but are only reported for a separate file.
fn verdict_of_file(judged: &Judged, results: &Results, strict: bool) -> (RunVerdict, Vec<String>) {
    let proof = |c: &&CheckResult| c.verdict == Verdict::Invalid && PROVING_CHECKS.contains(&c.name);
    let lin = &judged.judgement.linearizability;
    let broken: Vec<String> = judged.checks.iter().filter(proof).map(|c| format!("{}: {}", c.name, c.words)).collect();
    if lin.verdict == Verdict::Invalid || !broken.is_empty() {
        let violations = lin.violations.iter().map(|v| format!("{} on key {}: {}", v.kind, v.key, v.explanation.summary));
        return (RunVerdict::Invalid, violations.chain(broken).collect());
    }
    let mut open: Vec<String> = results.history.problem.iter().cloned().collect();
    if lin.keys.is_empty() {
        open.push("the history holds no operation, so nothing was checked".to_owned());
    } else if !judged.history.ops.iter().any(|op| matches!(op.outcome, Outcome::Ok(_))) {
        open.push("no operation was answered, so nothing was checked".to_owned());
    } else if lin.verdict == Verdict::Unknown {
        open.push("linearizability is unknown".to_owned());
    }
    let thin = judged.checks.iter().filter(|c| strict && c.name == "vacuity" && c.verdict != Verdict::Valid);
    open.extend(thin.map(|c| format!("{}: {}", c.name, c.words)));
    (if open.is_empty() { RunVerdict::Valid } else { RunVerdict::Unknown }, open)
}

fn json(checked: &CheckOutcome, path: &Path) -> String {
    let results = &checked.results;
    let value = serde_json::json!({
        "schema": "heckle.check/1",
        "history": path.display().to_string(),
        "verdict": results.verdict,
        "exit_code": results.exit_code,
        "reasons": results.reasons,
        "end": results.history,
        "linearizability": results.linearizability,
        "checks": results.checks,
        "coverage": results.coverage,
        "faults": results.faults,
        "gates": results.gates,
        "ops": results.ops,
        "ops_by_kind": results.ops_by_kind,
        "window": results.window,
        "bottlenecks": results.bottlenecks,
        "warnings": results.warnings,
    });
    serde_json::to_string_pretty(&value).expect("plain data has a JSON form")
}

fn print_report(checked: &CheckOutcome, path: &Path) {
    let CheckOutcome { judged, results } = checked;
    for warning in &results.warnings {
        errln!("warning: {}", block(warning));
    }
    let lin = &judged.judgement.linearizability;
    outln!("history      {}: {} ops on {} keys", printable(&path.display().to_string()), judged.history.ops.len(), lin.keys.len());
    print_linearizability(lin);
    for check in &judged.checks {
        outln!("{:<12} {}: {}", check.name, check.verdict, block(&check.words));
    }
    for missed in judged.coverage.missed() {
        outln!("{}", printable(&missed));
    }
    outln!("\nverdict: {}", results.verdict.word().replace('_', " "));
    for (i, reason) in results.reasons.iter().enumerate() {
        outln!("{:<8} {}", if i == 0 { "why:" } else { "" }, block(reason));
    }
    for bottleneck in &results.bottlenecks {
        outln!("slowed by {}: {}", bottleneck.what.replace('_', " "), block(&bottleneck.sentence()));
    }
}
