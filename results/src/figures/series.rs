//! A run in slices of time: what `timeseries.json` holds and the charts draw.
//!
//! An op's latency belongs to the slice in which it was *due*: a stall shows where it began, not where it was over.

use crate::measure::{Latencies, round};
use crate::results_json::Percentiles;
use heckle_history::{Fate, History, Measure, Nanos, Outcome, Seen};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version of the format.
pub const SCHEMA: &str = "heckle.timeseries/1";
/// About so many slices fit a chart with a few pixels each.
const SLICES: u64 = 180;
/// Slice lengths that people read easily.
const LENGTHS_MS: [u64; 14] = [50, 100, 200, 250, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 300_000, 600_000];

/// A run in slices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Series {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// How long a slice is.
    pub slice_s: f64,
    /// The slices from time zero on, without a gap.
    pub slices: Vec<Slice>,
    /// What the ops sent to each node went through, slice by slice.
    #[serde(default)]
    pub nodes: Vec<NodeSlices>,
}

/// One node, slice by slice, by when its ops completed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct NodeSlices {
    /// Its name.
    pub name: String,
    /// Updates that took effect.
    pub won: Vec<u64>,
    /// Attempts that its ops took.
    pub rounds: Vec<u64>,
    /// How often it was outbid.
    pub preempted: Vec<u64>,
    /// Unfinished updates of others that it finished first.
    pub repairs: Vec<u64>,
    /// Time spent backing off.
    pub backoff_ms: Vec<f64>,
}

/// One slice.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Slice {
    /// Its beginning, since the start of the run.
    pub start_s: f64,
    /// Ops due in it.
    pub due: u64,
    /// Ops sent in it.
    pub invoked: u64,
    /// Ok answers that arrived in it.
    pub answered: u64,
    /// Of those sent in it: read, written, CAS applied.
    pub applied: u64,
    /// Of those sent in it: CAS refused.
    pub condition_not_met: u64,
    /// Of those sent in it: proved not to have happened.
    pub failed: u64,
    /// Of those sent in it: outcome unknown.
    pub unknown: u64,
    /// Of the unknown: found applied.
    pub unknown_applied: u64,
    /// Of the unknown: found not applied, for good.
    pub unknown_not_applied: u64,
    /// Of ok ops due in it, from when they were due; absent without any.
    pub latency_ms: Option<Percentiles>,
}

/// Cuts `history` into slices, of a length that suits its own.
pub fn of(history: &History) -> Series {
    of_length(history, slice_length(history.end))
}

/// The slice length for a history that ends at `end`.
pub fn slice_length(end: Nanos) -> Nanos {
    let wanted_ms = end.0 / 1_000_000 / SLICES;
    Nanos::from_ms(LENGTHS_MS.into_iter().find(|ms| *ms >= wanted_ms).unwrap_or(wanted_ms))
}

fn of_length(history: &History, length: Nanos) -> Series {
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

/// A history can claim any number, so sums stay at the end of their range.
fn add(sum: &mut u64, figure: Option<u64>) {
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
        if let Some(told) = &detail.diagnostics {
            add(&mut node.rounds[at], attempts(told));
            add(&mut node.preempted[at], preemptions(told));
            add(&mut node.repairs[at], repairs(told));
            node.backoff_ms[at] = round(node.backoff_ms[at] + backoff(told).unwrap_or(0) as f64 / 1e6, 3);
        }
    }
    nodes
}

impl Series {
    /// The text of a `timeseries.json`, a slice a line.
    pub fn to_json(&self) -> String {
        let line = |s: &Slice| serde_json::to_string(s).expect("numbers serialize");
        let slices: Vec<String> = self.slices.iter().map(line).collect();
        let nodes: Vec<String> = self.nodes.iter().map(|n| serde_json::to_string(n).expect("numbers serialize")).collect();
        let (slices, nodes) = (slices.join(",\n"), nodes.join(",\n"));
        format!("{{\"schema\":\"{}\",\"slice_s\":{},\"slices\":[\n{slices}\n],\"nodes\":[\n{nodes}\n]}}\n", self.schema, self.slice_s)
    }
}
