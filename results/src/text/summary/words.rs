//! The figures of a run as text, shared by terminal, step summary and page.

use crate::charts::axis::{count, digits, duration};
use crate::results_json::{Linearizability, Load, LoadUnit, OpCounts, Results};
use std::collections::BTreeMap;

/// Formats operation counts: `7 sent in the whole run: 4 ok, …`.
pub(crate) fn ops_words(ops: &OpCounts) -> String {
    format!("{} sent in the whole run: {}", count(ops.invoked), outcome_words(ops))
}

/// Formats counts of the load window: `5 due in the load window: 3 ok, …`.
pub(crate) fn window_words(ops: &OpCounts) -> String {
    format!("{} due in the load window: {}", count(ops.invoked), outcome_words(ops))
}

fn outcome_words(ops: &OpCounts) -> String {
    let mut parts = vec![format!("{} ok", count(ops.ok))];
    if ops.condition_not_met > 0 {
        parts.push(format!("{} of them condition not met", count(ops.condition_not_met)));
    }
    parts.push(format!("{} failed", count(ops.failed)));
    parts.push(format!("{} unknown", count(ops.unknown)));
    if ops.open > 0 {
        parts.push(format!("{} of them still open at the end", count(ops.open)));
    }
    parts.join(", ")
}

pub(crate) fn rate_words(results: &Results) -> String {
    let load = &results.load;
    let (asked, achieved) = (load.target_per_s, digits(load.achieved_per_s));
    let mean = if results.stages.is_empty() { "" } else { " on average" };
    let rate = match (load.unit, asked) {
        (LoadUnit::Op, Some(target)) => format!("{} op/s asked{mean}, {achieved} op/s achieved", digits(target)),
        (LoadUnit::Op, None) if load.max_rate => format!("{}, {achieved} op/s achieved", closed_loop_words(load)),
        (LoadUnit::Op, None) => format!("{achieved} op/s achieved"),
        // An intent is due once, and sends as many operations as it needs.
        (LoadUnit::Intent, _) => {
            let asked = asked.map_or_else(|| closed_loop_words(load), |t| format!("{} intents/s asked{mean}", digits(t)));
            format!("{asked}, {} intents/s begun, {achieved} op/s sent for them", digits(load.begun_per_s))
        }
    };
    let late = match load.late_ratio {
        share if share > 0.0 => format!(", {} % of {} sent late", digits(share * 100.0), load.unit.word()),
        _ => String::new(),
    };
    let unsent = if load.unsent > 0 { format!(", {} {} due and never sent", count(load.unsent), load.unit.word()) } else { String::new() };
    rate + &late + &unsent
}

/// Describes the load of a closed loop.
pub(crate) fn closed_loop_words(load: &Load) -> String {
    load.think_ms.map_or_else(|| "as fast as it goes".to_owned(), |ms| format!("as fast as clients go that think {}", duration(ms)))
}

pub(super) fn system_words(results: &Results) -> Option<String> {
    let system = &results.system;
    let mut parts = vec![];
    if let (Some(p50), Some(p99)) = (system.rounds_p50, system.rounds_p99) {
        parts.push(format!("rounds p50 {} p99 {}", digits(p50), digits(p99)));
    }
    parts.extend(system.round_trips_per_op.map(|n| format!("{} round trips an op", digits(n))));
    parts.extend(system.fsyncs_per_op.map(|n| format!("{} syncs an op and node", digits(n))));
    if !parts.is_empty() {
        parts.push(format!("{} preempted, {} repairs", count(system.preempted), count(system.repairs)));
    }
    parts.extend(system.state_bytes_end.map(|n| format!("{} bytes of state at the end", count(n))));
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Describes the check: which engine checked the history, how long it took, and the second opinion. The two durations are never added up.
pub(crate) fn check_words(lin: &Linearizability) -> String {
    let keys = lin.keys.len();
    let judged = format!("{} on {} in {}", lin.checker, plural(keys, "key"), check_time(lin.check_ms));
    let confirmed = lin.keys.iter().filter(|k| k.confirmed).count();
    let time = lin.second_opinion_ms.map_or_else(String::new, |ms| format!(" in {}", check_time(ms)));
    let mut without: BTreeMap<&str, usize> = BTreeMap::new();
    for key in lin.keys.iter().filter(|k| !k.confirmed) {
        *without.entry(key.second_opinion.as_deref().unwrap_or("none: not recorded")).or_default() += 1;
    }
    let why = without.iter().map(|(why, n)| format!("{} ({})", why.trim_start_matches("none: "), plural(*n, "key")));
    let why: Vec<String> = why.collect();
    match (confirmed, why.join("; ")) {
        (0, why) => format!("{judged}; no second opinion{time}: {why}"),
        (n, why) if why.is_empty() => format!("{judged}; second opinion on {}{time}: agrees", plural(n, "key")),
        (n, why) => {
            format!("{judged}; second opinion on {n} of {}{time}: agrees; no second opinion on the others: {why}", plural(keys, "key"))
        }
    }
}

/// Formats the time of a check, which is recorded in whole milliseconds.
fn check_time(ms: f64) -> String {
    if ms < 1.0 { "under 1 ms".into() } else { duration(ms) }
}

fn plural(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{} {what}s", count(n as u64)) }
}
