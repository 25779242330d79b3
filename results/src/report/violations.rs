//! The violations, each with its counterexample, its proof and its files.

use super::PageInput;
use super::markup::{Html, heading, note};
use crate::counterexample::Subject;
use crate::results_json::{Crash, Violation};

pub(super) fn of(subject: PageInput<'_>) -> Html {
    let (violations, crashes) = (&subject.results.linearizability.violations, &subject.results.crashes);
    if violations.is_empty() && crashes.is_empty() {
        return Html::default();
    }
    let drawn = Subject { history: subject.history, measured: subject.measured, report: "" };
    let all = violations.iter().map(|v| violation_section(drawn, v)).chain(crashes.iter().map(|c| crash_section(drawn, c)));
    heading("h2", "violations", "Violations").and(all.collect::<Html>())
}

fn crash_section(drawn: Subject<'_>, crash: &Crash) -> Html {
    let mut out = Html::element("h3", &[("id", &format!("violation-{}", crash.id))], format!("{}. crash of {}", crash.id, crash.node));
    out.push(drawn.crash(crash));
    if !crash.log.is_empty() {
        out.push(note("The end of its log:"));
        out.push(Html::element("pre", &[], crash.log.join("\n")));
    }
    out.and(Html::element(
        "p",
        &[],
        link(&crash.path, "explain.txt", "in words").and(", ").and(link(&crash.path, "counterexample.png", "picture")),
    ))
}

fn violation_section(drawn: Subject<'_>, violation: &Violation) -> Html {
    let title = format!("{}. {} on key {}", violation.id, violation.kind.replace('_', " "), violation.key);
    let mut out = Html::element("h3", &[("id", &format!("violation-{}", violation.id))], title);
    // Results from earlier releases do not explain the kind.
    if !violation.meaning.is_empty() {
        out.push(note(&format!("That is: {}.", violation.meaning)));
    }
    out.push(drawn.violation(violation));
    if let Some(story) = &violation.story {
        out.push(note(story));
    }
    let certified = if violation.certified { "agreed by a second engine" } else { "not certified by a second engine" };
    let link = |file: &str, words: &str| link(&violation.path, file, words);
    let mut files = Html::text("ops of the proof ");
    for (i, op) in violation.ops.iter().enumerate() {
        files.push(if i > 0 { ", " } else { "" });
        files.push(Html::element("a", &[("href", &format!("#op={op}"))], op.to_string()));
    }
    files.push(format!("; {certified}; "));
    files.push(link("timeline.html", "on a separate page").and(", ").and(link("counterexample.png", "picture")).and(", "));
    files.push(link("explain.txt", "in words").and(", ").and(link("minimal.jsonl", "the least history that shows it")));
    out.and(Html::element("p", &[], files))
}

/// Returns a link to a file of a violation.
fn link(path: &str, file: &str, words: &str) -> Html {
    Html::element("a", &[("href", &format!("./{path}/{file}"))], words)
}
