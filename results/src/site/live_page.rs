//! The live page: a run in progress. The server sends the run's state as events, which the page's script draws. Without a script, the
//! page shows the state at the time of the request.

use super::frame::{page_with_script, url};
use crate::catalogue::Entry;
use crate::charts::axis::{count, duration};
use crate::groups::ended;
use crate::live_json::{JudgeState, LiveRun};
use crate::report::markup::{Html, note};
use crate::results_json::Status;

/// The contents of the page.
#[derive(Debug, Clone, Copy)]
pub struct LiveView<'a> {
    /// The run, if one is in progress or was requested.
    pub entry: Option<&'a Entry>,
    /// Its state, if it is in progress.
    pub live: Option<&'a LiveRun>,
    /// The other runs in progress.
    pub others: &'a [&'a Entry],
}

/// Returns the page.
pub fn live(view: LiveView<'_>) -> String {
    let name = view.entry.map_or("no run", |e| if e.name.is_empty() { e.path.as_str() } else { e.name.as_str() });
    let mut body = Html::element("h1", &[], Html::text("Live: ").and(Html::element("span", &[("id", "plan")], name)));
    let links = view.entry.map(|e| Html::element("a", &[("href", &(url("/browse/", &e.path) + "/"))], e.path.as_str())).unwrap_or_default();
    body.push(Html::element("p", &[("class", "dim"), ("id", "path")], links));
    body.push(Html::element("p", &[("class", "banner"), ("id", "note"), ("role", "status")], sentence(view)));
    body.push(tiles(view.live));
    body.push(charts());
    body.push(Html::element("h2", &[("id", "faults")], "Faults"));
    body.push(Html::element("ul", &[("id", "fault-list")], faults(view.live)));
    if !view.others.is_empty() {
        body.push(Html::element("h2", &[], "Other runs in progress"));
        let line = |e: &&Entry| Html::element("li", &[], Html::element("a", &[("href", &live_address(&e.path))], e.path.as_str()));
        body.push(Html::element("ul", &[], view.others.iter().map(line).collect::<Html>()));
    }
    body.push(Html::element("noscript", &[], note("Without scripts this page shows one moment: load it again for the next.")));
    if let Some(run) = view.live {
        // The script draws this state immediately, without waiting for the first event.
        body.push(Html::element("script", &[("type", "application/json"), ("id", "state")], Html::json(run)));
    }
    page_with_script(&format!("Live: {name}"), body, "/assets/live.js")
}

/// Returns the address of the live page of a run.
pub fn live_address(path: &str) -> String {
    format!("/live?run={}", super::query::encode(path))
}

fn sentence(view: LiveView<'_>) -> String {
    match (view.entry, view.live) {
        (None, _) => "No run is in progress. This page shows the next one as soon as it begins.".into(),
        (Some(entry), None) if entry.status == Status::Running => "The run has begun, and has nothing to show yet.".into(),
        (Some(entry), None) => format!("Over: {}. {}", ended(entry.status, entry.verdict).1, entry.reason),
        (Some(_), Some(live)) => live.stopping.clone().unwrap_or_else(|| live.phase.clone()),
    }
}

/// Describes the state of the online judge.
fn judge_words(judge: JudgeState) -> (&'static str, &'static str) {
    match judge {
        JudgeState::Off => ("dim", "judged at the end"),
        JudgeState::NoViolation => ("good", "no violation so far"),
        JudgeState::Violation => ("bad", "violation"),
    }
}

/// Returns the tiles with figures, which the script updates.
fn tiles(live: Option<&LiveRun>) -> Html {
    let ops = live.map(LiveRun::all_ops).unwrap_or_default();
    let last = live.and_then(|l| l.points.last());
    let ms = |x: Option<f64>| x.map_or_else(|| "–".to_owned(), duration);
    let (class, judge) = judge_words(live.map_or(JudgeState::Off, |l| l.judge));
    let tile = |id: &'static str, class: &str, figure: String, what: &str| {
        Html::element("div", &[], Html::element("b", &[("id", id), ("class", class)], figure).and(Html::element("span", &[], what)))
    };
    let mut out = tile("judge", class, judge.to_owned(), "verdict so far");
    out.push(tile("time", "", live.map_or_else(|| "–".to_owned(), |l| format!("{:.0} s", l.now_s)), "since the start"));
    out.push(tile(
        "sent",
        "",
        last.map_or_else(|| "–".to_owned(), |p| format!("{:.0}", p.ops.invoked as f64 / p.length_s.max(0.001))),
        "ops a second",
    ));
    out.push(tile("p50", "", ms(last.and_then(|p| p.p50_ms)), "median latency, last second"));
    out.push(tile("p99", "", ms(last.and_then(|p| p.p99_ms)), "99th percentile, last second"));
    out.push(tile("invoked", "", count(ops.invoked), "ops sent"));
    out.push(tile("applied", "", count(ops.applied), "applied"));
    out.push(tile("refused", "", count(ops.condition_not_met), "condition not met"));
    out.push(tile("failed", "", count(ops.failed), "failed: proved not to have happened"));
    out.push(tile("unknown", "", count(ops.unknown), "unknown outcome"));
    let max = live.map_or(1.0, |l| l.tail_end_s).to_string();
    let value = live.map_or(0.0, |l| l.now_s).to_string();
    let bar = Html::element(
        "progress",
        &[("id", "progress"), ("max", &max), ("value", &value), ("aria-label", "progress of load and quiet tail")],
        Html::default(),
    );
    bar.and(Html::element("div", &[("class", "figures")], out))
}

fn charts() -> Html {
    let chart = |id: &'static str, title: &str| {
        let legend = Html::element(
            "p",
            &[("class", "legend"), ("id", if id == "rate" { "rate-legend" } else { "latency-legend" })],
            Html::default(),
        );
        let caption = Html::element("figcaption", &[], title).and(legend);
        Html::element("figure", &[], caption.and(Html::element("div", &[("id", id), ("class", "chart")], Html::default())))
    };
    let rate = chart("rate", "Ops a second, the last five minutes. Bands are faults.");
    rate.and(chart("latency", "Latency of ok ops from when they were due, per second (logarithmic)."))
}

fn faults(live: Option<&LiveRun>) -> Html {
    let line = |fault: &crate::live_json::LiveFault| {
        let lasted = fault.ended_s.map_or_else(|| "lasts".to_owned(), |end| format!("{:.1} s long", end - fault.began_s));
        Html::element("li", &[], format!("{} at {:.1} s, {lasted}", fault.label, fault.began_s))
    };
    live.map(|l| l.faults.iter().rev().map(line).collect::<Html>()).unwrap_or_default()
}
