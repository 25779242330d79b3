//! Converts foreign histories, whose values are still JSON, to search requests.
//!
//! | model | ops |
//! |---|---|
//! | `set` | `add` v, `remove` v, `contains` v, `read` -> members |
//! | `queue` | `enqueue` v, `dequeue` -> v or nothing |
//! | `counter` | `add` v (`inc`, `increment`), `read` -> count |
//! | `mutex` | `acquire`, `release`; a value names the owner, or is `{:owner … :fence …}` |
//! | `owner-mutex` | the same, but the process is the owner if no value names one |
//! | `fenced-mutex` | the same, but a bare number is a fencing token, which must increase |
//! | `text` | `get` -> text, `put` text, `append` text |
//! | `list-append` | `append` v, `read` -> all values in order |
//!
//! The ops of a `cas-register` become a [`History`] and go to the chain checker first.

mod calls; // converts an op to a call of a model
mod thin; // checks whether enough happened

use super::small::SmallFirst;
use super::{ModelKind, SearchOp, SearchRequest, SearchRunner};
use crate::checks::vacuity;
use crate::judge::{Checker, Options, judge};
use crate::objects::{Counts, Question, judge_key};
use crate::verdict::{Engine, Explanation, Linearizability, Verdict, Violation};
use heckle_history::foreign::{Foreign, ForeignOp, ForeignOutcome, Process, Values};
use heckle_history::reader::ReadError;
use heckle_history::{History, OpId};
use rustc_hash::FxHashMap;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// With more keys than this, small keys are searched in this process first.
const MANY_KEYS: usize = 500;

/// Settings for judging a foreign history.
#[derive(Clone, Copy)]
pub struct JudgeForeign<'a> {
    /// Model of every key.
    pub model: ModelKind,
    /// The initial value of a key, for a register, a counter or a text.
    pub initial: Option<&'a Json>,
    /// Whether ops that the model does not support are skipped and counted.
    pub lenient: bool,
    /// Whether a history with too few contended ops is unknown instead of valid with a warning.
    pub strict: bool,
    /// The engines and their limits.
    pub options: Options<'a>,
}

/// The result of judging a foreign history.
#[derive(Debug, Clone)]
pub struct ForeignJudgement {
    /// Verdicts per key.
    pub linearizability: Linearizability,
    /// Overall verdict: unknown if nothing was checked or, with `strict`, too little.
    pub verdict: Verdict,
    /// Number of ops that were answered and therefore checked.
    pub checked: u64,
    /// How the values were interpreted.
    pub values: String,
    /// Counts of acknowledged updates and their fates; empty for a register.
    pub counts: Counts,
    /// Caveats that apply to the verdict.
    pub warnings: Vec<String>,
    /// The ops of a register, for checks and explanations.
    pub history: Option<History>,
}

/// Judges a foreign history with a model.
///
/// # Errors
/// Returns an op that the model does not support, with its line number.
pub fn judge_foreign(mut foreign: Foreign, how: &JudgeForeign<'_>) -> Result<ForeignJudgement, ReadError> {
    let model = how.model;
    if how.initial.is_some() && !matches!(model, ModelKind::CasRegister | ModelKind::Counter | ModelKind::Text) {
        return Err(ReadError::IllFormed { line: 1, what: format!("a {} has no initial value", model.word()) });
    }
    if how.lenient {
        let Foreign { ops, summary, .. } = &mut foreign;
        ops.retain(|op| {
            let known = calls::supports(model, &op.f);
            if !known {
                summary.skip(op.line, format!("`{}` is no op of a {}", op.f, model.word()));
            }
            known
        });
        foreign.warnings = foreign.summary.warnings();
    }
    let checked = foreign.ops.iter().filter(|op| matches!(op.outcome, ForeignOutcome::Ok(_) | ForeignOutcome::Refused(_))).count() as u64;
    let mut warnings = foreign.warnings.clone();
    let thin = thin::figures(&foreign.ops);
    let (mut linearizability, values, initial_from, history, counts) = if model == ModelKind::CasRegister {
        let register = foreign.clone().into_register(how.initial)?;
        let mut judged = judge(&register.history, &how.options).linearizability;
        if how.initial.is_some_and(|v| !v.is_null()) {
            judged.keys.iter_mut().for_each(|key| key.ops = key.ops.saturating_sub(1));
        }
        (judged, register.values, register.initial_from, Some(register.history), Counts::default())
    } else {
        let (questions, values) = questions(&foreign, model, how.initial)?;
        // With very many keys, starting one process per key would take hours.
        let small = SmallFirst(how.options.search);
        let many = how.options.checker == Checker::Auto && questions.len() > MANY_KEYS;
        let judged = judge_questions(&questions, &how.options, if many { &small } else { how.options.search });
        let mut counts = Counts::default();
        questions.values().for_each(|question| counts.add(&Counts::of(question)));
        (judged, values, OpId(foreign.ops.len() as u64), None, counts)
    };
    for violation in &mut linearizability.violations {
        explain(violation, &foreign.ops, &values, initial_from);
    }
    let mut verdict = linearizability.verdict;
    if checked == 0 {
        verdict = verdict.merge(Verdict::Unknown);
        warnings.push("no op was answered, so nothing was checked".to_owned());
    } else if let Some(why) = vacuity::insufficient_reason(thin.contended, thin.updates) {
        warnings.push(format!("a valid verdict means little here: {why}"));
        if how.strict {
            verdict = verdict.merge(Verdict::Unknown);
        }
    }
    Ok(ForeignJudgement { linearizability, verdict, checked, values: values.words().to_owned(), counts, warnings, history })
}

/// Replaces numbers with the original values, and op ids with line numbers.
fn explain(violation: &mut Violation, ops: &[ForeignOp], values: &Values, initial_from: OpId) {
    let Explanation { summary, steps, nearby, .. } = &mut violation.explanation;
    for text in std::iter::once(&mut *summary).chain(steps.iter_mut()).chain(nearby.iter_mut()) {
        *text = values.restore(text);
    }
    for op in &violation.ops {
        if *op >= initial_from {
            steps.push(format!("op {op} stands for the initial value"));
        } else if let Some(foreign) = ops.get(op.0 as usize) {
            let answer = match &foreign.outcome {
                ForeignOutcome::Ok(answer) => format!("ok {answer}"),
                ForeignOutcome::Refused(found) => found.as_ref().map_or("refused".to_owned(), |found| format!("refused by {found}")),
                ForeignOutcome::Failed => "failed".to_owned(),
                ForeignOutcome::Unknown => "outcome unknown".to_owned(),
            };
            let (f, argument, process, line) = (&foreign.f, &foreign.argument, &foreign.process, foreign.line);
            steps.push(format!("op {op} is `{f}` {argument} of process {process}, invoked on line {line}: {answer}"));
        }
    }
}

/// Judges each key. `search` handles the keys that a scan leaves open.
pub fn judge_questions(questions: &BTreeMap<String, Question>, options: &Options<'_>, search: &dyn SearchRunner) -> Linearizability {
    let (mut keys, mut violations) = (vec![], vec![]);
    for (key, question) in questions {
        let (report, violation) = judge_key(key, question, options, search);
        keys.push(report);
        if let Some(mut violation) = violation {
            violation.id = violations.len() as u32 + 1;
            violations.push(violation);
        }
    }
    let verdict = Verdict::merge_all(keys.iter().map(|k| k.verdict));
    let searched = options.checker == Checker::Porcupine || keys.iter().any(|k| k.engine == Engine::Search);
    Linearizability {
        verdict,
        checker: if searched { Engine::Search } else { Engine::Scan },
        check_ms: None,
        second_opinion_ms: None,
        detected_ms: None,
        verdict_without_fates: None,
        keys,
        violations,
    }
}

/// Returns one question per key, and the values represented by the numbers in the questions.
///
/// # Errors
/// Returns an op that the model does not support, with its line number.
pub fn questions(foreign: &Foreign, model: ModelKind, initial: Option<&Json>) -> Result<(BTreeMap<String, Question>, Values), ReadError> {
    let mut keys: BTreeMap<String, Question> = BTreeMap::new();
    let mut values = Values::default();
    let mut processes: FxHashMap<&Process, u32> = FxHashMap::default();
    for (id, op) in (0u64..).zip(&foreign.ops) {
        let call = calls::call(op, model, &mut values).map_err(|what| ReadError::IllFormed { line: op.line, what })?;
        if !keys.contains_key(&op.key) {
            let request = SearchRequest { model, ops: vec![], shrink: false };
            keys.insert(op.key.clone(), Question { request, processes: vec![], failed: vec![] });
        }
        let Some(question) = keys.get_mut(&op.key) else { continue };
        let happened = matches!(op.outcome, ForeignOutcome::Ok(_) | ForeignOutcome::Refused(_));
        // Times are shifted by one so that the op that sets the initial value completes before all others.
        let completed = op.completed.filter(|_| happened).map(|t| t.0 + 1);
        let asked = SearchOp { id, invoked: op.invoked.0 + 1, completed, call };
        if op.outcome == ForeignOutcome::Failed {
            question.failed.push(asked);
            continue;
        }
        let next = processes.len() as u32;
        question.processes.push(*processes.entry(&op.process).or_insert(next));
        question.request.ops.push(asked);
    }
    if let Some(initial) = initial.filter(|v| !v.is_null()) {
        let op = ForeignOp {
            line: 1,
            process: Process::Name("initial".into()),
            key: String::new(),
            f: if model == ModelKind::Counter { "add" } else { "put" }.to_owned(),
            argument: initial.clone(),
            invoked: heckle_history::Nanos(0),
            completed: Some(heckle_history::Nanos(0)),
            outcome: ForeignOutcome::Ok(Json::Null),
        };
        let call = calls::call(&op, model, &mut values)
            .map_err(|what| ReadError::IllFormed { line: 1, what: format!("the initial value does not fit: {what}") })?;
        for (id, question) in (foreign.ops.len() as u64..).zip(keys.values_mut()) {
            question.request.ops.push(SearchOp { id, invoked: 0, completed: Some(0), call: call.clone() });
            question.processes.push(u32::MAX);
        }
    }
    Ok((keys, values))
}
