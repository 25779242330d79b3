//! A queue in which every item is enqueued by at most one op.
//!
//! Item a must precede item b if a was enqueued before b, or dequeued before b. A contradiction exists if and only if two
//! items must each precede the other (Henzinger, Sezgin, Vafeiadis: *Aspect-oriented linearizability proofs*, 2013). The
//! steps are:
//!
//! 1. Match each item's enqueue and dequeue. The key is invalid if an item is dequeued twice, never enqueued, or
//!    dequeued before it was enqueued. Unknown enqueues of items never seen are dropped. Items that remain in the queue
//!    count as dequeued at the end of time.
//! 2. *Unknown dequeues* may each have taken one item. An item needs one if a later item was dequeued, or the queue was
//!    found empty, after the item was enqueued; the dequeue must be invoked by then. Unknown dequeues are assigned to
//!    items by deadline, earliest first. If there are too few, the remaining items are lost.
//! 3. *Empty answers* are placed at an instant of their interval at which no item is certainly in the queue. If there
//!    is none, the items that overlap to cover the interval are the reason.
//! 4. Order the items: repeatedly take one that need not wait for any other, at its enqueue or at its dequeue. If all
//!    must wait, the item whose enqueue completes first and the item whose dequeue completes first wait for each other.
//!
//! *Exact* except if unknown dequeues are combined with empty answers: then it may matter which item an unknown dequeue
//! took, and the scan guesses.

use super::{Answer, NEVER, Question, Rule, by, place};
use crate::search::{ModelCall, SearchOp};
use rustc_hash::FxHashMap;

/// End of the dequeue interval of an item taken by an unknown dequeue: never certain, but earlier than for items that
/// remain in the queue.
const UNCERTAIN_END: u64 = NEVER - 1;

/// An item, or an empty answer, which is treated as an item that is enqueued and dequeued at one instant.
#[derive(Debug, Clone, Copy)]
struct Item {
    value: i64,
    enqueue: Option<u32>,
    dequeue: Option<u32>,
    /// Interval of its enqueue.
    into: (u64, u64),
    /// Interval of its dequeue.
    out: (u64, u64),
}

#[derive(Default)]
struct Ends {
    enqueues: FxHashMap<i64, u32>,
    dequeues: FxHashMap<i64, u32>,
    /// Values in the order of their enqueues.
    values: Vec<i64>,
    empties: Vec<u32>,
    unknown: Vec<u32>,
}

pub(super) fn scan(question: &Question) -> Answer {
    let ops = &question.request.ops;
    try_scan(ops).unwrap_or_else(|answer| answer)
}

fn try_scan(ops: &[SearchOp]) -> Result<Answer, Answer> {
    let mut ends = ends(ops)?;
    let mut items = items(ops, &ends)?;
    ends.unknown.sort_unstable_by_key(|&p| ops[p as usize].invoked);
    assign(ops, &ends, &mut items)?;
    place_empties(ops, &ends, &mut items)?;
    let order = sequence(&items).map_err(|(first, second)| {
        if items[first].enqueue.is_none() || items[second].enqueue.is_none() || items[second].out.1 >= UNCERTAIN_END {
            return Answer::Undecided("which item an unknown dequeue took decides whether it was empty".to_owned());
        }
        Answer::invalid(Rule::OutOfOrder { first: items[first].value, second: items[second].value })
    })?;
    Ok(Answer::valid(merge(&items, &order)))
}

/// Step 1: matches the enqueues and dequeues.
fn ends(ops: &[SearchOp]) -> Result<Ends, Answer> {
    let mut ends = Ends::default();
    for (i, op) in ops.iter().enumerate() {
        match op.call {
            ModelCall::Enqueue { item } => {
                if ends.enqueues.insert(item, place(i)).is_some() {
                    return Err(Answer::undecided(op, "another op enqueues the same value"));
                }
                ends.values.push(item);
            }
            ModelCall::Dequeue { item: None } if by(op) == NEVER => ends.unknown.push(place(i)),
            ModelCall::Dequeue { item: Some(None) } => ends.empties.push(place(i)),
            ModelCall::Dequeue { item: Some(Some(item)) } => {
                if let Some(one) = ends.dequeues.insert(item, place(i)) {
                    // This would be correct if the item were enqueued twice, which is known only once all ops have been
                    // read.
                    ends.unknown.clear();
                    return if repeats(ops) { Err(Answer::undecided(op, "a value is enqueued twice")) } else { Err(twice(one, place(i))) };
                }
            }
            _ => return Err(Answer::undecided(op, "it is no op of a queue")),
        }
    }
    Ok(ends)
}

fn twice(one: u32, two: u32) -> Answer {
    Answer::invalid(Rule::DequeuedTwice { one, two })
}

fn repeats(ops: &[SearchOp]) -> bool {
    let mut seen = rustc_hash::FxHashSet::default();
    ops.iter().any(|o| matches!(o.call, ModelCall::Enqueue { item } if !seen.insert(item)))
}

/// Step 1: creates the items.
fn items(ops: &[SearchOp], ends: &Ends) -> Result<Vec<Item>, Answer> {
    for op in ops {
        if let ModelCall::Dequeue { item: Some(Some(element)) } = op.call
            && !ends.enqueues.contains_key(&element)
        {
            return Err(Answer::invalid(Rule::NeverAdded { observer: ends.dequeues[&element], element }));
        }
    }
    let mut items = vec![];
    for &value in &ends.values {
        let enqueue = ends.enqueues[&value];
        let dequeue = ends.dequeues.get(&value).copied();
        let (begun, over) = (ops[enqueue as usize].invoked, by(&ops[enqueue as usize]));
        let item = match dequeue.map(|d| &ops[d as usize]) {
            Some(op) if by(op) < begun => {
                return Err(Answer::invalid(Rule::TooEarly { observer: dequeue.unwrap_or_default(), element: value }));
            }
            Some(op) => {
                let (into, out) = ((begun, over.min(by(op))), (op.invoked.max(begun), by(op)));
                Item { value, enqueue: Some(enqueue), dequeue, into, out }
            }
            None if over == NEVER => continue,
            None => Item { value, enqueue: Some(enqueue), dequeue, into: (begun, over), out: (NEVER, NEVER) },
        };
        items.push(item);
    }
    Ok(items)
}

/// Step 2: assigns unknown dequeues to items.
fn assign(ops: &[SearchOp], ends: &Ends, items: &mut [Item]) -> Result<(), Answer> {
    // Sorted by the earliest possible enqueue of an item, with the time by which it was dequeued. Any item certainly
    // enqueued before must be dequeued by then.
    let out = items.iter().filter(|i| i.dequeue.is_some()).map(|i| (i.into.0, i.out.1, Some(i.value)));
    let empty = ends.empties.iter().map(|&e| (ops[e as usize].invoked, by(&ops[e as usize]), None));
    let mut later: Vec<(u64, u64, Option<i64>)> = out.chain(empty).collect();
    later.sort_unstable();
    for i in (1..later.len()).rev() {
        if later[i].1 < later[i - 1].1 {
            (later[i - 1].1, later[i - 1].2) = (later[i].1, later[i].2);
        }
    }
    let mut waiting: Vec<(u64, usize, Option<i64>)> = vec![];
    for (i, item) in items.iter().enumerate().filter(|(_, item)| item.dequeue.is_none()) {
        if let Some(&(_, deadline, reason)) = later.get(later.partition_point(|l| l.0 <= item.into.1)) {
            waiting.push((deadline, i, reason));
        }
    }
    waiting.sort_unstable();
    for (n, &(deadline, i, reason)) in waiting.iter().enumerate() {
        let taker = ends.unknown.get(n).filter(|&&u| ops[u as usize].invoked <= deadline);
        let Some(&taker) = taker else {
            let none = ends.unknown.first().is_none_or(|&u| ops[u as usize].invoked > deadline);
            let lost: Vec<i64> = waiting[..=n].iter().map(|w| items[w.1].value).collect();
            return Err(Answer::invalid(match (none, reason, n) {
                (true, Some(second), 0) => Rule::OutOfOrder { first: items[i].value, second },
                (true, None, 0) => {
                    let held = |e: &&u32| ops[**e as usize].invoked > items[i].into.1 && by(&ops[**e as usize]) == deadline;
                    let dequeue = ends.empties.iter().find(held).copied().unwrap_or_default();
                    Rule::FalseEmpty { dequeue, items: vec![items[i].value] }
                }
                _ => Rule::TooFewDequeues { items: lost, by: deadline },
            }));
        };
        let item = &mut items[i];
        item.dequeue = Some(taker);
        item.out = (ops[taker as usize].invoked.max(item.into.0), UNCERTAIN_END);
    }
    Ok(())
}

/// Step 3: chooses the instants of empty answers.
fn place_empties(ops: &[SearchOp], ends: &Ends, items: &mut Vec<Item>) -> Result<(), Answer> {
    // An item is certainly in the queue between these two times (exclusive).
    let inside = |items: &[Item]| {
        let mut inside: Vec<(u64, u64, i64)> = items.iter().filter(|i| i.into.1 < i.out.0).map(|i| (i.into.1, i.out.0, i.value)).collect();
        inside.sort_unstable();
        inside
    };
    let all = inside(items);
    let blocks = blocks(&all);
    let mut found = vec![];
    for &empty in &ends.empties {
        let op = &ops[empty as usize];
        let block = blocks.partition_point(|b| b.0 < op.invoked).checked_sub(1).map(|b| blocks[b]);
        let at = block.map_or(op.invoked, |(_, end)| end.max(op.invoked));
        if at > by(op) {
            let first = ends.unknown.first().map_or(NEVER, |&u| ops[u as usize].invoked);
            // An item that an unknown dequeue may have taken is certainly in the queue only until the first such dequeue was
            // invoked.
            let sure: Vec<Item> = items
                .iter()
                .map(|i| if i.out.1 >= UNCERTAIN_END { Item { out: (first.max(i.into.0), NEVER), ..*i } } else { *i })
                .collect();
            return Err(match cover(&inside(&sure), op) {
                Some(items) => Answer::invalid(Rule::FalseEmpty { dequeue: empty, items }),
                None => Answer::undecided(op, "which item an unknown dequeue took decides whether the queue was empty"),
            });
        }
        found.push(Item { value: 0, enqueue: None, dequeue: Some(empty), into: (at, at), out: (at, at) });
    }
    items.extend(found);
    Ok(())
}

/// Returns the intervals in which the queue is certainly not empty, excluding both ends.
fn blocks(inside: &[(u64, u64, i64)]) -> Vec<(u64, u64)> {
    let mut blocks: Vec<(u64, u64)> = vec![];
    for &(from, to, _) in inside {
        match blocks.last_mut() {
            // An interval that starts exactly at the end of this block does not join it: the queue may be empty at that
            // instant.
            Some(block) if from < block.1 => block.1 = block.1.max(to),
            _ => blocks.push((from, to)),
        }
    }
    blocks
}

/// Returns a few overlapping items that together cover the whole interval of an op.
fn cover(inside: &[(u64, u64, i64)], op: &SearchOp) -> Option<Vec<i64>> {
    let (mut at, mut chosen, mut next) = (op.invoked, vec![], 0);
    while at <= by(op) {
        let mut best: Option<(u64, i64)> = None;
        while let Some(&(_, to, value)) = inside.get(next).filter(|i| i.0 < at) {
            if best.is_none_or(|(furthest, _)| to > furthest) {
                best = Some((to, value));
            }
            next += 1;
        }
        let (to, value) = best.filter(|(to, _)| *to > at)?;
        chosen.push(value);
        at = to;
    }
    Some(chosen)
}

/// Step 4: returns the items in order, as indices, or two items that must each precede the other.
fn sequence(items: &[Item]) -> Result<Vec<usize>, (usize, usize)> {
    let by_key = |key: &dyn Fn(&Item) -> u64| {
        let mut sorted: Vec<usize> = (0..items.len()).collect();
        sorted.sort_by_key(|&i| key(&items[i]));
        sorted
    };
    let begins = [by_key(&|i| i.into.0), by_key(&|i| i.out.0)];
    let ends = [by_key(&|i| i.into.1), by_key(&|i| i.out.1)];
    let interval = |which: usize, i: usize| if which == 0 { items[i].into } else { items[i].out };
    let (mut next_begin, mut next_end) = ([0, 0], [0, 0]);
    let (mut free, mut done, mut order) = (vec![0u8; items.len()], vec![false; items.len()], vec![]);
    let mut ready = vec![];
    while order.len() < items.len() {
        for which in [0, 1] {
            while done[ends[which][next_end[which]]] {
                next_end[which] += 1;
            }
            let first = interval(which, ends[which][next_end[which]]).1;
            while let Some(&i) = begins[which].get(next_begin[which]).filter(|&&i| interval(which, i).0 <= first) {
                next_begin[which] += 1;
                free[i] += 1;
                if free[i] == 2 {
                    ready.push(i);
                }
            }
        }
        let Some(next) = ready.pop() else { return Err((ends[0][next_end[0]], ends[1][next_end[1]])) };
        done[next] = true;
        order.push(next);
    }
    Ok(order)
}

/// Orders the ops by the order of the items, each at the earliest possible point.
fn merge(items: &[Item], order: &[usize]) -> Vec<u32> {
    let (mut stands, mut into, mut out) = (vec![], 0, 0);
    for (rank, &i) in order.iter().enumerate() {
        let item = &items[i];
        into = item.into.0.max(into);
        stands.extend(item.enqueue.map(|p| (into, rank, 0u8, p)));
        if let Some(dequeue) = item.dequeue {
            out = item.out.0.max(out).max(into);
            stands.push((out, rank, 1, dequeue));
        }
    }
    stands.sort_unstable();
    stands.into_iter().map(|s| s.3).collect()
}
