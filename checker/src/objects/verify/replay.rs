//! Replays an order: each op is within its interval, no op that happened is missing, and every answer is correct.

use super::super::Question;
use crate::search::{Claim, ModelCall, ModelKind};
use rustc_hash::FxHashSet;
use std::collections::VecDeque;

/// The state of an object. Unlike the state of a search, it is modified in place.
enum Now {
    Set(FxHashSet<i64>),
    List(Vec<i64>),
    Queue(VecDeque<i64>),
    Counter(i64),
    Lock { held: Option<Claim>, highest: Option<i64> },
}

pub(super) fn replay(question: &Question, order: &[u32]) -> Result<(), String> {
    let ops = &question.request.ops;
    let mut now = match question.request.model {
        ModelKind::Set => Now::Set(FxHashSet::default()),
        ModelKind::ListAppend => Now::List(vec![]),
        ModelKind::Queue => Now::Queue(VecDeque::new()),
        ModelKind::Counter => Now::Counter(0),
        ModelKind::Mutex | ModelKind::OwnerMutex | ModelKind::FencedMutex => Now::Lock { held: None, highest: None },
        ModelKind::CasRegister | ModelKind::Text => return Err("no object of this kind is replayed".to_owned()),
    };
    let (mut done, mut latest) = (vec![false; ops.len()], 0);
    for &place in order {
        let op = ops.get(place as usize).ok_or_else(|| format!("there is no op at place {place}"))?;
        if std::mem::replace(&mut done[place as usize], true) {
            return Err(format!("op {} is listed twice", op.id));
        }
        if op.completed.is_some_and(|over| over < latest) {
            return Err(format!("op {} was over before an op began that is put before it", op.id));
        }
        latest = latest.max(op.invoked);
        if !step(&mut now, &op.call) {
            return Err(format!("the answer of op {} does not fit where it is put", op.id));
        }
    }
    match ops.iter().zip(&done).find(|(op, done)| op.completed.is_some() && !**done) {
        Some((op, _)) => Err(format!("op {} happened and is not listed", op.id)),
        None => Ok(()),
    }
}

fn step(now: &mut Now, call: &ModelCall) -> bool {
    match (now, call) {
        (Now::Set(now), ModelCall::Add { member }) => {
            now.insert(*member);
            true
        }
        (Now::Set(now), ModelCall::Remove { member, found }) => {
            let was = now.remove(member);
            found.is_none_or(|reported| reported == was)
        }
        (Now::Set(now), ModelCall::Contains { member, found }) => found.is_none_or(|reported| reported == now.contains(member)),
        (Now::Set(now), ModelCall::Members { members, twice }) => {
            let all = |seen: &Vec<i64>| seen.len() == now.len() && seen.iter().all(|m| now.contains(m));
            !twice && members.as_ref().is_none_or(all)
        }
        (Now::List(now), ModelCall::Push { item }) => {
            now.push(*item);
            true
        }
        (Now::List(now), ModelCall::Items { items }) => items.as_ref().is_none_or(|seen| seen == now),
        (Now::Queue(now), ModelCall::Enqueue { item }) => {
            now.push_back(*item);
            true
        }
        (Now::Queue(now), ModelCall::Dequeue { item }) => {
            let front = now.pop_front();
            item.is_none_or(|reported| reported == front)
        }
        (Now::Counter(now), ModelCall::Increment { by }) => {
            *now = now.wrapping_add(*by);
            true
        }
        (Now::Counter(now), ModelCall::Count { count }) => count.is_none_or(|reported| reported == *now),
        (Now::Lock { held, highest }, ModelCall::Acquire(claim)) => {
            let rises = claim.fence.is_none_or(|fence| highest.is_none_or(|highest| fence > highest));
            let free = held.replace(*claim).is_none();
            *highest = claim.fence.or(*highest);
            free && rises
        }
        (Now::Lock { held, .. }, ModelCall::Release(claim)) => {
            let same = |a: Option<i64>, b: Option<i64>| a.is_none() || b.is_none() || a == b;
            held.take().is_some_and(|held| same(held.owner, claim.owner) && same(held.fence, claim.fence))
        }
        _ => false,
    }
}
