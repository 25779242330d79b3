//! Checks that every key that receives requests gets an ok again within a bound after the last fault.
//!
//! The bound applies only after all faults have ended, and time starts at the first op after that. A key is left open
//! if it received no ops, or none for the whole bound.

use super::{CheckResult, result};
use crate::coverage;
use crate::verdict::Verdict;
use heckle_history::{History, Nanos, Outcome};
use serde_json::json;

/// Checks every key.
pub fn check(history: &History, bound: Nanos) -> CheckResult {
    let faults = coverage::faults(history);
    let over = faults.iter().map(|f| f.healed.unwrap_or(f.ended)).max().unwrap_or(Nanos(0));
    let (mut verdict, mut worst, mut silent, mut unasked) = (Verdict::Valid, Nanos(0), vec![], vec![]);
    // Time of the first op and of the first ok, per key. This is one pass for any number of keys.
    let mut times: Vec<(Option<Nanos>, Option<Nanos>)> = vec![(None, None); history.names.key_count()];
    let least = |known: Option<Nanos>, t: Nanos| Some(known.map_or(t, |known| known.min(t)));
    for op in history.ops.iter().filter(|o| o.invoked >= over) {
        let (asked, first) = &mut times[op.key.0 as usize];
        *asked = least(*asked, op.invoked);
        if matches!(op.outcome, Outcome::Ok(_)) {
            *first = least(*first, op.completed);
        }
    }
    for ((_, name), (asked, first)) in history.names.keys().zip(times) {
        let Some(asked) = asked else {
            unasked.push(name);
            continue;
        };
        let deadline = Nanos(asked.0.saturating_add(bound.0));
        match first {
            Some(t) if t <= deadline => worst = worst.max(t.since(asked)),
            // A missing answer counts only after the whole bound has passed.
            None if history.end < deadline => unasked.push(name),
            Some(_) | None => silent.push(name),
        }
    }
    if !unasked.is_empty() {
        verdict = Verdict::Unknown;
    }
    if !silent.is_empty() {
        verdict = Verdict::Invalid;
    }
    let words = match verdict {
        Verdict::Valid => format!("every key answered within {:.1} ms of being asked after the last fault was over", worst.as_ms_f64()),
        Verdict::Unknown => format!("not asked, or not for long enough, after the last fault was over: {}", unasked.join(", ")),
        Verdict::Invalid => {
            format!("no ok within {:.0} ms of being asked after the last fault was over: {}", bound.as_ms_f64(), silent.join(", "))
        }
    };
    result(
        "liveness",
        verdict,
        words,
        [("bound_ms", json!(bound.as_ms_f64())), ("worst_ms", json!(worst.as_ms_f64())), ("silent_keys", json!(silent))],
    )
}
