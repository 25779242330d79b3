//! Measures concurrency and contention, because a history in which nothing could have gone wrong proves nothing.
//!
//! An op is *contended* if it overlaps an update of another process on its key: only such an op has more than one
//! possible position. An op that its client gave up counts for as long as the client waited.

use super::{CheckResult, result};
use crate::verdict::Verdict;
use heckle_history::{History, Nanos, Operation, Outcome, Seen};
use rustc_hash::FxHashMap;
use serde_json::json;

/// With fewer contended ops than this, the verdict is not meaningful.
const MIN_CONTENDED: u64 = 20;

/// With fewer effective updates than this, there were too few states to detect a violation.
const MIN_UPDATES: u64 = 20;

/// Measures the history. If it is vacuous, the verdict is unknown with `strict`, otherwise valid with a warning.
pub fn check(history: &History, strict: bool) -> CheckResult {
    let effective = |o: &&Operation| matches!(o.outcome, Outcome::Ok(Seen::Written | Seen::Applied));
    let updates = history.ops.iter().filter(effective).count() as u64;
    let refused = history.ops.iter().filter(|o| matches!(o.outcome, Outcome::Ok(Seen::ConditionNotMet(_)))).count() as u64;
    let unknown = history.ops.iter().filter(|o| matches!(o.outcome, Outcome::Unknown | Outcome::Open)).count() as u64;
    let (mut of_all, mut most) = (0, 0);
    for places in history.by_key() {
        let spans: Vec<Span> = places.iter().map(|&p| Span::of(&history.ops[p as usize], history.end)).collect();
        of_all += contended(&spans);
        most = most.max(max_open(&spans));
    }
    let (contended, why) = (of_all, thin(of_all, updates));
    let share = contended as f64 / (history.ops.len().max(1)) as f64;
    let vacuous = why.is_some();
    let (verdict, words) = match (why, strict) {
        (None, _) => {
            (Verdict::Valid, format!("{contended} of {} ops were contended, at most {most} at once on one key", history.ops.len()))
        }
        (Some(why), true) => (Verdict::Unknown, format!("a valid verdict would mean little: {why}")),
        (Some(why), false) => (Verdict::Valid, format!("warning: a valid verdict means little here: {why}")),
    };
    let figure = [
        ("ops", json!(history.ops.len())),
        ("effective_updates", json!(updates)),
        ("condition_not_met", json!(refused)),
        ("unknown", json!(unknown)),
        ("contended_ops", json!(contended)),
        ("contended_share", json!(share)),
        ("most_at_once_on_a_key", json!(most)),
        ("vacuous", json!(vacuous)),
    ];
    result("vacuity", verdict, words, figure)
}

/// Explains why the counts are too low to be evidence; `None` if they are sufficient.
pub fn thin(contended: u64, updates: u64) -> Option<String> {
    let mut why = vec![];
    if contended < MIN_CONTENDED {
        why.push(format!("{contended} ops overlapped an update of another process on their key, {MIN_CONTENDED} would be evidence"));
    }
    if updates < MIN_UPDATES {
        why.push(format!("{updates} updates took effect, {MIN_UPDATES} would be evidence"));
    }
    (!why.is_empty()).then(|| why.join("; "))
}

/// The data of one op that is needed to compute overlaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The calling process.
    pub process: u32,
    /// When it was invoked.
    pub from: Nanos,
    /// When it completed, its client gave up, or the history ended.
    pub to: Nanos,
    /// Whether it may have changed the key.
    pub updates: bool,
}

impl Span {
    fn of(op: &Operation, end: Nanos) -> Span {
        let updates = op.call.writes().is_some() && op.outcome != Outcome::Failed;
        Span { process: op.process.0, from: op.invoked, to: op.completed.min(end).max(op.invoked), updates }
    }
}

/// Updates by their ends, for counting those that overlap.
#[derive(Debug, Default)]
struct Ends {
    from: Vec<Nanos>,
    to: Vec<Nanos>,
}

impl Ends {
    fn add(&mut self, span: &Span) {
        self.from.push(span.from);
        self.to.push(span.to);
    }

    fn sort(&mut self) {
        self.from.sort_unstable();
        self.to.sort_unstable();
    }

    /// Number of updates that overlap the closed interval: those that started by its end, minus those that ended before
    /// its start.
    fn overlapping(&self, span: &Span) -> usize {
        self.from.partition_point(|t| *t <= span.to) - self.to.partition_point(|t| *t < span.from)
    }
}

/// Number of ops of a key that overlap an update of another process, in O(n log n), because the number of open ops is
/// not bounded.
pub fn contended(spans: &[Span]) -> u64 {
    let mut all = Ends::default();
    let mut own: FxHashMap<u32, Ends> = FxHashMap::default();
    for span in spans.iter().filter(|span| span.updates) {
        all.add(span);
        own.entry(span.process).or_default().add(span);
    }
    all.sort();
    own.values_mut().for_each(Ends::sort);
    let others = |span: &&Span| all.overlapping(span) > own.get(&span.process).map_or(0, |own| own.overlapping(span));
    spans.iter().filter(others).count() as u64
}

/// Largest number of simultaneously open ops.
fn max_open(spans: &[Span]) -> u64 {
    let mut all = Ends::default();
    spans.iter().for_each(|span| all.add(span));
    all.sort();
    let open = |(began, from): (usize, &Nanos)| began + 1 - all.to.partition_point(|t| t < from);
    all.from.iter().enumerate().map(open).max().unwrap_or(0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use heckle_history::prng::Seed;
    use rand::RngExt;

    /// Counts contended ops by comparing every pair.
    fn by_pairs(spans: &[Span]) -> u64 {
        let overlap = |a: &Span, b: &Span| a.from <= b.to && b.from <= a.to;
        let hit = |a: &&Span| spans.iter().any(|b| b.updates && b.process != a.process && overlap(a, b));
        spans.iter().filter(hit).count() as u64
    }

    #[test]
    fn sorted_counting_matches_pairwise_counting() {
        for n in 0..2_000 {
            let mut rng = Seed(n).stream("spans");
            let count = rng.random_range(0..12u32);
            let spans: Vec<Span> = (0..count)
                .map(|_| {
                    let from = rng.random_range(0..20u64);
                    let to = Nanos(from + rng.random_range(0..8u64));
                    Span { process: rng.random_range(0..4u32), from: Nanos(from), to, updates: rng.random_bool(0.5) }
                })
                .collect();
            assert_eq!(contended(&spans), by_pairs(&spans), "case {n}: {spans:?}");
            let most = spans.iter().map(|a| spans.iter().filter(|b| b.from <= a.from && a.from <= b.to).count()).max().unwrap_or(0);
            assert_eq!(max_open(&spans), most as u64, "case {n}: {spans:?}");
        }
    }
}
