//! The disturbances of a history: when each began and was lifted, whether it took effect, and how long the cluster
//! took to get over it.
//!
//! **Recovery** is what a client sees: how long a struck node was *asked* from the lift of the fault until it has
//! *answered ok* an op that was *sent after the lift*. An op sent before may have been decided before and says nothing,
//! but its client waits. Time in which no op waited for the node is silence, not outage (see
//! [`asked`](heckle_checker::checks::asked)). The slowest node counts. A node that got no op afterwards is left out; if
//! one got ops and answered none, there is no recovery time.

use crate::measure::round;
use crate::results_json::Fault;
use heckle_checker::checks::asked::Asked;
use heckle_history::event::{FaultEvent, FaultState};
use heckle_history::{History, Nanos, NodeIx, Operation, Outcome};
use serde_json::{Map, Value as Json};
use std::collections::HashMap;

/// One disturbance, with times as in the history.
#[derive(Debug, Clone, PartialEq)]
pub struct Disturbance {
    /// As in the history.
    pub id: u64,
    /// `kill`, `partition` …
    pub kind: String,
    /// Whom it struck, in the kind's notation.
    pub targets: Vec<String>,
    /// When it began.
    pub began: Nanos,
    /// When it was lifted; `None` if it never was.
    pub lifted: Option<Nanos>,
    /// When it was seen to be over.
    pub healed: Option<Nanos>,
    /// What showed that it took effect: the last count of each name.
    pub evidence: Map<String, Json>,
    /// Any of its events had evidence: a count above zero, or a `true`.
    pub effective: bool,
    /// How long the slowest of the struck nodes was asked from the lift until it answered again.
    pub recovery: Recovery,
    /// The moment at which the last of them had answered.
    pub answered: Option<Nanos>,
}

/// How a cluster got over a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// After having been asked for so long.
    After(Nanos),
    /// A struck node got ops and answered none.
    Never,
    /// The fault was never lifted, or no op was sent to a struck node afterwards.
    NotSeen,
}

impl Disturbance {
    /// The end of its band: the lift, or the end of the history.
    pub fn end(&self, history_end: Nanos) -> Nanos {
        self.lifted.or(self.healed).unwrap_or(history_end)
    }

    /// Its targets as one short label.
    pub fn label(&self) -> String {
        if self.targets.is_empty() { self.kind.clone() } else { format!("{} {}", self.kind, self.targets.join(" ")) }
    }

    /// Its twin in `results.json`.
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

/// The same rule as the checker's coverage, which decides whether the run is conclusive.
fn tells(value: &Json) -> bool {
    value.as_f64().is_some_and(|n| n > 0.0) || value.as_bool() == Some(true)
}

/// The disturbances of `history`, in the order they began.
pub fn disturbances(history: &History) -> Vec<Disturbance> {
    let mut found: Vec<Disturbance> = vec![];
    // By id: a history may hold as many faults as it likes.
    let mut places: HashMap<u64, usize> = HashMap::new();
    for event in &history.faults {
        match places.get(&event.id) {
            Some(&place) => join(&mut found[place], event),
            None => {
                places.insert(event.id, found.len());
                let mut new = Disturbance {
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
                join(&mut new, event);
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

fn join(known: &mut Disturbance, event: &FaultEvent) {
    // A heal's evidence shows that the cluster is back, not that it was ever struck.
    known.effective |= event.state != FaultState::Healed && event.evidence.values().any(tells);
    // A later count replaces an earlier one: evidence is gathered while the fault lasts.
    known.evidence.extend(event.evidence.iter().map(|(k, v)| (k.clone(), v.clone())));
    match event.state {
        FaultState::Began => {}
        FaultState::Ended => known.lifted = Some(known.lifted.unwrap_or(event.t)),
        FaultState::Healed => known.healed = Some(known.healed.unwrap_or(event.t)),
    }
}

/// The recovery, and the moment at which the last struck node had answered.
fn recovery(history: &History, disturbance: &Disturbance, nodes: &[NodeOps]) -> (Recovery, Option<Nanos>) {
    let Some(lifted) = disturbance.lifted.or(disturbance.healed) else { return (Recovery::NotSeen, None) };
    let (mut last, mut longest) = (None, None);
    for node in struck_nodes(history, disturbance).into_iter().map(|node| &nodes[node.0 as usize]) {
        let first = node.invoked.partition_point(|t| *t < lifted);
        // A node that got no op afterwards is left out.
        let Some(answered) = node.first_ok.get(first) else { continue };
        let Some(answered) = *answered else { return (Recovery::Never, None) };
        last = last.max(Some(answered));
        longest = longest.max(Some(node.asked.between(lifted, answered)));
    }
    (longest.map_or(Recovery::NotSeen, Recovery::After), last)
}

/// The ops of one node, prepared so that a history with many faults is still measured in little more than linear time.
struct NodeOps {
    /// When its ops were invoked, in order.
    invoked: Vec<Nanos>,
    /// By op: the first ok completion among it and the later ones.
    first_ok: Vec<Option<Nanos>>,
    /// When ops waited for it.
    asked: Asked,
}

/// By node.
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
        NodeOps { invoked: ops.iter().map(|o| o.invoked).collect(), first_ok, asked: Asked::of(history, ops) }
    };
    by_node.into_iter().map(prepare).collect()
}

/// The nodes whose names stand in the targets, whatever the notation between them (`n1`, `n2|n3`, `n1>n2`); all nodes
/// if none does.
fn struck_nodes(history: &History, disturbance: &Disturbance) -> Vec<NodeIx> {
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let named = |name: &str| disturbance.targets.iter().any(|t| t.split(|c| !word(c)).any(|w| w == name));
    let some: Vec<NodeIx> = history.names.nodes().filter(|(_, name)| named(name)).map(|(ix, _)| ix).collect();
    if some.is_empty() { history.names.nodes().map(|(ix, _)| ix).collect() } else { some }
}
