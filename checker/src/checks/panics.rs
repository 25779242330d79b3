//! No node panicked, and none ended but by a fault or at the end of the run.

use super::{CheckResult, result, window};
use crate::coverage::{self, Fault};
use crate::verdict::Verdict;
use heckle_history::event::NodeEvent;
use heckle_history::{History, Nanos};
use serde_json::json;

/// An exit this long after a fault was lifted still is its doing: a killed node is reaped a little later.
const SLACK: Nanos = Nanos(2_000_000_000);

/// Fault kinds that end a node: an exit under any other kind is not explained by it.
const ENDS_NODES: [&str; 8] = ["kill", "kill-all", "terminate", "restart", "crash", "oom", "disk", "wipe"];

/// Checks the node events.
pub fn check(history: &History) -> CheckResult {
    let faults = coverage::faults(history);
    let of = |what: &'static str| history.node_events.iter().filter(move |e| &*e.what == what);
    let panics: Vec<String> = of("panic").map(|e| line(history, e)).collect();
    let exits: Vec<String> = of("exit").filter(|e| !expected(history, &faults, e)).map(|e| line(history, e)).collect();
    let verdict = if panics.is_empty() && exits.is_empty() { Verdict::Valid } else { Verdict::Invalid };
    let words = match (panics.first(), exits.first()) {
        (Some(panic), _) => format!("a node panicked: {panic}"),
        (None, Some(exit)) => format!("a node ended without a fault: {exit}"),
        (None, None) => "no panic, no unexpected exit".to_owned(),
    };
    result("panics", verdict, words, [("panics", json!(panics.len())), ("unexpected_exits", json!(exits.len()))])
}

fn line(history: &History, event: &NodeEvent) -> String {
    let detail = if event.detail.is_empty() { String::new() } else { format!(" {}", json!(event.detail)) };
    format!("{} at {}{detail}", history.names.node_name(event.node), event.t)
}

fn expected(history: &History, faults: &[Fault], event: &NodeEvent) -> bool {
    // Who recorded the exit may know; else it is told from the faults and from when the load was to end.
    if let Some(expected) = event.detail.get("expected").and_then(serde_json::Value::as_bool) {
        return expected;
    }
    if event.t >= history.header.load_window.map_or(window(history).1, |(_, end)| Nanos(end)) {
        return true;
    }
    let node = history.names.node_name(event.node);
    let struck = |f: &Fault| f.targets.iter().any(|t| t == "all" || t.split(|c: char| !c.is_alphanumeric()).any(|n| n == node));
    let ends = |f: &Fault| ENDS_NODES.iter().any(|kind| f.kind.starts_with(kind));
    faults.iter().any(|f| ends(f) && struck(f) && f.began <= event.t && event.t.0 <= f.healed.unwrap_or(f.ended).0.saturating_add(SLACK.0))
}
