//! How concurrent and contended it was: a history in which nothing could have gone wrong proves nothing.
//!
//! An op is *contended* if it overlaps an update of another process on its key: only such an op has more than one
//! place to go. What a client gave up on counts for as long as it waited.

use super::{CheckResult, result};
use crate::verdict::Verdict;
use heckle_history::{History, Nanos, Operation, Outcome, Seen};
use serde_json::json;

/// Fewer contended ops than this and the verdict rests on luck.
const MIN_CONTENDED: u64 = 20;

/// Fewer effective updates than this and there was hardly a state to disagree on.
const MIN_UPDATES: u64 = 20;

/// Measures the history. If it was vacuous: unknown where `strict`, else valid with a warning in its words.
pub fn check(history: &History, strict: bool) -> CheckResult {
    let effective = |o: &&Operation| matches!(o.outcome, Outcome::Ok(Seen::Written | Seen::Applied));
    let updates = history.ops.iter().filter(effective).count() as u64;
    let refused = history.ops.iter().filter(|o| matches!(o.outcome, Outcome::Ok(Seen::ConditionNotMet(_)))).count() as u64;
    let unknown = history.ops.iter().filter(|o| matches!(o.outcome, Outcome::Unknown | Outcome::Open)).count() as u64;
    let (mut contended, mut most) = (0, 0);
    for places in history.by_key() {
        let mut ops: Vec<&Operation> = places.iter().map(|&p| &history.ops[p as usize]).collect();
        ops.sort_by_key(|o| o.invoked);
        let (of_key, most_of_key) = overlap(&ops, history.end);
        contended += of_key;
        most = most.max(most_of_key);
    }
    let mut why = vec![];
    if contended < MIN_CONTENDED {
        why.push(format!("{contended} ops overlapped an update of another process on their key, {MIN_CONTENDED} would be evidence"));
    }
    if updates < MIN_UPDATES {
        why.push(format!("{updates} updates took effect, {MIN_UPDATES} would be evidence"));
    }
    let share = contended as f64 / (history.ops.len().max(1)) as f64;
    let (verdict, words) = match (why.is_empty(), strict) {
        (true, _) => {
            (Verdict::Valid, format!("{contended} of {} ops were contended, at most {most} at once on one key", history.ops.len()))
        }
        (false, true) => (Verdict::Unknown, format!("a valid verdict would mean little: {}", why.join("; "))),
        (false, false) => (Verdict::Valid, format!("warning: a valid verdict means little here: {}", why.join("; "))),
    };
    let figure = [
        ("ops", json!(history.ops.len())),
        ("effective_updates", json!(updates)),
        ("condition_not_met", json!(refused)),
        ("unknown", json!(unknown)),
        ("contended_ops", json!(contended)),
        ("contended_share", json!(share)),
        ("most_at_once_on_a_key", json!(most)),
        ("vacuous", json!(!why.is_empty())),
    ];
    result("vacuity", verdict, words, figure)
}

/// How many ops overlap an update of another process, and the most that were open at once.
fn overlap(ops: &[&Operation], end: Nanos) -> (u64, u64) {
    let mut contended = vec![false; ops.len()];
    let mut open: Vec<usize> = vec![];
    let mut most = 0;
    for (i, op) in ops.iter().enumerate() {
        open.retain(|&o| ops[o].completed.min(end) >= op.invoked);
        let updates = |o: &Operation| o.call.writes().is_some() && o.outcome != Outcome::Failed;
        for &other in open.iter().filter(|&&o| ops[o].process != op.process) {
            contended[i] |= updates(ops[other]);
            contended[other] |= updates(op);
        }
        open.push(i);
        most = most.max(open.len() as u64);
    }
    (contended.into_iter().filter(|&c| c).count() as u64, most)
}
