//! Advice: what to change, depending on why a run is not conclusive.

use crate::conclude::PROVING_CHECKS;
use crate::results_json::{Check, Expect, Results, Status, Verdict};

/// Returns the advice as lines, without duplicates.
pub(super) fn of(results: &Results) -> Vec<String> {
    let run = crate::rerun::quote(&results.run_id);
    let mut lines: Vec<String> = vec![];
    if results.history.problem.is_some() {
        lines.push("Run it again, and let it end: what was cut off cannot be judged.".into());
    }
    if results.status == Status::Interrupted {
        lines.push(format!("Let it run to its end: `heckle rerun {run}`."));
    }
    if results.linearizability.verdict == Verdict::Unknown {
        lines.push(if results.linearizability.keys.is_empty() {
            "No operation was recorded: look at heckle.log and nodes/*/node.log for what stood in the way.".into()
        } else {
            "The search met a limit: spread the load over more keys (`--keys`) or shorten the run, so that each key has fewer operations; \
             or let the chain checker judge (`heckle check --checker chain`)."
                .into()
        });
    }
    let unsettled =
        |c: &&Check| c.verdict == Verdict::Unknown || (c.verdict == Verdict::Invalid && !PROVING_CHECKS.contains(&c.name.as_str()));
    lines.extend(results.checks.iter().filter(unsettled).filter_map(check_advice));
    let unverified = |kind: &str| results.faults.iter().any(|f| f.kind == kind && f.is_unverified());
    let advice = |kind: &str| if unverified(kind) { UNVERIFIED_ADVICE.to_owned() } else { fault_advice(kind) };
    lines.extend(results.coverage.rules.iter().filter(|r| !r.passed).filter_map(|r| rule_advice(&r.id, &advice)));
    lines.extend(results.faults.iter().filter(|f| !f.effective).map(|f| advice(&f.kind)));
    if results.gates.iter().any(|g| g.void) {
        lines.push(
            "The load generator fell behind: ask for less (`--rate`), or use a machine with more to spare. Gates on speed need that."
                .into(),
        );
    }
    if results.gates.iter().any(|g| g.actual.is_none()) {
        lines.push("Leave out gates on figures that such a run does not have.".into());
    }
    if results.plan.expect == Expect::Invalid {
        lines.push(format!("The bug was planted and not found; timing decides, so try more often: `heckle rerun {run} --times 5`."));
    }
    let mut seen = std::collections::BTreeSet::new();
    lines.retain(|l| seen.insert(l.clone()));
    lines
}

fn check_advice(check: &Check) -> Option<String> {
    let words = match check.name.as_str() {
        "vacuity" => {
            "Make it more contended: fewer keys (`--keys`), more clients (`--clients`), a higher `--rate` or a longer `--duration`."
        }
        "durability" | "acknowledged" if check.words.contains("no update was acknowledged") => {
            "Have updates acknowledged: a mix with writes or CAS (`--mix`), and a cluster that answers."
        }
        "durability" => "Give the final reads a cluster that is back: a longer `--quiet-tail`.",
        "liveness" => {
            "Give every key time to answer after the last fault: a longer `--duration` or `--quiet-tail`. If it had the time, the system \
             does not come back: the nodes' logs around the fault say why."
        }
        "availability" => "Nothing was answered ok: look at nodes/*/node.log, and at how long `--op-timeout` is.",
        "recovery" => "Leave more time after the last fault: a longer `--duration`.",
        "panics" | "crash" => "A node ended by itself. Its nodes/*/node.log ends with the reason.",
        "lease_overlap" => {
            "Two nodes held one lease: a clock is beyond the stated bound, or the lease was granted twice; the nodes' logs show which."
        }
        "state" => "A node keeps what it should have given back: see its metrics.jsonl and log.",
        "starvation" if check.verdict == Verdict::Unknown => "Let intents succeed: a longer `--duration`, fewer clients, or fewer faults.",
        "starvation" => {
            "Clients starve while others succeed. Compare settings with `heckle compare`: a fair queue (`--queue fair`), another \
             `--backoff`, or a lease with forwarding (`--lease priority --forward on`)."
        }
        "projection" => "What rides beside the values does not follow the workload's rule: the client or the system mixed up payloads.",
        _ => return None,
    };
    Some(words.to_owned())
}

/// Advice on faults that commands of the plan carried out.
const UNVERIFIED_ADVICE: &str = "Judge only violations of a run with faults by commands: it is never valid. For a run that can be valid, leave them out, or let \
    heckle start the nodes ([[system.process]]).";

fn rule_advice(id: &str, fault_advice: &impl Fn(&str) -> String) -> Option<String> {
    let (name, kind) = id.split_once(':').unwrap_or((id, ""));
    Some(match name {
        "ok_cas" | "applied_cas" | "ok_reads" | "ok_writes" | "ok_gets" | "ok_puts" => {
            "Send more: a longer `--duration`, a higher `--rate`, or a `--mix` with more of that kind.".into()
        }
        "ok_cas_during" => {
            format!("Have CAS answered while {kind} is on: a longer `--fault-for`, a higher `--rate`, or a shorter `--op-timeout`.")
        }
        "ok_after_heal" => format!("Leave time for answers after {kind} is lifted: a longer `--duration` or `--quiet-tail`."),
        "fates_asked" => "Have more outcomes that are unknown: faults that cut off clients, or a shorter `--op-timeout`.".into(),
        // There is already advice on the fault itself, or on its absence.
        "fault_effective" => fault_advice(kind),
        _ => format!("No such coverage rule as `{id}`: correct its name in the plan."),
    })
}

fn fault_advice(kind: &str) -> String {
    match kind.split([':', '@']).next().unwrap_or_default() {
        "partition" | "delay" | "slow" | "loss" | "duplicate" | "reorder" | "corrupt" | "reset" | "hang" => format!(
            "Let {kind} meet traffic: it acts on frames that pass the relay (`--net relay`), so it needs a higher `--rate` or a longer `--fault-for`."
        ),
        "clock-jump" | "clock-drift" => format!("Let {kind} show: a longer `--fault-for`, or a greater jump or drift."),
        _ => format!("Let {kind} strike: a longer `--duration` or `--fault-for`; heckle.log says what became of it."),
    }
}

/// Describes what a check would have detected.
pub(super) fn detects(check: &str) -> Option<&'static str> {
    Some(match check {
        "durability" => "An acknowledged update that the final reads do not know any more",
        "acknowledged" => "An acknowledged update that a later operation did not see",
        "liveness" => "A key that stayed silent after the last fault",
        "panics" | "crash" => "A node that crashed or ended without a fault",
        "lease_overlap" => "Two nodes that held one lease at the same time",
        "state" => "A node that keeps state which it should have released",
        "starvation" => "A client that starves while others succeed",
        "projection" => "A step of the counter or the lock that does not follow from the one before",
        _ => return None,
    })
}
