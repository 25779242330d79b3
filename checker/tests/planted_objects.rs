//! Plants violations into valid histories of sets, lists, queues, counters and locks. Each kind is found and named, and
//! valid histories are never rejected.

mod common;

use common::{cases, stream};
use heckle_checker::differential::{MODELS, ObjectSpice, correct_history, drop_outcomes, show_object};
use heckle_checker::objects::{Question, judge_key};
use heckle_checker::search::{ModelCall, ModelKind, NoSearch, SearchOp};
use heckle_checker::{Checker, Options, Verdict, ViolationKind};
use heckle_history::prng::Pcg64;
use rand::RngExt;

const SPICE: ObjectSpice = ObjectSpice { ops: 400, processes: 8, outside: false };

/// Changes a history so that it shows a violation; returns `None` if this is not possible in this history.
type Plant = fn(&mut Pcg64, &mut Question) -> Option<()>;

fn scan() -> Options<'static> {
    Options { checker: Checker::Chain, ..Options::new(&NoSearch) }
}

#[track_caller]
fn found(model: ModelKind, kind: ViolationKind, plant: Plant) {
    let (mut planted, mut named, mut certified) = (0, 0, 0);
    // Some histories have no place for some kinds of violation.
    for n in 0..cases(1_000) {
        if planted == 30 {
            break;
        }
        let mut rng = stream(&format!("{} {}", model.word(), kind.word()), n);
        let mut question = correct_history(&mut rng, model, SPICE);
        if plant(&mut rng, &mut question).is_none() {
            continue;
        }
        planted += 1;
        let (report, violation) = judge_key("k", &question, &scan(), &NoSearch);
        let description = || format!("{} {kind}, case {n}: {report:#?}\n{}", model.word(), show_object(&question));
        assert_eq!(report.verdict, Verdict::Invalid, "{}", description());
        let violation = violation.unwrap_or_else(|| panic!("no violation: {}", description()));
        assert!(violation.explanation.summary.ends_with('.') && !violation.ops.is_empty(), "{violation:#?}");
        named += u32::from(violation.kind == kind);
        certified += u32::from(violation.certified);
    }
    assert!(planted >= 10, "{} {kind}: {planted} planted", model.word());
    // One change may break several rules at once. The rule found first determines the name.
    assert!(named * 2 > planted, "{} {kind}: {named} of {planted} named so", model.word());
    assert!(certified * 10 >= planted * 8 || model == ModelKind::Counter, "{} {kind}: {certified} of {planted} certified", model.word());
}

/// Picks a random op that qualifies.
fn pick(rng: &mut Pcg64, question: &Question, fits: impl Fn(&SearchOp) -> bool) -> Option<usize> {
    let all: Vec<usize> = (0..question.request.ops.len()).filter(|&i| fits(&question.request.ops[i])).collect();
    (!all.is_empty()).then(|| all[rng.random_range(0..all.len())])
}

fn put(call: &ModelCall) -> Option<i64> {
    match call {
        ModelCall::Add { member } => Some(*member),
        ModelCall::Push { item } | ModelCall::Enqueue { item } => Some(*item),
        _ => None,
    }
}

fn seen(call: &mut ModelCall) -> Option<&mut Vec<i64>> {
    match call {
        ModelCall::Members { members, .. } => members.as_mut(),
        ModelCall::Items { items } => items.as_mut(),
        _ => None,
    }
}

fn reads(op: &SearchOp, element: i64) -> bool {
    seen(&mut op.call.clone()).is_some_and(|s| s.contains(&element))
}

fn remove(question: &mut Question, at: usize) -> SearchOp {
    question.processes.remove(at);
    question.request.ops.remove(at)
}

/// Picks an element that was added once and acknowledged, and a read of it that began later.
fn read_later(rng: &mut Pcg64, question: &Question) -> Option<(i64, usize)> {
    let once = |e: i64| question.request.ops.iter().filter(|o| put(&o.call) == Some(e)).count() == 1;
    let add = pick(rng, question, |op| put(&op.call).is_some_and(once))?;
    let (element, over) = (put(&question.request.ops[add].call)?, question.request.ops[add].completed?);
    Some((element, pick(rng, question, |op| op.invoked > over && reads(op, element))?))
}

fn strike(question: &mut Question, at: Option<usize>, element: i64) {
    for (i, op) in question.request.ops.iter_mut().enumerate() {
        if at.is_some_and(|at| at != i) {
            continue;
        }
        if let ModelCall::Contains { member, found } = &mut op.call
            && *member == element
        {
            *found = Some(false);
        }
        if let Some(seen) = seen(&mut op.call) {
            seen.retain(|e| *e != element);
        }
    }
}

fn lose(rng: &mut Pcg64, question: &mut Question) -> Option<()> {
    let (element, _) = read_later(rng, question)?;
    strike(question, None, element);
    Some(())
}

fn stale(rng: &mut Pcg64, question: &mut Question) -> Option<()> {
    let (element, read) = read_later(rng, question)?;
    let seen = seen(&mut question.request.ops[read].call)?;
    let at = seen.iter().position(|e| *e == element)?;
    match question.request.model {
        ModelKind::Set => drop(seen.remove(at)),
        _ => seen.truncate(at),
    }
    question.request.ops.iter().any(|op| reads(op, element)).then_some(())
}

fn strange(rng: &mut Pcg64, question: &mut Question) -> Option<()> {
    let read = pick(rng, question, |op| seen(&mut op.call.clone()).is_some())?;
    seen(&mut question.request.ops[read].call)?.push(99_999);
    Some(())
}

fn abort(rng: &mut Pcg64, question: &mut Question) -> Option<()> {
    let (element, _) = read_later(rng, question)?;
    let add = question.request.ops.iter().position(|op| put(&op.call) == Some(element))?;
    let failed = remove(question, add);
    question.failed.push(SearchOp { completed: None, ..failed });
    Some(())
}

fn future(rng: &mut Pcg64, question: &mut Question) -> Option<()> {
    let (element, read) = read_later(rng, question)?;
    let end = question.request.ops[read].completed?;
    let add = question.request.ops.iter_mut().find(|op| put(&op.call) == Some(element))?;
    (add.invoked, add.completed) = (end + 1, Some(end + 2));
    Some(())
}

fn twice(rng: &mut Pcg64, question: &mut Question) -> Option<()> {
    let (element, read) = read_later(rng, question)?;
    match &mut question.request.ops[read].call {
        ModelCall::Members { twice, .. } => *twice = true,
        call => seen(call)?.push(element),
    }
    Some(())
}

/// Makes two reads each miss an element that was still being added when the read began, so neither is stale.
fn fork(rng: &mut Pcg64, question: &mut Question) -> Option<()> {
    if question.request.model == ModelKind::ListAppend {
        let read = pick(rng, question, |op| seen(&mut op.call.clone()).is_some_and(|s| s.len() > 1))?;
        let at = rng.random_range(1..seen(&mut question.request.ops[read].call)?.len());
        let longer = |op: &SearchOp| seen(&mut op.call.clone()).is_some_and(|s| s.len() > at);
        let others = question.request.ops.iter().filter(|op| longer(op)).count() > 1;
        seen(&mut question.request.ops[read].call)?.swap(at - 1, at);
        return others.then_some(());
    }
    let ops = &question.request.ops;
    // The last element that a read returns but could also miss.
    let fresh = |read: usize| {
        let late = |op: &&SearchOp| put(&op.call).is_some_and(|e| reads(&ops[read], e)) && op.completed >= Some(ops[read].invoked);
        let element = ops.iter().rev().find(late).and_then(|op| put(&op.call))?;
        let once = ops.iter().filter(|o| put(&o.call) == Some(element)).count() == 1;
        (once && !ops.iter().any(|op| matches!(op.call, ModelCall::Contains { member, .. } if member == element))).then_some(element)
    };
    let open: Vec<(usize, i64)> = (0..ops.len()).filter_map(|i| Some((i, fresh(i)?))).collect();
    let apart = |a: usize, b: usize| ops[a].completed < Some(ops[b].invoked) || ops[b].completed < Some(ops[a].invoked);
    let pair = |&(a, one): &(usize, i64)| {
        let fits = |&&(b, other): &&(usize, i64)| one != other && !apart(a, b) && reads(&ops[a], other) && reads(&ops[b], one);
        open.iter().find(fits).map(|&(b, other)| (a, one, b, other))
    };
    let (a, one, b, other) = open.iter().find_map(pair)?;
    strike(question, Some(a), one);
    strike(question, Some(b), other);
    Some(())
}

/// Reverses two values where one was appended after the other and no read shows their order.
fn reorder(rng: &mut Pcg64, question: &mut Question) -> Option<()> {
    let ops = &question.request.ops;
    let apart = |one: i64, other: i64| ops.iter().any(|op| reads(op, one) != reads(op, other)) || !ops.iter().any(|op| reads(op, one));
    let appends: Vec<&SearchOp> = ops.iter().filter(|op| put(&op.call).is_some()).collect();
    let start = rng.random_range(0..appends.len().max(1));
    let pair = |at: usize| {
        let (a, b) = (appends.get(at)?, appends[at + 1..].iter().find(|b| appends[at].completed < Some(b.invoked))?);
        let (one, other) = (put(&a.call)?, put(&b.call)?);
        (!apart(one, other)).then_some((one, other))
    };
    let (one, other) = (start..appends.len()).find_map(pair)?;
    for op in &mut question.request.ops {
        for e in seen(&mut op.call).into_iter().flatten() {
            *e = if *e == one {
                other
            } else if *e == other {
                one
            } else {
                *e
            };
        }
    }
    Some(())
}

fn got(op: &SearchOp) -> Option<i64> {
    if let ModelCall::Dequeue { item: Some(item) } = op.call { item } else { None }
}

fn dequeue(rng: &mut Pcg64, question: &mut Question, item: Option<i64>) -> Option<()> {
    let at = pick(rng, question, |op| got(op).is_some() && got(op) != item)?;
    question.request.ops[at].call = ModelCall::Dequeue { item: Some(item) };
    Some(())
}

fn lose_item(rng: &mut Pcg64, question: &mut Question) -> Option<()> {
    let at = pick(rng, question, |op| got(op).is_some())?;
    let item = got(&question.request.ops[at])?;
    let over = question.request.ops.iter().find(|op| put(&op.call) == Some(item))?.completed?;
    let later = |op: &SearchOp| put(&op.call).is_some_and(|i| op.invoked > over && question.request.ops.iter().any(|o| got(o) == Some(i)));
    question.request.ops.iter().any(later).then(|| drop(remove(question, at)))
}

fn deliver_twice(rng: &mut Pcg64, question: &mut Question) -> Option<()> {
    let first = pick(rng, question, |op| got(op).is_some())?;
    let item = got(&question.request.ops[first]);
    dequeue(rng, question, item)
}

fn abort_item(rng: &mut Pcg64, question: &mut Question) -> Option<()> {
    let at = pick(rng, question, |op| got(op).is_some())?;
    let item = got(&question.request.ops[at]);
    let add = question.request.ops.iter().position(|op| put(&op.call) == item)?;
    let failed = remove(question, add);
    question.failed.push(failed);
    Some(())
}

fn future_item(rng: &mut Pcg64, question: &mut Question) -> Option<()> {
    let at = pick(rng, question, |op| got(op).is_some())?;
    let (item, end) = (got(&question.request.ops[at]), question.request.ops[at].completed?);
    let add = question.request.ops.iter_mut().find(|op| put(&op.call) == item)?;
    (add.invoked, add.completed) = (end + 1, Some(end + 2));
    Some(())
}

/// Swaps the items of two dequeues. Both items were enqueued before the first dequeue.
fn reorder_items(_: &mut Pcg64, question: &mut Question) -> Option<()> {
    let ops = &question.request.ops;
    let out: Vec<usize> = (0..ops.len()).filter(|&i| got(&ops[i]).is_some()).collect();
    let enqueue = |at: usize| ops.iter().find(|op| put(&op.call) == got(&ops[at]));
    let fits = |a: usize, b: usize| {
        let (one, two) = (enqueue(a)?, enqueue(b)?);
        let apart = ops[a].completed? < ops[b].invoked && one.completed? < two.invoked && two.completed? < ops[a].invoked;
        apart.then_some((a, b))
    };
    let (a, b) = out.iter().find_map(|&a| out.iter().find_map(|&b| fits(a, b)))?;
    let (one, two) = (ops[a].call.clone(), ops[b].call.clone());
    (question.request.ops[a].call, question.request.ops[b].call) = (two, one);
    Some(())
}

/// Changes a reply to "empty". If all items of a queue may be dequeued, the queue is never certainly non-empty, so the
/// change is made only if an item was enqueued before the op began and dequeued after it ended.
fn empty(rng: &mut Pcg64, question: &mut Question) -> Option<()> {
    let at = pick(rng, question, |op| got(op).is_some())?;
    let (begin, end) = (question.request.ops[at].invoked, question.request.ops[at].completed?);
    let own = got(&question.request.ops[at]);
    let ops = &question.request.ops;
    let inside = |op: &SearchOp| {
        let item = put(&op.call).filter(|_| op.completed.is_some_and(|t| t < begin));
        item.is_some() && item != own && ops.iter().any(|o| got(o) == item && o.invoked > end)
    };
    if !ops.iter().any(inside) {
        return None;
    }
    question.request.ops[at].call = ModelCall::Dequeue { item: Some(None) };
    Some(())
}

fn count(rng: &mut Pcg64, question: &mut Question, by: i64) -> Option<()> {
    let rises = question.request.ops.iter().any(|op| matches!(op.call, ModelCall::Increment { by } if by > 0));
    let at = pick(rng, question, |op| matches!(op.call, ModelCall::Count { .. }))?;
    let ModelCall::Count { count: Some(count) } = &mut question.request.ops[at].call else { return None };
    *count += by;
    rises.then_some(())
}

fn stale_count(rng: &mut Pcg64, question: &mut Question) -> Option<()> {
    let end = question.request.ops.iter().filter(|op| matches!(op.call, ModelCall::Count { .. })).map(|op| op.invoked).max()?;
    let at = pick(rng, question, |op| matches!(op.call, ModelCall::Count { .. }) && op.completed.is_some_and(|t| t < end))?;
    let ModelCall::Count { count: Some(count) } = &mut question.request.ops[at].call else { return None };
    *count -= 100;
    question.request.ops.iter().any(|op| matches!(op.call, ModelCall::Increment { by } if by > 0)).then_some(())
}

fn lose_counts(rng: &mut Pcg64, question: &mut Question) -> Option<()> {
    let from = pick(rng, question, |op| matches!(op.call, ModelCall::Count { .. }))?;
    let t = question.request.ops[from].invoked;
    for op in question.request.ops.iter_mut().filter(|op| op.invoked >= t) {
        if let ModelCall::Count { count: Some(count) } = &mut op.call {
            *count -= 1_000;
        }
    }
    question.request.ops.iter().any(|op| matches!(op.call, ModelCall::Increment { by } if by > 0)).then_some(())
}

fn acquires(op: &SearchOp) -> bool {
    matches!(op.call, ModelCall::Acquire(_))
}

fn never_release(rng: &mut Pcg64, question: &mut Question) -> Option<()> {
    // A lock taken without an owner may be released by any process.
    let at = pick(rng, question, |op| matches!(op.call, ModelCall::Release(claim) if claim.owner.is_some()))?;
    let end = question.request.ops[at].completed?;
    remove(question, at);
    question.request.ops.iter().any(|op| acquires(op) && op.invoked > end).then_some(())
}

fn release_for_nothing(rng: &mut Pcg64, question: &mut Question) -> Option<()> {
    let at = pick(rng, question, acquires)?;
    let owner = |op: &SearchOp| if let ModelCall::Acquire(c) | ModelCall::Release(c) = op.call { c.owner } else { None };
    let (who, t) = (owner(&question.request.ops[at]), question.request.ops[at].invoked);
    question.request.ops.iter().any(|op| !acquires(op) && op.invoked > t && owner(op) == who).then(|| drop(remove(question, at)))
}

fn tokens(rng: &mut Pcg64, question: &mut Question) -> Option<()> {
    let (a, b) = (pick(rng, question, acquires)?, pick(rng, question, acquires)?);
    let ops = &mut question.request.ops;
    if ops[a].completed? >= ops[b].invoked {
        return None;
    }
    let (ModelCall::Acquire(one), ModelCall::Acquire(two)) = (ops[a].call.clone(), ops[b].call.clone()) else { return None };
    let (low, high) = (one.fence?, two.fence?);
    let give =
        |claim: heckle_checker::search::Claim, fence| ModelCall::Acquire(heckle_checker::search::Claim { fence: Some(fence), ..claim });
    (ops[a].call, ops[b].call) = (give(one, high), give(two, low));
    Some(())
}

#[test]
fn each_kind_of_violation_of_a_set_is_found_and_named() {
    found(ModelKind::Set, ViolationKind::LostUpdate, lose);
    found(ModelKind::Set, ViolationKind::StaleRead, stale);
    found(ModelKind::Set, ViolationKind::ReadOfNeverWritten, strange);
    found(ModelKind::Set, ViolationKind::AbortedRead, abort);
    found(ModelKind::Set, ViolationKind::FutureRead, future);
    found(ModelKind::Set, ViolationKind::Duplicate, twice);
    found(ModelKind::Set, ViolationKind::Fork, fork);
}

#[test]
fn each_kind_of_violation_of_a_list_is_found_and_named() {
    found(ModelKind::ListAppend, ViolationKind::LostUpdate, lose);
    found(ModelKind::ListAppend, ViolationKind::StaleRead, stale);
    found(ModelKind::ListAppend, ViolationKind::ReadOfNeverWritten, strange);
    found(ModelKind::ListAppend, ViolationKind::AbortedRead, abort);
    found(ModelKind::ListAppend, ViolationKind::FutureRead, future);
    found(ModelKind::ListAppend, ViolationKind::Duplicate, twice);
    found(ModelKind::ListAppend, ViolationKind::Fork, fork);
    found(ModelKind::ListAppend, ViolationKind::OutOfOrder, reorder);
}

#[test]
fn each_kind_of_violation_of_a_queue_is_found_and_named() {
    found(ModelKind::Queue, ViolationKind::LostUpdate, lose_item);
    found(ModelKind::Queue, ViolationKind::Duplicate, deliver_twice);
    found(ModelKind::Queue, ViolationKind::ReadOfNeverWritten, |rng, question| dequeue(rng, question, Some(99_999)));
    found(ModelKind::Queue, ViolationKind::AbortedRead, abort_item);
    found(ModelKind::Queue, ViolationKind::FutureRead, future_item);
    found(ModelKind::Queue, ViolationKind::OutOfOrder, reorder_items);
    found(ModelKind::Queue, ViolationKind::FalseEmpty, empty);
}

#[test]
fn each_kind_of_violation_of_a_counter_is_found_and_named() {
    found(ModelKind::Counter, ViolationKind::CountTooHigh, |rng, question| count(rng, question, 1_000));
    found(ModelKind::Counter, ViolationKind::StaleRead, stale_count);
    found(ModelKind::Counter, ViolationKind::LostUpdate, lose_counts);
}

#[test]
fn each_kind_of_violation_of_a_lock_is_found_and_named() {
    for model in [ModelKind::Mutex, ModelKind::OwnerMutex, ModelKind::FencedMutex] {
        found(model, ViolationKind::TwoHolders, never_release);
    }
    found(ModelKind::OwnerMutex, ViolationKind::NotHeld, release_for_nothing);
    found(ModelKind::FencedMutex, ViolationKind::TokenWentBack, tokens);
}

#[test]
fn honest_histories_are_never_rejected_and_mostly_decided() {
    for model in MODELS {
        let mut decided = 0;
        for n in 0..cases(60) {
            let mut rng = stream(&format!("correct_history {}", model.word()), n);
            let mut question = correct_history(&mut rng, model, ObjectSpice { ops: 2_000, ..SPICE });
            // A lock whose holder is gone stays held forever, so in histories of a lock all ops are answered.
            let share = if n % 2 == 0 || acquires(&question.request.ops[0]) { 0.0 } else { 0.05 };
            drop_outcomes(&mut rng, &mut question, share);
            let (report, violation) = judge_key("k", &question, &scan(), &NoSearch);
            assert_ne!(report.verdict, Verdict::Invalid, "{}, case {n}: {violation:#?}", model.word());
            decided += u64::from(report.verdict == Verdict::Valid);
        }
        // A queue may stay undecided if unknown dequeues are combined with empty replies.
        let least = if model == ModelKind::Queue { cases(60) / 2 } else { cases(60) };
        assert!(decided >= least, "{}: {decided} decided", model.word());
    }
}
