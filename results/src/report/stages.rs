//! The table of the stages of a load that changes over time.

use super::markup::{Html, heading, note, table};
use crate::charts::axis::{count, digits, duration};
use crate::results_json::{Results, StageFigures};

/// Returns the section, which is empty for a load without stages.
pub(super) fn of(results: &Results) -> Html {
    if results.stages.is_empty() {
        return Html::default();
    }
    let unit = results.load.unit.word();
    let why = format!(
        "What each stage asked for, and what came of it: {unit} sent in it per second, and the latency of the ok ops that were due in it, \
         from when they were due."
    );
    let columns =
        ["stage", "at", "for", "load", "asked", "sent", "a second", "sent late", "ok", "unknown", "p50", "p90", "p99", "p99.9", "max"];
    let rows = results.stages.iter().map(row);
    heading("h2", "stages", "Load stages").and(note(&why)).and(table(&columns, &[0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14], rows))
}

fn row(stage: &StageFigures) -> Vec<Html> {
    let latency = [stage.p50_ms, stage.p90_ms, stage.p99_ms, stage.p999_ms, stage.max_ms];
    let latency = latency.map(|ms| if stage.ok == 0 { "–".into() } else { duration(ms).into() });
    let mut cells: Vec<Html> = vec![
        stage.stage.to_string().into(),
        duration(stage.start_s * 1e3).into(),
        duration((stage.end_s - stage.start_s) * 1e3).into(),
        stage.asked_words().into(),
        stage.asked.map_or_else(|| "–".to_owned(), |n| count(n.round() as u64)).into(),
        count(stage.begun).into(),
        digits(stage.begun_per_s).into(),
        format!("{} %", digits(stage.late_ratio * 100.0)).into(),
        count(stage.ok).into(),
        count(stage.unknown).into(),
    ];
    cells.extend(latency);
    cells
}
