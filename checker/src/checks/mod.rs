//! Checks beside linearizability, on the same history: each is a function of the history and its own limits.

pub mod acknowledged; // acknowledged updates that were undone, wherever that shows
pub mod asked; // when ops waited for an answer: silence in which nothing was asked is no outage
pub mod availability; // the longest time without an ok while asked, per node and key, in calm and during faults
pub mod crash; // no node ended by its own fault, none stayed away
pub mod durability; // acknowledged updates are still there at the end
pub mod lease_overlap; // no two nodes held a lease on one range at one time
pub mod liveness; // ops succeed again within a bound after the last fault
pub mod projection; // what rides beside the values is right
pub mod recovery; // how long each fault was felt
pub mod state; // what nodes keep once nothing is asked of them any more
pub mod vacuity; // how concurrent and contended it was

use crate::fairness::starvation;
use crate::verdict::Verdict;
use heckle_history::{History, Nanos};
use serde::Serialize;
use serde_json::{Map, Value};

/// The outcome of one check.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckResult {
    /// Its name.
    pub name: &'static str,
    /// What it concludes.
    pub verdict: Verdict,
    /// Its figures, units in their names.
    pub figure: Map<String, Value>,
    /// The same for a person.
    pub words: String,
}

/// How strict the checks are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// After the last fault is over, every key must see an ok within this time.
    pub liveness: Nanos,
    /// A vacuous history is `unknown` if strict, else valid with a warning in words.
    pub strict_vacuity: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { liveness: Nanos(10_000_000_000), strict_vacuity: true }
    }
}

/// Every check, in the order of the report.
pub fn all(history: &History, limits: &Limits) -> Vec<CheckResult> {
    let mut all = vec![
        availability::check(history),
        recovery::check(history),
        liveness::check(history, limits.liveness),
        durability::check(history),
        acknowledged::check(history),
        crash::check(history),
        lease_overlap::check(history),
        state::check(history),
        vacuity::check(history, limits.strict_vacuity),
    ];
    // Only where there is something to check: intents, a payload with a meaning.
    all.extend(starvation::check(history));
    all.extend(projection::check(history));
    all
}

fn result(name: &'static str, verdict: Verdict, words: String, figure: impl IntoIterator<Item = (&'static str, Value)>) -> CheckResult {
    CheckResult { name, verdict, figure: figure.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(), words }
}

/// The time in which the system was under load: as the header says, but no longer than the history itself (a run that
/// was stopped early); else from the first invoke to the last.
pub(crate) fn window(history: &History) -> (Nanos, Nanos) {
    let invoked = || history.ops.iter().map(|o| o.invoked);
    match history.header.load_window {
        Some((from, to)) => (Nanos(from), Nanos(to.min(history.end.0).max(from))),
        None => (invoked().min().unwrap_or_default(), invoked().max().unwrap_or_default()),
    }
}
