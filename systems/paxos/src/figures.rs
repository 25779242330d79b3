//! Metrics of the nodes of the bundled server.

use crate::identity::control;
use crate::{ANSWER_TIMEOUT, Paxos};
use heckle_server::status::Status;
use heckle_system_api::capability::{Metrics, Sample, Totals};
use heckle_system_api::launch::NodeSpec;
use serde_json::{Map, Value as Json};

/// Queries the status of a node.
///
/// # Errors
/// Fails if the node does not answer in time.
pub fn status(node: &NodeSpec) -> Result<Status, String> {
    control(&node.node, node.ask, ANSWER_TIMEOUT)?.status().map_err(|e| e.to_string())
}

impl Metrics for Paxos {
    fn sample(&self, node: &NodeSpec) -> Result<Sample, String> {
        let status = status(node)?;
        Ok(Sample { raw: serde_json::to_value(&status).map_err(|e| e.to_string())?, ..sample(&status) })
    }

    fn summary(&self, totals: &Totals, nodes: u16) -> Map<String, Json> {
        let (syncs, ops) = (totals.counter("syncs"), totals.counter("ops"));
        // The syncs of all nodes, divided by operations and nodes, give the syncs per operation on each disk.
        let fsyncs_per_op = (ops > 0).then(|| syncs as f64 / ops as f64 / f64::from(nodes));
        let figures = [
            ("fsyncs_per_op", Json::from(fsyncs_per_op)),
            ("state_bytes_max", totals.state_bytes_max.into()),
            ("state_bytes_end", totals.state_bytes_end.into()),
            ("pruned", totals.counter("pruned").into()),
            ("prune_dropped", totals.counter("prune_dropped").into()),
            ("expired", totals.counter("expired").into()),
        ];
        figures.into_iter().map(|(name, figure)| (name.to_owned(), figure)).collect()
    }
}

fn sample(status: &Status) -> Sample {
    let bytes = &status.state_bytes;
    Sample {
        incarnation: status.incarnation,
        counters: [
            ("syncs", status.syncs),
            ("ops", status.ops.started),
            ("pruned", status.pruned),
            ("prune_dropped", status.prune_dropped),
            ("expired", status.expired),
        ]
        .into(),
        state: [
            ("keys", status.keys),
            ("data", bytes.data),
            ("promise", bytes.promise),
            ("accepted", bytes.accepted),
            ("dedupe", bytes.dedupe),
            ("queue", bytes.queue),
            ("prune_queue", status.prune_queue),
            ("pruned", status.pruned),
            ("prune_dropped", status.prune_dropped),
            ("expired", status.expired),
        ]
        .into(),
        state_bytes: bytes.total(),
        pending: status.prune_queue,
        raw: Json::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Flags, PaxosSettings};

    #[test]
    fn syncs_are_divided_by_nodes_and_operations() {
        let paxos = Paxos::new(PaxosSettings::check(&Flags::default()).expect("defaults"));
        let totals = Totals { counters: [("syncs", 38), ("ops", 19)].into(), ..Totals::default() };
        assert_eq!(paxos.summary(&totals, 2)["fsyncs_per_op"], 1.0);
        assert_eq!(paxos.summary(&Totals::default(), 3)["fsyncs_per_op"], Json::Null);
    }
}
