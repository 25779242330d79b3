//! Converts ops to events, for the formats with one line per event.

use super::event::{ForeignEvent, Kind};
use super::{Foreign, ForeignOp, ForeignOutcome};
use crate::ids::Nanos;
use rustc_hash::FxHashMap;
use serde_json::Value as Json;

/// Returns the sort rank of a completion among simultaneous events, where invokes have rank 1. A completion comes after
/// its own invoke, but before the next invoke of its process. The rank makes no difference to a verdict, since
/// intervals are closed.
pub(super) fn rank(op: &ForeignOp) -> u8 {
    if op.completed == Some(op.invoked) { 2 } else { 0 }
}

/// Returns the events of a history in the order in which event formats write them. A refused CAS becomes a read of the
/// value it found.
pub(super) fn unpair(foreign: &Foreign) -> Vec<(ForeignEvent, usize)> {
    let mut timed: Vec<(u64, u8, ForeignEvent)> = vec![];
    for (place, op) in foreign.ops.iter().enumerate() {
        let (f, argument, end) = match &op.outcome {
            ForeignOutcome::Ok(answer) => {
                let echo = if matches!(op.f.as_str(), "read" | "get") { answer } else { &op.argument };
                (op.f.clone(), op.argument.clone(), Some((Kind::Ok, echo.clone())))
            }
            ForeignOutcome::Refused(Some(found)) => ("read".to_owned(), Json::Null, Some((Kind::Ok, found.clone()))),
            ForeignOutcome::Refused(None) | ForeignOutcome::Failed => {
                (op.f.clone(), op.argument.clone(), Some((Kind::Fail, op.argument.clone())))
            }
            ForeignOutcome::Unknown if op.completed.is_some() => {
                (op.f.clone(), op.argument.clone(), Some((Kind::Info, op.argument.clone())))
            }
            ForeignOutcome::Unknown => (op.f.clone(), op.argument.clone(), None),
        };
        let event = |kind, value, t: Nanos| ForeignEvent {
            line: place as u64,
            process: op.process.clone(),
            kind,
            f: f.clone(),
            key: None,
            value: Some(value),
            time: Some(t.0),
        };
        timed.push((op.invoked.0, 1, event(Kind::Invoke, argument, op.invoked)));
        if let (Some((kind, value)), Some(t)) = (end, op.completed) {
            timed.push((t.0, rank(op), event(kind, value, t)));
        }
    }
    timed.sort_by_key(|(t, rank, _)| (*t, *rank));
    let instants = timed.chunk_by(|a, b| a.0 == b.0).flat_map(|instant| overlapping(instant.iter().map(|(_, _, e)| e.clone()).collect()));
    instants.zip(0..).collect()
}

/// Orders the events of one instant, with the invokes of idle processes first. Ops that touch overlap, but readers of
/// these formats use the order of the lines: a completion before an invoke would mean that one op completed before the
/// other started.
fn overlapping(instant: Vec<ForeignEvent>) -> Vec<ForeignEvent> {
    if instant.len() < 2 {
        return instant;
    }
    let mut queues: Vec<std::collections::VecDeque<ForeignEvent>> = vec![];
    let mut of: FxHashMap<super::Process, usize> = FxHashMap::default();
    let total = instant.len();
    for event in instant {
        let queue = *of.entry(event.process.clone()).or_insert(queues.len());
        if queue == queues.len() {
            queues.push(std::collections::VecDeque::new());
        }
        queues[queue].push_back(event);
    }
    let mut out = Vec::with_capacity(total);
    while out.len() < total {
        let invokes = |q: &std::collections::VecDeque<ForeignEvent>| q.front().is_some_and(|e| e.kind == Kind::Invoke);
        out.extend(queues.iter_mut().filter(|q| invokes(q)).filter_map(|q| q.pop_front()));
        if !queues.iter().any(invokes) {
            // Next come the completions that precede other events of their process, and finally all others.
            let waited_for = queues.iter().any(|q| q.len() > 1);
            out.extend(queues.iter_mut().filter(|q| q.len() > 1 || !waited_for).filter_map(|q| q.pop_front()));
        }
    }
    out
}
