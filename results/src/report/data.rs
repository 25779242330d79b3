//! The data for the scripts of the page: one JSON object with columns of numbers. Here a history of a million operations is
//! reduced to grids and histograms. Individual operations are included up to a limit, and the page states how many were left out.

pub mod grid; // equal intervals of time
mod density; // operation counts by time and latency
mod kept; // the sample of operations that readers can open
mod curves; // percentile curves of groups of operations
mod slices; // counts over time
mod quantiles; // percentiles over time, by kind
mod samples; // samples that nodes report every second

pub(super) use samples::state_bytes as samples_state_bytes;

use super::PageInput;
use crate::measure::Window;
use heckle_history::{History, Nanos, Operation, Outcome, Seen};
use serde::Serialize;
use serde_json::Value as Json;

/// The whole object. Unless a name states otherwise, times are in seconds and latencies in microseconds.
#[derive(Debug, Serialize)]
pub(super) struct Data {
    end: f64,
    window: [f64; 2],
    timeout: Option<f64>,
    asked_per_s: Option<f64>,
    /// Number of operations in the history; `kept` may contain fewer.
    total: usize,
    keys: Vec<String>,
    nodes: Vec<String>,
    kinds: Vec<&'static str>,
    faults: Vec<Band>,
    marks: Vec<Mark>,
    slices: slices::Slices,
    quantiles: Vec<quantiles::Quantiles>,
    /// Times at which violations and crashes became visible, with their numbers.
    violations: Vec<(f64, u32)>,
    density: density::Density,
    kept: kept::OpColumns,
    curves: Vec<curves::Curve>,
    samples: Vec<samples::NodeSamples>,
}

/// A fault as shown in charts.
#[derive(Debug, Serialize)]
struct Band {
    id: u64,
    kind: String,
    targets: String,
    began: f64,
    ended: f64,
    healed: Option<f64>,
    /// Time at which the last affected node had completed an operation again.
    recovered: Option<f64>,
    effective: bool,
}

/// A node event as shown in charts.
#[derive(Debug, Serialize)]
struct Mark {
    t: f64,
    node: u16,
    what: String,
}

/// Maximum number of node events to mark. A node that crashes repeatedly has more than readers need.
const MAX_MARKS: usize = 2_000;

/// Kinds of calls, in the order of their codes.
const KINDS: [&str; 5] = ["read", "write", "cas", "get", "put"];
/// Kinds that use consensus come first. The others are included only if the history contains them.
const CONSENSUS_KINDS: usize = 3;

/// Computes the data for a run.
pub(super) fn of(subject: &PageInput<'_>) -> Data {
    let history = subject.history;
    let ends = EndedHistory { history };
    Data {
        end: seconds(history.end),
        window: [seconds(subject.measured.window.start), seconds(subject.measured.window.end)],
        timeout: history.header.op_timeout_ns.map(|ns| ns as f64 / 1e9),
        asked_per_s: subject.results.load.target_per_s,
        total: history.ops.len(),
        keys: history.names.keys().map(|(_, name)| name.to_owned()).collect(),
        nodes: history.names.nodes().map(|(_, name)| name.to_owned()).collect(),
        kinds: if history.ops.iter().any(|op| op.path.is_last_write_wins()) { KINDS.to_vec() } else { KINDS[..CONSENSUS_KINDS].to_vec() },
        faults: bands(subject),
        marks: marks(history),
        slices: slices::of(ends),
        quantiles: quantiles::of(history),
        violations: crate::charts::violations(history, subject.results),
        density: density::of(ends),
        kept: kept::of(ends, subject.results),
        curves: curves::of(ends, subject.measured),
        samples: subject.nodes.iter().filter_map(|node| samples::of(node, history)).collect(),
    }
}

fn bands(subject: &PageInput<'_>) -> Vec<Band> {
    let band = |f: &crate::faults::FaultWindow| {
        let ended = f.end(subject.history.end);
        let recovered = f.answered.map(seconds);
        let (began, healed, targets) = (seconds(f.began), f.healed.map(seconds), f.targets.join(" "));
        Band { id: f.id, kind: f.kind.clone(), targets, began, ended: seconds(ended), healed, recovered, effective: f.effective }
    };
    subject.measured.faults.iter().map(band).collect()
}

fn marks(history: &History) -> Vec<Mark> {
    let mark = |e: &heckle_history::event::NodeEvent| Mark { t: seconds(e.t), node: e.node.0, what: e.what.to_string() };
    history.node_events.iter().filter(|e| !e.is_routine()).take(MAX_MARKS).map(mark).collect()
}

/// Converts to seconds, rounded to the microsecond.
fn seconds(t: Nanos) -> f64 {
    (t.0 / 1_000) as f64 / 1e6
}

/// Converts a number for JavaScript, which represents integers beyond 2^53 exactly only as strings.
fn js_integer(n: i64) -> Json {
    if n.unsigned_abs() <= 1 << 53 { n.into() } else { n.to_string().into() }
}

/// A view of a history in which operations that never completed end with the history.
#[derive(Clone, Copy)]
struct EndedHistory<'a> {
    history: &'a History,
}

impl EndedHistory<'_> {
    fn completed(self, op: &Operation) -> Nanos {
        op.completed.min(self.history.end).max(op.invoked)
    }

    /// Returns the time from the due time to the end.
    fn took(self, op: &Operation) -> Nanos {
        self.completed(op).since(op.intended)
    }
}

/// How an operation ended, as distinguished by the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(into = "u8")]
enum End {
    Ok,
    NotMet,
    Failed,
    Unknown,
}

impl From<End> for u8 {
    fn from(end: End) -> u8 {
        match end {
            End::Ok => 0,
            End::NotMet => 1,
            End::Failed => 2,
            End::Unknown => 3,
        }
    }
}

impl End {
    fn of(op: &Operation) -> Self {
        match op.outcome {
            Outcome::Ok(Seen::ConditionNotMet(_)) => End::NotMet,
            Outcome::Ok(Seen::Applied | Seen::Written | Seen::Value(_)) => End::Ok,
            Outcome::Failed => End::Failed,
            Outcome::Unknown | Outcome::Open => End::Unknown,
        }
    }
}

/// Returns the code of the kind of a call.
fn kind(op: &Operation) -> u8 {
    KINDS.iter().position(|k| *k == op.name()).map_or(u8::MAX, |i| i as u8)
}

/// Whether an operation counts in figures: it was due in the load window.
fn under_load(window: Window, op: &Operation) -> bool {
    window.holds(op.intended)
}

#[cfg(test)]
mod tests {
    use super::*;
    use heckle_history::NodeIx;
    use heckle_history::event::{NodeEvent, STATE};

    #[test]
    fn periodic_samples_do_not_hide_single_events() {
        let event = |what: &str, t| NodeEvent { t: Nanos(t), node: NodeIx(0), what: what.into(), detail: Default::default() };
        let mut history = History::default();
        history.node_events.extend((0..MAX_MARKS as u64 * 2).map(|t| event(if t % 2 == 0 { STATE } else { "claim_extended" }, t)));
        history.node_events.push(event("exit", u64::MAX / 2));
        let shown: Vec<String> = marks(&history).into_iter().map(|m| m.what).collect();
        assert_eq!(shown, ["exit"]);
    }
}
