//! Small random histories of one set, list, queue, counter or lock. Each starts as a correct run of the object; then
//! some answers are mutated and some outcomes dropped.

mod mutations; // changed answers, shifted times, dropped outcomes
mod locks; // correct histories of a lock

pub use mutations::{drop_outcomes, mark_failed, mutate};

use crate::objects::{self, Answer, Certificate, Question};
use crate::search::model::step;
use crate::search::{ModelCall, ModelKind, SearchAnswer, SearchOp, SearchRequest, State, brute, porcupine};
use crate::verdict::Verdict;
use heckle_history::prng::{Pcg64, Seed};
use rand::RngExt;
use std::collections::BTreeSet;

/// The models that the scans judge.
pub const MODELS: [ModelKind; 7] = [
    ModelKind::Set,
    ModelKind::ListAppend,
    ModelKind::Queue,
    ModelKind::Counter,
    ModelKind::Mutex,
    ModelKind::OwnerMutex,
    ModelKind::FencedMutex,
];

/// Parameters for drawing a history of an object.
#[derive(Debug, Clone, Copy)]
pub struct ObjectSpice {
    /// Maximum number of ops.
    pub ops: u64,
    /// Maximum number of processes.
    pub processes: u32,
    /// Whether to include ops that the scan leaves to the search: removes, repeated values, and different increments.
    pub outside: bool,
}

/// Draws a correct history of an object, in which every op takes effect at one instant of its interval.
pub fn correct_history(rng: &mut Pcg64, model: ModelKind, spice: ObjectSpice) -> Question {
    let mut ops = match model {
        ModelKind::Mutex | ModelKind::OwnerMutex | ModelKind::FencedMutex => return locks::correct_history(rng, model, spice),
        _ => intervals(rng, spice),
    };
    let mut points: Vec<(u64, u32, usize)> = ops
        .iter()
        .enumerate()
        .map(|(i, (_, op))| (rng.random_range(op.invoked * 8..=op.completed.unwrap_or(op.invoked) * 8), rng.random(), i))
        .collect();
    points.sort_unstable();
    let unit = [1, 1, 2, -1][rng.random_range(0..4usize)];
    let mut state = model.init();
    let mut next = 0;
    for (_, _, i) in points {
        next += 1;
        let fresh = if spice.outside && rng.random_bool(0.2) { rng.random_range(1..=next) } else { next };
        let call = ask(rng, model, fresh, unit, spice);
        let call = answer(&state, call);
        state = step(&state, &call).expect("an honest answer fits");
        ops[i].1.call = call;
    }
    finish(model, ops)
}

/// Draws the intervals of a few processes, with ties and touching intervals.
fn intervals(rng: &mut Pcg64, spice: ObjectSpice) -> Vec<(u32, SearchOp)> {
    let count = rng.random_range(2..=spice.ops);
    let processes = rng.random_range(1..=spice.processes);
    let mut free = vec![1u64; processes as usize];
    let mut ops = vec![];
    for _ in 0..count {
        let process = rng.random_range(0..processes);
        let invoked = free[process as usize] + rng.random_range(0..4u64);
        let completed = invoked + rng.random_range(0..12u64);
        free[process as usize] = completed + rng.random_range(1..3u64);
        ops.push((process, SearchOp { id: 0, invoked, completed: Some(completed), call: ModelCall::Count { count: None } }));
    }
    ops
}

fn ask(rng: &mut Pcg64, model: ModelKind, fresh: i64, unit: i64, spice: ObjectSpice) -> ModelCall {
    let draw = rng.random_range(0..10u32);
    match (model, draw) {
        (ModelKind::Set, 0) if spice.outside => ModelCall::Remove { member: rng.random_range(1..=fresh), found: None },
        (ModelKind::Set, 1..3) => ModelCall::Contains { member: rng.random_range(1..=fresh + 1), found: None },
        (ModelKind::Set, 3) => ModelCall::Add { member: rng.random_range(1..=fresh) },
        (ModelKind::Set, 4..7) => ModelCall::Add { member: fresh },
        (ModelKind::Set, _) => ModelCall::Members { members: None, twice: false },
        (ModelKind::ListAppend, 0..6) => ModelCall::Push { item: fresh },
        (ModelKind::ListAppend, _) => ModelCall::Items { items: None },
        (ModelKind::Queue, 0..5) => ModelCall::Enqueue { item: fresh },
        (ModelKind::Queue, _) => ModelCall::Dequeue { item: None },
        (_, 0..6) => ModelCall::Increment { by: if spice.outside { rng.random_range(-2..4) } else { unit } },
        _ => ModelCall::Count { count: None },
    }
}

/// Returns the call with its correct answer.
fn answer(state: &State, call: ModelCall) -> ModelCall {
    match (state, call) {
        (State::Set(now), ModelCall::Remove { member, .. }) => ModelCall::Remove { member, found: Some(now.contains(&member)) },
        (State::Set(now), ModelCall::Contains { member, .. }) => ModelCall::Contains { member, found: Some(now.contains(&member)) },
        (State::Set(now), ModelCall::Members { .. }) => ModelCall::Members { members: Some(now.iter().copied().collect()), twice: false },
        (State::List(now), ModelCall::Items { .. }) => ModelCall::Items { items: Some(now.clone()) },
        (State::Queue(now), ModelCall::Dequeue { .. }) => ModelCall::Dequeue { item: Some(now.front().copied()) },
        (State::Counter(now), ModelCall::Count { .. }) => ModelCall::Count { count: Some(*now) },
        (_, call) => call,
    }
}

fn finish(model: ModelKind, mut ops: Vec<(u32, SearchOp)>) -> Question {
    ops.sort_by_key(|(_, op)| op.invoked);
    let processes = ops.iter().map(|(p, _)| *p).collect();
    let ops = ops.into_iter().zip(0u64..).map(|((_, op), id)| SearchOp { id, ..op }).collect();
    Question { request: SearchRequest { model, ops, shrink: false }, processes, failed: vec![] }
}

/// Draws case `number` of a model.
pub fn object_case(seed: Seed, model: ModelKind, number: u64) -> Question {
    let mut rng = seed.stream(&format!("objects {} {number}", model.word()));
    let spice = ObjectSpice { ops: if rng.random_bool(0.2) { 14 } else { 9 }, processes: 5, outside: rng.random_bool(0.15) };
    let mut question = correct_history(&mut rng, model, spice);
    mutate(&mut rng, &mut question);
    let share = [0.0, 0.1, 0.3, 0.6][rng.random_range(0..4usize)];
    drop_outcomes(&mut rng, &mut question, share);
    mark_failed(&mut rng, &mut question);
    question
}

/// Compares the scan and its verified certificate with brute force and porcupine-rs. Returns the verdict on which they
/// agree, or [`Verdict::Unknown`] if the scan leaves the case open.
///
/// # Errors
/// Returns the verdict of each engine if they disagree.
pub fn compare_object(question: &Question, steps: u64) -> Result<Verdict, String> {
    let truth = match brute::order(&question.request, steps) {
        Some(order) => order.is_some(),
        None => return Err(format!("brute force met its limit of {steps} steps")),
    };
    let theirs = porcupine::search(&question.request).answer == SearchAnswer::Valid;
    let certificate = match objects::scan(question) {
        Answer::Undecided(_) if truth == theirs => return Ok(Verdict::Unknown),
        Answer::Undecided(_) => return Err(format!("brute force {truth}, porcupine-rs {theirs}")),
        Answer::Decided(certificate) => certificate,
    };
    let ours = matches!(certificate, Certificate::Valid(_));
    if ours != truth || truth != theirs {
        return Err(format!("scan {ours} by {certificate:?}, brute force {truth}, porcupine-rs {theirs}"));
    }
    objects::verify(question, &certificate).map_err(|refusal| format!("the verifier refuses {certificate:?}: {refusal}"))?;
    Ok(if ours { Verdict::Valid } else { Verdict::Invalid })
}

/// Formats a case for a failure message.
pub fn show_object(question: &Question) -> String {
    let line = |(op, process): (&SearchOp, &u32)| {
        let end = op.completed.map_or("..".to_owned(), |t| t.to_string());
        format!("{:>3} p{process:<3} {:>3}-{end:<3} {:?}", op.id, op.invoked, op.call)
    };
    question.request.ops.iter().zip(&question.processes).map(line).collect::<Vec<_>>().join("\n")
}

/// Returns every element that some op adds.
fn elements(question: &Question) -> BTreeSet<i64> {
    let put = |op: &SearchOp| match op.call {
        ModelCall::Add { member } => Some(member),
        ModelCall::Push { item } | ModelCall::Enqueue { item } => Some(item),
        _ => None,
    };
    question.request.ops.iter().filter_map(put).collect()
}
