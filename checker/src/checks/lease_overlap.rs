//! Checks that no two nodes held a lease on the same range simultaneously, according to the reports of the holders.
//!
//! A holder reports when it acquires, extends and ends a lease, timestamped by the clock that all processes on the
//! machine share. It held the range from the first report until the last expiry it knew, or until it reported an end or
//! its process exited. The reports state what a node *believed*; the consequences are left to the other checks.
//!
//! An overlap violates the guarantee of the lease in any mode: either a clock was off by more than the stated bound, or
//! the protocol is wrong. Under a read lease, an overlap proves a violation (`invalid`) even if no client saw a stale
//! value this time, since both holders would have served reads without a quorum. Under a progress lease, safety does
//! not depend on the lease, so the check is `unknown` and the run is not reported as valid.

use super::{CheckResult, result};
use crate::verdict::Verdict;
use heckle_history::event::NodeEvent;
use heckle_history::{History, Nanos, NodeIx};
use serde_json::json;
use std::collections::BTreeMap;

/// An interval in which a node held a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tenure {
    range: u64,
    node: NodeIx,
    from: Nanos,
    until: Nanos,
    reads: bool,
}

/// Two overlapping tenures.
#[derive(Debug, Clone, Copy)]
struct Overlap {
    first: Tenure,
    second: Tenure,
}

impl Overlap {
    fn lasts(&self) -> u64 {
        self.first.until.min(self.second.until).0 - self.second.from.0
    }
}

/// Checks the node events.
pub fn check(history: &History) -> CheckResult {
    let tenures = tenures(history);
    let overlaps = overlaps(&tenures);
    let held: u64 = tenures.iter().map(|t| t.until.0.saturating_sub(t.from.0)).sum();
    let worst = overlaps.iter().max_by_key(|o| o.lasts());
    let unsafe_one = overlaps.iter().filter(|o| o.first.reads || o.second.reads).max_by_key(|o| o.lasts());
    let verdict = match (unsafe_one, worst) {
        (Some(_), _) => Verdict::Invalid,
        (None, Some(_)) => Verdict::Unknown,
        (None, None) => Verdict::Valid,
    };
    let words = match unsafe_one.or(worst) {
        Some(overlap) => words(history, overlap, overlaps.len()),
        None if tenures.is_empty() => "no node reported a lease".to_owned(),
        None => format!("{} tenures, never two of one range at a time", tenures.len()),
    };
    let figure = [
        ("tenures", json!(tenures.len())),
        ("held_ms", json!(held / 1_000_000)),
        ("overlaps", json!(overlaps.len())),
        ("longest_overlap_ms", json!(worst.map_or(0.0, |o| o.lasts() as f64 / 1e6))),
    ];
    result("lease_overlap", verdict, words, figure)
}

fn words(history: &History, overlap: &Overlap, count: usize) -> String {
    let (first, second) = (overlap.first, overlap.second);
    let name = |node: NodeIx| history.names.node_name(node);
    let kind = if first.reads || second.reads { "read lease" } else { "lease" };
    let more = if count > 1 { format!(" ({count} overlaps in all)") } else { String::new() };
    format!(
        "{} and {} both held the {kind} on range {} for {} ms from {} on: a clock beyond the stated bound, or a lease that was \
         granted twice{more}",
        name(first.node),
        name(second.node),
        first.range,
        overlap.lasts() as f64 / 1e6,
        second.from
    )
}

fn number(event: &NodeEvent, field: &str) -> Option<u64> {
    event.detail.get(field).and_then(serde_json::Value::as_u64)
}

/// Returns the tenures of each node, as reported by the node.
fn tenures(history: &History) -> Vec<Tenure> {
    let mut open: BTreeMap<(u64, NodeIx), Tenure> = BTreeMap::new();
    let mut closed = vec![];
    for event in &history.node_events {
        match &*event.what {
            "lease_acquired" | "lease_extended" | "lease_ended" => {
                let term = (number(event, "range"), number(event, "from_ns"), number(event, "until_ns"));
                let (Some(range), Some(from), Some(until)) = term else { continue };
                let reads = event.detail.get("reads").and_then(serde_json::Value::as_bool).unwrap_or(false);
                let tenure = Tenure { range, node: event.node, from: Nanos(from), until: Nanos(until), reads };
                let key = (range, event.node);
                if &*event.what == "lease_ended" {
                    // If the start was missed, the report of the end contains both times.
                    let known = open.remove(&key).unwrap_or(tenure);
                    closed.push(Tenure { until: tenure.until, ..known });
                } else if let Some(known) = open.get_mut(&key).filter(|known| known.from == tenure.from) {
                    known.until = known.until.max(tenure.until);
                } else {
                    closed.extend(open.insert(key, tenure));
                }
            }
            // A process that has exited holds no lease.
            "exit" | "panic" => {
                for at in open.keys().copied().filter(|(_, node)| *node == event.node).collect::<Vec<_>>() {
                    let tenure = open.remove(&at).expect("the key was just found");
                    closed.push(Tenure { until: tenure.until.min(event.t), ..tenure });
                }
            }
            _ => {}
        }
    }
    closed.extend(open.into_values());
    closed.retain(|tenure| tenure.from < tenure.until);
    closed
}

fn overlaps(tenures: &[Tenure]) -> Vec<Overlap> {
    let mut sorted = tenures.to_vec();
    sorted.sort_by_key(|t| (t.range, t.from, t.until));
    let mut found = vec![];
    // For each range and node, the tenure with the latest end so far.
    let mut reach: BTreeMap<(u64, NodeIx), Tenure> = BTreeMap::new();
    for second in sorted {
        let others =
            reach.iter().filter(|((range, node), first)| *range == second.range && *node != second.node && first.until > second.from);
        found.extend(others.map(|(_, first)| Overlap { first: *first, second }));
        let known = reach.entry((second.range, second.node)).or_insert(second);
        if second.until > known.until {
            *known = second;
        }
    }
    found
}
