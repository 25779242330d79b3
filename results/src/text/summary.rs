//! The summary of a run: for the terminal, as Markdown for a GitHub step summary, and as lines of a list.
//!
//! The last lines are always the verdict, the reasons, the run folder, and a useful next command.

mod markdown; // the GitHub step summary
mod stages; // the stages of a load
mod words; // figures as text

use crate::bottleneck;
use crate::charts::axis::{count, digits, duration};
use crate::groups::ended;
use crate::index::RunLine;
use crate::measure::{self, ALL};
use crate::results_json::{Fault, Gate, Latency, Results, RunVerdict, Status};
use crate::run_folder::{DEFAULT_OUT, slug};
use crate::terminal::{Align, Cell, Colour, Style, clean, run_verdict_style, shorten, table, verdict_style, wrap};
use std::path::Path;

pub use markdown::markdown;
pub(crate) use markdown::{code, escape_markdown};
use words::system_words;
pub(crate) use words::{check_words, closed_loop_words, ops_words, rate_words, window_words};

/// Options for the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View<'a> {
    /// The run folder as it is displayed.
    pub folder: &'a str,
    /// Maximum line width, in characters.
    pub width: usize,
    /// Whether to use colour.
    pub colour: Colour,
}

/// Formats the summary of a run for the terminal.
pub fn text(results: &Results, view: View<'_>) -> String {
    let mut out = head(results, view);
    out += &figures(results, view);
    out += "\n";
    out += &latency_table(results, view);
    out += &stages::table_of(results, view);
    if !results.faults.is_empty() {
        out += "\n";
        out += &fault_table(results, view);
    }
    out += "\n";
    out += &judgement(results, view);
    out + &conclusion(results, view)
}

fn head(results: &Results, view: View<'_>) -> String {
    let mut words = vec![clean(if results.plan.name.is_empty() { "no plan" } else { &results.plan.name })];
    if !results.seed.is_empty() {
        words.push(format!("seed {}", clean(&results.seed)));
    }
    if results.load.window_s > 0.0 {
        words.push(format!("{} of load", duration(results.load.window_s * 1e3)));
    }
    words.extend(results.plan.labels.iter().map(|(k, v)| clean(&format!("{k} {v}"))));
    // Continuation lines are indented, so that external text never starts a line.
    let lines = wrap(&words.join(" · "), view.width.saturating_sub(2)).into_iter().enumerate();
    let line = |(i, line): (usize, String)| view.colour.paint(Style::Strong, &format!("{}{line}", if i == 0 { "" } else { "  " })) + "\n";
    lines.map(line).collect::<String>() + "\n"
}

/// Formats the title of a text, wrapped to the width of the view.
pub(crate) fn title(words: &str, view: View<'_>) -> String {
    wrap(&clean(words), view.width).into_iter().map(|line| view.colour.paint(Style::Strong, &line) + "\n").collect()
}

/// Formats a line with its name in the margin. Continuation lines are indented.
pub(crate) fn field(name: &str, look: Style, words: &str, view: View<'_>) -> String {
    const MARGIN: usize = 10;
    let mut out = String::new();
    for (i, line) in wrap(words, view.width.saturating_sub(MARGIN)).into_iter().enumerate() {
        let name = view.colour.paint(Style::Dim, &format!("{:<MARGIN$}", if i == 0 { name } else { "" }));
        out += &format!("{name}{}\n", view.colour.paint(look, &line));
    }
    out
}

fn figures(results: &Results, view: View<'_>) -> String {
    let ops = results.ops;
    let mut out = field("ops", Style::Plain, &ops_words(&ops), view);
    if let Some(window) = &results.window {
        out += &field("load", Style::Plain, &window_words(&window.ops), view);
    }
    let fates = results.fates;
    if fates.applied + fates.not_applied + fates.unresolved > 0 {
        let unasked = ops.unknown.saturating_sub(fates.applied + fates.not_applied + fates.unresolved);
        let words = format!(
            "of {} unknown: {} turned out applied, {} not applied, {} unresolved, {unasked} not asked",
            count(ops.unknown),
            count(fates.applied),
            count(fates.not_applied),
            count(fates.unresolved)
        );
        let late = fates.late_effects;
        let seen = match late.count {
            0 => String::new(),
            n => format!("; {} came to light after their client had given up, at most {} after", count(n), duration(late.max_ms)),
        };
        let words = words + &seen;
        out += &field("fates", Style::Plain, &words, view);
    }
    out += &field("rate", Style::Plain, &rate_words(results), view);
    if let Some(words) = system_words(results) {
        out += &field("protocol", Style::Plain, &words, view);
    }
    if let Some(fairness) = &results.fairness {
        out += &field("fairness", Style::Plain, &fairness.words(), view);
    }
    out
}

/// Returns the kinds of operations in table order: path by path, `all` last.
fn kinds(results: &Results) -> Vec<(&str, &Latency)> {
    let mut kinds: Vec<_> = results.latency_ms.iter().map(|(k, l)| (k.as_str(), l)).collect();
    kinds.sort_by_key(|(kind, _)| measure::sort_rank(kind));
    kinds
}

fn latency_table(results: &Results, view: View<'_>) -> String {
    use Align::{Left, Right};
    let heading = [
        ("load window", Left),
        ("ok", Right),
        ("p50", Right),
        ("p90", Right),
        ("p99", Right),
        ("p99.9", Right),
        ("max", Right),
        ("unknown", Right),
    ];
    let plain = |words: String| (Style::Plain, words);
    let row = |name: String, ok: u64, p: &crate::results_json::Percentiles, censored: Option<u64>| -> Vec<Cell> {
        let figures = [p.p50, p.p90, p.p99, p.p999, p.max].map(|ms| plain(if ok == 0 { "-".into() } else { duration(ms) }));
        let mut cells = vec![plain(name), plain(count(ok))];
        cells.extend(figures);
        cells.push(plain(censored.map_or_else(String::new, count)));
        cells
    };
    let mut rows = vec![];
    for (kind, l) in kinds(results) {
        rows.push(row(clean(measure::title(kind)), l.ok, &l.from_intended, Some(l.censored)));
        if kind == ALL {
            rows.push(row("  when sent".into(), l.ok, &l.from_invoked, None));
        }
    }
    table(&heading, &rows, view.width, view.colour)
}

/// Describes the effect of a fault in a few words.
pub(crate) fn effect(fault: &Fault) -> (Style, &'static str) {
    match (fault.effective, fault.healed) {
        (false, _) if fault.is_unverified() => (Style::Doubt, "unverified"),
        (false, _) => (Style::Doubt, "no effect seen"),
        (true, true) => (Style::Good, "took effect, healed"),
        (true, false) => (Style::Plain, "took effect"),
    }
}

fn fault_table(results: &Results, view: View<'_>) -> String {
    use Align::{Left, Right};
    let heading = [("fault", Left), ("at", Right), ("for", Right), ("effect", Left), ("answered again", Right), ("targets", Left)];
    let row = |f: &Fault| -> Vec<Cell> {
        let (look, words) = effect(f);
        let recovery =
            f.recovery_ms.map_or_else(|| (Style::Doubt, "not seen".to_owned()), |ms| (Style::Plain, format!("after {}", duration(ms))));
        let plain = |words: String| (Style::Plain, words);
        let lasted = (f.end_s - f.start_s) * 1e3;
        vec![
            plain(shorten(&clean(&f.kind), 24)),
            plain(duration(f.start_s * 1e3)),
            plain(duration(lasted)),
            (look, words.into()),
            recovery,
            plain(clean(&f.targets.join(" "))),
        ]
    };
    let rows: Vec<_> = results.faults.iter().map(row).collect();
    table(&heading, &rows, view.width, view.colour)
}

fn judgement(results: &Results, view: View<'_>) -> String {
    let lin = &results.linearizability;
    let words = match lin.keys.len() {
        0 => "linearizable: nothing was judged".to_owned(),
        _ => format!("linearizable {} ({})", lin.verdict, clean(&check_words(lin))),
    };
    let mut out = field("checks", verdict_style(lin.verdict), &words, view);
    for check in &results.checks {
        out +=
            &field("", verdict_style(check.verdict), &format!("{} {}: {}", clean(&check.name), check.verdict, clean(&check.words)), view);
    }
    let rules = &results.coverage.rules;
    let met = rules.iter().filter(|r| r.passed).count();
    let look = if results.coverage.passed { Style::Good } else { Style::Doubt };
    out += &field("coverage", look, &format!("{met} of {} rules met", rules.len()), view);
    for rule in rules.iter().filter(|r| !r.passed) {
        out += &field("", Style::Doubt, &format!("{} is {}, needed {}", clean(&rule.id), count(rule.got), count(rule.need)), view);
    }
    for gate in &results.gates {
        let (look, words) = gate_words(gate);
        out += &field("gate", look, &format!("{} {words}", clean(&gate.expr)), view);
    }
    for warning in &results.warnings {
        out += &field("note", Style::Doubt, &clean(warning), view);
    }
    out
}

/// Describes the state of a gate.
pub(crate) fn gate_words(gate: &Gate) -> (Style, String) {
    match (gate.actual, gate.void, gate.passed) {
        (None, _, _) => (Style::Doubt, "unknown: no sample in the load window".into()),
        (Some(x), true, _) => (Style::Doubt, format!("is void, the load ran late ({})", digits(x))),
        (Some(x), false, true) => (Style::Good, format!("met: {}", digits(x))),
        (Some(x), false, false) => (Style::Bad, format!("missed: {}", digits(x))),
    }
}

/// Returns the verdict as shown in the last lines and in titles.
pub fn verdict_words(results: &Results) -> String {
    match results.verdict {
        RunVerdict::GateMissed => "GATE MISSED".into(),
        other => other.word().to_uppercase(),
    }
}

/// Returns a useful next command.
pub fn next_command(results: &Results, folder: &str) -> String {
    if results.run_id.is_empty() {
        return "heckle list".into();
    }
    let id = crate::rerun::quote(&results.run_id);
    let command = match results.verdict {
        RunVerdict::Invalid if !results.linearizability.violations.is_empty() || !results.crashes.is_empty() => "explain",
        RunVerdict::Valid | RunVerdict::Invalid => "report",
        RunVerdict::Unknown | RunVerdict::GateMissed => "rerun",
        RunVerdict::Error => "show",
    };
    // If `heckle gc` has removed the history, it cannot be drawn or explained again.
    let stripped =
        Path::new(folder).is_dir() && !["history.jsonl.zst", "history.jsonl"].iter().any(|f| Path::new(folder).join(f).is_file());
    // A run that did not finish has a history but no report.
    let command = match results.status {
        Status::Running => "show",
        Status::Killed => "check",
        Status::Done | Status::Interrupted => command,
    };
    let command = if stripped && matches!(command, "explain" | "report") { "rerun" } else { command };
    format!("heckle {command} {id}{}", out_flag(results, folder))
}

/// Returns ` --out DIR` if the run is not below the default folder: without this flag, no command would find the run by its name.
fn out_flag(results: &Results, folder: &str) -> String {
    let below = format!("/{}/{}", slug(&results.plan.name), results.run_id);
    match folder.strip_suffix(&below) {
        None | Some(DEFAULT_OUT) => String::new(),
        Some(out) => format!(" --out {}", crate::rerun::quote(out)),
    }
}

fn conclusion(results: &Results, view: View<'_>) -> String {
    let mut out = String::from("\n");
    out += &field("verdict", run_verdict_style(results.verdict), &verdict_words(results), view);
    for (i, reason) in results.reasons.iter().enumerate() {
        out += &field(if i == 0 { "why" } else { "" }, Style::Plain, &clean(reason), view);
    }
    if results.reasons.is_empty() {
        out += &field("why", Style::Plain, "no reason was recorded: the run is not over, or its harness was killed", view);
    }
    for (i, bottleneck) in results.bottlenecks.iter().enumerate() {
        out += &field(if i == 0 { "slowed by" } else { "" }, Style::Doubt, &clean(&bottleneck.sentence()), view);
    }
    if !results.bottlenecks.is_empty() {
        out += &field("", Style::Plain, bottleneck::VERDICT_HOLDS, view);
    }
    // Paths and commands are never broken, so that they can be copied.
    let whole = View { width: usize::MAX, ..view };
    out += &field("folder", Style::Plain, &clean(view.folder), whole);
    out + &field("next", Style::Strong, &clean(&next_command(results, view.folder)), whole)
}

/// Formats a list of runs, one per line. The newest comes last, next to the prompt.
pub fn list(runs: &[RunLine], width: usize, colour: Colour) -> String {
    use Align::{Left, Right};
    if runs.is_empty() {
        return "no runs yet; `heckle run` makes one\n".into();
    }
    let heading = [("run", Left), ("plan", Left), ("verdict", Left), ("ops", Right), ("p99", Right), ("faults", Right), ("why", Left)];
    let row = |r: &RunLine| -> Vec<Cell> {
        let plain = |words: String| (Style::Plain, words);
        let verdict = ended(r.status, r.verdict);
        let p99 = if r.p99_ms > 0.0 { duration(r.p99_ms) } else { "-".into() };
        let faults = count(r.faults_effective);
        vec![
            plain(clean(&r.run_id)),
            plain(shorten(&clean(&r.plan), 24)),
            verdict,
            plain(count(r.ops)),
            plain(p99),
            plain(faults),
            (Style::Dim, clean(&r.reason)),
        ]
    };
    table(&heading, &runs.iter().map(row).collect::<Vec<_>>(), width, colour)
}
