//! What each fault did to the ops: those that were open while it lasted, node by node, beside those that met no fault at
//! all.

use crate::measure::{Latencies, Measured};
use heckle_history::{History, NodeIx, Operation, Outcome};
use std::collections::BTreeMap;

/// Counts of ops that met one thing.
#[derive(Debug, Clone, PartialEq)]
pub struct Met {
    /// Ops.
    pub ops: u64,
    /// Answered.
    pub ok: u64,
    /// Proved not to have happened.
    pub failed: u64,
    /// May have happened; nearly always a timeout.
    pub unknown: u64,
    /// Milliseconds, of the answered, from when they were due.
    pub p50_ms: f64,
    /// The same.
    pub p99_ms: f64,
}

/// What one fault did.
#[derive(Debug, Clone, PartialEq)]
pub struct During {
    /// The fault's place in [`Measured::faults`].
    pub fault: usize,
    /// By the node that took the op; `None` where that is not known.
    pub nodes: Vec<(Option<NodeIx>, Met)>,
}

/// What the faults of a run did, and what is usual without one.
#[derive(Debug, Clone, PartialEq)]
pub struct Faulty {
    /// Ops that met no fault.
    pub calm: Met,
    /// Fault by fault.
    pub faults: Vec<During>,
}

struct Sums {
    met: Met,
    latencies: Latencies,
}

impl Sums {
    fn new() -> Self {
        let met = Met { ops: 0, ok: 0, failed: 0, unknown: 0, p50_ms: 0.0, p99_ms: 0.0 };
        Sums { met, latencies: Latencies::new() }
    }

    fn add(&mut self, op: &Operation) {
        self.met.ops += 1;
        match op.outcome {
            Outcome::Ok(_) => {
                self.met.ok += 1;
                self.latencies.add(op.completed.since(op.intended));
            }
            Outcome::Failed => self.met.failed += 1,
            Outcome::Unknown | Outcome::Open => self.met.unknown += 1,
        }
    }

    fn met(mut self) -> Met {
        let p = self.latencies.percentiles();
        (self.met.p50_ms, self.met.p99_ms) = (p.p50, p.p99);
        self.met
    }
}

/// Counts the ops of the load window by what they met.
pub fn of(history: &History, measured: &Measured) -> Faulty {
    let mut sums: Vec<BTreeMap<Option<NodeIx>, Sums>> = measured.faults.iter().map(|_| BTreeMap::new()).collect();
    let mut calm = Sums::new();
    for op in history.ops.iter().filter(|op| measured.window.holds(op.intended)) {
        let mut met = false;
        for (fault, sums) in measured.faults.iter().zip(&mut sums) {
            if fault.began <= op.completed && fault.end(measured.end) >= op.intended {
                met = true;
                sums.entry(op.node).or_insert_with(Sums::new).add(op);
            }
        }
        if !met {
            calm.add(op);
        }
    }
    let of_fault = |(fault, nodes): (usize, BTreeMap<Option<NodeIx>, Sums>)| During {
        fault,
        nodes: nodes.into_iter().map(|(node, sums)| (node, sums.met())).collect(),
    };
    Faulty { calm: calm.met(), faults: sums.into_iter().enumerate().map(of_fault).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure;
    use crate::sample::{self, Sample};

    #[test]
    fn timeouts_lie_at_the_struck_nodes() {
        let history = sample::history(Sample::default());
        let measured = measure::analyze(&history);
        let faulty = of(&history, &measured);
        assert_eq!((faulty.faults.len(), faulty.calm.unknown), (3, 0));
        for (during, struck) in faulty.faults.iter().zip(["n1", "n2", "n3"]) {
            for (node, met) in &during.nodes {
                let name = history.names.node_name(node.unwrap());
                assert!(met.ops > 0 && (met.unknown > 0) == (name == struck), "{name}: {during:?}");
            }
        }
    }
}
