//! Converts ops of a register to a history and back.

use super::unpair::rank;
use super::{Foreign, ForeignOp, ForeignOutcome, Process, Summary, Values};
use crate::event::{Call, Completion, Current, Event, Header, Invoke, Seen};
use crate::ids::{KeyId, Nanos, OpId, ProcessId, Value};
use crate::names::Names;
use crate::operation::{Builder, History, Keep, Outcome};
use crate::reader::ReadError;
use rustc_hash::FxHashMap;
use serde_json::Value as Json;

/// Maximum length of a value in a message. Longer values are truncated.
const MAX_SHOWN: usize = 60;

/// A foreign history converted to registers.
#[derive(Debug, Clone)]
pub struct RegisterHistory {
    /// The ops. For each key, they are preceded by a write of the initial value, if there is one.
    pub history: History,
    /// The values represented by the numbers in the history.
    pub values: Values,
    /// Id of the first write of an initial value.
    pub initial_from: OpId,
}

/// Shift of all times if initial values are written first.
const SHIFT_NS: u64 = 1;

impl Foreign {
    /// Converts the ops to a history of registers without an initial value.
    ///
    /// # Errors
    /// See [`into_register`](Self::into_register).
    pub fn into_history(self) -> Result<History, ReadError> {
        self.into_register(None).map(|register| register.history)
    }

    /// Converts the ops to a history of registers: `read`, `write` and `cas`. With an initial value, the first op of
    /// every key writes that value and completes before any other op starts.
    ///
    /// # Errors
    /// Returns the line of an op that is not one of these.
    pub fn into_register(self, initial: Option<&Json>) -> Result<RegisterHistory, ReadError> {
        let (mut names, mut values) = (Names::default(), Values::default());
        let mut processes: FxHashMap<&Process, ProcessId> = FxHashMap::default();
        let mut timed: Vec<(Nanos, u8, u64, Event)> = vec![];
        let shift = if initial.is_some_and(|v| !v.is_null()) { SHIFT_NS } else { 0 };
        for (id, op) in (0u64..).zip(&self.ops) {
            let at = |what: String| ReadError::at(op.line, what);
            let call = call(op, &mut values).map_err(at)?;
            let next = ProcessId(u32::try_from(processes.len()).map_err(|_| at("over 2^32 processes".to_owned()))?);
            let process = *processes.entry(&op.process).or_insert(next);
            let (t, key, id) = (Nanos(op.invoked.0 + shift), names.key(&op.key), OpId(id));
            timed.push((t, 1, op.line, Event::Invoke(Invoke::new(id, process, t, key, call))));
            let Some(t) = op.completed.map(|t| Nanos(t.0 + shift)) else { continue };
            timed.push((t, rank(op), op.line, completion(op, call, id, t, &mut values).map_err(at)?));
        }
        let initial_from = OpId(self.ops.len() as u64);
        if let Some(value) = initial.filter(|v| !v.is_null()) {
            let call = Call::Write { new: Value(values.id(value).map_err(|what| ReadError::at(1, what))?) };
            let process = |key: KeyId| ProcessId(u32::MAX - key.0);
            for key in names.keys().map(|(key, _)| key) {
                let id = OpId(initial_from.0 + u64::from(key.0));
                timed.push((Nanos(0), 1, 0, Event::Invoke(Invoke::new(id, process(key), Nanos(0), key, call))));
                timed.push((Nanos(0), 2, 0, Event::Ok(done(id, Nanos(0), Seen::Written))));
            }
        }
        timed.sort_by_key(|(t, rank, _, _)| (*t, *rank));
        let mut builder = Builder::new(Keep::OpsOnly);
        for (_, _, line, event) in timed {
            builder.add(event).map_err(|what| ReadError::at(line, what))?;
        }
        let history = builder.finish(Header::default(), names, self.warnings);
        Ok(RegisterHistory { history, values, initial_from })
    }

    /// Extracts one key of a history.
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
                process: Process::Number(i64::from(op.process.0)),
                key: name.to_owned(),
                f: op.call.name().to_owned(),
                argument,
                invoked: op.invoked,
                completed: (op.outcome != Outcome::Open).then_some(op.completed),
                outcome,
            }
        });
        Foreign { ops: ops.collect(), warnings: vec![], summary: Summary::default() }
    }
}

fn done<S>(op: OpId, t: Nanos, seen: S) -> Completion<S> {
    Completion { op, t, seen, node: None, reason: None, diagnostics: None }
}

fn call(op: &ForeignOp, values: &mut Values) -> Result<Call, String> {
    match op.f.as_str() {
        "read" => match &op.outcome {
            ForeignOutcome::Ok(answer) if !op.argument.is_null() && *answer != op.argument => {
                Err(format!("a read takes no argument, but is asked {} and answers {}", shown(&op.argument), shown(answer)))
            }
            _ => Ok(Call::Read),
        },
        "write" => Ok(Call::Write { new: value(&op.argument, values)?.ok_or("a write of nothing")? }),
        "cas" => match op.argument.as_array().map(Vec::as_slice) {
            Some([expected, new]) => {
                Ok(Call::Cas { expected: value(expected, values)?, new: value(new, values)?.ok_or("a cas to nothing")? })
            }
            _ => Err(format!("a cas takes [expected new], not {}", shown(&op.argument))),
        },
        other => Err(format!("`{other}` is no op of a register, which has read, write and cas; is the model another one?")),
    }
}

fn completion(op: &ForeignOp, call: Call, id: OpId, t: Nanos, values: &mut Values) -> Result<Event, String> {
    let seen = match (&op.outcome, call) {
        (ForeignOutcome::Failed, _) => return Ok(Event::Fail(done(id, t, ()))),
        (ForeignOutcome::Unknown, _) => return Ok(Event::Unknown(done(id, t, ()))),
        (ForeignOutcome::Ok(answer), Call::Read) => Seen::Value(value(answer, values)?),
        (ForeignOutcome::Ok(answer), Call::Write { .. }) => op.echoed(answer).map(|()| Seen::Written)?,
        (ForeignOutcome::Ok(answer), Call::Cas { .. }) => op.echoed(answer).map(|()| Seen::Applied)?,
        (ForeignOutcome::Refused(Some(found)), Call::Cas { .. }) => Seen::ConditionNotMet(Current::Known(value(found, values)?)),
        (ForeignOutcome::Refused(None), Call::Cas { .. }) => Seen::ConditionNotMet(Current::NotReported),
        (ForeignOutcome::Refused(_), Call::Read | Call::Write { .. }) => return Err("only a cas can be refused".to_owned()),
    };
    Ok(Event::Ok(done(id, t, seen)))
}

fn value(value: &Json, values: &mut Values) -> Result<Option<Value>, String> {
    if value.is_null() { Ok(None) } else { values.id(value).map(|id| Some(Value(id))) }
}

impl ForeignOp {
    /// Checks that the ok of an update has no value, `true`, or its argument. Any other value may mean that the update
    /// did something different or nothing.
    ///
    /// # Errors
    /// Describes the unexpected value.
    pub fn echoed(&self, answer: &Json) -> Result<(), String> {
        if answer.is_null() || *answer == Json::Bool(true) || *answer == self.argument {
            return Ok(());
        }
        let hint = if *answer == Json::Bool(false) { "; what did not happen is :fail" } else { "" };
        Err(format!("`{}` was asked {} and its ok answers {}{hint}", self.f, shown(&self.argument), shown(answer)))
    }
}

/// Formats a value, truncated if it is long.
fn shown(value: &Json) -> String {
    let mut text = value.to_string();
    if let Some((cut, _)) = text.char_indices().nth(MAX_SHOWN) {
        text.truncate(cut);
        text.push('…');
    }
    text
}
