//! The summary of a run as GitHub Markdown, for a step summary.

use super::check_words;
use super::{effect, gate_words, kinds, next_command, ops_words, rate_words, verdict_words, window_words};
use crate::bottleneck;
use crate::charts::axis::{count, duration};
use crate::measure;
use crate::results_json::{Results, RunVerdict, Verdict};
use crate::terminal::clean;

/// Formats the summary of a run as GitHub Markdown, for a step summary.
pub fn markdown(results: &Results, folder: &str) -> String {
    let sign = |verdict: Verdict| match verdict {
        Verdict::Valid => "✅",
        Verdict::Invalid => "❌",
        Verdict::Unknown => "❔",
    };
    let run_sign = match results.verdict {
        RunVerdict::Valid => "✅",
        RunVerdict::Invalid | RunVerdict::Error => "❌",
        RunVerdict::Unknown | RunVerdict::GateMissed => "❔",
    };
    let mut out = format!(
        "## {run_sign} {} · {} · seed {}\n\n",
        verdict_words(results),
        escape_markdown(&results.plan.name),
        escape_markdown(&results.seed)
    );
    for reason in &results.reasons {
        out += &format!("- {}\n", escape_markdown(reason));
    }
    for bottleneck in &results.bottlenecks {
        out += &format!("- ⚠️ slowed by {}: {}\n", bottleneck.what.replace('_', " "), escape_markdown(&bottleneck.sentence()));
    }
    if !results.bottlenecks.is_empty() {
        out += &format!("- {}\n", bottleneck::VERDICT_HOLDS);
    }
    out += &format!("\n{}.", ops_words(&results.ops));
    if let Some(window) = &results.window {
        out += &format!(" {}.", window_words(&window.ops));
    }
    out += &format!(" Rate: {}.\n\n", rate_words(results));
    if let Some(fairness) = &results.fairness {
        out += &format!("Fairness: {}.\n\n", escape_markdown(&fairness.words()));
    }
    out += "| load window | ok | p50 | p90 | p99 | p99.9 | max | unknown |\n|---|--:|--:|--:|--:|--:|--:|--:|\n";
    for (kind, l) in kinds(results) {
        let p = l.from_intended;
        let figures = [p.p50, p.p90, p.p99, p.p999, p.max].map(|x| if l.ok == 0 { "–".to_owned() } else { duration(x) }).join(" | ");
        out += &format!("| {} | {} | {figures} | {} |\n", escape_markdown(measure::title(kind)), count(l.ok), count(l.censored));
    }
    if !results.faults.is_empty() {
        out += "\n| fault | targets | at | for | effect | answered again |\n|---|---|--:|--:|---|--:|\n";
        for f in &results.faults {
            let recovery = f.recovery_ms.map_or_else(|| "not seen".into(), |ms| format!("after {}", duration(ms)));
            let (at, lasted) = (duration(f.start_s * 1e3), duration((f.end_s - f.start_s) * 1e3));
            out += &format!(
                "| {} | {} | {at} | {lasted} | {} | {recovery} |\n",
                escape_markdown(&f.kind),
                escape_markdown(&f.targets.join(" ")),
                effect(f).1
            );
        }
    }
    out += &format!(
        "\n| check | |\n|---|---|\n| linearizable | {} {} ({}) |\n",
        sign(results.linearizability.verdict),
        results.linearizability.verdict,
        escape_markdown(&check_words(&results.linearizability))
    );
    for check in &results.checks {
        out += &format!("| {} | {} {} |\n", escape_markdown(&check.name), sign(check.verdict), escape_markdown(&check.words));
    }
    for rule in &results.coverage.rules {
        out += &format!(
            "| coverage {} | {} {}, needed {} |\n",
            escape_markdown(&rule.id),
            if rule.passed { "✅" } else { "❔" },
            count(rule.got),
            count(rule.need)
        );
    }
    for gate in &results.gates {
        let sign = match (gate.passed, gate.void || gate.actual.is_none()) {
            (true, _) => "✅",
            (false, true) => "❔",
            (false, false) => "❌",
        };
        out += &format!("| gate {} | {sign} {} |\n", escape_markdown(&gate.expr), gate_words(gate).1);
    }
    out + &format!("\nRun {} in {}; next: {}\n", code(&results.run_id), code(folder), code(&next_command(results, folder)))
}

/// Formats text as inline code in Markdown. Nothing in it is interpreted as markup except its end and, in a table, a pipe.
pub(crate) fn code(words: &str) -> String {
    format!("`{}`", clean(words).replace('`', "'").replace('|', "\\|"))
}

/// Escapes text for Markdown, so that it cannot form a table, tag, code span, link or mention.
pub(crate) fn escape_markdown(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    let cleaned = clean(words);
    let mut rest = cleaned.chars();
    while let Some(c) = rest.next() {
        match c {
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '&' => out += "&amp;",
            // A mention notifies people, and a number links to an issue.
            '@' => out += "&#64;",
            '#' => out += "&#35;",
            // Characters that turn a bare address into a link.
            ':' if rest.as_str().starts_with("//") => out += "&#58;",
            '.' if out.ends_with("www") => out += "&#46;",
            '|' | '`' | '*' | '_' | '~' | '$' | '[' | ']' | '\\' => out.extend(['\\', c]),
            _ => out.push(c),
        }
    }
    out
}
