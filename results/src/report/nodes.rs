//! The section on nodes: how often they started and ended, how long their syncs took, and their logs around faults.

use super::data::samples_state_bytes;
use super::markup::{Html, heading, note, table};
use super::{NodeFiles, PageInput};
use crate::charts::axis::{count, duration};
use crate::faults::FaultWindow;
use heckle_history::event::STATE;
use heckle_history::{Nanos, NodeIx};
use serde_json::Value as Json;

/// Time before a fault from which log lines are shown.
const LOG_BEFORE: Nanos = Nanos::from_ms(500);
/// Time after the end of a fault up to which log lines are shown.
const LOG_AFTER: Nanos = Nanos::from_ms(1_500);
/// Maximum number of lines per node and fault.
const MAX_LINES: usize = 40;
/// Maximum length of a line, in characters.
const MAX_LETTERS: usize = 400;
/// Maximum number of faults with log lines. The first ones are shown.
const MAX_FAULTS: usize = 40;

pub(super) fn of(subject: PageInput<'_>) -> Html {
    let history = subject.history;
    let mut out = heading("h2", "nodes", "Nodes");
    let names: Vec<(NodeIx, &str)> = history.names.nodes().collect();
    if names.is_empty() {
        return out.and(note("This history names no nodes."));
    }
    let mut sampled = false;
    let rows: Vec<Vec<Html>> = names
        .iter()
        .map(|(ix, name)| {
            let events = |what: &str| history.node_events.iter().filter(|e| e.node == *ix && &*e.what == what).count() as u64;
            let last = subject.nodes.iter().find(|n| n.name == **name).and_then(|n| n.samples().pop());
            sampled |= last.is_some();
            let figure = |of: &dyn Fn(&Json) -> Option<String>| Html::from(last.as_ref().and_then(of).unwrap_or_else(|| "–".into()));
            let number = |v: &Json| v.as_u64().map(count);
            let us = |v: &Json| v.as_u64().map(|us| duration(us as f64 / 1e3));
            vec![
                (*name).into(),
                count(events("start")).into(),
                count(events("exit") + events("panic")).into(),
                figure(&|s| number(&s["incarnation"])),
                figure(&|s| us(&s["sync_latency"]["p50_us"])),
                figure(&|s| us(&s["sync_latency"]["p99_us"])),
                figure(&|s| us(&s["sync_latency"]["max_us"])),
                figure(&|s| number(&s["syncs"])),
                figure(&|s| number(&s["preempted"])),
                figure(&|s| samples_state_bytes(s).map(count)),
            ]
        })
        .collect();
    let heads = ["node", "starts", "ends", "incarnation", "sync p50", "sync p99", "sync max", "syncs", "preempted", "state bytes"];
    out.push(table(&heads, &[1, 2, 3, 4, 5, 6, 7, 8, 9], rows));
    out.push(note(if sampled {
        "Starts and ends are those of the history; the other figures are each node's last sample and count from the start of its process."
    } else {
        "The nodes left no samples."
    }));
    out.and(other_events(subject)).and(logs(subject))
}

/// Formats a table of node events other than start and end, as reported by the system.
fn other_events(subject: PageInput<'_>) -> Html {
    let mut counts: std::collections::BTreeMap<(&str, &str), u64> = std::collections::BTreeMap::new();
    for e in &subject.history.node_events {
        if !matches!(&*e.what, "start" | "exit" | "panic" | STATE) {
            *counts.entry((&e.what, subject.history.names.node_name(e.node))).or_default() += 1;
        }
    }
    if counts.is_empty() {
        return Html::default();
    }
    let rows = counts.into_iter().map(|((what, node), n)| vec![what.replace('_', " ").into(), node.into(), count(n).into()]);
    heading("h3", "node-events", "Other events").and(table(&["event", "node", "times"], &[2], rows))
}

fn logs(subject: PageInput<'_>) -> Html {
    let origin = subject.history.header.mono_origin_ns;
    let logs: Vec<(&NodeFiles, Vec<(Nanos, &str)>)> = subject
        .nodes
        .iter()
        .map(|node| (node, node.log.lines().filter_map(|line| parse_log_line(line, origin?)).collect()))
        .filter(|(_, lines): &(_, Vec<_>)| !lines.is_empty())
        .collect();
    if logs.is_empty() {
        return Html::default();
    }
    let mut out = heading("h3", "logs", "Logs around faults");
    for fault in subject.measured.faults.iter().take(MAX_FAULTS) {
        out.push(logs_around(subject, fault, &logs));
    }
    if subject.measured.faults.len() > MAX_FAULTS {
        out.push(note(&format!(
            "The first {MAX_FAULTS} of {} faults; the whole logs are in the run's folder.",
            subject.measured.faults.len()
        )));
    }
    if subject.measured.faults.is_empty() {
        out.push(note("There was no fault; the whole logs are in the run's folder, nodes/<node>/node.log."));
    }
    out
}

fn logs_around(subject: PageInput<'_>, fault: &FaultWindow, logs: &[(&NodeFiles, Vec<(Nanos, &str)>)]) -> Html {
    let (from, to) = (Nanos(fault.began.0.saturating_sub(LOG_BEFORE.0)), Nanos(fault.end(subject.history.end).0 + LOG_AFTER.0));
    let mut inner = Html::element("summary", &[], format!("fault {}: {}, {} to {}", fault.id, fault.label(), from, to));
    let mut any = false;
    for (node, lines) in logs {
        let near: Vec<&(Nanos, &str)> = lines.iter().filter(|(t, _)| from <= *t && *t <= to).collect();
        if near.is_empty() {
            continue;
        }
        any = true;
        let shown = near.len().min(MAX_LINES);
        inner.push(note(&format!("{}: {shown} of {} lines", node.name, near.len())));
        let text: String =
            near[..shown].iter().map(|(t, line)| format!("{t}  {}\n", crate::terminal::shorten(line, MAX_LETTERS))).collect();
        inner.push(Html::element("pre", &[], text));
    }
    if !any {
        inner.push(note("No node wrote anything."));
    }
    Html::element("details", &[], inner)
}

/// Parses a log line into its time in the run and the text after its timestamps.
fn parse_log_line(line: &str, origin: u64) -> Option<(Nanos, &str)> {
    let (_, rest) = line.split_once("mono_ns=")?;
    let (mono, rest) = rest.split_once(' ')?;
    Some((Nanos(mono.parse::<u64>().ok()?.saturating_sub(origin)), rest))
}
