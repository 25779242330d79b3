//! What the page's scripts draw from: one JSON object, columns of numbers. A history of a million ops is counted here
//! into grids and histograms; ops themselves are in it only up to a limit, and what was left out is said.

pub mod grid; // time cut into even pieces
mod density; // how many ops lie where in time and latency
mod kept; // the ops that a reader can open
mod curves; // percentile curves of parts of the ops
mod slices; // counts and quantiles over time
mod samples; // what nodes said of themselves once a second

pub(super) use samples::state_bytes as samples_state_bytes;

use super::Subject;
use crate::measure::Window;
use heckle_history::{History, Nanos, Operation, Outcome, Seen};
use serde::Serialize;
use serde_json::Value as Json;

/// The whole object. Times are seconds, latencies microseconds, unless a name says otherwise.
#[derive(Debug, Serialize)]
pub(super) struct Data {
    end: f64,
    window: [f64; 2],
    timeout: Option<f64>,
    asked_per_s: Option<f64>,
    /// All ops of the history; `kept` may hold fewer.
    total: usize,
    keys: Vec<String>,
    nodes: Vec<String>,
    kinds: Vec<&'static str>,
    faults: Vec<Band>,
    marks: Vec<Mark>,
    slices: slices::Slices,
    density: density::Density,
    kept: kept::Kept,
    curves: Vec<curves::Curve>,
    samples: Vec<samples::NodeSamples>,
}

/// A fault as charts show it.
#[derive(Debug, Serialize)]
struct Band {
    id: u64,
    kind: String,
    targets: String,
    began: f64,
    ended: f64,
    healed: Option<f64>,
    /// When the last struck node answered again.
    recovered: Option<f64>,
    effective: bool,
}

/// Something a node did, as charts show it.
#[derive(Debug, Serialize)]
struct Mark {
    t: f64,
    node: u16,
    what: String,
}

/// So many node events are marked; a node that dies over and over has more than anybody reads.
const MAX_MARKS: usize = 2_000;

/// Kinds of call in the order of their codes.
const KINDS: [&str; 5] = ["read", "write", "cas", "get", "put"];
/// Those that go through consensus come first; the others are offered only where there are any.
const KINDS_OF_CONSENSUS: usize = 3;

/// The object for a run.
pub(super) fn of(subject: &Subject<'_>) -> Data {
    let history = subject.history;
    let ends = Ends { history };
    Data {
        end: seconds(history.end),
        window: [seconds(subject.measured.window.start), seconds(subject.measured.window.end)],
        timeout: history.header.op_timeout_ns.map(|ns| ns as f64 / 1e9),
        asked_per_s: subject.results.load.target_per_s,
        total: history.ops.len(),
        keys: history.names.keys().map(|(_, name)| name.to_owned()).collect(),
        nodes: history.names.nodes().map(|(_, name)| name.to_owned()).collect(),
        kinds: if history.ops.iter().any(|op| op.path.is_last_write_wins()) {
            KINDS.to_vec()
        } else {
            KINDS[..KINDS_OF_CONSENSUS].to_vec()
        },
        faults: bands(subject),
        marks: marks(history),
        slices: slices::of(ends),
        density: density::of(ends),
        kept: kept::of(ends, subject.results),
        curves: curves::of(ends, subject.measured),
        samples: subject.nodes.iter().filter_map(|node| samples::of(node, history)).collect(),
    }
}

fn bands(subject: &Subject<'_>) -> Vec<Band> {
    let band = |f: &crate::faults::Disturbance| {
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

/// Seconds, to the microsecond.
fn seconds(t: Nanos) -> f64 {
    (t.0 / 1_000) as f64 / 1e6
}

/// A number as JavaScript keeps it: beyond 2^53 only a string is exact.
fn exact(n: i64) -> Json {
    if n.unsigned_abs() <= 1 << 53 { n.into() } else { n.to_string().into() }
}

/// A history whose ops all have an end: what never completed ends with the history.
#[derive(Clone, Copy)]
struct Ends<'a> {
    history: &'a History,
}

impl Ends<'_> {
    fn completed(self, op: &Operation) -> Nanos {
        op.completed.min(self.history.end).max(op.invoked)
    }

    /// From when it was due to its end.
    fn took(self, op: &Operation) -> Nanos {
        self.completed(op).since(op.intended)
    }
}

/// How an op ended, as the page tells ends apart.
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

/// The code of a call's kind.
fn kind(op: &Operation) -> u8 {
    KINDS.iter().position(|k| *k == op.name()).map_or(u8::MAX, |i| i as u8)
}

/// Whether an op counts towards figures: it was due under load.
fn under_load(window: Window, op: &Operation) -> bool {
    window.holds(op.intended)
}

#[cfg(test)]
mod tests {
    use super::*;
    use heckle_history::NodeIx;
    use heckle_history::event::{NodeEvent, STATE};

    #[test]
    fn what_happens_once_does_not_drown_in_what_is_told_each_second() {
        let event = |what: &str, t| NodeEvent { t: Nanos(t), node: NodeIx(0), what: what.into(), detail: Default::default() };
        let mut history = History::default();
        history.node_events.extend((0..MAX_MARKS as u64 * 2).map(|t| event(if t % 2 == 0 { STATE } else { "claim_extended" }, t)));
        history.node_events.push(event("exit", u64::MAX / 2));
        let shown: Vec<String> = marks(&history).into_iter().map(|m| m.what).collect();
        assert_eq!(shown, ["exit"]);
    }
}
