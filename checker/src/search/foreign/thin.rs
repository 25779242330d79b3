//! Computes the figures of the vacuity check for a foreign history of any model.

use crate::checks::vacuity::{Span, contended};
use heckle_history::foreign::{ForeignOp, ForeignOutcome};
use rustc_hash::FxHashMap;

/// The figures of a foreign history.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Figures {
    /// Number of ops that overlapped an update of another process on their key.
    pub(super) contended: u64,
    /// Number of updates that took effect.
    pub(super) updates: u64,
}

/// Names of ops that only observe.
const OBSERVERS: [&str; 3] = ["read", "get", "contains"];

pub(super) fn figures(ops: &[ForeignOp]) -> Figures {
    let mut processes = FxHashMap::default();
    let mut keys: FxHashMap<&str, Vec<Span>> = FxHashMap::default();
    let mut order = vec![];
    let end = ops.iter().map(|op| op.completed.unwrap_or(op.invoked)).max().unwrap_or_default();
    let mut figures = Figures::default();
    for op in ops {
        let next = processes.len() as u32;
        let process = *processes.entry(&op.process).or_insert(next);
        let updates = !OBSERVERS.contains(&op.f.as_str()) && !matches!(op.outcome, ForeignOutcome::Failed | ForeignOutcome::Refused(_));
        figures.updates += u64::from(updates && matches!(op.outcome, ForeignOutcome::Ok(_)));
        let spans = keys.entry(&op.key).or_insert_with(|| {
            order.push(op.key.as_str());
            vec![]
        });
        spans.push(Span { process, from: op.invoked, to: op.completed.unwrap_or(end), updates });
    }
    figures.contended = order.iter().map(|key| contended(&keys[key])).sum();
    figures
}
