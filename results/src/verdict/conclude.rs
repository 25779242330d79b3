//! Derives the result of a run from its parts: one verdict, one exit code, and the reasons as text.
//!
//! | code | when, the first that applies |
//! |---|---|
//! | 1 | a violation, a crash of the system included, whatever else happened (0 where the plan expects one) |
//! | 130 | interrupted |
//! | 4 | the harness or the machine failed |
//! | 2 | a limit of the checker, coverage not met, a fault without effect, gates void, or an expected violation missed |
//! | 3 | a gate missed, or the load ended by `--abort-on`: coverage and faults that this cut off do not count as 2 then |
//! | 0 | none of these |

use crate::charts::axis::{count, digits};
use crate::results_json::{Check, CoverageRule, Expect, Results, RunVerdict, Status, Verdict};
use heckle_checker::checks::crash;

/// Checks whose `invalid` proves a violation: the system broke a guarantee or crashed. The other checks (such as a key that
/// stopped responding) show that something is wrong, but not that a reply was wrong.
pub const PROVING_CHECKS: [&str; 4] = ["durability", "acknowledged", "lease_overlap", crash::KIND];

/// The check whether enough happened for a conclusion.
const VACUITY: &str = "vacuity";

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// As planned, or stopped at a violation.
    Done,
    /// By Ctrl-C or SIGTERM.
    Interrupted,
    /// A limit of the plan (`--abort-on`) ended the load early. The text states the limit and the figure.
    Aborted(String),
    /// The harness or the machine failed. The text states why, and what to do.
    Failed(String),
}

/// Reason why a run is not conclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Because {
    /// Too little happened because `--abort-on` ended the load early.
    LittleLoad,
    /// Anything else.
    Other,
}

impl Results {
    /// Sets status, verdict, exit code and reasons from all other fields. Gates must have been evaluated.
    pub fn conclude(&mut self, ending: &Ending) {
        self.status = if *ending == Ending::Interrupted { Status::Interrupted } else { Status::Done };
        let violations = self.violations();
        let reasons = self.inconclusive_reasons();
        let cut_off = reasons.iter().all(|(because, _)| *because == Because::LittleLoad);
        let mut open: Vec<String> = reasons.into_iter().map(|(_, words)| words).collect();
        let missed: Vec<String> = self.gates.iter().filter(|g| !g.passed && !g.void && g.actual.is_some()).map(gate_reason).collect();
        if !violations.is_empty() {
            let expected = self.plan.expect == Expect::Invalid;
            (self.verdict, self.exit_code) = (RunVerdict::Invalid, i32::from(!expected));
            // A failure of the run itself comes first, since it may explain the rest.
            let failed = if let Ending::Failed(why) = ending { vec![format!("error of the run: {why}")] } else { vec![] };
            self.reasons = [failed, violations].concat();
            // State the cause only once: it is the same for all keys, except for its figures.
            self.reasons.extend(self.linearizability.violations.iter().find_map(|v| v.cause.as_ref()).map(|c| format!("cause: {c}")));
            if expected {
                self.reasons.push("the plan expects a violation, and it was found".into());
            }
            return;
        }
        if self.plan.expect == Expect::Invalid {
            open.insert(0, "the plan expects a violation, and none was found".into());
        }
        (self.verdict, self.exit_code, self.reasons) = match ending {
            Ending::Failed(why) => (RunVerdict::Error, 4, [vec![why.clone()], open].concat()),
            Ending::Interrupted => {
                let why = "interrupted before its end; what was recorded holds no violation".to_owned();
                (RunVerdict::Unknown, 130, [vec![why], open].concat())
            }
            Ending::Aborted(why) if cut_off && self.plan.expect == Expect::Valid => {
                (RunVerdict::GateMissed, 3, [vec![why.clone()], missed, open].concat())
            }
            Ending::Aborted(why) => (RunVerdict::Unknown, 2, [vec![why.clone()], open, missed].concat()),
            Ending::Done if !open.is_empty() => (RunVerdict::Unknown, 2, [open, missed].concat()),
            Ending::Done if !missed.is_empty() => (RunVerdict::GateMissed, 3, missed),
            Ending::Done => (RunVerdict::Valid, 0, vec![self.valid_reason()]),
        };
    }

    fn violations(&self) -> Vec<String> {
        let lin = &self.linearizability;
        let mut found: Vec<String> =
            lin.violations.iter().map(|v| format!("{} on key {}: {}", v.kind.replace('_', " "), v.key, v.words)).collect();
        if lin.verdict == Verdict::Invalid && found.is_empty() {
            found.push("the history is not linearizable".into());
        }
        found.extend(self.crashes.iter().map(|c| format!("crash: {}", c.words)));
        let named = |c: &Check| c.name == crash::KIND && !self.crashes.is_empty();
        let proofs = self.checks.iter().filter(|c| c.verdict == Verdict::Invalid && PROVING_CHECKS.contains(&c.name.as_str()) && !named(c));
        found.extend(proofs.map(|c| format!("{}: {}", c.name, c.words)));
        found
    }

    /// Returns the reasons why the run is not conclusive.
    fn inconclusive_reasons(&self) -> Vec<(Because, String)> {
        let mut open: Vec<(Because, String)> = self.history.problem.iter().map(|p| (Because::Other, p.clone())).collect();
        let mut add = |because, words: String| open.push((because, words));
        if self.linearizability.verdict == Verdict::Unknown {
            let unknown = self.linearizability.keys.iter().filter(|k| k.verdict == Verdict::Unknown);
            for k in unknown.clone() {
                let note = k.note.as_deref().unwrap_or("the checker met a limit");
                add(Because::Other, format!("linearizability of key {} is unknown: {note}", k.key));
            }
            if unknown.count() == 0 {
                add(Because::Other, "linearizability is unknown: nothing was judged".into());
            }
        }
        let proof = |name: &str| PROVING_CHECKS.contains(&name);
        let unsettled = |c: &&Check| c.verdict == Verdict::Unknown || (c.verdict == Verdict::Invalid && !proof(&c.name));
        for check in self.checks.iter().filter(unsettled) {
            let because = if check.name == VACUITY { Because::LittleLoad } else { Because::Other };
            add(because, format!("{}: {}", check.name, check.words));
        }
        if !self.coverage.passed {
            let unmet = |r: &&CoverageRule| !r.passed && !self.reported_by_fault(&r.id);
            self.coverage.rules.iter().filter(unmet).for_each(|r| add(Because::LittleLoad, r.unmet_reason()));
            if self.coverage.rules.is_empty() {
                add(Because::Other, "coverage was not evaluated".into());
            }
        }
        for fault in self.faults.iter().filter(|f| !f.effective) {
            add(Because::LittleLoad, fault.lack_of_effect());
        }
        for gate in self.gates.iter().filter(|g| g.actual.is_none()) {
            let words = format!("gate {}: this run has no such figure, or no op of the load window gives it a sample", gate.expr);
            add(Because::Other, words);
        }
        if self.gates.iter().any(|g| g.void) {
            let late = digits(self.load.late_ratio * 100.0);
            let words = format!("gates on speed are void: {late} % of the {} were sent late by the harness itself", self.load.unit.word());
            add(Because::Other, words);
        }
        open
    }

    /// Whether a fault without effect has already been given as this reason, by name.
    fn reported_by_fault(&self, rule: &str) -> bool {
        rule.strip_prefix("fault_effective:").is_some_and(|kind| self.faults.iter().any(|f| f.kind == kind && !f.effective))
    }

    fn valid_reason(&self) -> String {
        let faults = match self.faults.len() {
            0 => "without faults".to_owned(),
            1 => "under 1 fault".to_owned(),
            n => format!("under {n} faults"),
        };
        format!("one order explains all {} ops {faults}, and every coverage rule is met", count(self.ops.invoked))
    }
}

fn gate_reason(gate: &crate::results_json::Gate) -> String {
    format!("gate {} missed: it is {}", gate.expr, gate.actual.map_or_else(|| "unknown".into(), digits))
}

#[cfg(test)]
mod tests;
