//! Checks that no node crashed and none stayed down. A crash of the system under test is a separate kind of violation.
//!
//! The table in [`cause()`] classifies how a process ended. The harness records the facts (signal or exit code, last
//! log lines, phase); everything else follows from the history alone.

mod cause; // the table

pub use cause::{Cause, End, Phase, cause, how};

use super::{CheckResult, result};
use crate::coverage::{self, Fault};
use crate::verdict::Verdict;
use crate::window::window;
use heckle_history::event::NodeEvent;
use heckle_history::printable::printable;
use heckle_history::{History, Nanos};
use serde_json::{Value, json};
use std::fmt::Write;

/// Name of this kind of violation.
pub const KIND: &str = "crash";
/// Event of a node that ran before the run: the harness is connected to it, and does not see its process.
pub const ATTACHED: &str = "attached";
/// Name of the node event for a process that ended.
pub const EXIT: &str = "exit";
/// Name of the node event for a node that was started but did not become ready.
pub const START_FAILED: &str = "start_failed";
/// Name of the node event that older histories use for a panic found in a log.
const PANIC: &str = "panic";

/// An exit within this time after the end of a fault is still attributed to that fault, because a killed node is reaped
/// slightly later.
const SLACK: Nanos = Nanos(2_000_000_000);

/// Exit code of a node whose disk failed.
const DISK_FAILED: i32 = 74;

/// Fault kinds that end a node; no other kind explains an exit.
const ENDS_NODES: [&str; 8] = ["kill", "kill-all", "terminate", "restart", "crash", "oom", "disk", "wipe"];

/// A crash of one node.
#[derive(Debug, Clone, PartialEq)]
pub struct Crash {
    /// Name of the node.
    pub node: String,
    /// When the end of the process was detected.
    pub t: Nanos,
    /// Description of how the process ended.
    pub how: String,
    /// The assertion or panic message that the process logged.
    pub said: Option<String>,
    /// Last lines of the node's log.
    pub log: Vec<String>,
    /// Phase in which the process ended.
    pub phase: Phase,
    /// Faults that were active at the time of the crash or had just ended.
    pub faults: Vec<String>,
}

/// Returns every crash in the history, in order of occurrence.
pub fn crashes(history: &History) -> Vec<Crash> {
    let faults = coverage::faults(history);
    let crash = |event: &NodeEvent, end: End, phase: Phase| Crash {
        node: history.names.node_name(event.node).to_owned(),
        t: event.t,
        how: if &*event.what == PANIC { "a panic".to_owned() } else { how(&end) },
        said: end.said,
        log: end.log,
        phase,
        faults: around(&faults, event.t),
    };
    let found = history.node_events.iter().filter_map(|event| match judge(history, &faults, event)? {
        (end, phase, Cause::Crash) => Some(crash(event, end, phase)),
        (_, _, Cause::Asked | Cause::Outside(_)) => None,
    });
    found.collect()
}

/// Checks the node events: invalid for a crash, unknown for a node that ended or stayed down for reasons outside the system.
pub fn check(history: &History) -> CheckResult {
    let faults = coverage::faults(history);
    let crashed = crashes(history);
    let mut away: Vec<String> = vec![];
    for event in &history.node_events {
        if &*event.what == START_FAILED {
            let why = event.detail.get("why").and_then(Value::as_str).unwrap_or("no reason was recorded");
            away.push(format!("{} could not come back at {}: {why}", history.names.node_name(event.node), event.t));
        } else if let Some((end, phase, Cause::Outside(why))) = judge(history, &faults, event) {
            let did = if phase == Phase::Serving { "ended" } else { "could not start" };
            away.push(format!("{} {did} at {} with {}: {why}", history.names.node_name(event.node), event.t, how(&end)));
        }
    }
    let verdict = match (crashed.is_empty(), away.is_empty()) {
        (false, _) => Verdict::Invalid,
        (true, false) => Verdict::Unknown,
        (true, true) => Verdict::Valid,
    };
    let words = match (crashed.first(), away.first()) {
        (Some(crash), _) => summary(crash),
        (None, Some(away)) => away.clone(),
        (None, None) if history.node_events.iter().any(|event| &*event.what == ATTACHED) => {
            "not seen: heckle did not start these nodes, so it does not notice that one ends".to_owned()
        }
        (None, None) => "no node crashed, none ended without a fault".to_owned(),
    };
    result(KIND, verdict, words, [("crashes", json!(crashed.len())), ("ended_from_outside", json!(away.len()))])
}

/// Describes one crash in a sentence.
pub fn summary(crash: &Crash) -> String {
    let Crash { node, t, how, said, phase, .. } = crash;
    let did = match phase {
        Phase::FirstStart | Phase::Restart => "crashed while it started",
        Phase::Serving => "crashed",
        Phase::Asked => "crashed while it stopped",
    };
    let said = said
        .as_ref()
        .map_or_else(|| crash.log.last().map_or(String::new(), |line| format!("; the last line of its log: {line}")), |s| format!(": {s}"));
    format!("{node} {did} at {t} ({how}){said}")
}

/// Describes a crash for `heckle explain`.
pub fn text(id: u32, crash: &Crash) -> String {
    let words = summary(crash);
    let mut out = format!("Violation {id}: {KIND} of {}\n\n{}.\n", printable(&crash.node), printable(words.trim_end_matches('.')));
    out += match crash.phase {
        Phase::FirstStart => "It had not served yet.\n",
        Phase::Restart => "It had been started again on the data that it had written itself, and did not come up.\n",
        Phase::Serving => "No fault and no request of the harness asked it to end.\n",
        Phase::Asked => "It had been asked to end, and failed on the way.\n",
    };
    if !crash.faults.is_empty() {
        out += "\nFaults around it (context, not proof):\n";
        for fault in &crash.faults {
            let _ = writeln!(out, "  {}", printable(fault));
        }
    }
    if !crash.log.is_empty() {
        out += "\nThe end of its log:\n";
        for line in &crash.log {
            let _ = writeln!(out, "  {}", printable(line));
        }
    }
    out
}

/// Returns how and why a process ended, as reported by an event; `None` if the event is not about the end of a process.
/// The cause of an exit that a fault explains is [`Cause::Asked`].
fn judge(history: &History, faults: &[Fault], event: &NodeEvent) -> Option<(End, Phase, Cause)> {
    if &*event.what == PANIC {
        return Some((end_from_detail(event), Phase::Serving, Cause::Crash));
    }
    if &*event.what != EXIT {
        return None;
    }
    let end = end_from_detail(event);
    let recorded = event.detail.get("phase").and_then(Value::as_str).and_then(Phase::of);
    let asked = expected(history, faults, event);
    let phase = recorded.unwrap_or(if asked { Phase::Asked } else { Phase::Serving });
    // A fault that ends nodes also explains how they ended. Only the harness may override this, because it knows which
    // signals it sent.
    if asked && recorded.is_none() {
        return Some((end, phase, Cause::Asked));
    }
    let disk = |f: &Fault| f.kind.starts_with("disk") && strikes(f, history.names.node_name(event.node)) && covers(f, event.t);
    let cause = if end.code == Some(DISK_FAILED) && faults.iter().any(disk) { Cause::Asked } else { cause(&end, phase) };
    Some((end, phase, cause))
}

fn end_from_detail(event: &NodeEvent) -> End {
    let text = |name: &str| event.detail.get(name).and_then(Value::as_str);
    let number = |name: &str| event.detail.get(name).and_then(Value::as_i64).and_then(|n| i32::try_from(n).ok());
    // Older histories contain only the description.
    let worded = |prefix: &str| {
        let rest = text("how")?.strip_prefix(prefix)?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    let log = event.detail.get("log").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    End {
        signal: number("signal").or_else(|| worded("signal ")),
        code: number("code").or_else(|| worded("exit code ")),
        said: text("said").map(str::to_owned),
        log: log.map(str::to_owned).collect(),
    }
}

fn around(faults: &[Fault], t: Nanos) -> Vec<String> {
    let near = faults.iter().filter(|f| f.began <= t && t.0 <= f.ended.0.saturating_add(SLACK.0));
    near.map(|f| format!("{} {} from {} to {}", f.kind, f.targets.join(" "), f.began, f.ended)).collect()
}

fn expected(history: &History, faults: &[Fault], event: &NodeEvent) -> bool {
    // The recorder of the exit may have stated whether it was expected; otherwise the faults and the planned end of the
    // load decide.
    if let Some(expected) = event.detail.get("expected").and_then(Value::as_bool) {
        return expected;
    }
    if event.t >= history.header.load_window.map_or(window(history).1, |(_, end)| Nanos(end)) {
        return true;
    }
    let node = history.names.node_name(event.node);
    let ends = |f: &Fault| ENDS_NODES.iter().any(|kind| f.kind.starts_with(kind));
    faults.iter().any(|f| ends(f) && strikes(f, node) && covers(f, event.t))
}

fn strikes(fault: &Fault, node: &str) -> bool {
    fault.targets.iter().any(|t| t == "all" || t.split(|c: char| !c.is_alphanumeric()).any(|n| n == node))
}

fn covers(fault: &Fault, t: Nanos) -> bool {
    fault.began <= t && t.0 <= fault.healed.unwrap_or(fault.ended).0.saturating_add(SLACK.0)
}
