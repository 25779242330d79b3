//! How long each fault was felt: from its end until every key has seen an ok that was invoked after it.

use super::{CheckResult, result};
use crate::coverage::{self, Fault};
use crate::verdict::Verdict;
use heckle_history::{History, Nanos, Outcome};
use serde_json::json;

/// Measures every fault. Unknown if one ended and some key saw no ok any more.
pub fn check(history: &History) -> CheckResult {
    let faults = coverage::faults(history);
    let mut lines = vec![];
    let mut worst = Nanos(0);
    let mut never = vec![];
    for fault in &faults {
        let took = of(history, fault);
        match took {
            Some(t) => worst = worst.max(t),
            None => never.push(format!("{} (fault {})", fault.kind, fault.id)),
        }
        lines.push(json!({"id": fault.id, "kind": &*fault.kind, "recovery_ms": took.map(Nanos::as_ms_f64)}));
    }
    let verdict = if never.is_empty() { Verdict::Valid } else { Verdict::Unknown };
    let words = match (faults.is_empty(), never.is_empty()) {
        (true, _) => "no faults".to_owned(),
        (false, true) => format!("every key answered again at most {:.1} ms after a fault ended", worst.as_ms_f64()),
        (false, false) => format!("not every key was seen to answer again after: {}", never.join(", ")),
    };
    result("recovery", verdict, words, [("recovery_max_ms", json!(worst.as_ms_f64())), ("faults", json!(lines))])
}

/// How long after the end of `fault` every key that is ever used again had answered; `None` if one did not.
pub fn of(history: &History, fault: &Fault) -> Option<Nanos> {
    // A key that nobody asks after the fault says nothing about recovery.
    let mut first: Vec<(bool, Option<Nanos>)> = vec![(false, None); history.names.key_count()];
    for op in history.ops.iter().filter(|o| o.invoked >= fault.ended) {
        let slot = &mut first[op.key.0 as usize];
        slot.0 = true;
        if matches!(op.outcome, Outcome::Ok(_)) {
            slot.1 = Some(slot.1.map_or(op.completed, |t| t.min(op.completed)));
        }
    }
    let asked: Vec<Option<Nanos>> = first.into_iter().filter(|(asked, _)| *asked).map(|(_, t)| t).collect();
    if asked.is_empty() {
        return None;
    }
    asked.into_iter().try_fold(Nanos(0), |worst, t| t.map(|t| worst.max(t.since(fault.ended))))
}
