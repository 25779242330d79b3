//! Converts one op of a foreign history to a call of a model. A value of the wrong type is rejected.

use super::super::{Claim, ModelCall, ModelKind};
use heckle_history::foreign::{ForeignOp, ForeignOutcome, Process, Values};
use serde_json::{Map, Value as Json};

/// Converts the call and the answer of an op.
///
/// # Errors
/// Returns the reason why the op does not belong to the model.
pub(super) fn call(op: &ForeignOp, model: ModelKind, values: &mut Values) -> Result<ModelCall, String> {
    let answer = match &op.outcome {
        ForeignOutcome::Ok(answer) => Some(answer),
        ForeignOutcome::Refused(_) => return Err(format!("`{}` of a {} cannot be refused", op.f, model.word())),
        ForeignOutcome::Failed | ForeignOutcome::Unknown => None,
    };
    match model {
        ModelKind::Set => set(op, answer, values),
        ModelKind::Queue => queue(op, answer, values),
        ModelKind::Counter => counter(op, answer),
        ModelKind::Mutex | ModelKind::OwnerMutex | ModelKind::FencedMutex => mutex(op, answer, model, values),
        ModelKind::Text => text_op(op, answer),
        ModelKind::ListAppend => list(op, answer, values),
        ModelKind::CasRegister => Err("the ops of a register are judged as a history instead".to_owned()),
    }
}

/// Returns whether a model has an op of this name.
pub(super) fn supports(model: ModelKind, f: &str) -> bool {
    let all: &[&str] = match model {
        ModelKind::CasRegister => &["read", "write", "cas"],
        ModelKind::Set => &["add", "remove", "contains", "read"],
        ModelKind::Queue => &["enqueue", "dequeue"],
        ModelKind::Counter => &["add", "inc", "increment", "read"],
        ModelKind::Mutex | ModelKind::OwnerMutex | ModelKind::FencedMutex => &["acquire", "release"],
        ModelKind::Text => &["get", "read", "put", "write", "append"],
        ModelKind::ListAppend => &["append", "read"],
    };
    all.contains(&f)
}

fn unsupported(op: &ForeignOp, model: &str) -> String {
    format!("`{}` is no op of a {model}", op.f)
}

fn check_echo(op: &ForeignOp, answer: Option<&Json>) -> Result<(), String> {
    answer.map_or(Ok(()), |answer| op.echoed(answer))
}

fn member(op: &ForeignOp, values: &mut Values) -> Result<i64, String> {
    if op.argument.is_null() { Err(format!("`{}` of nothing", op.f)) } else { values.id(&op.argument) }
}

fn set(op: &ForeignOp, answer: Option<&Json>, values: &mut Values) -> Result<ModelCall, String> {
    let truth = |answer: &Json| answer.as_bool().ok_or_else(|| format!("`{}` answers true or false, not {answer}", op.f));
    Ok(match op.f.as_str() {
        "add" => {
            check_echo(op, answer)?;
            ModelCall::Add { member: member(op, values)? }
        }
        // Most clients only echo the element they asked to remove.
        "remove" => {
            let silent = |answer: &&Json| answer.is_null() || **answer == op.argument;
            let found = answer.filter(|a| !silent(a)).map(truth).transpose()?;
            ModelCall::Remove { member: member(op, values)?, found }
        }
        "contains" => ModelCall::Contains { member: member(op, values)?, found: answer.map(truth).transpose()? },
        "read" => {
            let Some(answer) = answer else { return Ok(ModelCall::Members { members: None, twice: false }) };
            let items = answer.as_array().ok_or_else(|| format!("a read of a set answers its members, not {answer}"))?;
            let mut members: Vec<i64> = items.iter().map(|item| values.id(item)).collect::<Result<_, _>>()?;
            members.sort_unstable();
            members.dedup();
            let twice = members.len() < items.len();
            ModelCall::Members { members: Some(members), twice }
        }
        _ => return Err(unsupported(op, "set")),
    })
}

/// Converts an op on a list. A read of an empty list may return nothing.
fn list(op: &ForeignOp, answer: Option<&Json>, values: &mut Values) -> Result<ModelCall, String> {
    Ok(match op.f.as_str() {
        "append" => {
            check_echo(op, answer)?;
            ModelCall::Push { item: member(op, values)? }
        }
        "read" => {
            let Some(answer) = answer else { return Ok(ModelCall::Items { items: None }) };
            let none = vec![];
            let items = if answer.is_null() { Some(&none) } else { answer.as_array() };
            let items = items.ok_or_else(|| format!("a read of a list answers its values, not {answer}"))?;
            ModelCall::Items { items: Some(items.iter().map(|item| values.id(item)).collect::<Result<_, _>>()?) }
        }
        _ => return Err(unsupported(op, "list")),
    })
}

fn queue(op: &ForeignOp, answer: Option<&Json>, values: &mut Values) -> Result<ModelCall, String> {
    let mut item = |answer: &Json| if answer.is_null() { Ok(None) } else { values.id(answer).map(Some) };
    Ok(match op.f.as_str() {
        "enqueue" => {
            check_echo(op, answer)?;
            ModelCall::Enqueue { item: member(op, values)? }
        }
        "dequeue" => ModelCall::Dequeue { item: answer.map(&mut item).transpose()? },
        _ => return Err(unsupported(op, "queue")),
    })
}

fn counter(op: &ForeignOp, answer: Option<&Json>) -> Result<ModelCall, String> {
    let number = |value: &Json| value.as_i64().ok_or_else(|| format!("a whole number of 64 bits is needed, not {value}"));
    Ok(match op.f.as_str() {
        "add" | "inc" | "increment" => {
            check_echo(op, answer)?;
            let one = op.argument.is_null() && op.f != "add";
            ModelCall::Increment { by: if one { 1 } else { number(&op.argument)? } }
        }
        "read" => ModelCall::Count { count: answer.map(number).transpose()? },
        _ => return Err(unsupported(op, "counter")),
    })
}

/// Converts an op on a text. A number is not accepted as a text, since `5` and `"5"` would then be equal.
fn text_op(op: &ForeignOp, answer: Option<&Json>) -> Result<ModelCall, String> {
    let text = |value: &Json| value.as_str().map(str::to_owned).ok_or_else(|| format!("a text is needed, not {value}"));
    let seen = |answer: &Json| if answer.is_null() { Ok(None) } else { text(answer).map(Some) };
    Ok(match op.f.as_str() {
        "get" | "read" => ModelCall::Get { text: answer.map(seen).transpose()? },
        "put" | "write" => {
            check_echo(op, answer)?;
            ModelCall::Put { text: text(&op.argument)? }
        }
        "append" => {
            check_echo(op, answer)?;
            ModelCall::Append { text: text(&op.argument)? }
        }
        _ => return Err(unsupported(op, "text")),
    })
}

/// Parses the value of a mutex op: an owner, or a map of owner and token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct MutexValue {
    owner: Option<i64>,
    fence: Option<i64>,
}

fn mutex(op: &ForeignOp, answer: Option<&Json>, model: ModelKind, values: &mut Values) -> Result<ModelCall, String> {
    let acquires = match op.f.as_str() {
        "acquire" => true,
        "release" => false,
        _ => return Err(unsupported(op, "mutex")),
    };
    let asked = parse_mutex_value(&op.argument, model, values)?;
    let answer = answer.filter(|a| !a.is_null() && **a != Json::Bool(true));
    let answered = answer.map(|answer| parse_mutex_value(answer, model, values)).transpose()?.unwrap_or_default();
    let both = |name: &str, asked: Option<i64>, answered: Option<i64>| match (asked, answered) {
        (Some(a), Some(b)) if a != b => {
            let hint = "write {:owner …, :fence …} where one is an owner and the other a token";
            Err(format!("`{}` names one {name} when it is invoked and another in its ok; {hint}", op.f))
        }
        (a, b) => Ok(a.or(b)),
    };
    let mut owner = both("holder", asked.owner, answered.owner)?;
    let fence = both("token", asked.fence, answered.fence)?;
    if model == ModelKind::OwnerMutex && owner.is_none() {
        owner = Some(holder(&op.process, values)?);
    }
    let claim = Claim { owner, fence };
    Ok(if acquires { ModelCall::Acquire(claim) } else { ModelCall::Release(claim) })
}

/// Returns a number that represents a process as the holder, distinct from all values that may name an owner.
fn holder(process: &Process, values: &mut Values) -> Result<i64, String> {
    values.id(&serde_json::json!({ "process": process.to_string() }))
}

fn parse_mutex_value(value: &Json, model: ModelKind, values: &mut Values) -> Result<MutexValue, String> {
    let token = |value: &Json| value.as_i64().ok_or_else(|| format!("a fencing token is a whole number, not {value}"));
    match value {
        Json::Null => Ok(MutexValue::default()),
        Json::Object(map) => from_map(map, values),
        Json::Array(_) => Err(format!("a mutex is held by an owner, not by {value}; with [key value], is --key-from right?")),
        scalar if model == ModelKind::FencedMutex => Ok(MutexValue { owner: None, fence: Some(token(scalar)?) }),
        scalar => Ok(MutexValue { owner: Some(values.id(scalar)?), fence: None }),
    }
}

fn from_map(map: &Map<String, Json>, values: &mut Values) -> Result<MutexValue, String> {
    let mut said = MutexValue::default();
    for (name, value) in map.iter().filter(|(_, value)| !value.is_null()) {
        let slot = match name.as_str() {
            "owner" | "client" => &mut said.owner,
            "fence" | "token" => &mut said.fence,
            other => return Err(format!("a mutex value has :owner or :client, and :fence or :token, not :{other}")),
        };
        let number = match name.as_str() {
            "fence" | "token" => value.as_i64().ok_or_else(|| format!("a fencing token is a whole number, not {value}"))?,
            _ => values.id(value)?,
        };
        if slot.replace(number).is_some() {
            return Err("a mutex value names its owner or its token twice".to_owned());
        }
    }
    Ok(said)
}
