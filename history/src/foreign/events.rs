//! Events to ops: the rules of Jepsen's histories.
//!
//! A process has one op open at a time. `ok` happened, `fail` did not, `info` may have; a process ends at `info` and
//! another takes its place. An op that is still open at the end may have happened too.

use super::{Foreign, ForeignOp, ForeignOutcome};
use crate::ids::Nanos;
use crate::reader::ReadError;
use rustc_hash::FxHashMap;
use serde_json::Value as Json;

/// What an event says of its op.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It began.
    Invoke,
    /// It happened.
    Ok,
    /// It did not happen.
    Fail,
    /// It may have happened.
    Info,
}

impl Kind {
    /// From Jepsen's word.
    pub fn parse(word: &str) -> Option<Kind> {
        match word {
            "invoke" => Some(Kind::Invoke),
            "ok" => Some(Kind::Ok),
            "fail" => Some(Kind::Fail),
            "info" => Some(Kind::Info),
            _ => None,
        }
    }
}

/// One event of a foreign file.
#[derive(Debug, Clone, PartialEq)]
pub struct ForeignEvent {
    /// Where it stands.
    pub line: u64,
    /// Whose it is.
    pub process: i64,
    /// What it says.
    pub kind: Kind,
    /// Of which call.
    pub f: String,
    /// On which key.
    pub key: Option<String>,
    /// With what argument or answer.
    pub value: Json,
    /// When, if the file tells.
    pub time: Option<u64>,
}

/// What `fail` means to a CAS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailedCas {
    /// That nothing is known but that it did not happen: Jepsen and Knossos.
    DidNotHappen,
    /// That it found another value than it expected: Porcupine's etcd logs.
    WasRefused,
}

/// Pairs events.
///
/// # Errors
/// The line that breaks a rule, and which.
pub fn pair(events: Vec<ForeignEvent>, failed_cas: FailedCas, mut warnings: Vec<String>) -> Result<Foreign, ReadError> {
    let timed = !events.is_empty() && events.iter().all(|e| e.time.is_some());
    if !timed && events.iter().any(|e| e.time.is_some()) {
        warnings.push("not every event has a time, so the order of the file is used".to_owned());
    }
    let mut ops: Vec<ForeignOp> = vec![];
    let mut open: FxHashMap<i64, usize> = FxHashMap::default();
    let mut ended: FxHashMap<i64, u64> = FxHashMap::default();
    let mut last = 0;
    for (place, event) in (0u64..).zip(events) {
        let t = event.time.filter(|_| timed).unwrap_or(place);
        if t < last {
            return Err(ReadError::at(event.line, format!("time goes back from {last} to {t}; events stand in the order of their times")));
        }
        last = t;
        if event.kind == Kind::Invoke {
            if let Some(line) = ended.get(&event.process) {
                let what =
                    format!("process {} goes on after its unknown outcome on line {line}; another process takes over there", event.process);
                return Err(ReadError::at(event.line, what));
            }
            if let Some(&other) = open.get(&event.process) {
                let what = format!("process {} invokes while its op of line {} is open", event.process, ops[other].line);
                return Err(ReadError::at(event.line, what));
            }
            open.insert(event.process, ops.len());
            ops.push(ForeignOp {
                line: event.line,
                process: event.process,
                key: event.key.unwrap_or_else(|| "k1".to_owned()),
                f: event.f,
                argument: event.value,
                invoked: Nanos(t),
                completed: None,
                outcome: ForeignOutcome::Unknown,
            });
            continue;
        }
        let Some(place) = open.remove(&event.process) else {
            return Err(ReadError::at(event.line, format!("process {} completes without an open op", event.process)));
        };
        let op = &mut ops[place];
        if op.f != event.f {
            return Err(ReadError::at(
                event.line,
                format!("process {} invoked `{}` on line {} and completes `{}`", event.process, op.f, op.line, event.f),
            ));
        }
        op.completed = Some(Nanos(t));
        op.outcome = match event.kind {
            Kind::Ok => ForeignOutcome::Ok(event.value),
            Kind::Fail if op.f == "cas" && failed_cas == FailedCas::WasRefused => ForeignOutcome::Refused(None),
            Kind::Fail => ForeignOutcome::Failed,
            Kind::Info | Kind::Invoke => {
                ended.insert(event.process, event.line);
                ForeignOutcome::Unknown
            }
        };
    }
    Ok(Foreign { ops, warnings })
}

/// Where a completion stands among events of one instant, invokes being at 1: after its own invoke, but before the
/// next of its process. For a verdict it makes no difference, since intervals are closed.
pub(super) fn rank(op: &ForeignOp) -> u8 {
    if op.completed == Some(op.invoked) { 2 } else { 0 }
}

/// A history's events in order, as the formats of events write them; a refused CAS becomes a read of what it found.
pub(super) fn unpair(foreign: &Foreign) -> Vec<(ForeignEvent, usize)> {
    let mut timed: Vec<(u64, u8, ForeignEvent)> = vec![];
    for (place, op) in foreign.ops.iter().enumerate() {
        let (f, argument, end) = match &op.outcome {
            ForeignOutcome::Ok(answer) => {
                let echo = if matches!(op.f.as_str(), "read" | "get") { answer } else { &op.argument };
                (op.f.clone(), op.argument.clone(), Some((Kind::Ok, echo.clone())))
            }
            ForeignOutcome::Refused(Some(found)) => ("read".to_owned(), Json::Null, Some((Kind::Ok, found.clone()))),
            ForeignOutcome::Refused(None) | ForeignOutcome::Failed => {
                (op.f.clone(), op.argument.clone(), Some((Kind::Fail, op.argument.clone())))
            }
            ForeignOutcome::Unknown if op.completed.is_some() => {
                (op.f.clone(), op.argument.clone(), Some((Kind::Info, op.argument.clone())))
            }
            ForeignOutcome::Unknown => (op.f.clone(), op.argument.clone(), None),
        };
        let event = |kind, value, t: Nanos| ForeignEvent {
            line: place as u64,
            process: op.process,
            kind,
            f: f.clone(),
            key: None,
            value,
            time: Some(t.0),
        };
        timed.push((op.invoked.0, 1, event(Kind::Invoke, argument, op.invoked)));
        if let (Some((kind, value)), Some(t)) = (end, op.completed) {
            timed.push((t.0, rank(op), event(kind, value, t)));
        }
    }
    timed.sort_by_key(|(t, rank, _)| (*t, *rank));
    timed.into_iter().enumerate().map(|(i, (_, _, e))| (e, i)).collect()
}
