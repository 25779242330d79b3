//! Converts a random history to a search request, to events and to text, without using any code of the checker.

use crate::search::{ModelCall, ModelKind, SearchOp, SearchRequest};
use heckle_history::event::{Completion, Invoke};
use heckle_history::{Call, Current, Event, Fate, History, Nanos, Outcome, Seen, Value};

/// Converts a history to a search request without using any code of the checker.
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

/// Returns the events of a history in time order. At the same instant, invokes precede completions, and completions
/// precede fates.
pub fn events(history: &History) -> Vec<Event> {
    let mut timed: Vec<(Nanos, u8, Event)> = vec![];
    for (place, op) in (0u32..).zip(&history.ops) {
        let (id, t) = (op.op, op.invoked);
        let invoke = Invoke { path: op.path, ..Invoke::new(id, op.process, t, op.key, op.call) };
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

/// Formats a history for a failure message.
pub fn show(history: &History) -> String {
    let mut lines = vec![];
    for (place, op) in (0u32..).zip(&history.ops) {
        let fate = history.fates.get(&place).map_or(String::new(), |(f, t)| format!("  fate {f:?} at {}", t.0));
        let end = if op.completed == Nanos::NEVER { "..".to_owned() } else { op.completed.0.to_string() };
        lines.push(format!("{:>3} p{:<3} {:>3}-{end:<3} {:?} {:?}{fate}", op.op, op.process.0, op.invoked.0, op.call, op.outcome));
    }
    lines.join("\n")
}
