//! Re-judges a stored run, using only its history, and compares the result with the stored one.
//!
//! The terms of the run and its ending are in the history ([`heckle_results::terms`]), so the verdict does not depend
//! on `results.json`. That file is still compared with the history: a missing, damaged or different file raises an open
//! question, and a run with an open question is never valid.

use super::report::{JudgeOptions, Judged, judge_history, read_history_within};
use crate::load::live::Live;
use heckle_checker::judge::Checker;
use heckle_history::History;
use heckle_results::RunFolder;
use heckle_results::conclude::Ending;
use heckle_results::results_json::{Results, RunVerdict, Status};
use heckle_results::run_folder::FindError;
use heckle_results::terms::{Close, Need, Terms};
use std::path::Path;

/// A complete run, judged again.
pub struct Recheck {
    /// The findings in its history.
    pub judged: Judged,
    /// Results computed from the history.
    pub from_history: Results,
    /// The same results, with the differences from `results.json` added.
    pub results: Results,
    /// Contents of `results.json`, or the reason in words why it cannot be read.
    pub stored: Result<Results, String>,
    /// Whether the history itself contains the terms of its run.
    pub self_contained: bool,
}

/// Reads and judges the run in `folder`, whose history may have at most `max_bytes` after decompression. `checker`
/// selects the engines. `None` selects the engines of the run itself.
///
/// # Errors
/// Describes what is wrong with the history, and where.
pub fn of_folder(folder: &RunFolder, checker: Option<Checker>, max_bytes: u64) -> Result<Recheck, String> {
    let history = read_history_within(&folder.history(), max_bytes)?;
    let stored = folder.read_results().map_err(|e| describe_find_error(&e));
    let (terms, self_contained) = match (Terms::of(&history.header)?, &stored) {
        (Some(terms), _) => (terms, true),
        (None, Ok(stored)) => (terms_of_results(stored), false),
        (None, Err(_)) => (Terms::default(), false),
    };
    let (judged, mut from_history) = judge_run(history, &terms, checker, None)?;
    let mut open = disagreements(&stored, &from_history, self_contained, checker.is_some());
    if !self_contained {
        from_history.warnings.push(
            "the history was recorded before histories carried their coverage rules and gates; those of results.json were used".into(),
        );
    }
    let mut results = from_history.clone();
    if results.exit_code == 0 && !open.is_empty() {
        (results.verdict, results.exit_code, results.reasons) = (RunVerdict::Unknown, 2, open);
    } else {
        results.warnings.append(&mut open);
    }
    Ok(Recheck { judged, from_history, results, stored, self_contained })
}

/// Judges the history of a complete run by its own terms. Returns the history unjudged if it contains no terms.
///
/// # Errors
/// If its terms or its end record cannot be read.
pub fn of_history(history: History, path: &Path, checker: Option<Checker>) -> Result<Result<(Judged, Results), History>, String> {
    let at = |e: String| format!("{}, {e}", path.display());
    match Terms::of(&history.header).map_err(at)? {
        None => Ok(Err(history)),
        Some(terms) => judge_run(history, &terms, checker, None).map(Ok).map_err(at),
    }
}

/// Computes the results of a run with this history and these terms. `run`, `check` and `report` all use this
/// function. `live` displays the active engine.
///
/// # Errors
/// If the end record cannot be read.
pub fn judge_run(history: History, terms: &Terms, checker: Option<Checker>, live: Option<&Live>) -> Result<(Judged, Results), String> {
    let close = Close::of(&history)?;
    let mut results = Results::for_terms(terms);
    results.set_identity(&history);
    results.wall_s = (history.end.as_secs_f64() * 1e3).round() / 1e3;
    let of_run = terms.checker.parse().unwrap_or(Checker::Auto);
    let judged = judge_history(history, &terms.rules(), JudgeOptions { checker: checker.unwrap_or(of_run), strict: true }, live);
    results.set_close(&close.clone().unwrap_or_default());
    judged.add_to(&mut results);
    let gates = terms.gates.iter().map(|g| g.parse::<heckle_results::gates::Expression>().map_err(|e| e.to_string()));
    results.gates = gates.collect::<Result<Vec<_>, _>>()?.iter().map(|g| g.evaluate(&results)).collect();
    results.conclude(&close.map_or(Ending::Done, |c| c.ending()));
    Ok((judged, results))
}

/// Returns the terms of a run from its results, for runs whose history does not contain them.
fn terms_of_results(stored: &Results) -> Terms {
    let need = |r: &heckle_results::results_json::CoverageRule| Need { id: r.id.clone(), need: r.need };
    Terms {
        plan: stored.plan.clone(),
        build: stored.build.clone(),
        env: stored.env.clone(),
        target_per_s: stored.load.target_per_s,
        max_rate: stored.load.max_rate,
        think_ms: stored.load.think_ms,
        coverage: stored.coverage.rules.iter().map(need).collect(),
        gates: stored.gates.iter().map(|g| g.expr.clone()).collect(),
        checker: "auto".into(),
        notes: vec![],
    }
}

fn describe_find_error(e: &FindError) -> String {
    match e {
        FindError::Io(io) if io.kind() == std::io::ErrorKind::NotFound => "results.json is missing".into(),
        other => format!("results.json cannot be read: {other}"),
    }
}

/// Lists the facts that `results.json` lacks or states differently from the history.
fn disagreements(stored: &Result<Results, String>, now: &Results, self_contained: bool, other_checker: bool) -> Vec<String> {
    let mut open = vec![];
    let stored = match stored {
        Ok(stored) => stored,
        Err(why) if self_contained => return vec![format!("{why}; `heckle report` on the run rewrites it from the history")],
        Err(why) => return vec![format!("{why}, and the history does not say what its run was held to either")],
    };
    if matches!(stored.status, Status::Running | Status::Killed) {
        open.push("results.json says that the run is still going on: its harness was killed, or has not ended yet".to_owned());
        return open;
    }
    if self_contained && (stored.history.events, &stored.history.xxh3) != (now.history.events, &now.history.xxh3) {
        let describe = |r: &Results| format!("{} events with hash `{}`", r.history.events, r.history.xxh3);
        open.push(format!("results.json is of another history: of {}, and here are {}", describe(stored), describe(now)));
    }
    if (stored.verdict, stored.exit_code) != (now.verdict, now.exit_code) && !other_checker {
        let describe = |r: &Results| format!("{} (exit code {})", r.verdict, r.exit_code);
        open.push(format!("results.json says {}, but its history gives {}", describe(stored), describe(now)));
    }
    open
}
