//! `junit.xml`: one test case per check, for tools that read JUnit reports.
//!
//! A violation and a missed gate are failures, and an unknown result is an error: an inconclusive run is never green. If the plan
//! expects a violation, finding it passes.

use crate::report::markup::entity;
use crate::results_json::{Expect, Results, RunVerdict, Verdict};
use crate::summary::{effect, gate_words};
use heckle_history::printable::{self, needs_escape};

enum Outcome {
    Passed,
    Failed(String),
    Inconclusive(String),
}

/// Returns the text of the file.
pub fn xml(results: &Results) -> String {
    let cases = cases(results);
    let of = |wanted: fn(&Outcome) -> bool| cases.iter().filter(|(_, _, outcome)| wanted(outcome)).count();
    let (failures, errors) = (of(|o| matches!(o, Outcome::Failed(_))), of(|o| matches!(o, Outcome::Inconclusive(_))));
    let suite = escape(&results.plan.name);
    let counts = format!("tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\" time=\"{:.3}\"", cases.len(), results.wall_s);
    let mut out = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"heckle\" {counts}>\n");
    out += &format!("  <testsuite name=\"{suite}\" {counts} timestamp=\"{}\">\n", escape(results.started_utc.trim_end_matches('Z')));
    let property = |name: &str, value: &str| format!("      <property name=\"{name}\" value=\"{}\"/>\n", escape(value));
    out += "    <properties>\n";
    out += &property("run_id", &results.run_id);
    out += &property("seed", &results.seed);
    out += &property("verdict", results.verdict.word());
    let whole = Some(("whole_run", results.ops));
    for (which, ops) in whole.into_iter().chain(results.window.as_ref().map(|w| ("load_window", w.ops))) {
        let counts = [("ops", ops.invoked), ("ok", ops.ok), ("failed", ops.failed), ("unknown", ops.unknown)];
        out.extend(counts.map(|(name, n)| property(&format!("{which}_{name}"), &n.to_string())));
    }
    for bottleneck in &results.bottlenecks {
        out += &property(&format!("slowed_by_{}", bottleneck.what), &bottleneck.sentence());
    }
    out += "    </properties>\n";
    for (name, seconds, outcome) in cases {
        let open = format!("    <testcase classname=\"{suite}\" name=\"{}\" time=\"{seconds:.3}\"", escape(&name));
        out += &match outcome {
            Outcome::Passed => format!("{open}/>\n"),
            Outcome::Failed(why) => format!("{open}>\n      <failure message=\"{0}\">{0}</failure>\n    </testcase>\n", escape(&why)),
            Outcome::Inconclusive(why) => {
                format!("{open}>\n      <error type=\"inconclusive\" message=\"{0}\">{0}</error>\n    </testcase>\n", escape(&why))
            }
        };
    }
    out + "  </testsuite>\n</testsuites>\n"
}

fn cases(results: &Results) -> Vec<(String, f64, Outcome)> {
    let judged = |verdict, why: String| match verdict {
        Verdict::Valid => Outcome::Passed,
        // An expected violation has its own test case.
        Verdict::Invalid if results.plan.expect == Expect::Invalid => Outcome::Passed,
        Verdict::Invalid => Outcome::Failed(why),
        Verdict::Unknown => Outcome::Inconclusive(why),
    };
    let lin = &results.linearizability;
    let mut cases = vec![];
    if results.plan.expect == Expect::Invalid {
        let outcome = match results.verdict {
            RunVerdict::Invalid => Outcome::Passed,
            _ => Outcome::Failed(results.reasons.first().cloned().unwrap_or_else(|| "no violation was found".into())),
        };
        cases.push(("expected violation".into(), 0.0, outcome));
    }
    let words: Vec<String> = lin.violations.iter().map(|v| format!("{} on key {}: {}", v.kind, v.key, v.words)).collect();
    let why = if words.is_empty() { results.reasons.first().cloned().unwrap_or_default() } else { words.join("\n") };
    cases.push(("linearizability".into(), lin.check_ms / 1e3, judged(lin.verdict, why)));
    cases.extend(results.checks.iter().map(|c| (c.name.clone(), 0.0, judged(c.verdict, c.words.clone()))));
    for rule in &results.coverage.rules {
        let why = format!("{} of {} needed", rule.got, rule.need);
        cases.push((format!("coverage {}", rule.id), 0.0, if rule.passed { Outcome::Passed } else { Outcome::Inconclusive(why) }));
    }
    for fault in &results.faults {
        let name = format!("fault {} {} {}", fault.id, fault.kind, fault.targets.join(" "));
        cases.push((
            name,
            fault.end_s - fault.start_s,
            if fault.effective { Outcome::Passed } else { Outcome::Inconclusive(effect(fault).1.into()) },
        ));
    }
    for gate in &results.gates {
        let why = format!("{} {}", gate.expr, gate_words(gate).1);
        let outcome = match (gate.passed, gate.actual.is_none() || gate.void) {
            (true, _) => Outcome::Passed,
            (false, true) => Outcome::Inconclusive(why),
            (false, false) => Outcome::Failed(why),
        };
        cases.push((format!("gate {}", gate.expr), 0.0, outcome));
    }
    if results.verdict == RunVerdict::Error {
        cases.push(("harness".into(), results.wall_s, Outcome::Inconclusive(results.reasons.first().cloned().unwrap_or_default())));
    }
    cases
}

/// Escapes text for XML. Characters that XML 1.0 does not allow, or that control a terminal, are written as escapes.
pub(crate) fn escape(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    for c in words.chars() {
        match (entity(c), c) {
            (Some(entity), _) => out += entity,
            (None, '\n') => out += "&#10;",
            (None, c) if needs_escape(c) => out += &printable::escape(c),
            (None, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            (None, c) => out.push(c),
        }
    }
    out
}
