//! Suites and sweeps as lines of a list.

use crate::catalogue::Entry;
use crate::results_json::{RunVerdict, Status};
use crate::terminal::{Align, Cell, Colour, Style, clean, run_verdict_style, table};

/// Describes how an entry ended, or that it has not ended, with the style of the text.
pub fn ended(status: Status, verdict: RunVerdict) -> (Style, String) {
    match status {
        Status::Running if verdict != RunVerdict::Error => (Style::Dim, "running".to_owned()),
        Status::Killed => (Style::Doubt, "killed".to_owned()),
        Status::Running | Status::Done | Status::Interrupted => (run_verdict_style(verdict), verdict.word().replace('_', " ")),
    }
}

/// Formats a list of suites or sweeps, one per line, under a heading for their paths.
pub fn list(heading: &str, entries: &[&Entry], width: usize, colour: Colour) -> String {
    let row = |e: &&Entry| -> Vec<Cell> {
        let began = e.started().map_or_else(String::new, |at| at.iso());
        vec![(Style::Plain, clean(&e.path)), (Style::Plain, began), ended(e.status, e.verdict), (Style::Dim, clean(&e.reason))]
    };
    let heading = [(heading, Align::Left), ("began", Align::Left), ("verdict", Align::Left), ("why", Align::Left)];
    table(&heading, &entries.iter().map(row).collect::<Vec<_>>(), width, colour)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Kind;

    #[test]
    fn a_line_cannot_be_forged() {
        let entry = Entry {
            kind: Kind::Suite,
            path: "night\n/20260102T000000Z-0002".into(),
            name: "night".into(),
            started_utc: "\u{1b}[2J".into(),
            status: Status::Done,
            verdict: RunVerdict::GateMissed,
            exit_code: 3,
            reason: "\u{1b}[1mall good".into(),
            part_of: None,
            run: None,
        };
        let text = list("suite", &[&entry], 100, Colour::Never);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(!text.contains('\u{1b}') && text.contains("gate missed") && text.contains("2026-01-02T00:00:00Z"), "{text}");
    }
}
