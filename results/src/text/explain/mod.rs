//! `heckle explain`: explains the verdict on a run, what it means, and what to do about it.
//!
//! Every verdict has an explanation. Violations of linearizability are explained by the checker, which has the argument.
//! All other explanations are derived from the results.

mod advice; // advice on what to change

use crate::charts::axis::{count, digits, duration};
use crate::conclude::PROVING_CHECKS;
use crate::results_json::{Check, Fault, Results, RunVerdict, Status, Verdict};
use heckle_history::printable::printable;
use std::fmt::Write;

/// Maximum number of faults or rules that are listed individually.
const MAX_NAMED: usize = 12;

/// Returns the explanation for a run. A violation of linearizability has its own text, to which this text refers.
pub fn text(results: &Results) -> String {
    if matches!(results.status, Status::Running | Status::Killed) {
        return "No verdict yet: the run is still going on, or its harness was killed.\n\nWhat to do:\n  \
                `heckle check` judges what has been recorded so far.\n"
            .into();
    }
    match results.verdict {
        RunVerdict::Valid => valid(results),
        RunVerdict::Invalid => invalid(results),
        RunVerdict::Unknown => unknown(results),
        RunVerdict::GateMissed => gate_missed(results),
        RunVerdict::Error => error(results),
    }
}

/// Returns the findings proved by checks other than linearizability, as text to append to the text of a violation. Empty if they prove
/// nothing.
pub fn proofs(results: &Results) -> String {
    let mut out = String::new();
    for check in proving_checks(results) {
        let _ = writeln!(out, "  {}: {}", printable(&check.name), printable(&check.words));
    }
    if out.is_empty() { out } else { format!("What other checks prove:\n{out}") }
}

fn proving_checks(results: &Results) -> impl Iterator<Item = &Check> {
    results.checks.iter().filter(|c| c.verdict == Verdict::Invalid && PROVING_CHECKS.contains(&c.name.as_str()))
}

/// Writes a heading and its lines, or nothing if there are no lines.
fn section(out: &mut String, heading: &str, lines: impl IntoIterator<Item = String>) {
    let mut lines = lines.into_iter().peekable();
    if lines.peek().is_some() {
        let _ = writeln!(out, "\n{heading}:");
        lines.for_each(|line| {
            let _ = writeln!(out, "  - {}", printable(&line));
        });
    }
}

fn operations(results: &Results) -> String {
    let ops = results.ops;
    format!(
        "{} operations on {} keys: {} answered ok, {} failed, {} with an unknown outcome",
        count(ops.invoked),
        results.linearizability.keys.len(),
        count(ops.ok),
        count(ops.failed),
        count(ops.unknown)
    )
}

fn valid(results: &Results) -> String {
    let mut out = format!("Valid: one order explains the answers to all {} operations.\n", count(results.ops.invoked));
    let check = |name: &str| results.checks.iter().find(|c| c.name == name && c.verdict == Verdict::Valid);
    let mut shown = vec![operations(results)];
    shown.extend(check("vacuity").map(|c| format!("Overlap: {}", c.words)));
    shown.extend(faults(&results.faults));
    let rules = results.coverage.rules.iter().filter(|r| r.need > 0);
    let rules: Vec<String> = rules.map(|r| format!("{} {} (at least {})", r.id, count(r.got), count(r.need))).take(MAX_NAMED).collect();
    if !rules.is_empty() {
        shown.push(format!("Every coverage rule was met: {}", rules.join(", ")));
    }
    section(&mut out, "What happened", shown);
    section(&mut out, "What would have been caught", detectable(results));
    let again = crate::rerun::quote(&results.run_id);
    let elsewhere = [
        format!("Another timing may find what this one did not: `heckle rerun {again} --times 20` runs the same plan again."),
        "Only the faults above were injected. What a green run does not prove is in docs/limits.md.".to_owned(),
    ];
    section(&mut out, "What it does not show", elsewhere);
    out
}

fn faults(faults: &[Fault]) -> Vec<String> {
    if faults.is_empty() {
        return vec!["No fault was injected".into()];
    }
    let one = |f: &Fault| {
        let lasted = duration((f.end_s - f.start_s) * 1e3);
        let seen = f.recovery_ms.map_or_else(String::new, |ms| format!(", over {} after it was lifted", duration(ms)));
        format!("{} on {} at {} for {lasted}{seen}", f.kind, f.targets.join(" "), duration(f.start_s * 1e3))
    };
    let mut lines: Vec<String> =
        faults.iter().filter(|f| f.effective).take(MAX_NAMED).map(|f| format!("Fault with an effect: {}", one(f))).collect();
    let more = faults.iter().filter(|f| f.effective).count().saturating_sub(MAX_NAMED);
    if more > 0 {
        lines.push(format!("and {more} more faults"));
    }
    lines
}

/// Returns what the valid checks would have detected.
fn detectable(results: &Results) -> Vec<String> {
    let lin = &results.linearizability;
    let how = match lin.checker.as_str() {
        "chain" => "the chain checker is exact, and its certificate was verified",
        "both" => "two engines agree",
        _ => "the search tried every order",
    };
    let keys = lin.keys.len();
    let mut lines = vec![format!("A stale read, a lost update or a value that was never written, on any of {keys} keys: {how}")];
    let held = |c: &&Check| c.verdict == Verdict::Valid;
    lines.extend(results.checks.iter().filter(held).filter_map(|c| advice::detects(&c.name)).map(str::to_owned));
    lines.extend(results.gates.iter().filter_map(|g| Some(format!("A figure beyond {}: it is {}", g.expr, digits(g.actual?)))));
    lines
}

fn invalid(results: &Results) -> String {
    let lin = &results.linearizability.violations;
    let mut out = match lin.len() {
        0 => "Invalid: the system broke its word.\n".to_owned(),
        1 => "Invalid: the history is not linearizable.\n".to_owned(),
        n => format!("Invalid: the history is not linearizable, on {n} keys.\n"),
    };
    let words = |v: &crate::results_json::Violation| {
        format!("{} on key {}: {}", v.kind.replace('_', " "), v.key, v.story.as_ref().unwrap_or(&v.words))
    };
    section(&mut out, "What happened", lin.iter().take(MAX_NAMED).map(words));
    section(&mut out, "What the checks prove", proving_checks(results).map(|c| format!("{}: {}", c.name, c.words)));
    section(&mut out, "What to do", ["Keep the run folder: it holds the history, the logs and the data of every node.".to_owned()]);
    out
}

fn unknown(results: &Results) -> String {
    let head = match results.status {
        Status::Interrupted => "Unknown: the run was interrupted before its end.\n",
        Status::Running | Status::Killed | Status::Done => {
            "Unknown: no violation was found, and not enough was shown to call the run valid.\n"
        }
    };
    let mut out = head.to_owned();
    section(&mut out, "Why", results.reasons.iter().cloned());
    section(&mut out, "What to change", advice::of(results));
    out
}

fn gate_missed(results: &Results) -> String {
    let mut out = "Gate missed: every answer was correct, and a figure is beyond its limit.\n".to_owned();
    let missed = results.gates.iter().filter(|g| !g.passed && !g.void);
    let missed = missed.filter_map(|g| Some(format!("{}: it is {}", g.expr, digits(g.actual?))));
    section(&mut out, "Why", results.load.aborted.iter().cloned().chain(missed));
    let run = crate::rerun::quote(&results.run_id);
    let steps = [
        format!("See what the slowest operations waited for: `heckle show {run} --slowest 5`"),
        format!("See what the faults cost: `heckle show {run} --during`"),
    ];
    section(&mut out, "Where to look", steps);
    out
}

fn error(results: &Results) -> String {
    let mut out = "Error: the harness or the machine failed, so the run says nothing about the system.\n".to_owned();
    section(&mut out, "Why", results.reasons.iter().cloned());
    let steps = [
        "heckle.log and nodes/*/node.log in the run folder have what happened around it.".to_owned(),
        "`heckle doctor` says what this machine can do.".to_owned(),
    ];
    section(&mut out, "Where to look", steps);
    out
}
