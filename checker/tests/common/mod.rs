//! What the tests share: small random histories, and an oracle that reads a history without the checker's help.
#![allow(dead_code, unreachable_pub)]

use heckle_checker::search::{ModelCall, ModelKind, SearchOp, SearchRequest};
use heckle_history::event::{Completion, Header, Invoke};
use heckle_history::prng::{Pcg64, Seed};
use heckle_history::{Call, Current, Event, Fate, History, Names, Nanos, OpId, Operation, Outcome, ProcessId, Seen, Value};
use rand::RngExt;

/// How many random histories a test draws: `HECKLE_DIFF_CASES`, or `default`.
pub fn cases(default: u64) -> u64 {
    std::env::var("HECKLE_DIFF_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// The generator of case `n` of a test; printed by a failure, it replays that case alone.
pub fn stream(test: &str, n: u64) -> Pcg64 {
    Seed(n).stream(test)
}

/// What a random history may contain.
#[derive(Debug, Clone, Copy)]
pub struct Spice {
    /// Most ops.
    pub ops: u64,
    /// Whether refusals may hide what they found.
    pub silent: bool,
    /// Whether fates are answered.
    pub fates: bool,
}

/// An op before it is an event.
#[derive(Debug, Clone, Copy)]
struct Draft {
    process: u32,
    invoked: u64,
    completed: u64,
    call: Call,
    outcome: Outcome,
}

/// A small history of one key: an honest run of a register, then lies told about some of it. Times are small
/// numbers, so that ties and touching intervals are common.
pub fn random(rng: &mut Pcg64, spice: Spice) -> History {
    let mut drafts = honest(rng, spice);
    lie(rng, &mut drafts, spice);
    forget(rng, &mut drafts);
    finish(rng, drafts, spice)
}

fn honest(rng: &mut Pcg64, spice: Spice) -> Vec<Draft> {
    let count = rng.random_range(2..=spice.ops);
    let processes = rng.random_range(1..=5u32);
    let blind = rng.random_range(0..3u32);
    // Values far apart make the checker use its map, close ones its table.
    let stride = if rng.random_bool(0.2) { 1_000_003 } else { 1 };
    let mut free = vec![0u64; processes as usize];
    let mut next_value = if rng.random_bool(0.1) { -3 } else { 0 };
    let mut drafts = vec![];
    for _ in 0..count {
        let process = rng.random_range(0..processes);
        let invoked = free[process as usize] + rng.random_range(0..4u64);
        let completed = invoked + rng.random_range(0..12u64);
        free[process as usize] = completed + rng.random_range(1..3u64);
        next_value += stride;
        let call = match rng.random_range(0..10u32) {
            0..4 => Call::Read,
            4..6 if blind > 0 => Call::Write { new: Value(next_value) },
            _ => Call::Cas { expected: None, new: Value(next_value) },
        };
        drafts.push(Draft { process, invoked, completed, call, outcome: Outcome::Open });
    }
    let mut points: Vec<(u64, u32, usize)> =
        drafts.iter().enumerate().map(|(i, d)| (rng.random_range(d.invoked * 8..=d.completed * 8), rng.random(), i)).collect();
    points.sort_unstable();
    let (mut now, mut past) = (None, vec![None]);
    for (_, _, i) in points {
        let draft = &mut drafts[i];
        let seen = match draft.call {
            Call::Read => Seen::Value(now),
            Call::Write { new } => {
                now = Some(new);
                Seen::Written
            }
            Call::Cas { new, .. } => {
                let expected = if rng.random_bool(0.7) { now } else { past[rng.random_range(0..past.len())] };
                draft.call = Call::Cas { expected, new };
                if expected == now {
                    now = Some(new);
                    Seen::Applied
                } else if spice.silent && rng.random_bool(0.5) {
                    Seen::ConditionNotMet(Current::NotReported)
                } else {
                    Seen::ConditionNotMet(Current::Known(now))
                }
            }
        };
        past.push(now);
        draft.outcome = Outcome::Ok(seen);
    }
    drafts
}

fn lie(rng: &mut Pcg64, drafts: &mut [Draft], spice: Spice) {
    let lies = match rng.random_range(0..3u32) {
        0 => 0,
        1 => rng.random_range(1..=2),
        _ => rng.random_range(0..=drafts.len()),
    };
    let mut values: Vec<Option<Value>> = drafts.iter().filter_map(|d| d.call.writes()).map(Some).collect();
    values.push(None);
    if rng.random_bool(0.05) {
        values.push(Some(Value(777_777_777)));
    }
    for _ in 0..lies {
        let at = rng.random_range(0..drafts.len());
        let other = values[rng.random_range(0..values.len())];
        let draft = &mut drafts[at];
        let which = rng.random_range(0..3u32);
        match draft.call {
            Call::Read => draft.outcome = Outcome::Ok(Seen::Value(other)),
            Call::Write { .. } => {}
            Call::Cas { new, .. } if which == 0 => draft.call = Call::Cas { expected: other, new },
            Call::Cas { .. } if which == 1 => draft.outcome = Outcome::Ok(Seen::Applied),
            Call::Cas { .. } if spice.silent && rng.random_bool(0.5) => {
                draft.outcome = Outcome::Ok(Seen::ConditionNotMet(Current::NotReported))
            }
            Call::Cas { .. } => draft.outcome = Outcome::Ok(Seen::ConditionNotMet(Current::Known(other))),
        }
        if rng.random_bool(0.3) {
            let by = rng.random_range(0..10u64);
            (draft.invoked, draft.completed) = (draft.invoked + by, draft.completed + by);
            draft.process = 100 + at as u32;
        }
    }
    // A CAS to the value it expects is outside the fragment.
    for draft in drafts {
        if let Call::Cas { expected, new } = draft.call
            && expected == Some(new)
        {
            (draft.call, draft.outcome) = (Call::Read, Outcome::Ok(Seen::Value(None)));
        }
    }
}

fn forget(rng: &mut Pcg64, drafts: &mut [Draft]) {
    let share = [0.0, 0.1, 0.3, 0.6][rng.random_range(0..4usize)];
    for draft in drafts {
        if rng.random_bool(share) {
            draft.outcome = match rng.random_range(0..8u32) {
                0 => Outcome::Failed,
                1..3 => Outcome::Open,
                _ => Outcome::Unknown,
            };
        }
    }
}

fn finish(rng: &mut Pcg64, mut drafts: Vec<Draft>, spice: Spice) -> History {
    drafts.sort_by_key(|d| d.invoked);
    let mut history = History::default();
    let key = history.names.key("k1");
    for (i, draft) in drafts.iter().enumerate() {
        let completed = if draft.outcome == Outcome::Open { Nanos::NEVER } else { Nanos(draft.completed) };
        history.ops.push(Operation {
            op: OpId(i as u64),
            invoked: Nanos(draft.invoked),
            completed,
            intended: Nanos(draft.invoked),
            call: draft.call,
            outcome: draft.outcome,
            process: ProcessId(draft.process),
            key,
            node: None,
            path: heckle_history::Path::Paxos,
        });
        history.end = history.end.max(Nanos(draft.completed + 40));
        if spice.fates && draft.outcome == Outcome::Unknown && rng.random_bool(0.5) {
            let fate = [Fate::Applied, Fate::NotApplied, Fate::Evicted, Fate::Unresolved][rng.random_range(0..4usize)];
            history.fates.insert(i as u32, (fate, Nanos(draft.completed + rng.random_range(0..30u64))));
        }
    }
    history
}

/// The question a history asks, put together without the checker's own code.
pub fn question(history: &History, fates: bool) -> SearchRequest {
    let mut ops = vec![];
    for (place, op) in (0u32..).zip(&history.ops) {
        let fate = if fates { history.fates.get(&place) } else { None };
        let number = |v: Option<Value>| v.map(|v| v.0);
        let update = match op.call {
            Call::Read => None,
            Call::Write { new } => Some(ModelCall::Write { new: new.0 }),
            Call::Cas { expected, new } => Some(ModelCall::Cas { expected: number(expected), new: new.0 }),
        };
        let (call, completed) = match op.outcome {
            Outcome::Failed => continue,
            Outcome::Unknown | Outcome::Open => match fate {
                Some((Fate::NotApplied, _)) => continue,
                Some((Fate::Applied, t)) => (update, Some(t.0)),
                _ => (update, None),
            },
            Outcome::Ok(Seen::Value(v)) => (Some(ModelCall::Read { value: Some(number(v)) }), Some(op.completed.0)),
            Outcome::Ok(Seen::Written | Seen::Applied) => (update, Some(op.completed.0)),
            Outcome::Ok(Seen::ConditionNotMet(current)) => {
                let Call::Cas { expected, .. } = op.call else { continue };
                let current = match current {
                    Current::Known(v) => Some(number(v)),
                    Current::NotReported => None,
                };
                (Some(ModelCall::Refused { expected: number(expected), current }), Some(op.completed.0))
            }
        };
        let Some(call) = call else { continue };
        ops.push(SearchOp { id: op.op.0, invoked: op.invoked.0, completed, call });
    }
    SearchRequest { model: ModelKind::CasRegister, ops, shrink: false }
}

/// A history's events in time order; at one instant invokes come before completions and these before fates.
pub fn events(history: &History) -> Vec<Event> {
    let mut timed: Vec<(Nanos, u8, Event)> = vec![];
    for (place, op) in (0u32..).zip(&history.ops) {
        let (id, t) = (op.op, op.invoked);
        let invoke = Invoke {
            op: id,
            process: op.process,
            client: None,
            t,
            intended: None,
            key: op.key,
            call: op.call,
            node: None,
            intent: None,
            attempt: None,
            payload: None,
            path: op.path,
        };
        timed.push((t, 0, Event::Invoke(invoke)));
        let t = op.completed;
        let plain = Completion { op: id, t, seen: (), node: None, reason: None, diagnostics: None };
        match op.outcome {
            Outcome::Ok(seen) => timed.push((t, 1, Event::Ok(Completion { op: id, t, seen, node: None, reason: None, diagnostics: None }))),
            Outcome::Failed => timed.push((t, 1, Event::Fail(plain))),
            Outcome::Unknown => timed.push((t, 1, Event::Unknown(plain))),
            Outcome::Open => {}
        }
        if let Some((fate, t)) = history.fates.get(&place) {
            timed.push((*t, 2, Event::Fate { op: id, t: *t, fate: *fate }));
        }
    }
    timed.sort_by_key(|(t, rank, _)| (*t, *rank));
    timed.into_iter().map(|(_, _, e)| e).collect()
}

/// Pairs events without the rules on processes, which random lies break.
pub fn paired(events: &[Event]) -> History {
    let mut names = Names::default();
    names.key("k1");
    let mut builder = heckle_history::operation::Builder::new(heckle_history::operation::Keep::OpsOnly);
    for event in events {
        let event = match event.clone() {
            // Every op gets a process of its own.
            Event::Invoke(i) => Event::Invoke(Invoke { process: ProcessId(i.op.0 as u32), ..i }),
            other => other,
        };
        builder.add(event).expect("random histories are well-formed");
    }
    builder.finish(Header::default(), names, vec![])
}

/// A history as text, for a failure.
pub fn show(history: &History) -> String {
    let mut lines = vec![];
    for (place, op) in (0u32..).zip(&history.ops) {
        let fate = history.fates.get(&place).map_or(String::new(), |(f, t)| format!("  fate {f:?} at {}", t.0));
        let end = if op.completed == Nanos::NEVER { "..".to_owned() } else { op.completed.0.to_string() };
        lines.push(format!("{:>3} p{:<3} {:>3}-{end:<3} {:?} {:?}{fate}", op.op, op.process.0, op.invoked.0, op.call, op.outcome));
    }
    lines.join("\n")
}
