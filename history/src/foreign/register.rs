//! Ops of a register to a history and back.

use super::events::rank;
use super::{Foreign, ForeignOp, ForeignOutcome};
use crate::event::{Call, Completion, Current, Event, Header, Invoke, Path, Seen};
use crate::ids::{KeyId, Nanos, OpId, ProcessId, Value};
use crate::names::Names;
use crate::operation::{Builder, History, Keep, Outcome};
use crate::reader::ReadError;
use rustc_hash::FxHashMap;
use serde_json::Value as Json;

/// How often an op's value appears in the words for it; longer ones are cut.
const MAX_SHOWN: usize = 60;

impl Foreign {
    /// The ops as a history of registers: `read`, `write` and `cas` of whole numbers.
    ///
    /// # Errors
    /// The line of an op that is none of these.
    pub fn into_history(self) -> Result<History, ReadError> {
        let mut names = Names::default();
        let mut processes: FxHashMap<i64, ProcessId> = FxHashMap::default();
        let mut timed: Vec<(Nanos, u8, u64, Event)> = vec![];
        for (id, op) in (0u64..).zip(&self.ops) {
            let at = |what: String| ReadError::at(op.line, what);
            let call = call(op).map_err(at)?;
            let next = ProcessId(u32::try_from(processes.len()).map_err(|_| at("over 2^32 processes".to_owned()))?);
            let process = *processes.entry(op.process).or_insert(next);
            let (t, key, id) = (op.invoked, names.key(&op.key), OpId(id));
            let invoke = Invoke {
                op: id,
                process,
                client: None,
                t,
                intended: None,
                key,
                call,
                node: None,
                intent: None,
                attempt: None,
                payload: None,
                path: Path::Paxos,
            };
            timed.push((t, 1, op.line, Event::Invoke(invoke)));
            let Some(t) = op.completed else { continue };
            timed.push((t, rank(op), op.line, completion(op, call, id, t).map_err(at)?));
        }
        timed.sort_by_key(|(t, rank, _, _)| (*t, *rank));
        let mut builder = Builder::new(Keep::OpsOnly);
        for (_, _, line, event) in timed {
            builder.add(event).map_err(|what| ReadError::at(line, what))?;
        }
        Ok(builder.finish(Header::default(), names, self.warnings))
    }

    /// One key of a history.
    pub(super) fn of_history(history: &History, key: KeyId) -> Foreign {
        let name = history.names.key_name(key);
        let of_key = (0u64..).zip(&history.ops).filter(|(_, o)| o.key == key);
        let ops = of_key.map(|(place, op)| {
            let number = |v: Option<Value>| v.map_or(Json::Null, |v| v.0.into());
            let (argument, applied) = match op.call {
                Call::Read => (Json::Null, Json::Null),
                Call::Write { new } => (number(Some(new)), number(Some(new))),
                Call::Cas { expected, new } => (Json::from(vec![number(expected), number(Some(new))]), Json::Bool(true)),
            };
            let outcome = match op.outcome {
                Outcome::Ok(Seen::Value(v)) => ForeignOutcome::Ok(number(v)),
                Outcome::Ok(Seen::Written | Seen::Applied) => ForeignOutcome::Ok(applied),
                Outcome::Ok(Seen::ConditionNotMet(Current::Known(v))) => ForeignOutcome::Refused(Some(number(v))),
                Outcome::Ok(Seen::ConditionNotMet(Current::NotReported)) => ForeignOutcome::Refused(None),
                Outcome::Failed => ForeignOutcome::Failed,
                Outcome::Unknown | Outcome::Open => ForeignOutcome::Unknown,
            };
            ForeignOp {
                line: place + 1,
                process: i64::from(op.process.0),
                key: name.to_owned(),
                f: op.call.name().to_owned(),
                argument,
                invoked: op.invoked,
                completed: (op.outcome != Outcome::Open).then_some(op.completed),
                outcome,
            }
        });
        Foreign { ops: ops.collect(), warnings: vec![] }
    }
}

fn call(op: &ForeignOp) -> Result<Call, String> {
    match op.f.as_str() {
        "read" => Ok(Call::Read),
        "write" => Ok(Call::Write { new: number(&op.argument)?.ok_or("a write of nothing")? }),
        "cas" => match op.argument.as_array().map(Vec::as_slice) {
            Some([expected, new]) => Ok(Call::Cas { expected: number(expected)?, new: number(new)?.ok_or("a cas to nothing")? }),
            _ => Err(format!("a cas takes [expected new], not {}", shown(&op.argument))),
        },
        other => Err(format!("`{other}` is no op of a register, which has read, write and cas; is the model another one?")),
    }
}

fn completion(op: &ForeignOp, call: Call, id: OpId, t: Nanos) -> Result<Event, String> {
    fn done<S>(op: OpId, t: Nanos, seen: S) -> Completion<S> {
        Completion { op, t, seen, node: None, reason: None, diagnostics: None }
    }
    let seen = match (&op.outcome, call) {
        (ForeignOutcome::Failed, _) => return Ok(Event::Fail(done(id, t, ()))),
        (ForeignOutcome::Unknown, _) => return Ok(Event::Unknown(done(id, t, ()))),
        (ForeignOutcome::Ok(answer), Call::Read) => Seen::Value(number(answer)?),
        (ForeignOutcome::Ok(_), Call::Write { .. }) => Seen::Written,
        (ForeignOutcome::Ok(_), Call::Cas { .. }) => Seen::Applied,
        (ForeignOutcome::Refused(Some(found)), Call::Cas { .. }) => Seen::ConditionNotMet(Current::Known(number(found)?)),
        (ForeignOutcome::Refused(None), Call::Cas { .. }) => Seen::ConditionNotMet(Current::NotReported),
        (ForeignOutcome::Refused(_), Call::Read | Call::Write { .. }) => return Err("only a cas can be refused".to_owned()),
    };
    Ok(Event::Ok(done(id, t, seen)))
}

fn number(value: &Json) -> Result<Option<Value>, String> {
    match value {
        Json::Null => Ok(None),
        value => match value.as_i64() {
            Some(n) => Ok(Some(Value(n))),
            None => Err(format!("a register holds whole numbers of 64 bits, not {}", shown(value))),
        },
    }
}

fn shown(value: &Json) -> String {
    let mut text = value.to_string();
    if let Some((cut, _)) = text.char_indices().nth(MAX_SHOWN) {
        text.truncate(cut);
        text.push('…');
    }
    text
}
