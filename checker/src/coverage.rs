//! Checks whether enough happened for a valid verdict to be meaningful.
//!
//! A run in which nothing happened is unknown, not valid. The plan selects the rules of a run; this module only counts.
//! The id of a rule names what it counts:
//!
//! | id | counts |
//! |---|---|
//! | `ok_cas` | CAS ops that were answered ok, applied or refused |
//! | `applied_cas` | CAS ops that took effect |
//! | `ok_reads`, `ok_writes` | reads and writes through consensus that were answered ok, except the final reads after the load |
//! | `ok_gets`, `ok_puts` | the same without consensus |
//! | `ok_cas_during:KIND` | like `ok_cas`, but completed while a fault of KIND was active; the minimum over its occurrences |
//! | `ok_after_heal:KIND` | ops of any kind answered ok within 10 s of the end of a fault of KIND; the minimum over its occurrences |
//! | `fates_asked` | ops of unknown outcome whose fate was queried, resolved or not |
//! | `fault_effective:KIND` | occurrences of KIND with evidence of their effect; every occurrence needs it |
//! | `unsynced:KIND` | changes not yet synced when power failed, over all occurrences of KIND |

use crate::verdict::Verdict;
use heckle_history::event::{FaultEvent, FaultState};
use heckle_history::{History, Nanos, Operation, Outcome};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Key in the evidence of a fault's end: whether the figures show an effect. Without this key, any count above zero
/// shows one. The harness knows which counts measure the effect, and writes `false` if only other counts are present.
pub const EFFECTIVE: &str = "effective";

/// Key in the evidence of a fault that somebody else carried out, and who: the harness has no evidence of its own. The end has
/// [`EFFECTIVE`] set to `false`.
pub const UNVERIFIED: &str = "unverified";

/// Time after the end of a fault within which an op must succeed again.
pub const AFTER_HEAL: Nanos = Nanos(10_000_000_000);

/// A condition, and how often it must have occurred.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// The id, from the table in the module documentation.
    pub id: String,
    /// Minimum count.
    pub need: u64,
}

impl Rule {
    /// Creates a rule.
    pub fn new(id: impl Into<String>, need: u64) -> Self {
        Rule { id: id.into(), need }
    }
}

/// A rule and its count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleResult {
    /// Id of the rule.
    pub id: String,
    /// The required count.
    pub need: u64,
    /// The actual count.
    pub got: u64,
    /// `got >= need`.
    pub passed: bool,
}

/// All rules of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Whether every rule passed.
    pub passed: bool,
    /// The result of each rule.
    pub rules: Vec<RuleResult>,
}

impl Coverage {
    /// Returns valid if every rule passed, otherwise unknown. Coverage never proves a violation.
    pub fn verdict(&self) -> Verdict {
        if self.passed { Verdict::Valid } else { Verdict::Unknown }
    }

    /// Describes the rules that did not pass.
    pub fn missed(&self) -> Vec<String> {
        self.rules.iter().filter(|r| !r.passed).map(|r| format!("coverage `{}`: {} of {} needed", r.id, r.got, r.need)).collect()
    }
}

/// One fault, assembled from the events about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// Id of the fault.
    pub id: u64,
    /// Kind of the fault.
    pub kind: Box<str>,
    /// The nodes and links that it affected.
    pub targets: Vec<String>,
    /// When it began.
    pub began: Nanos,
    /// When it ended; the end of the history if it did not.
    pub ended: Nanos,
    /// When the cluster was observed to have recovered; `None` if it was not.
    pub healed: Option<Nanos>,
    /// Whether any event of the fault carries a count above zero or a `true`, and no event states that this is not an effect of
    /// the fault.
    pub effective: bool,
}

/// Returns the faults of a history, ordered by start time.
pub fn faults(history: &History) -> Vec<Fault> {
    let mut faults: BTreeMap<u64, Fault> = BTreeMap::new();
    for event in &history.faults {
        let fault = faults.entry(event.id).or_insert_with(|| Fault {
            id: event.id,
            kind: event.kind.clone(),
            targets: event.targets.clone(),
            began: event.t,
            ended: history.end,
            healed: None,
            effective: false,
        });
        fault.effective |= shows_effect(event);
        if event.evidence.get(EFFECTIVE).and_then(Value::as_bool) == Some(false) {
            fault.effective = false;
        }
        match event.state {
            FaultState::Began => {}
            FaultState::Ended => fault.ended = event.t,
            FaultState::Healed => fault.healed = Some(event.t),
        }
    }
    let mut faults: Vec<Fault> = faults.into_values().collect();
    faults.sort_by_key(|f| (f.began, f.id));
    faults
}

/// Returns whether an event shows an effect. The evidence of a heal shows only that the cluster has recovered, not that
/// the fault had an effect.
fn shows_effect(event: &FaultEvent) -> bool {
    event.state != FaultState::Healed && event.evidence.values().any(|v| v.as_f64().is_some_and(|n| n > 0.0) || v.as_bool() == Some(true))
}

/// Evaluates the rules. A rule with an unknown id has a count of zero and is therefore missed.
pub fn evaluate(history: &History, rules: &[Rule]) -> Coverage {
    let faults = faults(history);
    let rules: Vec<RuleResult> = rules
        .iter()
        .map(|rule| {
            let (got, need) = count(history, &faults, rule);
            RuleResult { id: rule.id.clone(), need, got, passed: got >= need }
        })
        .collect();
    Coverage { passed: rules.iter().all(|r| r.passed), rules }
}

fn count(history: &History, faults: &[Fault], rule: &Rule) -> (u64, u64) {
    let (name, kind) = rule.id.split_once(':').unwrap_or((&rule.id, ""));
    let of_kind = || faults.iter().filter(|f| f.kind.as_ref() == kind);
    let got = match name {
        "ok_cas" => ok_between(history, Nanos(0), Nanos::NEVER, |o| o.name() == "cas"),
        "ok_reads" => ok_between(history, Nanos(0), Nanos::NEVER, |o| o.name() == "read" && under_load(history, o)),
        "ok_writes" => ok_between(history, Nanos(0), Nanos::NEVER, |o| o.name() == "write"),
        "ok_puts" => ok_between(history, Nanos(0), Nanos::NEVER, |o| o.name() == "put"),
        "ok_gets" => ok_between(history, Nanos(0), Nanos::NEVER, |o| o.name() == "get"),
        "applied_cas" => history.ops.iter().filter(|o| o.outcome == Outcome::Ok(heckle_history::Seen::Applied)).count() as u64,
        "fates_asked" => history.fates.len() as u64,
        "ok_cas_during" => of_kind().map(|f| ok_between(history, f.began, f.ended, |o| o.name() == "cas")).min().unwrap_or(0),
        "ok_after_heal" => {
            of_kind().map(|f| ok_between(history, f.ended, Nanos(f.ended.0.saturating_add(AFTER_HEAL.0)), |_| true)).min().unwrap_or(0)
        }
        "fault_effective" => {
            // A single occurrence without effect makes the run inconclusive.
            let all = of_kind().count() as u64;
            return (of_kind().filter(|f| f.effective).count() as u64, rule.need.max(all));
        }
        "unsynced" => history.faults.iter().filter(|e| e.kind.as_ref() == kind).filter_map(|e| e.evidence.get(name)?.as_u64()).sum(),
        _ => 0,
    };
    (got, rule.need)
}

/// Returns whether `op` was part of the load. The final reads come after the load and happen even in an idle run.
fn under_load(history: &History, op: &Operation) -> bool {
    history.header.load_window.is_none_or(|(_, end)| op.intended < Nanos(end))
}

fn ok_between(history: &History, from: Nanos, to: Nanos, wanted: impl Fn(&Operation) -> bool) -> u64 {
    let ok = |o: &&Operation| matches!(o.outcome, Outcome::Ok(_)) && from <= o.completed && o.completed <= to && wanted(o);
    history.ops.iter().filter(ok).count() as u64
}
