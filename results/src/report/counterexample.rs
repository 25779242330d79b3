//! Violations: the argument as text, and the operations in lanes.

use super::PageInput;
use super::markup::{Html, heading, note};
use super::scene::Scene;
use crate::results_json::{Crash, Violation};

pub(super) fn of(subject: PageInput<'_>) -> Html {
    let (violations, crashes) = (&subject.results.linearizability.violations, &subject.results.crashes);
    if violations.is_empty() && crashes.is_empty() {
        return Html::default();
    }
    let all = violations.iter().map(|v| violation_section(subject, v)).chain(crashes.iter().map(crash_section));
    heading("h2", "violations", "Violations").and(all.collect::<Html>())
}

fn crash_section(crash: &Crash) -> Html {
    let mut out = Html::element("h3", &[("id", &format!("violation-{}", crash.id))], format!("{}. crash of {}", crash.id, crash.node));
    out.push(Html::element("p", &[], crash.words.as_str()));
    if !crash.log.is_empty() {
        out.push(note("The end of its log:"));
        out.push(Html::element("pre", &[], crash.log.join("\n")));
    }
    out.and(Html::element("p", &[], Html::element("a", &[("href", &format!("./{}/explain.txt", crash.path))], "in words")))
}

fn violation_section(subject: PageInput<'_>, violation: &Violation) -> Html {
    let title = format!("{}. {} on key {}", violation.id, violation.kind.replace('_', " "), violation.key);
    let mut out = Html::element("h3", &[("id", &format!("violation-{}", violation.id))], title);
    // Results of an earlier release do not explain the kind.
    if !violation.meaning.is_empty() {
        out.push(note(&format!("That is: {}.", violation.meaning)));
    }
    if let Some(story) = &violation.story {
        out.push(Html::element("p", &[], Html::element("b", &[], story.as_str())));
    }
    out.push(Html::element("p", &[], violation.words.as_str()));
    if !violation.steps.is_empty() {
        out.push(Html::element("ol", &[], items(&violation.steps)));
    }
    if let Some(cause) = &violation.cause {
        out.push(Html::element("p", &[], Html::element("b", &[], "Cause: ").and(cause.as_str())));
    }
    match Scene::of(subject, violation) {
        Some(scene) => out.push(scene.draw()),
        None => out.push(note("Its ops are not in this history, so there is nothing to draw.")),
    }
    if !violation.nearby.is_empty() {
        out.push(note("Near it, as context and not as proof:"));
        out.push(Html::element("ul", &[("class", "dim")], items(&violation.nearby)));
    }
    let certified = if violation.certified { "agreed by a second engine" } else { "not certified by a second engine" };
    let link = |file: &str, words: &str| Html::element("a", &[("href", &format!("./{}/{file}", violation.path))], words);
    let mut files = Html::text("ops ");
    for (i, op) in violation.ops.iter().enumerate() {
        files.push(if i > 0 { ", " } else { "" });
        files.push(Html::element("a", &[("href", &format!("#op={op}"))], op.to_string()));
    }
    files.push(format!("; {certified}; "));
    files.push(link("timeline.html", "timeline").and(", ").and(link("explain.txt", "in words")).and(", "));
    files.push(link("minimal.jsonl", "the least history that shows it"));
    out.and(Html::element("p", &[], files))
}

fn items(lines: &[String]) -> Html {
    lines.iter().map(|line| Html::element("li", &[], line.as_str())).collect()
}
