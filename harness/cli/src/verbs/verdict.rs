//! Prints the verdict of the linearizability checker, and determines its exit code.

use crate::exit;
use heckle_checker::verdict::{Linearizability, Verdict};
use heckle_history::printable::printable;
use std::collections::BTreeMap;
use std::process::ExitCode;

/// Returns the exit code of a verdict.
pub(super) fn exit_code(verdict: Verdict) -> ExitCode {
    ExitCode::from(match verdict {
        Verdict::Valid => exit::OK,
        Verdict::Invalid => exit::VIOLATION,
        Verdict::Unknown => exit::INCONCLUSIVE,
    })
}

/// Counts the keys without a second opinion, by reason.
fn missing_second_opinions(lin: &Linearizability) -> BTreeMap<String, usize> {
    let mut without = BTreeMap::new();
    for key in lin.keys.iter().filter(|k| !k.second_opinion.confirms()) {
        *without.entry(key.second_opinion.words().trim_start_matches("none: ").to_owned()).or_default() += 1;
    }
    without
}

/// Prints the findings of the linearizability checker.
pub(super) fn print_linearizability(lin: &Linearizability) {
    let second = match (lin.keys.iter().filter(|k| k.second_opinion.confirms()).count(), lin.second_opinion_ms) {
        (0, None) => "; no second opinion".to_owned(),
        (n, ms) => format!("; second opinion on {n} of {} keys{}", lin.keys.len(), ms.map_or(String::new(), |ms| format!(" in {ms} ms"))),
    };
    outln!("linearizable {} (checked in {} ms{second})", lin.verdict, lin.check_ms.unwrap_or(0));
    for (why, keys) in &missing_second_opinions(lin) {
        outln!("  no second opinion on {keys} of {} keys: {why}", lin.keys.len());
    }
    for key in &lin.keys {
        if key.verdict != Verdict::Valid || key.outside.is_some() {
            let why = key.note.as_ref().or(key.outside.as_ref()).map_or(String::new(), |n| format!(": {n}"));
            outln!("  key {}: {} of {} ops{}", printable(&key.key), key.verdict, key.ops, printable(&why));
        }
    }
    for violation in &lin.violations {
        let (id, key, kind) = (violation.id, printable(&violation.key), violation.kind);
        outln!("\nviolation {id} on key {key}: {kind}, {}", kind.meaning());
        if let Some(story) = &violation.explanation.story {
            outln!("  {}", printable(story));
        }
        outln!("  {}", printable(&violation.explanation.summary));
        for step in &violation.explanation.steps {
            outln!("  - {}", printable(step));
        }
        for near in &violation.explanation.nearby {
            outln!("  near: {}", printable(near));
        }
    }
}
