//! Counts acknowledged updates and their fates. The counts are figures, not a verdict: an element missing from the last
//! read is proved lost only if no order explains the history as a whole.

use super::Question;
use super::words::calls::{added_element, observed_element, repeated};
use crate::search::{ModelCall, ModelKind, SearchOp};
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;
use std::collections::BTreeMap;

/// Counts by name, summed over keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Counts(pub BTreeMap<&'static str, u64>);

impl Counts {
    /// Adds the counts of another key.
    pub fn add(&mut self, other: &Counts) {
        for (name, n) in &other.0 {
            *self.0.entry(name).or_default() += n;
        }
    }

    /// Formats the counts for the user: `12 acknowledged, 1 missing_from_last_read`.
    pub fn words(&self) -> String {
        self.0.iter().map(|(name, n)| format!("{n} {}", name.replace('_', " "))).collect::<Vec<_>>().join(", ")
    }

    /// Counts the updates of one key.
    pub fn of(question: &Question) -> Counts {
        let ops = &question.request.ops;
        Counts(match question.request.model {
            ModelKind::Set | ModelKind::ListAppend => grown(ops),
            ModelKind::Queue => queued(ops),
            ModelKind::Counter => updates(ops, "increments", |call| matches!(call, ModelCall::Increment { .. })),
            ModelKind::Mutex | ModelKind::OwnerMutex | ModelKind::FencedMutex => {
                updates(ops, "acquires", |call| matches!(call, ModelCall::Acquire(_)))
            }
            ModelKind::CasRegister | ModelKind::Text => BTreeMap::new(),
        })
    }
}

fn updates(ops: &[SearchOp], what: &'static str, of: fn(&ModelCall) -> bool) -> BTreeMap<&'static str, u64> {
    let acknowledged = ops.iter().filter(|op| of(&op.call) && op.completed.is_some()).count() as u64;
    let unknown = ops.iter().filter(|op| of(&op.call) && op.completed.is_none()).count() as u64;
    let (sure, open) = match what {
        "increments" => ("increments_acknowledged", "increments_unknown"),
        _ => ("acquires_acknowledged", "acquires_unknown"),
    };
    [(sure, acknowledged), (open, unknown)].into()
}

/// Returns when each element was first acknowledged, and the set of elements with only unknown outcomes.
fn acknowledged(ops: &[SearchOp]) -> (FxHashMap<i64, u64>, FxHashSet<i64>) {
    let (mut sure, mut maybe) = (FxHashMap::default(), FxHashSet::default());
    for op in ops {
        match (added_element(&op.call), op.completed) {
            (Some(element), Some(t)) => {
                let first = sure.entry(element).or_insert(t);
                *first = t.min(*first);
            }
            (Some(element), None) => drop(maybe.insert(element)),
            (None, _) => {}
        }
    }
    maybe.retain(|element| !sure.contains_key(element));
    (sure, maybe)
}

fn grown(ops: &[SearchOp]) -> BTreeMap<&'static str, u64> {
    let (sure, maybe) = acknowledged(ops);
    let mut counts: BTreeMap<&'static str, u64> = [("acknowledged", sure.len() as u64), ("unknown", maybe.len() as u64)].into();
    if ops.iter().any(|op| matches!(op.call, ModelCall::Remove { .. })) {
        return counts;
    }
    let mut times: Vec<u64> = ops.iter().filter_map(|op| added_element(&op.call)).filter_map(|e| sure.get(&e).copied()).collect();
    times.sort_unstable();
    let (mut strange, mut appeared, mut last) = (FxHashSet::default(), FxHashSet::default(), None);
    let (mut stale, mut twice) = (0, 0);
    let repeats = times.len() != sure.len();
    for op in ops {
        let seen = match &op.call {
            ModelCall::Members { members: Some(seen), .. } | ModelCall::Items { items: Some(seen) } => seen,
            _ => continue,
        };
        let mut known = 0;
        for element in seen {
            match sure.get(element) {
                Some(t) if *t < op.invoked => known += 1,
                Some(_) => {}
                None if maybe.contains(element) => drop(appeared.insert(*element)),
                None => drop(strange.insert(*element)),
            }
        }
        let before = times.partition_point(|t| *t < op.invoked);
        // If an element is added twice, its time is ambiguous, so only the last read is counted.
        stale += u64::from(!repeats && known < before);
        twice += u64::from(matches!(op.call, ModelCall::Members { twice: true, .. }) || repeated(&op.call).is_some());
        if last.is_none_or(|(t, _)| op.invoked >= t) {
            last = Some((op.invoked, seen));
        }
    }
    if let Some((t, seen)) = last {
        let seen: FxHashSet<i64> = seen.iter().copied().collect();
        let missing = ops.iter().filter_map(|op| added_element(&op.call)).collect::<FxHashSet<i64>>();
        let missing: Vec<&i64> = missing.difference(&seen).filter(|e| sure.get(e).is_some_and(|at| *at < t)).collect();
        counts.insert("missing_from_last_read", missing.len() as u64);
    }
    counts.insert("reads_missing_acknowledged", stale);
    counts.insert("reads_with_duplicates", twice);
    counts.insert("never_added", strange.len() as u64);
    counts.insert("unknown_but_seen", appeared.len() as u64);
    counts
}

fn queued(ops: &[SearchOp]) -> BTreeMap<&'static str, u64> {
    let (sure, maybe) = acknowledged(ops);
    let (mut out, mut twice, mut strange, mut appeared) = (FxHashSet::default(), 0, 0, 0);
    for item in ops.iter().filter_map(|op| observed_element(&op.call)) {
        if !out.insert(item) {
            twice += 1;
        } else if maybe.contains(&item) {
            appeared += 1;
        } else if !sure.contains_key(&item) {
            strange += 1;
        }
    }
    let left = ops.iter().filter(|op| op.completed.is_some()).filter_map(|op| added_element(&op.call)).filter(|i| !out.contains(i)).count();
    let count = |n: usize| n as u64;
    [
        ("acknowledged", count(sure.len())),
        ("unknown", count(maybe.len())),
        ("dequeued", count(out.len())),
        ("dequeued_twice", twice),
        ("never_enqueued", strange),
        ("unknown_but_seen", appeared),
        ("not_dequeued", count(left)),
    ]
    .into()
}
