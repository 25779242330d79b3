//! Checks other than linearizability on the same history. Each is a function of the history and its limits.

mod outcome; // the outcome of one check
pub mod acknowledged; // acknowledged updates that were undone at any time
pub mod asked; // when ops waited for an answer; idle time is not an outage
pub mod availability; // the longest time without an ok while ops waited, per node and key, with and without faults
pub mod crash; // no node crashed, and none stayed down
pub mod durability; // acknowledged updates are still there at the end
pub mod liveness; // ops succeed again within a bound after the last fault
pub mod projection; // the payloads of values follow the workload's rule
pub mod recovery; // the recovery time of each fault
pub mod state; // the temporary state that idle nodes still hold
pub mod vacuity; // how concurrent and contended the history was
pub mod lease_overlap; // for systems with leases: no two nodes held a range simultaneously

pub use outcome::CheckResult;

use crate::fairness::starvation;
use crate::verdict::Verdict;
use heckle_history::{History, Nanos};
use outcome::result;

/// The limits of the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// After the last fault has ended, every key must get an ok within this time.
    pub liveness: Nanos,
    /// Whether a vacuous history is `unknown` instead of valid with a warning.
    pub strict_vacuity: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { liveness: Nanos(10_000_000_000), strict_vacuity: true }
    }
}

/// A check that only some systems need.
type SystemCheck = fn(&History) -> CheckResult;

/// The checks that a system can select.
const SYSTEM_CHECKS: &[(&str, SystemCheck)] = &[("lease_overlap", lease_overlap::check)];

/// Runs the checks that the system under test selected in the header. Histories of earlier versions select none, so all
/// checks apply.
fn system_checks(history: &History) -> Vec<CheckResult> {
    let Some(named) = &history.header.system_checks else { return SYSTEM_CHECKS.iter().map(|(_, check)| check(history)).collect() };
    let known = SYSTEM_CHECKS.iter().filter(|(name, _)| named.iter().any(|n| n == name)).map(|(_, check)| check(history));
    let unknown = named.iter().any(|n| SYSTEM_CHECKS.iter().all(|(name, _)| n != name));
    known.chain(unknown.then(|| unknown_check(named))).collect()
}

/// Returns unknown for a check that this version does not implement.
fn unknown_check(named: &[String]) -> CheckResult {
    let missing: Vec<&str> = named.iter().map(String::as_str).filter(|n| SYSTEM_CHECKS.iter().all(|(name, _)| n != name)).collect();
    let words = format!("the history names checks that this version does not have: {}", missing.join(", "));
    result("system_checks", Verdict::Unknown, words, [])
}

/// Runs every check, in the order of the report.
pub fn all(history: &History, limits: &Limits) -> Vec<CheckResult> {
    with_acknowledged(all_but_acknowledged(history, limits), acknowledged::check(history))
}

/// Position of `acknowledged` in the report.
const ACKNOWLEDGED_AT: usize = 4;

/// Inserts the result of `acknowledged` into the other results at its position in the report.
pub fn with_acknowledged(mut others: Vec<CheckResult>, acknowledged: CheckResult) -> Vec<CheckResult> {
    others.insert(ACKNOWLEDGED_AT.min(others.len()), acknowledged);
    others
}

/// Runs every check that need not wait for a linearizability verdict.
pub fn all_but_acknowledged(history: &History, limits: &Limits) -> Vec<CheckResult> {
    let mut all = vec![
        availability::check(history),
        recovery::check(history),
        liveness::check(history, limits.liveness),
        durability::check(history),
        crash::check(history),
    ];
    all.extend(system_checks(history));
    all.extend([state::check(history), vacuity::check(history, limits.strict_vacuity)]);
    // These checks apply only to histories with intents or with a payload that has a rule.
    all.extend(starvation::check(history));
    all.extend(projection::check(history));
    all
}
