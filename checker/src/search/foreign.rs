//! Foreign histories: ops whose values are still JSON, as questions to a search.
//!
//! | model | ops |
//! |---|---|
//! | `set` | `add` v, `remove` v, `contains` v, `read` -> members |
//! | `queue` | `enqueue` v, `dequeue` -> v or nothing |
//! | `counter` | `add` v (`inc`, `increment`), `read` -> count |
//! | `mutex` | `acquire`, `release`; a value names the holder, else any process may release |
//! | `text` | `get` -> text, `put` text, `append` text |
//!
//! `cas-register` is no business of this module: its ops become a [`History`] and go to the
//! chain checker first.

use super::{ModelCall, ModelKind, SearchOp, SearchRequest, SearchRunner};
use crate::judge::{Checker, NO_OTHER_ENGINE, Options, judge, judge_model};
use crate::verdict::{Engine, KeyReport, Linearizability, SecondOpinion, Verdict};
use heckle_history::History;
use heckle_history::foreign::{Foreign, ForeignOp, ForeignOutcome};
use heckle_history::reader::ReadError;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Judges a foreign history by a model. For a register the history is handed back, for checks and explanations.
///
/// # Errors
/// An op that is none of the model's, by its line.
pub fn judge_foreign(foreign: Foreign, model: ModelKind, options: &Options<'_>) -> Result<(Linearizability, Option<History>), ReadError> {
    if model == ModelKind::CasRegister {
        let history = foreign.into_history()?;
        return Ok((judge(&history, options).linearizability, Some(history)));
    }
    let questions = questions(&foreign, model)?;
    let linearizability = match options.checker {
        Checker::Chain => left_unknown(&questions),
        Checker::Auto | Checker::Porcupine | Checker::Both => by_search(&questions, options.search),
    };
    Ok((linearizability, None))
}

/// The chain checker judges registers only. Where it alone may judge, no search is started.
fn left_unknown(questions: &BTreeMap<String, SearchRequest>) -> Linearizability {
    let key = |(key, question): (&String, &SearchRequest)| KeyReport {
        key: key.clone(),
        ops: question.ops.len() as u64,
        verdict: Verdict::Unknown,
        engine: Engine::Chain,
        verdict_without_fates: None,
        outside: Some(format!("a {} is no register", question.model.word())),
        note: Some(NO_OTHER_ENGINE.to_owned()),
        second_opinion: SecondOpinion::NotAsked,
    };
    Linearizability {
        verdict: Verdict::Unknown,
        checker: Engine::Chain,
        check_ms: None,
        second_opinion_ms: None,
        detected_ms: None,
        verdict_without_fates: None,
        keys: questions.iter().map(key).collect(),
        violations: vec![],
    }
}

fn by_search(questions: &BTreeMap<String, SearchRequest>, search: &dyn SearchRunner) -> Linearizability {
    let (mut keys, mut violations) = (vec![], vec![]);
    for (key, question) in questions {
        let (report, violation) = judge_model(key, question, search);
        keys.push(report);
        if let Some(mut violation) = violation {
            violation.id = violations.len() as u32 + 1;
            violations.push(violation);
        }
    }
    let verdict = Verdict::merge_all(keys.iter().map(|k| k.verdict));
    Linearizability {
        verdict,
        checker: Engine::Search,
        check_ms: None,
        second_opinion_ms: None,
        detected_ms: None,
        verdict_without_fates: None,
        keys,
        violations,
    }
}

/// One question for each key.
///
/// # Errors
/// An op that is none of the model's, by its line.
pub fn questions(foreign: &Foreign, model: ModelKind) -> Result<BTreeMap<String, SearchRequest>, ReadError> {
    let mut keys: BTreeMap<String, SearchRequest> = BTreeMap::new();
    for (id, op) in (0u64..).zip(&foreign.ops) {
        let call = call(op, model).map_err(|what| ReadError::IllFormed { line: op.line, what })?;
        let request = keys.entry(op.key.clone()).or_insert_with(|| SearchRequest { model, ops: vec![], shrink: false });
        let happened = matches!(op.outcome, ForeignOutcome::Ok(_) | ForeignOutcome::Refused(_));
        if op.outcome != ForeignOutcome::Failed {
            request.ops.push(SearchOp { id, invoked: op.invoked.0, completed: op.completed.filter(|_| happened).map(|t| t.0), call });
        }
    }
    Ok(keys)
}

fn call(op: &ForeignOp, model: ModelKind) -> Result<ModelCall, String> {
    let answer = match &op.outcome {
        ForeignOutcome::Ok(answer) => Some(answer),
        ForeignOutcome::Refused(_) => return Err(format!("`{}` of a {} cannot be refused", op.f, model.word())),
        ForeignOutcome::Failed | ForeignOutcome::Unknown => None,
    };
    let whole = || number(&op.argument);
    Ok(match (model, op.f.as_str()) {
        (ModelKind::Set, "add") => ModelCall::Add { member: whole()? },
        (ModelKind::Set, "remove") => ModelCall::Remove { member: whole()?, found: answer.and_then(Json::as_bool) },
        (ModelKind::Set, "contains") => ModelCall::Contains { member: whole()?, found: answer.and_then(Json::as_bool) },
        (ModelKind::Set, "read") => ModelCall::Members { members: answer.map(members).transpose()? },
        (ModelKind::Queue, "enqueue") => ModelCall::Enqueue { item: whole()? },
        (ModelKind::Queue, "dequeue") => ModelCall::Dequeue { item: answer.map(maybe).transpose()? },
        (ModelKind::Counter, "add" | "inc" | "increment") => ModelCall::Increment { by: if op.argument.is_null() { 1 } else { whole()? } },
        (ModelKind::Counter, "read") => ModelCall::Count { count: answer.map(number).transpose()? },
        (ModelKind::Mutex, "acquire") => ModelCall::Acquire { holder: op.argument.as_i64().unwrap_or(0) },
        (ModelKind::Mutex, "release") => ModelCall::Release { holder: op.argument.as_i64().unwrap_or(0) },
        (ModelKind::Text, "get" | "read") => ModelCall::Get { text: answer.map(text).transpose()? },
        (ModelKind::Text, "put" | "write") => ModelCall::Put { text: text(&op.argument)? },
        (ModelKind::Text, "append") => ModelCall::Append { text: text(&op.argument)? },
        (_, other) => return Err(format!("`{other}` is no op of a {}", model.word())),
    })
}

fn number(value: &Json) -> Result<i64, String> {
    value.as_i64().ok_or_else(|| format!("a whole number of 64 bits is needed, not {value}"))
}

fn maybe(value: &Json) -> Result<Option<i64>, String> {
    if value.is_null() { Ok(None) } else { number(value).map(Some) }
}

fn members(value: &Json) -> Result<std::collections::BTreeSet<i64>, String> {
    let items = value.as_array().ok_or_else(|| format!("a set's members are needed, not {value}"))?;
    items.iter().map(number).collect()
}

fn text(value: &Json) -> Result<String, String> {
    match value {
        Json::Null => Ok(String::new()),
        Json::String(text) => Ok(text.clone()),
        other => Ok(other.to_string()),
    }
}
