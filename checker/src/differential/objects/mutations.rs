//! Mutates histories: changes answers, shifts ops in time and drops outcomes.

use super::elements;
use crate::objects::Question;
use crate::search::{Claim, ModelCall, SearchOp};
use heckle_history::prng::Pcg64;
use rand::RngExt;
use rand::seq::SliceRandom;

/// Applies no mutation, a few, or many.
pub fn mutate(rng: &mut Pcg64, question: &mut Question) {
    let most = question.request.ops.len();
    let lies = match rng.random_range(0..3u32) {
        0 => 0,
        1 => rng.random_range(1..=2),
        _ => rng.random_range(0..=most),
    };
    let mut values: Vec<i64> = elements(question).into_iter().collect();
    if rng.random_bool(0.1) || values.is_empty() {
        values.push(777);
    }
    for _ in 0..lies {
        if question.request.ops.is_empty() {
            return;
        }
        let at = rng.random_range(0..question.request.ops.len());
        let other = values[rng.random_range(0..values.len())];
        let op = &mut question.request.ops[at];
        if rng.random_bool(0.3) {
            let by = rng.random_range(0..10u64);
            (op.invoked, op.completed) = (op.invoked + by, op.completed.map(|t| t + by));
            question.processes[at] = 100 + at as u32;
        } else {
            change(rng, &mut op.call, other);
        }
    }
    sort_by_invocation(question);
}

fn change(rng: &mut Pcg64, call: &mut ModelCall, other: i64) {
    match call {
        ModelCall::Members { members: Some(members), twice } => {
            match members.binary_search(&other) {
                Ok(at) => drop(members.remove(at)),
                Err(at) => members.insert(at, other),
            }
            *twice = rng.random_bool(0.05);
        }
        ModelCall::Contains { found, .. } => *found = found.map(|f| !f),
        ModelCall::Items { items: Some(items) } => match rng.random_range(0..4u32) {
            0 => drop(items.pop()),
            1 => items.push(other),
            2 => items.shuffle(rng),
            _ => items.retain(|i| *i != other),
        },
        ModelCall::Dequeue { item } => *item = Some(rng.random_bool(0.7).then_some(other)),
        ModelCall::Count { count: Some(count) } => *count += rng.random_range(-2..3i64),
        ModelCall::Acquire(claim) | ModelCall::Release(claim) => mutate_claim(rng, claim),
        _ => {}
    }
}

fn mutate_claim(rng: &mut Pcg64, claim: &mut Claim) {
    if rng.random_bool(0.5) {
        claim.owner = claim.owner.map(|_| 100 + rng.random_range(0..5i64));
    } else {
        claim.fence = claim.fence.map(|fence| fence + rng.random_range(-2..3i64));
    }
}

/// Drops a share of the outcomes; these ops may then have happened or not. A correct history stays correct.
pub fn drop_outcomes(rng: &mut Pcg64, question: &mut Question, share: f64) {
    for op in &mut question.request.ops {
        if rng.random_bool(share) {
            op.completed = None;
            clear_answer(&mut op.call);
        }
    }
}

/// Marks some ops of unknown outcome as failed, which may be wrong.
pub fn mark_failed(rng: &mut Pcg64, question: &mut Question) {
    for i in (0..question.request.ops.len()).rev() {
        if question.request.ops[i].completed.is_none() && rng.random_bool(0.2) {
            question.processes.remove(i);
            question.failed.push(question.request.ops.remove(i));
        }
    }
}

fn clear_answer(call: &mut ModelCall) {
    match call {
        ModelCall::Members { members, twice } => (*members, *twice) = (None, false),
        ModelCall::Contains { found, .. } | ModelCall::Remove { found, .. } => *found = None,
        ModelCall::Items { items } => *items = None,
        ModelCall::Dequeue { item } => *item = None,
        ModelCall::Count { count } => *count = None,
        ModelCall::Acquire(claim) => claim.fence = None,
        _ => {}
    }
}

/// Renumbers the ops by invocation.
fn sort_by_invocation(question: &mut Question) {
    let mut ops: Vec<(SearchOp, u32)> =
        std::mem::take(&mut question.request.ops).into_iter().zip(std::mem::take(&mut question.processes)).collect();
    ops.sort_by_key(|(op, _)| op.invoked);
    for ((op, process), id) in ops.into_iter().zip(0u64..) {
        question.request.ops.push(SearchOp { id, ..op });
        question.processes.push(process);
    }
}
