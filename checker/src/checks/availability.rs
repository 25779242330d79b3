//! Measures the longest time without an ok while ops waited, per key and per node, with and without faults.
//!
//! The result is a figure, not a proof; a gate decides which gap is too long. Only the parts of a gap in which an op
//! waited count (see [`asked`](super::asked)), because time without requests is not an outage. A gap belongs to the
//! faults if any fault was active during it, so the cost of a fault never affects the figure for fault-free time.

use super::asked::WaitIntervals;
use super::{CheckResult, result};
use crate::coverage::{self, Fault};
use crate::verdict::Verdict;
use crate::window::window;
use heckle_history::{History, Nanos, Operation, Outcome};
use serde_json::{Map, Value, json};

/// The longest gaps of one group of ops.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gaps {
    /// The longest gap with no active fault.
    pub calm: Nanos,
    /// The longest gap with an active fault.
    pub faults: Nanos,
}

/// Measures the gaps of every key and node.
pub fn check(history: &History) -> CheckResult {
    let faults = FaultTimes::of(&coverage::faults(history));
    let mut by_key = vec![vec![]; history.names.key_count()];
    let mut by_node = vec![vec![]; history.names.node_count()];
    for op in &history.ops {
        by_key[op.key.0 as usize].push(op);
        if let Some(node) = op.node {
            by_node[node.0 as usize].push(op);
        }
    }
    if !history.ops.iter().any(ok) {
        return result("availability", Verdict::Unknown, "no op was answered ok".to_owned(), []);
    }
    let window = window(history);
    let mut longest = Gaps::default();
    let mut figures = |names: Vec<&str>, groups: Vec<Vec<&Operation>>, total: bool| -> Map<String, Value> {
        let mut all = Map::new();
        for (name, ops) in names.into_iter().zip(groups) {
            let gaps = gaps(history, &ops, window, &faults);
            if total {
                longest = Gaps { calm: longest.calm.max(gaps.calm), faults: longest.faults.max(gaps.faults) };
            }
            all.insert(name.to_owned(), json!({"calm_ms": gaps.calm.as_ms_f64(), "faults_ms": gaps.faults.as_ms_f64()}));
        }
        all
    };
    let keys = figures(history.names.keys().map(|(_, n)| n).collect(), by_key, true);
    let nodes = figures(history.names.nodes().map(|(_, n)| n).collect(), by_node, false);
    let words = format!(
        "the longest time a key was asked and gave no ok: {:.1} ms in calm, {:.1} ms during faults",
        longest.calm.as_ms_f64(),
        longest.faults.as_ms_f64()
    );
    let figure = [
        ("longest_gap_calm_ms", json!(longest.calm.as_ms_f64())),
        ("longest_gap_faults_ms", json!(longest.faults.as_ms_f64())),
        ("keys", Value::Object(keys)),
        ("nodes", Value::Object(nodes)),
    ];
    result("availability", Verdict::Valid, words, figure)
}

/// Active times of faults: for each start time, in order, the latest end of the faults started so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FaultTimes(Vec<(Nanos, Nanos)>);

impl FaultTimes {
    /// Computes the active times of `faults`.
    pub fn of(faults: &[Fault]) -> FaultTimes {
        let mut times: Vec<(Nanos, Nanos)> = faults.iter().map(|f| (f.began, f.healed.unwrap_or(f.ended))).collect();
        times.sort_unstable();
        let mut reach = Nanos(0);
        for (_, end) in &mut times {
            reach = reach.max(*end);
            *end = reach;
        }
        FaultTimes(times)
    }

    /// Returns whether a fault was active at any time in the closed interval.
    pub fn overlaps(&self, from: Nanos, to: Nanos) -> bool {
        let begun = self.0.partition_point(|(began, _)| *began <= to);
        begun.checked_sub(1).is_some_and(|last| from <= self.0[last].1)
    }
}

fn ok(op: &Operation) -> bool {
    matches!(op.outcome, Outcome::Ok(_))
}

/// Returns the longest asked times between two oks of `ops`, including the gaps at both ends of the window. `ops` must
/// be sorted by invocation.
pub fn gaps(history: &History, ops: &[&Operation], window: (Nanos, Nanos), faults: &FaultTimes) -> Gaps {
    let asked = WaitIntervals::of(history, ops.iter().copied());
    let mut times: Vec<Nanos> = ops.iter().filter(|o| ok(o)).map(|o| o.completed).collect();
    times.retain(|t| window.0 <= *t && *t <= window.1);
    times.push(window.1);
    times.sort_unstable();
    let mut longest = Gaps::default();
    let mut from = window.0;
    for to in times {
        let slot = if faults.overlaps(from, to) { &mut longest.faults } else { &mut longest.calm };
        *slot = (*slot).max(asked.between(from, to));
        from = to;
    }
    longest
}
