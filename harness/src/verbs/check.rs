//! `heckle check`: judges a recorded history again, whether it is a whole run's or a file of its own.

use super::run::engine;
use crate::cli::CheckArgs;
use crate::exit;
use crate::run::report::{How, Judged, judge_history, read_history};
use crate::search::{ChildProcess, SecondOpinions};
use heckle_checker::checks::CheckResult;
use heckle_checker::coverage::Rule;
use heckle_checker::judge::Options;
use heckle_checker::search::{ModelKind, judge_foreign};
use heckle_checker::{Linearizability, Verdict};
use heckle_history::foreign::{self, Format};
use heckle_history::printable::{block, printable};
use heckle_results::conclude::PROVES_A_VIOLATION;
use heckle_results::results_json::Results;
use heckle_results::{RunFolder, run_folder::FindError};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Runs the verb.
pub(super) fn main(args: &CheckArgs) -> ExitCode {
    let (path, rules) = match target(&args.target, &args.out.out) {
        Ok(found) => found,
        Err(e) => return super::usage("check", &e),
    };
    if let Some(format) = &args.format {
        return foreign_file(args, format, &path);
    }
    let history = match read_history(&path) {
        Ok(history) => history,
        Err(e) => return super::usage("check", &e),
    };
    let judged = judge_history(history, &rules, How { checker: engine(args.checker), strict: args.strict });
    let verdict = verdict(&judged, !rules.is_empty(), args.strict);
    if args.voice.json {
        outln!("{}", json(&judged, verdict, &path));
    } else {
        tell(&judged, verdict, &path);
    }
    exit_code(verdict)
}

/// A history of another tool: judged for linearizability by the model it is said to have.
fn foreign_file(args: &CheckArgs, format: &str, path: &Path) -> ExitCode {
    let judged = || -> Result<(Linearizability, Vec<String>), String> {
        let format: Format = format.parse()?;
        let model: ModelKind = args.model.as_deref().unwrap_or("cas-register").parse()?;
        let file = std::fs::File::open(path).map_err(|e| format!("cannot open {}: {e}", path.display()))?;
        let history = foreign::read(format, file).map_err(|e| format!("{}, {e}", path.display()))?;
        let warnings = history.warnings.clone();
        let (search, second) = (ChildProcess::default(), SecondOpinions::default());
        let options = Options { checker: engine(args.checker), second: &second, ..Options::new(&search) };
        let (lin, _) = judge_foreign(history, model, &options).map_err(|e| format!("{}, {e}", path.display()))?;
        Ok((lin, warnings))
    };
    let (lin, warnings) = match judged() {
        Ok(judged) => judged,
        Err(e) => return super::usage("check", &e),
    };
    warnings.iter().for_each(|w| errln!("warning: {}", block(w)));
    if args.voice.json {
        outln!("{}", serde_json::to_string_pretty(&lin).expect("plain data has a JSON form"));
    } else {
        outln!("history      {}: {} keys", printable(&path.display().to_string()), lin.keys.len());
        tell_linearizability(&lin);
        outln!("\nverdict: {}", lin.verdict);
    }
    exit_code(lin.verdict)
}

fn exit_code(verdict: Verdict) -> ExitCode {
    ExitCode::from(match verdict {
        Verdict::Valid => exit::OK,
        Verdict::Invalid => exit::VIOLATION,
        Verdict::Unknown => exit::INCONCLUSIVE,
    })
}

/// The history's file, and the coverage rules its run was held to.
pub(super) fn target(asked: &str, out: &Path) -> Result<(PathBuf, Vec<Rule>), String> {
    if Path::new(asked).is_file() {
        return Ok((asked.into(), vec![]));
    }
    let folder = RunFolder::find(out, asked).map_err(|e| match e {
        FindError::NotFound { .. } => format!("{e}; nor is there a file of that name"),
        other => other.to_string(),
    })?;
    // A run that was killed has no results, only a history: it is judged without coverage.
    let results = folder.read_results().unwrap_or_default();
    let rules = results.coverage.rules.iter().map(|r| Rule::new(r.id.clone(), r.need)).collect();
    Ok((folder.history(), rules))
}

/// Invalid only where an answer is proved wrong. What else is amiss or cannot be told (a silent key, no final reads)
/// leaves a whole run inconclusive; of a bare file, which may have been cut anywhere, it is only told.
fn verdict(judged: &Judged, whole_run: bool, strict: bool) -> Verdict {
    let of = |check: &CheckResult| {
        let proof = check.verdict == Verdict::Invalid && PROVES_A_VIOLATION.contains(&check.name);
        let counts = whole_run || (strict && check.name == "vacuity");
        match check.verdict {
            Verdict::Invalid if proof => Verdict::Invalid,
            Verdict::Invalid | Verdict::Unknown if counts => Verdict::Unknown,
            Verdict::Invalid | Verdict::Unknown | Verdict::Valid => Verdict::Valid,
        }
    };
    let checks = judged.checks.iter().map(of);
    Verdict::merge_all(checks.chain([judged.judgement.linearizability.verdict, judged.coverage.verdict()]))
}

fn json(judged: &Judged, verdict: Verdict, path: &Path) -> String {
    let mut results = Results::default();
    judged.tell(&mut results);
    let value = serde_json::json!({
        "schema": "heckle.check/1",
        "history": path.display().to_string(),
        "verdict": verdict,
        "linearizability": results.linearizability,
        "checks": results.checks,
        "coverage": results.coverage,
        "ops": results.ops,
        "warnings": results.warnings,
    });
    serde_json::to_string_pretty(&value).expect("plain data has a JSON form")
}

fn tell(judged: &Judged, verdict: Verdict, path: &Path) {
    for warning in &judged.history.warnings {
        errln!("warning: {}", block(warning));
    }
    let lin = &judged.judgement.linearizability;
    outln!("history      {}: {} ops on {} keys", printable(&path.display().to_string()), judged.history.ops.len(), lin.keys.len());
    tell_linearizability(lin);
    for check in &judged.checks {
        outln!("{:<12} {}: {}", check.name, check.verdict, block(&check.words));
    }
    for missed in judged.coverage.missed() {
        outln!("{}", printable(&missed.to_string()));
    }
    outln!("\nverdict: {verdict}");
}

fn tell_linearizability(lin: &Linearizability) {
    outln!("linearizable {} (checked in {} ms)", lin.verdict, lin.check_ms.unwrap_or(0));
    for key in &lin.keys {
        if key.verdict != Verdict::Valid || key.outside.is_some() {
            let why = key.note.as_ref().or(key.outside.as_ref()).map_or(String::new(), |n| format!(": {n}"));
            outln!("  key {}: {} of {} ops{}", printable(&key.key), key.verdict, key.ops, printable(&why));
        }
    }
    for violation in &lin.violations {
        outln!("\nviolation {} on key {}: {}", violation.id, printable(&violation.key), violation.kind);
        outln!("  {}", printable(&violation.explanation.summary));
        for step in &violation.explanation.steps {
            outln!("  - {}", printable(step));
        }
        for near in &violation.explanation.nearby {
            outln!("  near: {}", printable(near));
        }
    }
}
