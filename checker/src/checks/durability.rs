//! Checks that the final state is not older than the newest acknowledged update.
//!
//! Reads after the last acknowledgement on a key show the final state. If an acknowledged update had overwritten, in
//! real time, the value they return, that update is lost. Linearizability implies this property. It is checked
//! separately because it is easy to understand and usually the first question. The check considers only the newest
//! update; [`acknowledged`](super::acknowledged) reports updates that were undone earlier.

use super::{CheckResult, result};
use crate::verdict::Verdict;
use heckle_history::{History, Nanos, Operation, Outcome, Seen, Value};
use rustc_hash::FxHashMap;
use serde_json::json;

/// Checks every key that has acknowledged updates.
pub fn check(history: &History) -> CheckResult {
    let keys = history.by_key();
    let (mut acknowledged, mut read, mut unread, mut lost) = (0u64, 0u64, vec![], vec![]);
    for (key, name) in history.names.keys() {
        let ops: Vec<&Operation> = keys[key.0 as usize].iter().map(|&p| &history.ops[p as usize]).collect();
        let updates: Vec<&&Operation> = ops.iter().filter(|o| matches!(o.outcome, Outcome::Ok(Seen::Written | Seen::Applied))).collect();
        acknowledged += updates.len() as u64;
        // The update with the latest invocation cannot have been overwritten by another acknowledged one.
        let Some(newest) = updates.iter().max_by_key(|o| o.invoked) else { continue };
        let settled = updates.iter().map(|o| o.completed).max().unwrap_or(Nanos(0));
        let finals: Vec<(&Operation, Option<Value>)> = ops.iter().filter(|o| o.invoked > settled).filter_map(|o| saw(o)).collect();
        if finals.is_empty() {
            unread.push(name);
            continue;
        }
        read += finals.len() as u64;
        let writers: FxHashMap<Value, &Operation> = ops.iter().filter_map(|o| o.call.writes().map(|v| (v, *o))).collect();
        for (reader, value) in finals {
            let outlived = match value {
                None => true,
                Some(v) => writers.get(&v).is_none_or(|w| w.effect_by() < newest.invoked),
            };
            if outlived {
                let seen = crate::linearizable::reason::value(value);
                lost.push(format!(
                    "{name}: op {} was acknowledged at {}, and op {} afterwards read {seen}",
                    newest.op, newest.completed, reader.op
                ));
            }
        }
    }
    let verdict = match (lost.is_empty(), unread.is_empty() && acknowledged > 0) {
        (false, _) => Verdict::Invalid,
        (true, true) => Verdict::Valid,
        (true, false) => Verdict::Unknown,
    };
    let words = match verdict {
        Verdict::Valid => format!("no final read ({read}) saw a value older than the newest acknowledged update of its key"),
        Verdict::Unknown if acknowledged == 0 => "no update was acknowledged".to_owned(),
        Verdict::Unknown => format!("not read after the last acknowledged update: {}", unread.join(", ")),
        Verdict::Invalid => format!("lost after acknowledgement: {}", lost[0]),
    };
    let figure = [("acknowledged_updates", json!(acknowledged)), ("final_reads", json!(read)), ("lost", json!(lost.len()))];
    result("durability", verdict, words, figure)
}

fn saw<'o>(op: &&'o Operation) -> Option<(&'o Operation, Option<Value>)> {
    match op.outcome {
        Outcome::Ok(Seen::Value(value)) => Some((op, value)),
        Outcome::Ok(_) | Outcome::Failed | Outcome::Unknown | Outcome::Open => None,
    }
}
