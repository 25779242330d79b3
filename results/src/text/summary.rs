//! A run in words: for the terminal, for a step summary in Markdown, and in the lines of a list.
//!
//! The last lines are always verdict, why, the run folder, and the next command worth typing.

mod markdown; // for a step summary
mod words; // its figures in words

use crate::bottleneck;
use crate::charts::axis::{count, digits, duration};
use crate::index::RunLine;
use crate::measure::{self, ALL};
use crate::results_json::{Fault, Gate, Latency, Results, RunVerdict, Status};
use crate::run_folder::{DEFAULT_OUT, slug};
use crate::terminal::{Cell, Colour, Lean, Look, clean, look_of, look_of_run, shorten, table, wrap};
use std::path::Path;

pub use markdown::markdown;
pub(crate) use markdown::{code, mark};
use words::system_words;
pub(crate) use words::{judged_words, ops_words, rate_words, window_words};

/// How the text is to come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View<'a> {
    /// The run folder as it is to be shown.
    pub folder: &'a str,
    /// Letters in a line.
    pub width: usize,
    /// Colour or not.
    pub colour: Colour,
}

/// A run for the terminal.
pub fn text(results: &Results, view: View<'_>) -> String {
    let mut out = head(results, view);
    out += &figures(results, view);
    out += "\n";
    out += &latency_table(results, view);
    if !results.faults.is_empty() {
        out += "\n";
        out += &fault_table(results, view);
    }
    out += "\n";
    out += &judgement(results, view);
    out + &last_lines(results, view)
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
    // Later lines are indented: what stands at the margin are our own words.
    let lines = wrap(&words.join(" · "), view.width.saturating_sub(2)).into_iter().enumerate();
    let line = |(i, line): (usize, String)| view.colour.paint(Look::Strong, &format!("{}{line}", if i == 0 { "" } else { "  " })) + "\n";
    lines.map(line).collect::<String>() + "\n"
}

/// A line with its name in the margin; more lines hang below the first.
pub(crate) fn field(name: &str, look: Look, words: &str, view: View<'_>) -> String {
    const MARGIN: usize = 10;
    let mut out = String::new();
    for (i, line) in wrap(words, view.width.saturating_sub(MARGIN)).into_iter().enumerate() {
        let name = view.colour.paint(Look::Dim, &format!("{:<MARGIN$}", if i == 0 { name } else { "" }));
        out += &format!("{name}{}\n", view.colour.paint(look, &line));
    }
    out
}

fn figures(results: &Results, view: View<'_>) -> String {
    let ops = results.ops;
    let mut out = field("ops", Look::Plain, &ops_words(&ops), view);
    if let Some(window) = &results.window {
        out += &field("load", Look::Plain, &window_words(&window.ops), view);
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
        out += &field("fates", Look::Plain, &words, view);
    }
    out += &field("rate", Look::Plain, &rate_words(results), view);
    if let Some(words) = system_words(results) {
        out += &field("protocol", Look::Plain, &words, view);
    }
    if let Some(fairness) = &results.fairness {
        out += &field("fairness", Look::Plain, &fairness.words(), view);
    }
    out
}

/// Kinds of op in the order of a table: path by path, `all` last.
fn kinds(results: &Results) -> Vec<(&str, &Latency)> {
    let mut kinds: Vec<_> = results.latency_ms.iter().map(|(k, l)| (k.as_str(), l)).collect();
    kinds.sort_by_key(|(kind, _)| measure::rank(kind));
    kinds
}

fn latency_table(results: &Results, view: View<'_>) -> String {
    use Lean::{Left, Right};
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
    let plain = |words: String| (Look::Plain, words);
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

/// What a fault did, in a word or two.
pub(crate) fn effect(fault: &Fault) -> (Look, &'static str) {
    match (fault.effective, fault.healed) {
        (false, _) => (Look::Doubt, "no effect seen"),
        (true, true) => (Look::Good, "took effect, healed"),
        (true, false) => (Look::Plain, "took effect"),
    }
}

fn fault_table(results: &Results, view: View<'_>) -> String {
    use Lean::{Left, Right};
    let heading = [("fault", Left), ("at", Right), ("for", Right), ("effect", Left), ("answered again", Right), ("targets", Left)];
    let row = |f: &Fault| -> Vec<Cell> {
        let (look, words) = effect(f);
        let recovery =
            f.recovery_ms.map_or_else(|| (Look::Doubt, "not seen".to_owned()), |ms| (Look::Plain, format!("after {}", duration(ms))));
        let plain = |words: String| (Look::Plain, words);
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
        _ => format!("linearizable {} ({})", lin.verdict, clean(&judged_words(lin))),
    };
    let mut out = field("checks", look_of(lin.verdict), &words, view);
    for check in &results.checks {
        out += &field("", look_of(check.verdict), &format!("{} {}: {}", clean(&check.name), check.verdict, clean(&check.words)), view);
    }
    let rules = &results.coverage.rules;
    let met = rules.iter().filter(|r| r.passed).count();
    let look = if results.coverage.passed { Look::Good } else { Look::Doubt };
    out += &field("coverage", look, &format!("{met} of {} rules met", rules.len()), view);
    for rule in rules.iter().filter(|r| !r.passed) {
        out += &field("", Look::Doubt, &format!("{} is {}, needed {}", clean(&rule.id), count(rule.got), count(rule.need)), view);
    }
    for gate in &results.gates {
        let (look, words) = gate_words(gate);
        out += &field("gate", look, &format!("{} {words}", clean(&gate.expr)), view);
    }
    for warning in &results.warnings {
        out += &field("note", Look::Doubt, &clean(warning), view);
    }
    out
}

/// A gate's state in words.
pub(crate) fn gate_words(gate: &Gate) -> (Look, String) {
    match (gate.actual, gate.void, gate.passed) {
        (None, _, _) => (Look::Doubt, "unknown: no sample in the load window".into()),
        (Some(x), true, _) => (Look::Doubt, format!("is void, the load ran late ({})", digits(x))),
        (Some(x), false, true) => (Look::Good, format!("met: {}", digits(x))),
        (Some(x), false, false) => (Look::Bad, format!("missed: {}", digits(x))),
    }
}

/// The words for a verdict in the last lines and in titles.
pub fn verdict_words(results: &Results) -> String {
    match results.verdict {
        RunVerdict::GateMissed => "GATE MISSED".into(),
        other => other.word().to_uppercase(),
    }
}

/// The next command worth typing.
pub fn next(results: &Results, folder: &str) -> String {
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
    // What was taken away by `heckle gc` cannot be drawn or explained again.
    let stripped =
        Path::new(folder).is_dir() && !["history.jsonl.zst", "history.jsonl"].iter().any(|f| Path::new(folder).join(f).is_file());
    // A run that never ended has a history and nothing drawn from it.
    let command = match results.status {
        Status::Running => "show",
        Status::Killed => "check",
        Status::Done | Status::Interrupted => command,
    };
    let command = if stripped && matches!(command, "explain" | "report") { "rerun" } else { command };
    format!("heckle {command} {id}{}", out_flag(results, folder))
}

/// ` --out DIR` where the run does not lie below the default folder: without it no verb finds the run by its name.
fn out_flag(results: &Results, folder: &str) -> String {
    let below = format!("/{}/{}", slug(&results.plan.name), results.run_id);
    match folder.strip_suffix(&below) {
        None | Some(DEFAULT_OUT) => String::new(),
        Some(out) => format!(" --out {}", crate::rerun::quote(out)),
    }
}

fn last_lines(results: &Results, view: View<'_>) -> String {
    let mut out = String::from("\n");
    out += &field("verdict", look_of_run(results.verdict), &verdict_words(results), view);
    for (i, reason) in results.reasons.iter().enumerate() {
        out += &field(if i == 0 { "why" } else { "" }, Look::Plain, &clean(reason), view);
    }
    if results.reasons.is_empty() {
        out += &field("why", Look::Plain, "no reason was recorded: the run is not over, or its harness was killed", view);
    }
    for (i, bottleneck) in results.bottlenecks.iter().enumerate() {
        out += &field(if i == 0 { "slowed by" } else { "" }, Look::Doubt, &clean(&bottleneck.sentence()), view);
    }
    if !results.bottlenecks.is_empty() {
        out += &field("", Look::Plain, bottleneck::STANDS, view);
    }
    // A path and a command are never broken: they are there to be copied.
    let whole = View { width: usize::MAX, ..view };
    out += &field("folder", Look::Plain, &clean(view.folder), whole);
    out + &field("next", Look::Strong, &clean(&next(results, view.folder)), whole)
}

/// Runs in lines, the newest last, where a terminal's eye is.
pub fn list(runs: &[RunLine], width: usize, colour: Colour) -> String {
    use Lean::{Left, Right};
    if runs.is_empty() {
        return "no runs yet; `heckle run` makes one\n".into();
    }
    let heading = [("run", Left), ("plan", Left), ("verdict", Left), ("ops", Right), ("p99", Right), ("faults", Right), ("why", Left)];
    let row = |r: &RunLine| -> Vec<Cell> {
        let plain = |words: String| (Look::Plain, words);
        let running = r.status == crate::results_json::Status::Running && r.verdict != RunVerdict::Error;
        let verdict = match r.status {
            Status::Running if running => (Look::Dim, "running".to_owned()),
            Status::Killed => (Look::Doubt, "killed".to_owned()),
            Status::Running | Status::Done | Status::Interrupted => (look_of_run(r.verdict), r.verdict.word().replace('_', " ")),
        };
        let p99 = if r.p99_ms > 0.0 { duration(r.p99_ms) } else { "-".into() };
        let faults = count(r.faults_effective);
        vec![
            plain(clean(&r.run_id)),
            plain(shorten(&clean(&r.plan), 24)),
            verdict,
            plain(count(r.ops)),
            plain(p99),
            plain(faults),
            (Look::Dim, clean(&r.reason)),
        ]
    };
    table(&heading, &runs.iter().map(row).collect::<Vec<_>>(), width, colour)
}
