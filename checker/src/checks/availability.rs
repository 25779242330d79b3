//! The longest gap without an ok, per key and per node, in calm and during faults.
//!
//! A figure, not a proof: what gap is too long is for a gate to say. A gap counts as one during faults if any fault
//! was on in it, so that what a fault costs never spoils the figure for calm.

use super::{CheckResult, result, window};
use crate::coverage::{self, Fault};
use crate::verdict::Verdict;
use heckle_history::{History, Nanos, Outcome};
use serde_json::{Map, Value, json};

/// The longest gaps of one group of ops.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gaps {
    /// While no fault was on.
    pub calm: Nanos,
    /// While one was.
    pub faults: Nanos,
}

/// Measures the gaps.
pub fn check(history: &History) -> CheckResult {
    let faults = coverage::faults(history);
    let mut by_key = vec![vec![]; history.names.key_count()];
    let mut by_node = vec![vec![]; history.names.node_count()];
    for op in history.ops.iter().filter(|o| matches!(o.outcome, Outcome::Ok(_))) {
        by_key[op.key.0 as usize].push(op.completed);
        if let Some(node) = op.node {
            by_node[node.0 as usize].push(op.completed);
        }
    }
    if by_key.iter().all(Vec::is_empty) {
        return result("availability", Verdict::Unknown, "no op was answered ok".to_owned(), []);
    }
    let window = window(history);
    let mut longest = Gaps::default();
    let mut figures = |names: Vec<&str>, groups: Vec<Vec<Nanos>>, total: bool| -> Map<String, Value> {
        let mut all = Map::new();
        for (name, times) in names.into_iter().zip(groups) {
            let gaps = gaps(times, window, &faults);
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
        "the longest time a key saw no ok: {:.1} ms in calm, {:.1} ms during faults",
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

/// The longest gaps between the times of oks, the ends of the window included.
pub fn gaps(mut times: Vec<Nanos>, window: (Nanos, Nanos), faults: &[Fault]) -> Gaps {
    times.retain(|t| window.0 <= *t && *t <= window.1);
    times.push(window.1);
    times.sort_unstable();
    let mut longest = Gaps::default();
    let mut from = window.0;
    for to in times {
        let disturbed = faults.iter().any(|f| f.began <= to && from <= f.healed.unwrap_or(f.ended));
        let slot = if disturbed { &mut longest.faults } else { &mut longest.calm };
        *slot = (*slot).max(to.since(from));
        from = to;
    }
    longest
}
