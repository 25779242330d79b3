//! Samples that nodes report every second: `nodes/<n>/metrics.jsonl`. Missing fields leave gaps, for example if a system does
//! not have them.

use crate::report::NodeFiles;
use heckle_history::History;
use serde::Serialize;
use serde_json::Value as Json;

/// Maximum number of samples per node. If there are more, only every second, third … one is drawn.
const MAX_SAMPLES: usize = 2_000;

/// The samples of a node, in columns.
#[derive(Debug, Default, Serialize)]
pub(super) struct NodeSamples {
    name: String,
    t: Vec<f64>,
    state_bytes: Vec<Option<u64>>,
    /// 99th percentile of sync times since the start of the process, in microseconds.
    sync_p99: Vec<Option<u64>>,
    syncs: Vec<Option<u64>>,
    preempted: Vec<Option<u64>>,
    open_ops: Vec<Option<u64>>,
}

pub(super) fn of(node: &NodeFiles, history: &History) -> Option<NodeSamples> {
    let origin = history.header.mono_origin_ns.unwrap_or(0);
    let lines: Vec<Json> = node.samples();
    let stride = lines.len().div_ceil(MAX_SAMPLES).max(1);
    let mut samples = NodeSamples { name: node.name.clone(), ..NodeSamples::default() };
    for line in lines.iter().step_by(stride) {
        let Some(mono_ns) = line["mono_ns"].as_u64() else { continue };
        samples.t.push(((mono_ns.saturating_sub(origin)) / 1_000) as f64 / 1e6);
        samples.state_bytes.push(state_bytes(line));
        samples.sync_p99.push(line["sync_latency"]["p99_us"].as_u64());
        samples.syncs.push(line["syncs"].as_u64());
        samples.preempted.push(line["preempted"].as_u64());
        samples.open_ops.push(line["open_ops"].as_u64());
    }
    (!samples.t.is_empty()).then_some(samples)
}

/// Returns the total over all kinds of state.
pub(crate) fn state_bytes(sample: &Json) -> Option<u64> {
    let kinds = sample["state_bytes"].as_object()?;
    Some(kinds.values().filter_map(Json::as_u64).sum())
}
