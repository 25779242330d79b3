//! Short labels for ops.

use crate::linearizable::reason::value;
use heckle_history::{Call, Current, Operation, Outcome, Seen};

/// Returns a short label for an op and its answer: `cas 16 -> 17`, `read 16`.
pub fn label(op: &Operation) -> String {
    match (op.call, op.outcome) {
        (Call::Read, Outcome::Ok(Seen::Value(v))) => format!("{} {}", op.name(), value(v)),
        (Call::Read, _) => format!("{} ?", op.name()),
        (Call::Write { new }, outcome) => format!("{} {new}{}", op.name(), mark(outcome)),
        (Call::Cas { expected, new }, Outcome::Ok(Seen::ConditionNotMet(current))) => {
            let saw = match current {
                Current::Known(v) => value(v),
                Current::NotReported => "another value".to_owned(),
            };
            format!("cas {} -> {new}, saw {saw}", value(expected))
        }
        (Call::Cas { expected, new }, outcome) => format!("cas {} -> {new}{}", value(expected), mark(outcome)),
    }
}

fn mark(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok(_) => "",
        Outcome::Failed => " failed",
        Outcome::Unknown | Outcome::Open => " ?",
    }
}
