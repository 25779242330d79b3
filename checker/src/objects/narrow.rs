//! Reduces a contradiction to a question of a few ops, which brute force can confirm.
//!
//! The reduction must not create a contradiction where the original ops have an order:
//! - *Sets, lists, queues*: all ops on other elements are removed, and these elements are removed from every answer.
//!   Any order of all ops is still an order of the remaining ones.
//! - *Locks*: other holds are removed completely. If only the acquire or the release of a hold remains, its counterpart
//!   is treated as one that may have happened at any time, by any process.
//! - *Counters*: the value of an earlier read becomes one increment before all ops; increments that certainly happened
//!   before it, or after the violating read, are removed.

use super::words::calls::{added_element, claim, items, observed_element, repeated};
use super::{Question, Rule};
use crate::search::{Claim, ModelCall, SearchOp, SearchRequest};

/// Maximum number of ops in a reduced question; larger ones are not checked.
const MAX_OPS: usize = 64;

/// Returns the reduced question if it is small enough. `support` contains the ops that the explanation names.
pub(super) fn narrow(question: &Question, rule: &Rule, support: &[u32]) -> Option<SearchRequest> {
    let ops = &question.request.ops;
    let chosen = || support.iter().map(|&p| ops[p as usize].clone());
    let ops: Vec<SearchOp> = match rule {
        Rule::NeverAdded { .. } | Rule::TooEarly { .. } | Rule::Missed { .. } | Rule::Crossed { .. } | Rule::Incomparable { .. } => {
            project(chosen().collect(), &rule.elements())
        }
        Rule::Twice { observer } => {
            let elements: Vec<i64> = repeated(&ops[*observer as usize].call).into_iter().collect();
            project(about(ops, support, &elements), &elements)
        }
        Rule::Diverged { one, two, at } => {
            let value = |p: &u32| items(&ops[*p as usize].call).get(*at).copied();
            let elements: Vec<i64> = value(one).into_iter().chain(value(two)).collect();
            project(about(ops, support, &elements), &elements)
        }
        Rule::DequeuedTwice { one, .. } => {
            let elements: Vec<i64> = observed_element(&ops[*one as usize].call).into_iter().collect();
            about(ops, support, &elements)
        }
        Rule::OutOfOrder { .. } | Rule::FalseEmpty { .. } | Rule::TooFewDequeues { .. } => queue(ops, support, rule),
        Rule::TwoHolders { .. } | Rule::HeldByToken { .. } => chosen().collect(),
        Rule::ReleasedWhileHeld { release, .. } => {
            let by = claim(&ops[*release as usize].call).unwrap_or_default();
            chosen().chain([at_any_time(0, ModelCall::Acquire(Claim { owner: by.owner, fence: None }))]).collect()
        }
        Rule::TokenWentBack { .. } | Rule::SameToken { .. } => {
            chosen().chain([at_any_time(0, ModelCall::Release(Claim::default()))]).collect()
        }
        Rule::NotHeld { release } => not_held(ops, *release),
        Rule::TooLow { read, since } | Rule::TooHigh { read, since } => counter(ops, *read, *since),
        Rule::NoSum { read } => counter(ops, *read, None),
    };
    (ops.len() <= MAX_OPS).then_some(SearchRequest { model: question.request.model, ops, shrink: false })
}

/// Creates an op that may take effect at any time.
fn at_any_time(n: u64, call: ModelCall) -> SearchOp {
    SearchOp { id: u64::MAX - n, invoked: 0, completed: None, call }
}

/// Returns the ops in `support`, and all other ops that add one of the elements.
fn about(ops: &[SearchOp], support: &[u32], elements: &[i64]) -> Vec<SearchOp> {
    let wanted = |(place, op): &(u32, &SearchOp)| support.contains(place) || added_element(&op.call).is_some_and(|e| elements.contains(&e));
    (0u32..).zip(ops).filter(wanted).map(|(_, op)| op.clone()).collect()
}

/// Removes all other elements from the answers, and all ops on them.
fn project(mut ops: Vec<SearchOp>, elements: &[i64]) -> Vec<SearchOp> {
    let kept = |e: &i64| elements.contains(e);
    for op in &mut ops {
        match &mut op.call {
            ModelCall::Members { members: Some(members), .. } => members.retain(kept),
            ModelCall::Items { items: Some(items) } => items.retain(kept),
            _ => {}
        }
    }
    ops.retain(|op| match &op.call {
        ModelCall::Contains { member, .. } => kept(member),
        other => added_element(other).is_none_or(|e| kept(&e)),
    });
    ops
}

/// Returns the ops on the items, every dequeue with an unknown answer, and the ops that show that the items must have been
/// dequeued.
fn queue(ops: &[SearchOp], support: &[u32], rule: &Rule) -> Vec<SearchOp> {
    let mut witness: Vec<u64> = vec![];
    if let Rule::TooFewDequeues { by, .. } = rule {
        let out = |op: &&SearchOp| matches!(op.call, ModelCall::Dequeue { item: Some(_) }) && op.completed.is_some_and(|t| t <= *by);
        let pairs = ops.iter().filter(out).filter_map(|out| match observed_element(&out.call) {
            Some(item) => ops.iter().find(|op| added_element(&op.call) == Some(item)).map(|put| (put.invoked, vec![put.id, out.id])),
            None => Some((out.invoked, vec![out.id])),
        });
        witness.extend(pairs.max_by_key(|(begun, _)| *begun).map(|(_, ids)| ids).unwrap_or_default());
    }
    let unknown = |op: &SearchOp| matches!(op.call, ModelCall::Dequeue { item: None });
    let wanted = |(place, op): &(u32, &SearchOp)| support.contains(place) || unknown(op) || witness.contains(&op.id);
    (0u32..).zip(ops).filter(wanted).map(|(_, op)| op.clone()).collect()
}

/// Returns all ops by the same owner invoked before the release completed.
fn not_held(ops: &[SearchOp], release: u32) -> Vec<SearchOp> {
    let wrong = &ops[release as usize];
    let owner = claim(&wrong.call).and_then(|c| c.owner);
    let until = wrong.completed.unwrap_or(u64::MAX);
    let alike = |op: &&SearchOp| op.invoked <= until && claim(&op.call).is_some_and(|c| c.owner == owner);
    ops.iter().filter(alike).map(|op| SearchOp { completed: op.completed.filter(|&t| t <= until), ..op.clone() }).collect()
}

fn counter(ops: &[SearchOp], read: u32, since: Option<u32>) -> Vec<SearchOp> {
    let wrong = &ops[read as usize];
    let end = wrong.completed.unwrap_or(u64::MAX);
    let since = since.map(|since| &ops[since as usize]);
    let mut chosen = vec![];
    if let Some(SearchOp { call: ModelCall::Count { count: Some(count) }, .. }) = since {
        let call = ModelCall::Increment { by: *count };
        chosen.push(SearchOp { id: u64::MAX, invoked: 0, completed: Some(0), call });
    }
    chosen.extend(since.cloned());
    let between = |op: &&SearchOp| {
        let after = since.is_none_or(|since| op.completed.is_none_or(|over| over >= since.invoked));
        matches!(op.call, ModelCall::Increment { .. }) && op.invoked <= end && after
    };
    chosen.extend(ops.iter().filter(between).map(|op| SearchOp { completed: op.completed.filter(|&t| t <= end), ..op.clone() }));
    chosen.push(wrong.clone());
    chosen
}
