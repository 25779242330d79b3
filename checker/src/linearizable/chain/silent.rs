//! Inserts refusals that do not report the value found into an order of the other ops.
//!
//! Such a refusal only shows that the value was not the expected one. The refusals are inserted in invocation order,
//! each at the first position that real time allows and where another value holds. The earliest position leaves the
//! most room for the next refusal. If there is no position, a different order might have one, so nothing is proved.

use super::super::facts::{Fact, KeyOps, Time};
use super::outcome::Outcome;
use heckle_history::Value;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Adds the silent refusals to `order`.
pub(super) fn place(ops: &KeyOps<'_>, order: Vec<u32>) -> Outcome {
    let mut silent: Vec<u32> = ops.places.iter().copied().filter(|&p| matches!(ops.fact(p).fact, Fact::Refused { .. })).collect();
    if silent.is_empty() {
        return Outcome::Valid(order);
    }
    silent.sort_by_key(|&p| ops.fact(p).invoked);
    let gaps = Gaps::of(ops, &order);
    let mut placed: Vec<(usize, u32)> = vec![];
    // Refusals must respect real time among themselves. This queue, sorted by completion, yields the refusals that
    // complete before the next one is invoked.
    let mut over: BinaryHeap<Reverse<(Time, usize)>> = BinaryHeap::new();
    let mut floor = 0;
    for refusal in silent {
        let timed = ops.fact(refusal);
        let Fact::Refused { expected } = timed.fact else { continue };
        while let Some(&Reverse((by, gap))) = over.peek()
            && by < timed.invoked
        {
            floor = floor.max(gap);
            over.pop();
        }
        match gaps.find(timed.invoked, timed.by, floor, expected) {
            Some(gap) => {
                over.push(Reverse((timed.by, gap)));
                placed.push((gap, refusal));
            }
            None => return Outcome::Undecided { op: ops.op(refusal).op },
        }
    }
    Outcome::Valid(merge(&order, placed))
}

/// The gaps of an order. Gap g is before its g-th op.
struct Gaps {
    /// The value that holds in each gap.
    value: Vec<Option<Value>>,
    /// The next gap with another value; one beyond the last gap if there is none.
    changes: Vec<usize>,
    /// Completions in order, each with the first gap after all ops completed by then.
    after: Vec<(Time, usize)>,
    /// Invocations in order, each with the last gap before all ops invoked from then on.
    before: Vec<(Time, usize)>,
}

impl Gaps {
    fn of(ops: &KeyOps<'_>, order: &[u32]) -> Self {
        let mut value = Vec::with_capacity(order.len() + 1);
        let mut now = None;
        value.push(now);
        for &place in order {
            if let Fact::Wrote { new, .. } | Fact::Swapped { new, .. } = ops.fact(place).fact {
                now = Some(new);
            }
            value.push(now);
        }
        let mut changes = vec![value.len(); value.len()];
        for gap in (0..value.len() - 1).rev() {
            changes[gap] = if value[gap] == value[gap + 1] { changes[gap + 1] } else { gap + 1 };
        }
        let mut after: Vec<(Time, usize)> = order.iter().enumerate().map(|(i, &p)| (ops.fact(p).by, i + 1)).collect();
        after.sort_unstable();
        let mut greatest = 0;
        for entry in &mut after {
            greatest = greatest.max(entry.1);
            entry.1 = greatest;
        }
        let mut before: Vec<(Time, usize)> = order.iter().enumerate().map(|(i, &p)| (ops.fact(p).invoked, i)).collect();
        before.sort_unstable();
        let mut least = order.len();
        for entry in before.iter_mut().rev() {
            least = least.min(entry.1);
            entry.1 = least;
        }
        Gaps { value, changes, after, before }
    }

    /// Finds the first gap at or after `floor` that real time allows and where a value other than `expected` holds.
    fn find(&self, invoked: Time, by: Time, floor: usize, expected: Option<Value>) -> Option<usize> {
        let completed = self.after.partition_point(|e| e.0 < invoked);
        let from = completed.checked_sub(1).map_or(0, |i| self.after[i].1).max(floor);
        let to = self.before.get(self.before.partition_point(|e| e.0 <= by)).map_or(self.value.len() - 1, |e| e.1);
        let gap = if self.value[from] == expected { self.changes[from] } else { from };
        (gap <= to).then_some(gap)
    }
}

fn merge(order: &[u32], mut placed: Vec<(usize, u32)>) -> Vec<u32> {
    // Refusals within the same gap keep their invocation order, because the sort is stable.
    placed.sort_by_key(|(gap, _)| *gap);
    let mut merged = Vec::with_capacity(order.len() + placed.len());
    let mut next = placed.into_iter().peekable();
    for gap in 0..=order.len() {
        while let Some((_, refusal)) = next.next_if(|(g, _)| *g == gap) {
            merged.push(refusal);
        }
        merged.extend(order.get(gap));
    }
    merged
}
