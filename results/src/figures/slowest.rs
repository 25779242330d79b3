//! The slowest operations of a run, with the reasons found in the history.

use crate::charts::axis::duration;
use crate::measure::Measured;
use heckle_history::{Diagnostics, History, Measure, Names, Nanos, Operation, Outcome};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// An operation with the reasons for its latency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlowOp {
    /// Its index in the operations of the history.
    pub place: u32,
    /// Time from when it was due until it ended.
    pub took: Nanos,
    /// The reasons, largest first.
    pub why: Vec<String>,
}

/// Returns the `wanted` slowest operations of the load window, slowest first.
pub fn of(history: &History, measured: &Measured, wanted: usize) -> Vec<SlowOp> {
    let mut slowest: BinaryHeap<Reverse<(Nanos, u32)>> = BinaryHeap::new();
    for (place, op) in (0u32..).zip(&history.ops).filter(|(_, op)| measured.window.holds(op.intended)) {
        slowest.push(Reverse((time_taken(history, op), place)));
        if slowest.len() > wanted {
            slowest.pop();
        }
    }
    let mut slowest: Vec<(Nanos, u32)> = slowest.into_iter().map(|Reverse(x)| x).collect();
    slowest.sort_unstable_by(|a, b| b.cmp(a));
    slowest.into_iter().map(|(took, place)| SlowOp { place, took, why: why(history, measured, place) }).collect()
}

/// Returns the time from the due time of an operation to its end. An operation that never completed ends with the history.
pub fn time_taken(history: &History, op: &Operation) -> Nanos {
    op.completed.min(history.end).since(op.intended)
}

/// Returns the reasons for the latency of the operation at index `place`.
pub fn why(history: &History, measured: &Measured, place: u32) -> Vec<String> {
    let op = &history.ops[place as usize];
    let detail = history.details.get(place as usize);
    let took = time_taken(history, op);
    let ms = |t: Nanos| duration(t.as_ms_f64());
    let mut why: Vec<(u64, String)> = vec![];
    let waited = op.invoked.since(op.intended);
    // A delay of less than a tenth of the total explains little, so it is left out.
    if waited.0 * 10 > took.0 {
        why.push((waited.0, format!("sent {} after it was due", ms(waited))));
    }
    if let Some(reported) = detail.and_then(|d| d.diagnostics.as_ref()) {
        attempts(reported, &history.names, took, &mut why);
    }
    let node = op.node.map(|n| history.names.node_name(n));
    let at = node.map_or(String::new(), |n| format!(" at {n}"));
    match op.outcome {
        Outcome::Ok(_) => {}
        Outcome::Failed | Outcome::Unknown => {
            let reason = detail.and_then(|d| d.reason.as_deref()).unwrap_or("no reason was given").replace('_', " ");
            why.push((took.0, format!("no answer{at}: {reason}")));
        }
        Outcome::Open => why.push((took.0, format!("never completed{at}"))),
    }
    let end = op.completed.min(history.end);
    for fault in measured.faults.iter().filter(|f| f.began <= end && f.end(measured.end) >= op.intended) {
        let (a, b) = (fault.began.max(op.intended), fault.end(measured.end).min(end));
        let whose = if node.is_some_and(|n| fault.targets == [n]) { ", which struck its node" } else { "" };
        why.push((b.since(a).0, format!("{} of it under fault {} ({}){whose}", ms(b.since(a)), fault.id, fault.label())));
    }
    // Reasons may overlap in time, so sort them by size instead of adding them up.
    why.sort_by_key(|(share, _)| Reverse(*share));
    let mut why: Vec<String> = why.into_iter().map(|(_, words)| words).collect();
    if why.is_empty() {
        why.push(format!("nothing recorded explains it; the node{at} answered at once without a fault near it"));
    }
    why
}

fn attempts(reported: &Diagnostics, names: &Names, took: Nanos, why: &mut Vec<(u64, String)>) {
    let figure = |measure| names.reads(measure)(reported).unwrap_or(0);
    let (attempts, outbid) = (figure(Measure::Attempts), figure(Measure::Preemptions));
    let backoff = Nanos(figure(Measure::Backoff));
    if attempts > 1 {
        let outbid = if outbid > 0 { format!(", outbid {outbid} times") } else { String::new() };
        let waited = if backoff.0 > 0 { format!(", {} of backing off", duration(backoff.as_ms_f64())) } else { String::new() };
        // The time of each attempt is not recorded. Attempts took at least as long as the backoff. They rank behind reasons
        // with recorded times.
        why.push((backoff.0.max(took.0 / 10), format!("{attempts} rounds{outbid}{waited}")));
    }
    let repairs = figure(Measure::Repairs);
    if repairs > 0 {
        why.push((1, format!("finished {repairs} unfinished updates of others first")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure;
    use crate::sample::{self, Sample};

    #[test]
    fn the_slowest_come_first_with_reasons() {
        let history = sample::history(Sample::default());
        let measured = measure::analyze(&history);
        let slow = of(&history, &measured, 20);
        assert_eq!(slow.len(), 20);
        assert!(slow.is_sorted_by(|a, b| a.took >= b.took));
        let most = history.ops.iter().filter(|op| measured.window.holds(op.intended)).map(|op| time_taken(&history, op)).max();
        assert_eq!(most, Some(slow[0].took));
        assert!(slow.iter().all(|s| s.why.iter().any(|w| w.contains("under fault"))), "{slow:#?}");
        assert!(slow.iter().any(|s| s.why[0] == "no answer at n3: timeout"), "{slow:#?}");
        assert!(slow.iter().any(|s| s.why.iter().any(|w| w.contains("rounds, outbid"))), "{slow:#?}");
    }
}
