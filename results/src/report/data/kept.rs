//! The operations that readers can open. In a short run these are all operations. In a long run they are the relevant ones
//! (the slowest of each interval, the failed and unknown ones, the counterexample) and an even sample of the others.

use super::grid::Grid;
use super::{End, EndedHistory, js_integer, kind};
use crate::results_json::Results;
use heckle_history::operation::Detail;
use heckle_history::{Call, Current, Fate, Measure, Names, Operation, Outcome, Seen, Value};
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;

/// Maximum number of operations, at about 80 bytes each.
const MAX_OPS: usize = 20_000;
/// Number of slowest operations to include per interval.
const SLOWEST_PER_INTERVAL: usize = 3;
/// Number of intervals in a run.
const INTERVALS: u64 = 640;
/// Maximum number of failed and unknown operations. If there are more, they are sampled evenly.
const MAX_WITHOUT_REPLY: usize = 6_000;
/// Maximum number of operations with all reported details, at about 150 bytes each.
const MAX_DETAILED: usize = 4_000;

/// Operations in columns. An index refers to the same operation in every column.
#[derive(Debug, Default, Serialize)]
pub(super) struct OpColumns {
    op: Vec<Json>,
    /// Due times in microseconds, each as the difference from the previous one.
    due: Vec<i64>,
    /// Microseconds from the due time to the invoke.
    wait: Vec<u64>,
    /// Microseconds from the due time to the end.
    took: Vec<u64>,
    /// 1 if the operation never completed.
    open: Vec<u8>,
    end: Vec<End>,
    kind: Vec<u8>,
    node: Vec<Option<u16>>,
    sent_to: Vec<Option<u16>>,
    key: Vec<u32>,
    process: Vec<u32>,
    client: Vec<Option<u32>>,
    /// The value that the operation wrote or tried to write.
    new: Vec<Json>,
    /// The expected value of a CAS.
    expected: Vec<Json>,
    /// The value that it returned: the result of a read, or the current value for a refused CAS.
    saw: Vec<Json>,
    rounds: Vec<u32>,
    preempted: Vec<u32>,
    backoff: Vec<u64>,
    /// Index into `reasons`.
    reason: Vec<Option<usize>>,
    reasons: Vec<String>,
    /// 1 for operations that are shown initially: slow, failed, unknown, or part of a counterexample.
    notable: Vec<u8>,
    /// Other details, by index.
    details: BTreeMap<usize, Map<String, Json>>,
    /// Number of failed and unknown operations in the history, and number of those included here.
    without_answer: [usize; 2],
}

pub(super) fn of(ends: EndedHistory<'_>, results: &Results) -> OpColumns {
    let ops = &ends.history.ops;
    let mut notable = slowest_ops(ends);
    let silent: Vec<u32> = (0u32..).zip(ops).filter(|(_, op)| matches!(End::of(op), End::Failed | End::Unknown)).map(|(i, _)| i).collect();
    let chosen: Vec<u32> = pick_evenly(&silent, MAX_WITHOUT_REPLY);
    notable.extend(&chosen);
    let named: FxHashSet<u64> = results.linearizability.violations.iter().flat_map(|v| v.ops.iter().copied()).collect();
    notable.extend((0u32..).zip(ops).filter(|(_, op)| named.contains(&op.op.0)).map(|(i, _)| i));
    let mut places: Vec<u32> = if ops.len() <= MAX_OPS {
        (0..ops.len() as u32).collect()
    } else {
        let rest: Vec<u32> = (0..ops.len() as u32).filter(|i| !notable.contains(i)).collect();
        notable.iter().copied().chain(pick_evenly(&rest, MAX_OPS.saturating_sub(notable.len()))).collect()
    };
    places.sort_unstable();
    let mut kept = OpColumns { without_answer: [silent.len(), chosen.len()], ..OpColumns::default() };
    let mut reasons: FxHashMap<Box<str>, usize> = FxHashMap::default();
    let mut before = 0;
    for place in places {
        let op = &ops[place as usize];
        let due = (op.intended.0 / 1_000) as i64;
        kept.due.push(due - before);
        before = due;
        kept.add(ends, place, op, notable.contains(&place), &mut reasons);
    }
    kept
}

/// Returns the slowest operations of each interval.
fn slowest_ops(ends: EndedHistory<'_>) -> FxHashSet<u32> {
    let grid = Grid::new(ends.history.end, INTERVALS);
    let mut best: Vec<Vec<(u64, u32)>> = vec![vec![]; grid.count];
    for (i, op) in (0u32..).zip(&ends.history.ops) {
        let moment = &mut best[grid.place(op.intended)];
        moment.push((ends.took(op).0, i));
        moment.sort_unstable_by(|a, b| b.cmp(a));
        moment.truncate(SLOWEST_PER_INTERVAL);
    }
    best.into_iter().flatten().map(|(_, i)| i).collect()
}

/// Returns at most `limit` of `places`, evenly spaced.
fn pick_evenly(places: &[u32], limit: usize) -> Vec<u32> {
    if places.len() <= limit {
        return places.to_vec();
    }
    (0..limit).map(|i| places[i * places.len() / limit]).collect()
}

impl OpColumns {
    fn add(&mut self, ends: EndedHistory<'_>, place: u32, op: &Operation, notable: bool, reasons: &mut FxHashMap<Box<str>, usize>) {
        let value = |v: Option<Value>| v.map_or(Json::Null, |v| js_integer(v.0));
        self.op.push(js_integer(i64::try_from(op.op.0).unwrap_or(i64::MAX)));
        self.wait.push(op.invoked.since(op.intended).0 / 1_000);
        self.took.push(ends.took(op).0 / 1_000);
        self.open.push(u8::from(op.outcome == Outcome::Open));
        self.end.push(End::of(op));
        self.kind.push(kind(op));
        self.node.push(op.node.map(|n| n.0));
        self.key.push(op.key.0);
        self.process.push(op.process.0);
        self.new.push(value(op.call.writes()));
        self.expected.push(match op.call {
            Call::Cas { expected, .. } => value(expected),
            Call::Read | Call::Write { .. } => Json::Null,
        });
        self.saw.push(match op.outcome {
            Outcome::Ok(Seen::Value(v) | Seen::ConditionNotMet(Current::Known(v))) => value(v),
            Outcome::Ok(Seen::Written | Seen::Applied | Seen::ConditionNotMet(Current::NotReported)) => Json::Null,
            Outcome::Failed | Outcome::Unknown | Outcome::Open => Json::Null,
        });
        let none = Detail::default();
        let detail = ends.history.details.get(place as usize).unwrap_or(&none);
        let names = &ends.history.names;
        let figure = |measure| detail.diagnostics.as_ref().and_then(names.reads(measure)).unwrap_or(0);
        self.sent_to.push(detail.sent_to.map(|n| n.0));
        self.client.push(detail.client.map(|c| c.0));
        self.rounds.push(saturating_u32(figure(Measure::Attempts)));
        self.preempted.push(saturating_u32(figure(Measure::Preemptions)));
        self.backoff.push(figure(Measure::Backoff) / 1_000);
        let reason = detail.reason.clone().map(|r| {
            let next = reasons.len();
            *reasons.entry(r.clone()).or_insert_with(|| {
                self.reasons.push(r.into());
                next
            })
        });
        self.reason.push(reason);
        self.notable.push(u8::from(notable));
        let rest = other_details(detail, names, ends.history.fates.get(&place).map(|(fate, t)| (*fate, super::seconds(*t))));
        if !rest.is_empty() && (notable || ends.history.ops.len() <= MAX_DETAILED) && self.details.len() < MAX_DETAILED {
            self.details.insert(self.op.len() - 1, rest);
        }
    }
}

/// Returns the details that have no column.
fn other_details(detail: &Detail, names: &Names, fate: Option<(Fate, f64)>) -> Map<String, Json> {
    let mut all = Map::new();
    if let Some((fate, t)) = fate {
        all.insert("fate".into(), json!(fate));
        all.insert("fate_t".into(), json!(t));
    }
    let counts = [
        ("intent", detail.intent.map(|i| js_integer(i64::try_from(i.0).unwrap_or(i64::MAX)))),
        ("attempt", detail.attempt.map(Json::from)),
        ("payload", detail.payload.map(js_integer)),
    ];
    all.extend(counts.into_iter().filter_map(|(name, n)| n.map(|n| (name.to_owned(), n))));
    // All figures that the system reported, except those with a column.
    for (id, figure) in detail.diagnostics.iter().flat_map(|d| d.iter()) {
        let info = names.figure_info(id);
        if !matches!(info.measure, Some(Measure::Attempts | Measure::Preemptions | Measure::Backoff)) {
            all.insert(info.name.to_string(), json!(figure));
        }
    }
    all
}

fn saturating_u32(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{self, Sample};

    fn kept(sample: Sample) -> (usize, OpColumns) {
        let history = sample::history(sample);
        (history.ops.len(), of(EndedHistory { history: &history }, &Results::default()))
    }

    #[test]
    fn a_short_run_is_complete_and_a_long_one_is_sampled() {
        let (total, short) = kept(Sample::default());
        assert_eq!(short.op.len(), total);
        let (total, long) = kept(Sample { rate_per_s: 2_000, ..Sample::default() });
        assert!(total > 2 * MAX_OPS && long.op.len() == MAX_OPS, "{} of {total}", long.op.len());
        for (name, column) in [("due", long.due.len()), ("took", long.took.len()), ("saw", long.saw.len()), ("notable", long.notable.len())]
        {
            assert_eq!(column, MAX_OPS, "{name}");
        }
    }

    #[test]
    fn the_slowest_operation_is_always_included() {
        let history = sample::history(Sample { rate_per_s: 2_000, ..Sample::default() });
        let ends = EndedHistory { history: &history };
        let slowest = history.ops.iter().max_by_key(|op| ends.took(op)).unwrap();
        let kept = of(ends, &Results::default());
        let place = kept.op.iter().position(|op| op.as_u64() == Some(slowest.op.0)).expect("kept");
        assert_eq!((kept.took[place], kept.notable[place]), (ends.took(slowest).0 / 1_000, 1));
    }
}
