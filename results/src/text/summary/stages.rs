//! The stages of a load, as a table for the terminal.

use super::View;
use crate::charts::axis::{count, digits, duration};
use crate::results_json::{Results, StageFigures};
use crate::stages::StageUnit;
use crate::terminal::{Align, Cell, Style, table};

/// Formats the stages, after an empty line. Returns an empty string for a load without stages.
pub(super) fn table_of(results: &Results, view: View<'_>) -> String {
    use Align::{Left, Right};
    if results.stages.is_empty() {
        return String::new();
    }
    let begun = if results.stages.iter().any(|s| s.unit == StageUnit::Rate) { "sent" } else { "begun" };
    let heading = [
        ("stage", Right),
        ("at", Right),
        ("for", Right),
        ("load", Left),
        (begun, Right),
        ("late", Right),
        ("ok", Right),
        ("p50", Right),
        ("p99", Right),
        ("max", Right),
        ("unknown", Right),
    ];
    let rows: Vec<Vec<Cell>> = results.stages.iter().map(row).collect();
    format!("\n{}", table(&heading, &rows, view.width, view.colour))
}

fn row(stage: &StageFigures) -> Vec<Cell> {
    let plain = |words: String| (Style::Plain, words);
    let short = stage.achieved_ratio.is_some_and(|ratio| ratio < 0.98);
    let latency = |ms: f64| plain(if stage.ok == 0 { "-".into() } else { duration(ms) });
    let late = if stage.late_ratio > 0.0 { format!("{} %", digits(stage.late_ratio * 100.0)) } else { "0".into() };
    vec![
        plain(stage.stage.to_string()),
        plain(duration(stage.start_s * 1e3)),
        plain(duration((stage.end_s - stage.start_s) * 1e3)),
        plain(stage.asked_words()),
        (if short { Style::Doubt } else { Style::Plain }, format!("{}/s", digits(stage.begun_per_s))),
        (if stage.late_ratio > crate::measure::LATE_RATIO_LIMIT { Style::Doubt } else { Style::Plain }, late),
        plain(count(stage.ok)),
        latency(stage.p50_ms),
        latency(stage.p99_ms),
        latency(stage.max_ms),
        plain(count(stage.unknown)),
    ]
}
