//! Time series of a run: the contents of `timeseries.json`, which the charts draw.
//!
//! The latency of an operation belongs to the slice in which it was *due*, so a stall shows up where it began, not where it ended.

use crate::measure::{Latencies, round};
use crate::results_json::Percentiles;
use heckle_history::{Fate, History, Measure, Nanos, Outcome, Seen};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version of the format.
pub const SCHEMA: &str = "heckle.timeseries/1";
/// Target number of slices: about as many as fit into a chart with a few pixels each.
const TARGET_SLICES: u64 = 180;
/// Slice lengths that are easy to read.
const LENGTHS_MS: [u64; 14] = [50, 100, 200, 250, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 300_000, 600_000];

/// The time series of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Series {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// Length of a slice.
    pub slice_s: f64,
    /// Slices from the start of the run, without gaps.
    pub slices: Vec<Slice>,
    /// Figures of the operations sent to each node, per slice.
    #[serde(default)]
    pub nodes: Vec<NodeSlices>,
}

/// The figures of one node per slice, by the completion time of its operations.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct NodeSlices {
    /// Name of the node.
    pub name: String,
    /// Number of updates that took effect.
    pub won: Vec<u64>,
    /// Attempts of its operations inside the system.
    pub rounds: Vec<u64>,
    /// Number of times that its operations were outbid.
    pub preempted: Vec<u64>,
    /// Unfinished updates of other operations that it completed first.
    pub repairs: Vec<u64>,
    /// Time that its operations spent backing off.
    pub backoff_ms: Vec<f64>,
}

/// The figures of one slice.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Slice {
    /// Start of the slice, since the start of the run.
    pub start_s: f64,
    /// Operations due in the slice.
    pub due: u64,
    /// Operations sent in the slice.
    pub invoked: u64,
    /// Ok replies that arrived in the slice.
    pub answered: u64,
    /// Operations sent in the slice that were reads, writes or applied CASes.
    pub applied: u64,
    /// CASes sent in the slice and refused.
    pub condition_not_met: u64,
    /// Operations sent in the slice and proved not to have happened.
    pub failed: u64,
    /// Operations sent in the slice whose outcome is unknown.
    pub unknown: u64,
    /// Unknown operations later found to be applied.
    pub unknown_applied: u64,
    /// Unknown operations later found never to be applied.
    pub unknown_not_applied: u64,
    /// Latency from the due time, of ok operations due in the slice; absent if there were none.
    pub latency_ms: Option<Percentiles>,
}

/// Computes the time series of `history`, with a slice length that suits its duration.
pub fn of(history: &History) -> Series {
    with_slice_length(history, slice_length(history.end))
}

/// Returns the slice length for a history that ends at `end`.
pub fn slice_length(end: Nanos) -> Nanos {
    let wanted_ms = end.0 / 1_000_000 / TARGET_SLICES;
    Nanos::from_ms(LENGTHS_MS.into_iter().find(|ms| *ms >= wanted_ms).unwrap_or(wanted_ms))
}

fn with_slice_length(history: &History, length: Nanos) -> Series {
    let place = |t: Nanos| (t.0.min(history.end.0) / length.0) as usize;
    let count = place(history.end) + 1;
    let mut slices: Vec<Slice> =
        (0..count).map(|i| Slice { start_s: round(i as f64 * length.as_secs_f64(), 3), ..Slice::default() }).collect();
    let mut latency: Vec<Option<Latencies>> = vec![None; count];
    for (at, op) in (0u32..).zip(&history.ops) {
        slices[place(op.intended)].due += 1;
        let sent = &mut slices[place(op.invoked)];
        sent.invoked += 1;
        match op.outcome {
            Outcome::Ok(Seen::ConditionNotMet(_)) => sent.condition_not_met += 1,
            Outcome::Ok(Seen::Applied | Seen::Written | Seen::Value(_)) => sent.applied += 1,
            Outcome::Failed => sent.failed += 1,
            Outcome::Unknown | Outcome::Open => {
                sent.unknown += 1;
                match history.fates.get(&at) {
                    Some((Fate::Applied, _)) => sent.unknown_applied += 1,
                    Some((Fate::NotApplied, _)) => sent.unknown_not_applied += 1,
                    Some((Fate::Evicted | Fate::Unresolved, _)) | None => {}
                }
            }
        }
        if let Outcome::Ok(_) = op.outcome {
            slices[place(op.completed)].answered += 1;
            latency[place(op.intended)].get_or_insert_with(Latencies::new).add(op.completed.since(op.intended));
        }
    }
    for (slice, latencies) in slices.iter_mut().zip(&latency) {
        slice.latency_ms = latencies.as_ref().map(Latencies::percentiles);
    }
    let nodes = nodes(history, count, place);
    Series { schema: SCHEMA.into(), slice_s: length.as_secs_f64(), slices, nodes }
}

/// A history may contain arbitrarily large numbers, so sums saturate.
fn add_saturating(sum: &mut u64, figure: Option<u64>) {
    *sum = sum.saturating_add(figure.unwrap_or(0));
}

fn nodes(history: &History, count: usize, place: impl Fn(Nanos) -> usize) -> Vec<NodeSlices> {
    let empty = |(_, name): (_, &str)| NodeSlices {
        name: name.to_owned(),
        won: vec![0; count],
        rounds: vec![0; count],
        preempted: vec![0; count],
        repairs: vec![0; count],
        backoff_ms: vec![0.0; count],
    };
    let read = |measure| history.names.reads(measure);
    let (attempts, backoff) = (read(Measure::Attempts), read(Measure::Backoff));
    let (preemptions, repairs) = (read(Measure::Preemptions), read(Measure::Repairs));
    let mut nodes: Vec<NodeSlices> = history.names.nodes().map(empty).collect();
    for (op, detail) in history.ops.iter().zip(&history.details) {
        let Some(node) = detail.sent_to.or(op.node).and_then(|n| nodes.get_mut(usize::from(n.0))) else { continue };
        let at = place(op.completed);
        node.won[at] += u64::from(matches!(op.outcome, Outcome::Ok(Seen::Applied | Seen::Written)));
        if let Some(figures) = &detail.diagnostics {
            add_saturating(&mut node.rounds[at], attempts(figures));
            add_saturating(&mut node.preempted[at], preemptions(figures));
            add_saturating(&mut node.repairs[at], repairs(figures));
            node.backoff_ms[at] = round(node.backoff_ms[at] + backoff(figures).unwrap_or(0) as f64 / 1e6, 3);
        }
    }
    nodes
}

impl Series {
    /// Returns the text of `timeseries.json`, with one slice per line.
    pub fn to_json(&self) -> String {
        let line = |s: &Slice| serde_json::to_string(s).expect("numbers serialize");
        let slices: Vec<String> = self.slices.iter().map(line).collect();
        let nodes: Vec<String> = self.nodes.iter().map(|n| serde_json::to_string(n).expect("numbers serialize")).collect();
        let (slices, nodes) = (slices.join(",\n"), nodes.join(",\n"));
        format!("{{\"schema\":\"{}\",\"slice_s\":{},\"slices\":[\n{slices}\n],\"nodes\":[\n{nodes}\n]}}\n", self.schema, self.slice_s)
    }
}
