//! Measures the recovery time of each fault: the asked time of a key from the end of the fault until the key answers ok
//! to an op invoked after that end. Time without requests (see [`asked`](super::asked)) is not an outage.

use super::asked::WaitIntervals;
use super::{CheckResult, result};
use crate::coverage::{self, Fault};
use crate::verdict::Verdict;
use heckle_history::{History, Nanos, Outcome};
use serde_json::json;

/// Measures the recovery time of every fault. The verdict is unknown if some key had no ok after the end of a fault.
pub fn check(history: &History) -> CheckResult {
    let faults = coverage::faults(history);
    let keys = if faults.is_empty() { vec![] } else { Key::all(history) };
    let mut lines = vec![];
    let mut worst = Nanos(0);
    let mut never = vec![];
    for fault in &faults {
        let took = of(&keys, fault);
        match took {
            Some(t) => worst = worst.max(t),
            None => never.push(format!("{} (fault {})", fault.kind, fault.id)),
        }
        lines.push(json!({"id": fault.id, "kind": &*fault.kind, "recovery_ms": took.map(Nanos::as_ms_f64)}));
    }
    let verdict = if never.is_empty() { Verdict::Valid } else { Verdict::Unknown };
    let words = match (faults.is_empty(), never.is_empty()) {
        (true, _) => "no faults".to_owned(),
        (false, true) => format!("every key answered again after a fault ended, within {:.1} ms of being asked", worst.as_ms_f64()),
        (false, false) => format!("not every key was seen to answer again after: {}", never.join(", ")),
    };
    result("recovery", verdict, words, [("recovery_max_ms", json!(worst.as_ms_f64())), ("faults", json!(lines))])
}

/// The ops of one key, prepared so that even a history with many faults is measured in almost linear time.
struct Key {
    /// Invocation times of the key's ops, in order.
    invoked: Vec<Nanos>,
    /// For each op, the earliest ok completion of that op or any later one.
    first_ok: Vec<Option<Nanos>>,
    asked: WaitIntervals,
}

impl Key {
    fn all(history: &History) -> Vec<Key> {
        let key = |places: Vec<u32>| {
            let ops = || places.iter().map(|&p| &history.ops[p as usize]);
            let mut first_ok: Vec<Option<Nanos>> = vec![];
            for op in ops().rev() {
                let later = first_ok.last().copied().flatten();
                let own = matches!(op.outcome, Outcome::Ok(_)).then_some(op.completed);
                first_ok.push(own.into_iter().chain(later).min());
            }
            first_ok.reverse();
            Key { invoked: ops().map(|o| o.invoked).collect(), first_ok, asked: WaitIntervals::of(history, ops()) }
        };
        history.by_key().into_iter().map(key).collect()
    }
}

/// Returns the longest asked time between the end of `fault` and the first answer, over all keys that receive ops
/// again. Returns `None` if a key did not answer, or no key received ops.
fn of(keys: &[Key], fault: &Fault) -> Option<Nanos> {
    let mut worst = None;
    for key in keys {
        let first = key.invoked.partition_point(|t| *t < fault.ended);
        // A key without ops after the fault gives no information about recovery.
        let Some(answered) = key.first_ok.get(first) else { continue };
        worst = worst.max(Some(key.asked.between(fault.ended, (*answered)?)));
    }
    worst
}
