//! Checks that nodes release temporary state: once they are idle, no decision is waiting to be pruned.
//!
//! Uses the reports that the nodes send after the last op and the last fault, once they have had time to finish. A
//! history without such reports passes.

use super::{CheckResult, result};
use crate::verdict::Verdict;
use heckle_history::History;
use heckle_history::event::{NodeEvent, STATE};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Checks the state reported by the nodes.
pub fn check(history: &History) -> CheckResult {
    let reports = || history.node_events.iter().filter(|e| &*e.what == STATE);
    let calm = || reports().filter(|e| e.detail.get("calm").and_then(Value::as_bool) == Some(true));
    let name = |e: &NodeEvent| history.names.node_name(e.node).to_owned();
    let left: BTreeMap<String, u64> = calm().map(|e| (name(e), figure(e, "prune_queue"))).filter(|(_, slots)| *slots > 0).collect();
    // Counters restart with each process, so a node's largest value is a reliable lower bound.
    let mut dropped: BTreeMap<String, u64> = BTreeMap::new();
    for event in reports() {
        let most = dropped.entry(name(event)).or_default();
        *most = (*most).max(figure(event, "prune_dropped"));
    }
    let dropped: u64 = dropped.values().sum();
    let nodes = calm().map(|e| e.node).collect::<std::collections::BTreeSet<_>>().len();
    let verdict = if left.is_empty() { Verdict::Valid } else { Verdict::Invalid };
    let full = if dropped > 0 { format!("; {dropped} decisions found the queue full and were not pruned") } else { String::new() };
    let words = match left.iter().max_by_key(|(_, slots)| **slots) {
        Some((node, slots)) => {
            format!("{node} still keeps {slots} decisions to prune although nothing is asked of it any more: they leak{full}")
        }
        None if nodes == 0 => "no node reported its state in calm".to_owned(),
        None => format!("no decision was left to prune on {nodes} nodes{full}"),
    };
    result("state", verdict, words, [("nodes", json!(nodes)), ("left_to_prune", json!(left)), ("prune_dropped", json!(dropped))])
}

fn figure(event: &NodeEvent, name: &str) -> u64 {
    event.detail.get(name).and_then(Value::as_u64).unwrap_or(0)
}
