//! Derives the result of a run from its parts: one verdict, one exit code, and the reasons as text.
//!
//! | code | when, the first that applies |
//! |---|---|
//! | 1 | a violation, a crash of the system included, whatever else happened (0 where the plan expects one) |
//! | 130 | interrupted |
//! | 4 | the harness or the machine failed |
//! | 2 | a limit of the checker, coverage not met, a fault without effect, gates void, or an expected violation missed |
//! | 3 | a gate missed |
//! | 0 | none of these |

use crate::charts::axis::{count, digits};
use crate::results_json::{Check, CoverageRule, Expect, Results, RunVerdict, Status, Verdict};
use heckle_checker::checks::crash;

/// Checks whose `invalid` proves a violation: the system broke a guarantee or crashed. The other checks (such as a key that
/// stopped responding) show that something is wrong, but not that a reply was.
pub const PROVING_CHECKS: [&str; 4] = ["durability", "acknowledged", "lease_overlap", crash::KIND];

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// As planned, or stopped at a violation.
    Done,
    /// By Ctrl-C or SIGTERM.
    Interrupted,
    /// The harness or the machine failed. The text says why and what to do.
    Failed(String),
}

impl Results {
    /// Sets status, verdict, exit code and reasons from all other fields. Gates must have been evaluated.
    pub fn conclude(&mut self, ending: &Ending) {
        self.status = if *ending == Ending::Interrupted { Status::Interrupted } else { Status::Done };
        let violations = self.violations();
        let mut open = self.inconclusive_reasons();
        let missed: Vec<String> = self.gates.iter().filter(|g| !g.passed && !g.void && g.actual.is_some()).map(gate_reason).collect();
        if !violations.is_empty() {
            let expected = self.plan.expect == Expect::Invalid;
            (self.verdict, self.exit_code) = (RunVerdict::Invalid, i32::from(!expected));
            // An error of the run itself comes first, since it may explain the rest.
            let failed = if let Ending::Failed(why) = ending { vec![format!("error of the run: {why}")] } else { vec![] };
            self.reasons = [failed, violations].concat();
            // Only once: the cause is the same for all keys, except for its figures.
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
    fn inconclusive_reasons(&self) -> Vec<String> {
        let mut open: Vec<String> = self.history.problem.iter().cloned().collect();
        if self.linearizability.verdict == Verdict::Unknown {
            let notes: Vec<String> = self
                .linearizability
                .keys
                .iter()
                .filter(|k| k.verdict == Verdict::Unknown)
                .map(|k| format!("linearizability of key {} is unknown: {}", k.key, k.note.as_deref().unwrap_or("the checker met a limit")))
                .collect();
            open.extend(if notes.is_empty() { vec!["linearizability is unknown: nothing was judged".into()] } else { notes });
        }
        let proof = |name: &str| PROVING_CHECKS.contains(&name);
        let unsettled = |c: &&Check| c.verdict == Verdict::Unknown || (c.verdict == Verdict::Invalid && !proof(&c.name));
        open.extend(self.checks.iter().filter(unsettled).map(|c| format!("{}: {}", c.name, c.words)));
        if !self.coverage.passed {
            let unmet = |r: &&CoverageRule| !r.passed && !self.reported_by_fault(&r.id);
            open.extend(self.coverage.rules.iter().filter(unmet).map(CoverageRule::unmet_reason));
            if self.coverage.rules.is_empty() {
                open.push("coverage was not evaluated".into());
            }
        }
        for fault in self.faults.iter().filter(|f| !f.effective) {
            open.push(format!("fault {} ({} {}) left no evidence of an effect", fault.id, fault.kind, fault.targets.join(" ")));
        }
        for gate in self.gates.iter().filter(|g| g.actual.is_none()) {
            open.push(format!("gate {}: this run has no such figure, or no op of the load window gives it a sample", gate.expr));
        }
        if self.gates.iter().any(|g| g.void) {
            open.push(format!(
                "gates on speed are void: {} % of the {} were sent late by the harness itself",
                digits(self.load.late_ratio * 100.0),
                self.load.unit.word()
            ));
        }
        open
    }

    /// Whether a fault without effect already gives this reason, with its name.
    fn reported_by_fault(&self, rule: &str) -> bool {
        rule.strip_prefix("fault_effective:").is_some_and(|kind| self.faults.iter().any(|f| f.kind == kind && !f.effective))
    }

    fn valid_reason(&self) -> String {
        let faults = match self.faults.len() {
            0 => "without faults".to_owned(),
            1 => "under 1 fault".to_owned(),
            n => format!("under {n} faults"),
        };
        format!("one order explains all {} ops {faults}, and enough happened to tell", count(self.ops.invoked))
    }
}

fn gate_reason(gate: &crate::results_json::Gate) -> String {
    format!("gate {} missed: it is {}", gate.expr, gate.actual.map_or_else(|| "unknown".into(), digits))
}

#[cfg(test)]
mod tests;
