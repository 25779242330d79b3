//! Measures concurrency and contention, because a history in which nothing could have gone wrong proves nothing.
//!
//! An op is *contended* if it overlaps an update of another process on its key: only then does it have more than one
//! possible position. An op that its client abandoned counts for as long as the client waited.

use super::{CheckResult, result};
use crate::verdict::Verdict;
use heckle_history::{History, Nanos, Operation, Outcome, Seen};
use serde_json::json;

/// Minimum number of contended ops for a meaningful verdict.
const MIN_CONTENDED: u64 = 20;

/// Minimum number of effective updates. With fewer, there are too few states to detect a violation.
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
    let (contended, why) = (of_all, insufficient_reason(of_all, updates));
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
pub fn insufficient_reason(contended: u64, updates: u64) -> Option<String> {
    let mut why = vec![];
    if contended < MIN_CONTENDED {
        why.push(format!("{contended} ops overlapped an update of another process on their key, {MIN_CONTENDED} would be evidence"));
    }
    if updates < MIN_UPDATES {
        why.push(format!("{updates} updates took effect, {MIN_UPDATES} would be evidence"));
    }
    (!why.is_empty()).then(|| why.join("; "))
}

/// The data of one op needed to compute overlaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The process that called the op.
    pub process: u32,
    /// When the op was invoked.
    pub from: Nanos,
    /// When the op completed, its client gave up, or the history ended.
    pub to: Nanos,
    /// Whether the op may have changed the key.
    pub updates: bool,
}

impl Span {
    fn of(op: &Operation, end: Nanos) -> Span {
        let updates = op.call.writes().is_some() && op.outcome != Outcome::Failed;
        Span { process: op.process.0, from: op.invoked, to: op.completed.min(end).max(op.invoked), updates }
    }
}

/// The next updates after an op, in the order of spans.
#[derive(Debug, Clone, Copy, Default)]
struct NextUpdates {
    next: Option<Span>,
    /// The next update by a different process from the one of `next`.
    of_another: Option<Span>,
}

/// Of the updates so far, the one that ends last, and the one of another process that ends last.
#[derive(Debug, Clone, Copy, Default)]
struct LatestEnds {
    latest: Option<Span>,
    of_another: Option<Span>,
}

impl LatestEnds {
    fn add(&mut self, span: Span) {
        let ends_later = |than: Option<Span>| than.is_none_or(|other| other.to < span.to);
        match self.latest {
            Some(latest) if latest.process == span.process => {
                self.latest = Some(if ends_later(self.latest) { span } else { latest });
            }
            _ if ends_later(self.latest) => (self.latest, self.of_another) = (Some(span), self.latest),
            _ if ends_later(self.of_another) => self.of_another = Some(span),
            _ => {}
        }
    }
}

/// Returns whichever of the two belongs to another process.
fn other_than(process: u32, one: Option<Span>, of_another: Option<Span>) -> Option<Span> {
    one.filter(|span| span.process != process).or(of_another)
}

/// Counts the ops of a key that overlap an update of another process. If the spans are sorted by start time, this takes linear
/// time, which matters because the number of open ops is not bounded.
///
/// If any span that starts before an op overlaps it, the one that ends last does; of the spans that start after it, the first one.
pub fn contended(spans: &[Span]) -> u64 {
    if !spans.is_sorted_by_key(|span| span.from) {
        let mut sorted = spans.to_vec();
        sorted.sort_by_key(|span| span.from);
        return contended(&sorted);
    }
    let mut after = vec![false; spans.len()];
    let mut coming = NextUpdates::default();
    for (span, after) in spans.iter().zip(&mut after).rev() {
        *after = other_than(span.process, coming.next, coming.of_another).is_some_and(|next| next.from <= span.to);
        if span.updates {
            let same = coming.next.is_some_and(|next| next.process == span.process);
            coming = NextUpdates { next: Some(*span), of_another: if same { coming.of_another } else { coming.next } };
        }
    }
    let mut before = LatestEnds::default();
    let mut count = 0;
    for (span, after) in spans.iter().zip(after) {
        let earlier = other_than(span.process, before.latest, before.of_another);
        count += u64::from(after || earlier.is_some_and(|earlier| earlier.to >= span.from));
        if span.updates {
            before.add(*span);
        }
    }
    count
}

/// Returns the maximum number of simultaneously open ops.
fn max_open(spans: &[Span]) -> u64 {
    let mut from: Vec<Nanos> = spans.iter().map(|span| span.from).collect();
    let mut to: Vec<Nanos> = spans.iter().map(|span| span.to).collect();
    from.sort_unstable();
    to.sort_unstable();
    let (mut ended, mut most) = (0, 0);
    for (began, from) in from.iter().enumerate() {
        while to[ended] < *from {
            ended += 1;
        }
        most = most.max(began + 1 - ended);
    }
    most as u64
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
