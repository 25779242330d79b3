//! The impact of each fault on operations: those that were open during the fault, per node, compared with those that overlapped
//! no fault.

use crate::measure::{Latencies, Measured};
use heckle_history::{History, NodeIx, Operation, Outcome};
use std::collections::BTreeMap;

/// Counts and latencies of a group of operations.
#[derive(Debug, Clone, PartialEq)]
pub struct ImpactCounts {
    /// Number of operations.
    pub ops: u64,
    /// Number of ok operations.
    pub ok: u64,
    /// Number of operations proved not to have happened.
    pub failed: u64,
    /// Number of operations that may have happened, nearly always because of a timeout.
    pub unknown: u64,
    /// Median latency of ok operations from the due time.
    pub p50_ms: f64,
    /// 99th percentile of latency of ok operations from the due time.
    pub p99_ms: f64,
}

/// The impact of one fault.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultImpact {
    /// Index of the fault in [`Measured::faults`].
    pub fault: usize,
    /// Counts by the node that received the operation, or `None` if the node is not known.
    pub nodes: Vec<(Option<NodeIx>, ImpactCounts)>,
}

/// The impact of all faults of a run, and the figures without a fault.
#[derive(Debug, Clone, PartialEq)]
pub struct Impacts {
    /// Operations that overlapped no fault.
    pub calm: ImpactCounts,
    /// The impact of each fault.
    pub faults: Vec<FaultImpact>,
}

struct ImpactSums {
    met: ImpactCounts,
    latencies: Latencies,
}

impl ImpactSums {
    fn new() -> Self {
        let met = ImpactCounts { ops: 0, ok: 0, failed: 0, unknown: 0, p50_ms: 0.0, p99_ms: 0.0 };
        ImpactSums { met, latencies: Latencies::new() }
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

    fn finish(mut self) -> ImpactCounts {
        let p = self.latencies.percentiles();
        (self.met.p50_ms, self.met.p99_ms) = (p.p50, p.p99);
        self.met
    }
}

/// Counts the operations of the load window by the faults that they overlapped.
pub fn of(history: &History, measured: &Measured) -> Impacts {
    let mut sums: Vec<BTreeMap<Option<NodeIx>, ImpactSums>> = measured.faults.iter().map(|_| BTreeMap::new()).collect();
    let mut calm = ImpactSums::new();
    for op in history.ops.iter().filter(|op| measured.window.holds(op.intended)) {
        let mut met = false;
        for (fault, sums) in measured.faults.iter().zip(&mut sums) {
            if fault.began <= op.completed && fault.end(measured.end) >= op.intended {
                met = true;
                sums.entry(op.node).or_insert_with(ImpactSums::new).add(op);
            }
        }
        if !met {
            calm.add(op);
        }
    }
    let of_fault = |(fault, nodes): (usize, BTreeMap<Option<NodeIx>, ImpactSums>)| FaultImpact {
        fault,
        nodes: nodes.into_iter().map(|(node, sums)| (node, sums.finish())).collect(),
    };
    Impacts { calm: calm.finish(), faults: sums.into_iter().enumerate().map(of_fault).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure;
    use crate::sample::{self, Sample};

    #[test]
    fn timeouts_are_counted_at_the_affected_nodes() {
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
