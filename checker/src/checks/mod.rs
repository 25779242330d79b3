//! Checks beside linearizability, on the same history: each is a function of the history and its own limits.

pub mod acknowledged; // acknowledged updates that were undone, wherever that shows
pub mod asked; // when ops waited for an answer: silence in which nothing was asked is no outage
pub mod availability; // the longest time without an ok while asked, per node and key, in calm and during faults
pub mod crash; // no node ended by its own fault, none stayed away
pub mod durability; // acknowledged updates are still there at the end
pub mod liveness; // ops succeed again within a bound after the last fault
pub mod projection; // what rides beside the values is right
pub mod recovery; // how long each fault was felt
pub mod state; // what nodes keep once nothing is asked of them any more
pub mod vacuity; // how concurrent and contended it was
pub mod lease_overlap; // of systems with leases: no two nodes held one range at one time

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

/// A check that only some systems need.
type SystemCheck = fn(&History) -> CheckResult;

/// The checks that a system can name as its own.
const OF_SYSTEMS: &[(&str, SystemCheck)] = &[("lease_overlap", lease_overlap::check)];

/// The checks that the system under test has named in the header. Histories of earlier versions name none, so all apply.
fn of_system(history: &History) -> Vec<CheckResult> {
    let Some(named) = &history.header.system_checks else { return OF_SYSTEMS.iter().map(|(_, check)| check(history)).collect() };
    let known = OF_SYSTEMS.iter().filter(|(name, _)| named.iter().any(|n| n == name)).map(|(_, check)| check(history));
    let unknown = named.iter().any(|n| OF_SYSTEMS.iter().all(|(name, _)| n != name));
    known.chain(unknown.then(|| unknown_check(named))).collect()
}

/// What this version cannot check is not valid.
fn unknown_check(named: &[String]) -> CheckResult {
    let missing: Vec<&str> = named.iter().map(String::as_str).filter(|n| OF_SYSTEMS.iter().all(|(name, _)| n != name)).collect();
    let words = format!("the history names checks that this version does not have: {}", missing.join(", "));
    result("system_checks", Verdict::Unknown, words, [])
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
    ];
    all.extend(of_system(history));
    all.extend([state::check(history), vacuity::check(history, limits.strict_vacuity)]);
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
