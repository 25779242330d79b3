//! The faults of a history: when each began and ended, whether it took effect, and how long the cluster took to recover.
//!
//! **Recovery time** is measured as clients experience it: the time for which an affected node had operations waiting, from the
//! end of the fault until it completed an operation that was *sent after the end*. An operation sent earlier may also have been
//! decided earlier, so its reply proves nothing, although its client was waiting. Time in which no operation waited for the node
//! does not count as an outage (see [`asked`](heckle_checker::checks::asked)). The slowest node counts. A node that received no
//! operations afterwards is left out. If a node received some but completed none, there is no recovery time.

use crate::measure::round;
use crate::results_json::Fault;
use heckle_checker::checks::asked::WaitIntervals;
use heckle_checker::coverage::EFFECTIVE;
use heckle_history::event::{FaultEvent, FaultState};
use heckle_history::{History, Nanos, NodeIx, Operation, Outcome};
use serde_json::{Map, Value as Json};
use std::collections::HashMap;

/// One fault, with times as in the history.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultWindow {
    /// Its id in the history.
    pub id: u64,
    /// Its kind, such as `kill` or `partition`.
    pub kind: String,
    /// Its targets, in the notation of the kind.
    pub targets: Vec<String>,
    /// When the fault began.
    pub began: Nanos,
    /// When the fault ended; `None` if it never did.
    pub lifted: Option<Nanos>,
    /// When the end of the fault was confirmed.
    pub healed: Option<Nanos>,
    /// Evidence that it took effect, with the last value for each name.
    pub evidence: Map<String, Json>,
    /// Whether any of its events carried evidence: a count above zero, or `true`.
    pub effective: bool,
    /// Recovery time of the slowest affected node.
    pub recovery: Recovery,
    /// When the last affected node had completed an operation.
    pub answered: Option<Nanos>,
}

/// The recovery of a cluster from a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// Recovered after this time with operations waiting.
    After(Nanos),
    /// An affected node received operations and completed none.
    Never,
    /// The fault never ended, or no affected node received an operation afterwards.
    NotSeen,
}

impl FaultWindow {
    /// Returns the end of the fault, or the end of the history if it never ended.
    pub fn end(&self, history_end: Nanos) -> Nanos {
        self.lifted.or(self.healed).unwrap_or(history_end)
    }

    /// Returns kind and targets as one short label.
    pub fn label(&self) -> String {
        if self.targets.is_empty() { self.kind.clone() } else { format!("{} {}", self.kind, self.targets.join(" ")) }
    }

    /// Converts the fault to its type in `results.json`.
    pub fn record(&self, history_end: Nanos) -> Fault {
        Fault {
            id: self.id,
            kind: self.kind.clone(),
            targets: self.targets.clone(),
            start_s: round(self.began.as_secs_f64(), 6),
            end_s: round(self.end(history_end).as_secs_f64(), 6),
            effective: self.effective,
            healed: self.healed.is_some(),
            recovery_ms: match self.recovery {
                Recovery::After(t) => Some(round(t.as_ms_f64(), 3)),
                Recovery::Never | Recovery::NotSeen => None,
            },
            evidence: self.evidence.clone(),
        }
    }
}

/// Whether a value is evidence. The checker's coverage, which decides whether the run is conclusive, uses the same rule.
fn is_evidence(value: &Json) -> bool {
    value.as_f64().is_some_and(|n| n > 0.0) || value.as_bool() == Some(true)
}

/// Returns the faults of `history`, in the order in which they began.
pub fn fault_windows(history: &History) -> Vec<FaultWindow> {
    let mut found: Vec<FaultWindow> = vec![];
    // Look up faults by id in a map, since a history may contain any number of them.
    let mut places: HashMap<u64, usize> = HashMap::new();
    for event in &history.faults {
        match places.get(&event.id) {
            Some(&place) => merge_event(&mut found[place], event),
            None => {
                places.insert(event.id, found.len());
                let mut new = FaultWindow {
                    id: event.id,
                    kind: event.kind.to_string(),
                    targets: event.targets.clone(),
                    began: event.t,
                    lifted: None,
                    healed: None,
                    evidence: Map::new(),
                    effective: false,
                    recovery: Recovery::NotSeen,
                    answered: None,
                };
                merge_event(&mut new, event);
                found.push(new);
            }
        }
    }
    let nodes = ops_of_nodes(history);
    for disturbance in &mut found {
        (disturbance.recovery, disturbance.answered) = recovery(history, disturbance, &nodes);
    }
    found
}

fn merge_event(known: &mut FaultWindow, event: &FaultEvent) {
    // Evidence of a heal shows that the cluster has recovered, not that the fault took effect.
    known.effective |= event.state != FaultState::Healed && event.evidence.values().any(is_evidence);
    // The harness has determined that the figures that show the effect are missing. Others above zero do not count.
    if event.evidence.get(EFFECTIVE).and_then(Json::as_bool) == Some(false) {
        known.effective = false;
    }
    // A later value replaces an earlier one, since evidence accumulates while the fault lasts.
    known.evidence.extend(event.evidence.iter().map(|(k, v)| (k.clone(), v.clone())));
    match event.state {
        FaultState::Began => {}
        FaultState::Ended => known.lifted = Some(known.lifted.unwrap_or(event.t)),
        FaultState::Healed => known.healed = Some(known.healed.unwrap_or(event.t)),
    }
}

/// Returns the recovery, and when the last affected node had completed an operation.
fn recovery(history: &History, disturbance: &FaultWindow, nodes: &[NodeOps]) -> (Recovery, Option<Nanos>) {
    let Some(lifted) = disturbance.lifted.or(disturbance.healed) else { return (Recovery::NotSeen, None) };
    let (mut last, mut longest) = (None, None);
    for node in affected_nodes(history, disturbance).into_iter().map(|node| &nodes[node.0 as usize]) {
        let first = node.invoked.partition_point(|t| *t < lifted);
        // Leave out a node that received no operation afterwards.
        let Some(answered) = node.first_ok.get(first) else { continue };
        let Some(answered) = *answered else { return (Recovery::Never, None) };
        last = last.max(Some(answered));
        longest = longest.max(Some(node.asked.between(lifted, answered)));
    }
    (longest.map_or(Recovery::NotSeen, Recovery::After), last)
}

/// The operations of one node, indexed so that even a history with many faults is measured in nearly linear time.
struct NodeOps {
    /// Invoke times of its operations, in order.
    invoked: Vec<Nanos>,
    /// For each operation, the earliest ok completion among it and all later ones.
    first_ok: Vec<Option<Nanos>>,
    /// When operations waited for the node.
    asked: WaitIntervals,
}

/// Returns the operations of each node.
fn ops_of_nodes(history: &History) -> Vec<NodeOps> {
    let mut by_node = vec![vec![]; history.names.node_count()];
    for op in &history.ops {
        if let Some(ops) = op.node.and_then(|node| by_node.get_mut(node.0 as usize)) {
            ops.push(op);
        }
    }
    let prepare = |ops: Vec<&Operation>| {
        let mut first_ok: Vec<Option<Nanos>> = vec![];
        for op in ops.iter().rev() {
            let later = first_ok.last().copied().flatten();
            let own = matches!(op.outcome, Outcome::Ok(_)).then_some(op.completed);
            first_ok.push(own.into_iter().chain(later).min());
        }
        first_ok.reverse();
        NodeOps { invoked: ops.iter().map(|o| o.invoked).collect(), first_ok, asked: WaitIntervals::of(history, ops) }
    };
    by_node.into_iter().map(prepare).collect()
}

/// Returns the nodes named in the targets, in any notation (`n1`, `n2|n3`, `n1>n2`), or all nodes if none is named.
fn affected_nodes(history: &History, disturbance: &FaultWindow) -> Vec<NodeIx> {
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let named = |name: &str| disturbance.targets.iter().any(|t| t.split(|c| !word(c)).any(|w| w == name));
    let some: Vec<NodeIx> = history.names.nodes().filter(|(_, name)| named(name)).map(|(ix, _)| ix).collect();
    if some.is_empty() { history.names.nodes().map(|(ix, _)| ix).collect() } else { some }
}
