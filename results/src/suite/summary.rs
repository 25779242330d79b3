//! The summary of a suite: for the terminal, and as Markdown for a GitHub step summary, with bounded length.

use super::suite_json::{Canary, Cell, SuiteResults, SuiteRun, TrendWarning};
use crate::charts::axis::{count, duration};
use crate::summary::{code, escape_markdown};
use crate::terminal::{Align, Cell as Word, Colour, Style, clean, shorten, table, wrap};

/// The result shown for a run that caught its canary.
pub const EXPECTED: &str = "violation, as expected";
/// Maximum number of rows in a step summary: GitHub shows at most one mebibyte, and more rows than this would not be read.
const MAX_ROWS: usize = 200;
/// Maximum number of reasons, and of warnings, above the table.
const MAX_REASONS: usize = 40;

/// Formats the summary of a suite for the terminal. `folder` is the suite folder as it is displayed.
pub fn text(suite: &SuiteResults, folder: &str, width: usize, colour: Colour) -> String {
    use Align::{Left, Right};
    let axes = axes(suite);
    let heading =
        [(axes.as_str(), Left), ("runs", Right), ("result", Left), ("ops", Right), ("p99", Right), ("faults", Right), ("why", Left)];
    let rows: Vec<Vec<Word>> = suite.cells.iter().map(row).chain(suite.canaries.iter().map(canary_row)).collect();
    let mut out = table(&heading, &rows, width, colour);
    for trip in &suite.trips {
        out += &format!("{}\n", colour.paint(Style::Doubt, &trip_words(trip)));
    }
    let (look, verdict) = verdict(suite);
    out += &format!("\n{} {}\n", colour.paint(Style::Dim, "verdict  "), colour.paint(look, &verdict));
    for (i, reason) in suite.reasons.iter().enumerate() {
        for (j, line) in wrap(&clean(reason), width.saturating_sub(10)).into_iter().enumerate() {
            let name = if i + j == 0 { "why" } else { "" };
            out += &format!("{} {line}\n", colour.paint(Style::Dim, &format!("{name:<9}")));
        }
    }
    out += &format!("{} {}\n", colour.paint(Style::Dim, "folder   "), clean(folder));
    out + &format!("{} {}\n", colour.paint(Style::Dim, "next     "), colour.paint(Style::Strong, &clean(&next(suite))))
}

/// Returns the verdict on a suite in a few words. A green suite with missing cells or runs is shown as doubtful.
pub fn verdict(suite: &SuiteResults) -> (Style, String) {
    let (look, word) = match suite.exit_code {
        0 => (Style::Good, "GREEN"),
        1 => (Style::Bad, "VIOLATION"),
        3 => (Style::Doubt, "GATE MISSED OR REGRESSION"),
        4 | 64 => (Style::Bad, "BROKEN"),
        130 => (Style::Doubt, "INTERRUPTED"),
        _ => (Style::Doubt, "INCONCLUSIVE"),
    };
    let (all, missing) = (suite.cells.len(), suite.cells.len() - suite.cells_run());
    match (suite.exit_code, missing, suite.runs_missing()) {
        (0, 1.., _) => (Style::Doubt, format!("{word}, {missing} of {all} cells not run")),
        (0, 0, 1) => (Style::Doubt, format!("{word}, 1 run not made")),
        (0, 0, runs @ 2..) => (Style::Doubt, format!("{word}, {runs} runs not made")),
        _ => (look, word.to_owned()),
    }
}

/// Returns a useful next command, for the first run that explains the exit code.
pub fn next(suite: &SuiteResults) -> String {
    // A run that caught a canary also has exit code 1, but does not explain the exit code of the suite.
    let caught = suite.canaries.iter().flat_map(|c| &c.runs).filter(|r| r.code() == 1).map(|r| &r.run.run_id).collect::<Vec<_>>();
    let blames = |r: &&SuiteRun| r.counted && !r.run.run_id.is_empty() && i32::from(r.code()) == suite.exit_code;
    let blamed = suite.runs().filter(blames).filter(|r| !caught.contains(&&r.run.run_id)).last();
    match (suite.exit_code, blamed) {
        (1, Some(run)) => format!("heckle explain {}", run.run.run_id),
        (2..=4, Some(run)) => format!("heckle show {}", run.run.run_id),
        _ => format!("heckle trend {}", crate::rerun::quote(&suite.name)),
    }
}

/// Returns the result of a cell. A passed run does not hide a failure.
pub fn cell_result(cell: &Cell) -> (Style, &'static str) {
    let codes = cell.codes();
    let has = |code: u8| codes.contains(&code);
    match codes.len() {
        0 => (Style::Dim, "not run"),
        _ if has(1) => (Style::Bad, "violation"),
        _ if has(4) || has(64) => (Style::Bad, "broken"),
        _ if has(3) => (Style::Doubt, "gate missed"),
        _ if codes.iter().any(|c| *c != 0) => (Style::Doubt, "inconclusive"),
        _ => (Style::Good, "ok"),
    }
}

/// Returns the names of the matrix's axes, which head the column of row names.
fn axes(suite: &SuiteResults) -> String {
    let keys = suite.cells.first().map(|c| c.settings.keys().map(String::as_str).collect::<Vec<_>>().join(", "));
    keys.filter(|k| !k.is_empty()).unwrap_or_else(|| "cell".into())
}

/// Returns the values of a cell, shortened if they are long.
fn cell_label(cell: &Cell) -> String {
    const MAX_VALUE: usize = 24;
    if cell.settings.is_empty() {
        return clean(&cell.name);
    }
    cell.settings.values().map(|v| shorten(&clean(v), MAX_VALUE)).collect::<Vec<_>>().join(", ")
}

fn cell_reason(cell: &Cell) -> String {
    let bad = cell.runs.iter().rev().find(|r| r.code() != 0);
    let retried = cell.runs.iter().filter(|r| !r.counted).count();
    let again = if retried > 0 { format!("({retried} tried again) ") } else { String::new() };
    again + &bad.map_or_else(|| cell.not_run.clone().unwrap_or_default(), |r| r.run.reason.clone())
}

fn row(cell: &Cell) -> Vec<Word> {
    let plain = |words: String| (Style::Plain, words);
    let (look, result) = cell_result(cell);
    let sum = |of: fn(&crate::index::RunLine) -> u64| cell.counted().map(|r| of(&r.run)).sum::<u64>();
    let worst = cell.counted().map(|r| r.run.p99_ms).fold(0.0, f64::max);
    vec![
        plain(shorten(&cell_label(cell), 66)),
        plain(format!("{}/{}", cell.counted().count(), cell.wanted)),
        (look, result.into()),
        plain(count(sum(|r| r.ops))),
        plain(if worst > 0.0 { duration(worst) } else { "-".into() }),
        plain(count(sum(|r| r.faults_effective))),
        (Style::Dim, clean(&cell_reason(cell))),
    ]
}

fn canary_row(canary: &Canary) -> Vec<Word> {
    let plain = |words: String| (Style::Plain, words);
    let (look, result, why) = match (canary.caught_after(), canary.runs.last()) {
        (Some(_), _) => (Style::Good, "caught", EXPECTED),
        (None, Some(run)) => (Style::Bad, "missed", run.run.reason.as_str()),
        (None, None) => (Style::Bad, "not run", canary.not_run.as_deref().unwrap_or_default()),
    };
    let ops = canary.runs.iter().map(|r| r.run.ops).sum::<u64>();
    vec![
        plain(shorten(&clean(&format!("canary {}", canary.mutant)), 60)),
        plain(format!("{}/{}", canary.runs.iter().filter(|r| r.counted).count(), canary.within_runs)),
        (look, result.into()),
        plain(count(ops)),
        plain("-".into()),
        plain(count(canary.runs.iter().map(|r| r.run.faults_effective).sum())),
        (Style::Dim, clean(why)),
    ]
}

/// Describes a warning in one sentence.
pub fn trip_words(trip: &TrendWarning) -> String {
    let confirmation = match &trip.confirmed {
        None => "a warning: nothing was confirmed, `--baseline-bin` does it".to_owned(),
        Some(c) if c.regression => {
            format!("confirmed by {} pairs: {:.2} times worse ({:.2} to {:.2})", c.pairs, c.ratio, c.interval.0, c.interval.1)
        }
        Some(c) => format!("not confirmed by {} pairs: ratio {:.2} ({:.2} to {:.2})", c.pairs, c.ratio, c.interval.0, c.interval.1),
    };
    let (metric, cell) = (clean(&trip.metric), clean(&trip.cell));
    format!(
        "{metric} of {cell} is {:.2} times worse than in the nights before ({:.3} after {:.3}); {confirmation}",
        trip.worse_by, trip.recent, trip.baseline
    )
}

/// Formats the summary of a suite as GitHub Markdown, with failures first and bounded length.
pub fn markdown(suite: &SuiteResults) -> String {
    let (look, words) = verdict(suite);
    let sign = |look: Style| match look {
        Style::Good => "✅",
        Style::Bad => "❌",
        Style::Dim => "⏭️",
        Style::Doubt | Style::Strong | Style::Plain => "❔",
    };
    let mut out = format!("## {} {words} · {} · seed {}\n\n", sign(look), escape_markdown(&suite.name), escape_markdown(&suite.seed));
    for reason in suite.reasons.iter().take(MAX_REASONS) {
        out += &format!("- {}\n", escape_markdown(&shorten(reason, 400)));
    }
    for trip in suite.trips.iter().take(MAX_REASONS) {
        out += &format!("- {}\n", escape_markdown(&shorten(&trip_words(trip), 400)));
    }
    let left = suite.reasons.len().saturating_sub(MAX_REASONS) + suite.trips.len().saturating_sub(MAX_REASONS);
    if left > 0 {
        out += &format!("- {left} more are in `suite.json`\n");
    }
    out += &format!("\n| {} | runs | result | ops | p99 | why |\n|---|--:|---|--:|--:|---|\n", escape_markdown(&axes(suite)));
    let mut rows: Vec<(Style, Vec<Word>)> = suite.cells.iter().map(|c| (cell_result(c).0, row(c))).collect();
    rows.extend(suite.canaries.iter().map(canary_row).map(|r| (r[2].0, r)));
    // Failures come first, so that the limit on rows never hides them.
    rows.sort_by_key(|(look, _)| match look {
        Style::Bad => 0,
        Style::Doubt => 1,
        Style::Strong | Style::Plain | Style::Dim => 2,
        Style::Good => 3,
    });
    for (look, row) in rows.iter().take(MAX_ROWS) {
        let words: Vec<String> = [0, 1, 2, 3, 4, 6].iter().map(|i| escape_markdown(&shorten(&row[*i].1, 200))).collect();
        out += &format!("| {} | {} | {} {} | {} | {} | {} |\n", words[0], words[1], sign(*look), words[2], words[3], words[4], words[5]);
    }
    if rows.len() > MAX_ROWS {
        out += &format!("\n{} more rows are in `suite.json`.\n", rows.len() - MAX_ROWS);
    }
    out + &format!("\nNext: {}\n", code(&next(suite)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::RunLine;

    fn cell(name: &str, code: i32) -> Cell {
        let run =
            RunLine { run_id: format!("id-{name}"), exit_code: code, reason: "a | b".into(), p99_ms: 4.0, ops: 9, ..RunLine::default() };
        Cell { name: name.into(), wanted: 1, runs: vec![SuiteRun { repeat: 1, attempt: 1, counted: true, run }], ..Cell::default() }
    }

    #[test]
    fn a_step_summary_is_bounded_and_shows_failures() {
        let mut cells: Vec<Cell> = (0..500).map(|i| cell(&format!("c{i}"), 0)).collect();
        cells.push(cell("rotten", 1));
        let mut suite = SuiteResults { name: "n".into(), cells, ..SuiteResults::default() };
        suite.conclude(false);
        let text = markdown(&suite);
        assert!(text.contains("rotten") && text.contains("a \\| b") && text.contains("301 more rows"), "{text}");
        assert!(text.len() < 64 << 10, "{}", text.len());
        // The text above the table is bounded too.
        suite.reasons = vec!["long ".repeat(1_000); 500];
        suite.trips = vec![TrendWarning { cell: "c".repeat(5_000), ..TrendWarning::default() }; 2_000];
        let text = markdown(&suite);
        assert!(text.contains("rotten") && text.contains("2420 more are in"), "{text}");
        assert!(text.len() < 128 << 10, "{}", text.len());
        suite.trips.clear();
        assert_eq!(next(&suite), "heckle explain id-rotten");
    }

    #[test]
    fn a_caught_canary_is_not_a_failure() {
        let caught = cell("canary run", 1).runs;
        let canary = |runs, not_run| Canary { mutant: "m".into(), within_runs: 1, runs, not_run };
        let suite = |canary, code| {
            let mut suite = SuiteResults { cells: vec![cell("a", code)], canaries: vec![canary], ..SuiteResults::default() };
            suite.conclude(false);
            suite
        };
        let green = suite(canary(caught.clone(), None), 0);
        for text in [text(&green, "here", 120, Colour::Never), markdown(&green)] {
            let line = text.lines().find(|l| l.contains("canary m")).expect("a line");
            assert!(line.contains("caught") && line.contains("violation, as expected"), "{text}");
        }
        // The next command explains the violation in the cell.
        assert_eq!(next(&suite(canary(caught, None), 1)), "heckle explain id-a");
        let silent = text(&suite(canary(vec![], Some("over the budget".into())), 0), "here", 120, Colour::Never);
        let line = silent.lines().find(|l| l.contains("canary m")).expect("a line");
        assert!(line.contains("not run") && line.contains("over the budget"), "{silent}");
    }

    #[test]
    fn row_names_contain_all_axes() {
        let labels = |workload: &str| {
            let pairs = [("kinds", "kill:holder+pause:holder+partition:holder"), ("rounds", "async-learn"), ("workload", workload)];
            pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).into()
        };
        let cells = ["mutex", "counter"].map(|w| Cell { settings: labels(w), ..cell(w, 0) }).into();
        let suite = SuiteResults { name: "n".into(), cells, ..SuiteResults::default() };
        for text in [text(&suite, "here", 100, Colour::Never), markdown(&suite)] {
            assert!(text.contains("kinds, rounds, workload"), "{text}");
            assert!(text.contains("kill:holder+pause:holde…, async-learn, mutex") && text.contains("async-learn, counter"), "{text}");
        }
    }

    #[test]
    fn the_terminal_output_ends_with_the_next_command() {
        let mut suite = SuiteResults { name: "n".into(), cells: vec![cell("a", 0)], ..SuiteResults::default() };
        suite.conclude(false);
        let text = text(&suite, "here", 100, Colour::Never);
        assert!(text.contains("GREEN") && text.ends_with("next      heckle trend n\n"), "{text}");
    }
}
