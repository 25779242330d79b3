//! `trend.html`: the nightly suites of one name as a self-contained page, to be opened from disk: the result of each cell per
//! night, and the trends of its figures with the range of the baseline. It contains no scripts and loads nothing.

use super::suite_json::{Cell, SuiteResults};
use super::summary::{cell_result, trip_words};
use super::trend::{Band, Metric, Night, band, newest_series, series, trips};
use crate::charts::axis::{count, digits, duration};
use crate::report::markup::Html;
use crate::results_json::Status;
use crate::terminal::Style;
use std::collections::BTreeMap;
use std::fmt::Write;

const STYLE: &str = include_str!("trend.css");
/// SHA-256 of [`STYLE`]. A test compares the two and prints the new hash.
const STYLE_HASH: &str = "sha256-zFZjTX+k6sI1CNSxDPoaBSWVK71btaYK0MdGfO7dg20=";

/// Maximum number of nights in the grid. Older ones are only in the files.
pub const MAX_NIGHTS: usize = 40;
/// Figures with a sparkline.
const SPARKLINE_METRICS: [Metric; 3] = [Metric::P99Ms, Metric::AchievedPerS, Metric::UnknownPercent];

/// Escapes text for a page, including quoted attributes.
fn escape(words: &str) -> String {
    Html::text(words).as_str().to_owned()
}

/// Returns the page for suites of one name, oldest first.
pub fn page(suites: &[SuiteResults]) -> String {
    let name = suites.last().map_or("no suite", |s| s.name.as_str());
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src '{STYLE_HASH}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{0} · trend</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{0}</h1>\n",
        escape(name)
    );
    let over: Vec<&SuiteResults> = suites.iter().filter(|s| s.status != Status::Running).collect();
    if over.is_empty() {
        return out + "<p class=\"dim\">No night is over yet.</p>\n</body>\n</html>\n";
    }
    out += &figures(&over);
    out += &warnings(suites);
    let shown = &over[over.len().saturating_sub(MAX_NIGHTS)..];
    out += &grid(shown, over.len());
    out += &sparklines(suites);
    out + "</body>\n</html>\n"
}

fn figures(over: &[&SuiteResults]) -> String {
    let runs = || over.iter().flat_map(|s| s.runs()).filter(|r| r.counted);
    let canaries: Vec<bool> =
        over.iter().flat_map(|s| &s.canaries).filter(|c| !c.runs.is_empty()).map(|c| c.caught_after().is_some()).collect();
    let caught = canaries.iter().filter(|c| **c).count();
    let green = over.iter().filter(|s| s.exit_code == 0).count();
    let (run, all) = (over.iter().map(|s| s.cells_run()).sum::<usize>(), over.iter().map(|s| s.cells.len()).sum::<usize>());
    let cells = [
        (format!("{} of {}", count(green as u64), count(over.len() as u64)), "nights green"),
        (format!("{} of {}", count(run as u64), count(all as u64)), "cells run"),
        (count(runs().map(|r| r.run.ops).sum()), "ops checked so far"),
        (duration(runs().map(|r| r.run.fault_s).sum::<f64>() * 1e3), "under a fault so far"),
        (format!("{caught} of {}", canaries.len()), "planted bugs caught"),
    ];
    let cells: String = cells.iter().map(|(figure, what)| format!("<div><b>{}</b><span>{what}</span></div>", escape(figure))).collect();
    format!("<div class=\"figures\">{cells}</div>\n")
}

/// Formats the warnings of the newest night.
fn warnings(suites: &[SuiteResults]) -> String {
    let newest = suites.last().map(|s| s.trips.clone()).unwrap_or_default();
    let found = if newest.is_empty() { trips(suites) } else { newest };
    if found.is_empty() {
        return "<p class=\"dim\">No figure tripped: the median of the last 3 nights is not over 1.2 times worse than that of up to 14 before them, or by less than 2 of their median absolute deviations, or there are too few nights.</p>\n".into();
    }
    let items: String = found.iter().map(|t| format!("<li class=\"doubt\">{}</li>\n", escape(&trip_words(t)))).collect();
    format!("<h2 id=\"trips\">Tripped</h2>\n<ul>{items}</ul>\n")
}

fn glyph(look: Style, word: &str) -> (&'static str, &'static str) {
    // Use a symbol for each result, so that no information depends on colour.
    match (look, word) {
        (Style::Good, _) => ("good", "✓"),
        (_, "violation" | "missed") => ("bad", "✗"),
        (_, "broken") => ("bad", "!"),
        (_, "gate missed") => ("doubt", "G"),
        (Style::Dim, _) => ("dim", "·"),
        (_, _) => ("doubt", "?"),
    }
}

fn grid(nights: &[&SuiteResults], all: usize) -> String {
    let mut names: Vec<&str> = vec![];
    for cell in nights.iter().rev().flat_map(|n| &n.cells) {
        if !names.contains(&cell.name.as_str()) {
            names.push(&cell.name);
        }
    }
    let mut mutants: Vec<&str> = vec![];
    for canary in nights.iter().rev().flat_map(|n| &n.canaries) {
        if !mutants.contains(&canary.mutant.as_str()) {
            mutants.push(&canary.mutant);
        }
    }
    let mut out = String::from("<h2 id=\"nights\">Nights</h2>\n<p class=\"dim key\">");
    for (class, sign, word) in [
        ("good", "✓", "as expected"),
        ("bad", "✗", "violation, or a planted bug missed"),
        ("bad", "!", "broke"),
        ("doubt", "?", "inconclusive"),
        ("doubt", "G", "gate missed"),
        ("dim", "·", "not run"),
    ] {
        let _ = write!(out, "<span class=\"{class}\">{sign}</span>{word}");
    }
    let shown = if all > nights.len() {
        format!("the last {} of {all} nights", nights.len())
    } else {
        format!("{all} night{}", if all == 1 { "" } else { "s" })
    };
    let _ = write!(
        out,
        "</p>\n<p class=\"dim\">{shown}, the newest on the right; a square shows date, commit and figure when the pointer is over it.</p>\n"
    );
    out += "<div class=\"scroll\"><table><thead><tr><th>cell</th>";
    for night in nights {
        let (look, words) = super::summary::verdict(night);
        let (class, sign) = if look == Style::Good { ("good", "✓") } else { ("doubt", "•") };
        let title = format!("{} {} {}", night.started_utc, night.build.git, words);
        let _ = write!(out, "<th class=\"night {class}\" title=\"{}\">{sign}</th>", escape(&title));
    }
    out += "</tr></thead><tbody>\n";
    for name in names {
        let _ = write!(out, "<tr><td>{}</td>", escape(name));
        for night in nights {
            out += &cell_square(night, night.cells.iter().find(|c| c.name == name));
        }
        out += "</tr>\n";
    }
    for mutant in mutants {
        let _ = write!(out, "<tr><td class=\"dim\">canary {}</td>", escape(mutant));
        for night in nights {
            let held = night.canaries.iter().find(|c| c.mutant == mutant && !c.runs.is_empty());
            let (look, word) = match held.map(|c| c.caught_after()) {
                None => (Style::Dim, "not run".to_owned()),
                Some(Some(n)) => (Style::Good, format!("caught after {n}")),
                Some(None) => (Style::Bad, "missed".to_owned()),
            };
            let (class, sign) = glyph(look, &word);
            let title = format!("{}: {word}", night.started_utc);
            let _ = write!(out, "<td class=\"night {class}\" title=\"{}\"><span>{sign}</span></td>", escape(&title));
        }
        out += "</tr>\n";
    }
    out + "</tbody></table></div>\n"
}

fn cell_square(night: &SuiteResults, cell: Option<&Cell>) -> String {
    let (look, word) = cell.map_or((Style::Dim, "not run"), cell_result);
    let (class, sign) = glyph(look, word);
    let figures =
        cell.into_iter().flat_map(Cell::counted).filter(|r| r.run.p99_ms > 0.0).map(|r| format!(", p99 {}", duration(r.run.p99_ms)));
    let why = cell.into_iter().flat_map(Cell::counted).find(|r| r.code() != 0).map(|r| format!(": {}", r.run.reason)).unwrap_or_default();
    let title = format!("{} {}: {word}{}{why}", night.started_utc, night.build.git, figures.collect::<String>());
    format!("<td class=\"night {class}\" title=\"{}\"><span>{sign}</span></td>", escape(&title))
}

fn sparklines(suites: &[SuiteResults]) -> String {
    let Some(newest) = suites.iter().rev().find(|s| s.status != Status::Running) else { return String::new() };
    let mut out = String::from(
        "<h2 id=\"figures\">Figures</h2>\n<p class=\"dim\">The newest machine's nights. The band is the median of the nights before the last three, two median absolute deviations wide on each side.</p>\n<div class=\"scroll\"><table><thead><tr><th>cell</th>",
    );
    for metric in SPARKLINE_METRICS {
        let _ = write!(out, "<th>{}</th><th class=\"n\">last</th>", metric.name());
    }
    out += "</tr></thead><tbody>\n";
    for cell in &newest.cells {
        let by_metric: BTreeMap<&str, Vec<Night>> = SPARKLINE_METRICS.iter().map(|m| (m.name(), series(suites, &cell.name, *m))).collect();
        if by_metric.values().all(|nights| nights.iter().all(|n| n.value.is_none())) {
            continue;
        }
        let _ = write!(out, "<tr><td>{}</td>", escape(&cell.name));
        for metric in SPARKLINE_METRICS {
            let values = newest_series(&by_metric[metric.name()]);
            let tripped = super::trend::trip(&cell.name, metric, &by_metric[metric.name()]).is_some();
            let last = values.last().map_or_else(|| "–".into(), |v| digits(*v));
            let _ = write!(out, "<td>{}</td><td class=\"n\">{last}</td>", sparkline(&values, band(&values), tripped));
        }
        out += "</tr>\n";
    }
    out + "</tbody></table></div>\n"
}

/// Draws a sparkline of fixed size, whose vertical axis starts at zero.
fn sparkline(values: &[f64], band: Option<Band>, tripped: bool) -> String {
    const WIDTH: f64 = 150.0;
    const HEIGHT: f64 = 34.0;
    let shown = &values[values.len().saturating_sub(MAX_NIGHTS)..];
    let Some(last) = shown.last() else { return String::new() };
    let top = shown.iter().copied().fold(f64::MIN_POSITIVE, f64::max).max(band.map_or(0.0, |b| b.median + 2.0 * b.deviation));
    let y = |v: f64| HEIGHT - 3.0 - v.max(0.0) / top * (HEIGHT - 6.0);
    let x = |i: usize| if shown.len() == 1 { WIDTH / 2.0 } else { 3.0 + i as f64 * (WIDTH - 6.0) / (shown.len() - 1) as f64 };
    let mut out = format!(
        "<svg width=\"{WIDTH}\" height=\"{HEIGHT}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{} nights, last {}\">",
        shown.len(),
        digits(*last)
    );
    if let Some(band) = band {
        let (high, low) = (y(band.median + 2.0 * band.deviation), y(band.median - 2.0 * band.deviation));
        let _ = write!(out, "<rect class=\"band\" x=\"0\" y=\"{high:.1}\" width=\"{WIDTH}\" height=\"{:.1}\"/>", (low - high).max(1.0));
    }
    let points: Vec<String> = shown.iter().enumerate().map(|(i, v)| format!("{:.1},{:.1}", x(i), y(*v))).collect();
    let _ = write!(out, "<polyline class=\"line\" points=\"{}\"/>", points.join(" "));
    let class = if tripped { "tripped" } else { "dot" };
    let _ = write!(out, "<circle class=\"{class}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.6\"/></svg>", x(shown.len() - 1), y(*last));
    out
}

#[cfg(test)]
mod tests {
    use super::super::suite_json::{Canary, SuiteRun};
    use super::*;
    use crate::index::RunLine;
    use base64::Engine;
    use sha2::{Digest, Sha256};

    #[test]
    fn the_content_policy_contains_the_style_hash() {
        let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
        assert_eq!(STYLE_HASH, format!("sha256-{hash}"));
    }

    fn night(p99: f64, code: i32) -> SuiteResults {
        let run = RunLine { p99_ms: p99, exit_code: code, ops: 100, fault_s: 2.0, reason: "<b>why</b>".into(), ..RunLine::default() };
        let runs = vec![SuiteRun { repeat: 1, attempt: 1, counted: true, run }];
        let mut suite = SuiteResults { name: "n</script>".into(), started_utc: "2026-01-31T00:00:00Z".into(), ..SuiteResults::default() };
        let caught = SuiteRun { counted: true, run: RunLine { exit_code: 1, ..RunLine::default() }, ..SuiteRun::default() };
        suite.cells = vec![Cell { name: "a=<i>".into(), wanted: 1, runs, ..Cell::default() }];
        suite.canaries = vec![Canary { mutant: "m".into(), within_runs: 1, runs: vec![caught], not_run: None }];
        suite.conclude(false);
        suite
    }

    #[test]
    fn nights_are_drawn_and_external_text_is_escaped() {
        let mut nights: Vec<SuiteResults> = [10.0, 10.0, 11.0, 10.0, 20.0, 21.0, 22.0].into_iter().map(|p| night(p, 0)).collect();
        let page = page(&nights);
        assert!(page.contains("id=\"trips\"") && page.contains("class=\"tripped\""), "a trip shows");
        assert!(page.contains("7 of 7") && page.contains("700"), "totals");
        assert!(!page.contains("<script") && !page.contains("n</script>") && !page.contains("<i>") && !page.contains("<b>why"), "escaped");
        nights.push(night(10.0, 1));
        assert!(super::page(&nights).contains("✗"));
        assert!(super::page(&[]).contains("No night is over yet"));
    }
}
