//! The coverage rules of a plan: what must have happened for its run to count as valid.
//!
//! Liveness is required only where the cluster can provide it: an ok CAS *during* a fault that leaves a connected
//! quorum intact, and an ok op soon *after* any other fault.

use crate::plan::Plan;
use heckle_checker::coverage::Rule;
use heckle_faults::Control;
use heckle_faults::schedule::Injection;
use heckle_history::Nanos;
use heckle_workloads::mix::Kind;
use std::collections::BTreeMap;

/// Minimum number of ok CAS in the whole run.
const OK_CAS: u64 = 10;

/// Returns the plan's rules.
pub fn rules(plan: &Plan) -> Vec<Rule> {
    let asked = |id: &str, default: u64| plan.coverage.get(id).copied().unwrap_or(default);
    // One rule for each path in use: on a judged update if the workload has one, otherwise on any op of that path.
    let of_consensus = [(Kind::Cas, "ok_cas"), (Kind::Read, "ok_reads"), (Kind::Write, "ok_writes")];
    let last_write_wins = [(Kind::Put, "ok_puts"), (Kind::Get, "ok_gets")];
    let used = |kinds: &[(Kind, &'static str)]| kinds.iter().find(|(kind, _)| plan.mix.has(*kind)).map(|(_, id)| *id);
    let used = [used(&of_consensus), used(&last_write_wins)].into_iter().flatten();
    let mut rules: Vec<Rule> = used.map(|id| Rule::new(id, asked(id, OK_CAS))).collect();
    // Always shown; a plan may demand a minimum.
    rules.push(Rule::new("fates_asked", asked("fates_asked", 0)));
    let mut by_kind: BTreeMap<String, Vec<&Injection>> = BTreeMap::new();
    for injection in &plan.injections {
        by_kind.entry(injection.fault.name()).or_default().push(injection);
    }
    for (kind, injections) in by_kind {
        rules.push(Rule::new(format!("fault_effective:{kind}"), 1));
        // A power loss that finds nothing un-synced is no more than a kill. It still counts, but not all
        // power losses may be such kills.
        if injections.iter().any(|i| i.fault.kind.needs.control.contains(&Control::UnsyncedData)) {
            rules.push(Rule::new(format!("unsynced:{kind}"), 1));
        }
        let leave_a_quorum = injections.iter().all(|i| i.fault.leaves_a_quorum(i.lasts, plan.nodes) && outlasts_a_takeover(i, plan));
        if leave_a_quorum && plan.mix.has(Kind::Cas) {
            rules.push(Rule::new(format!("ok_cas_during:{kind}"), asked("ok_cas_during_fault", 1)));
        } else {
            rules.push(Rule::new(format!("ok_after_heal:{kind}"), asked("ok_after_heal", 1)));
        }
    }
    for (id, need) in &plan.coverage {
        let stands = rules.iter().any(|r| r.id == *id);
        if !stands && !["ok_cas_during_fault", "ok_after_heal"].contains(&id.as_str()) {
            rules.push(Rule::new(id.clone(), *need));
        }
    }
    rules
}

/// Whether a fault lasts long enough for a takeover. A node that is down may still hold rights that the others
/// respect, and no progress is required until those rights expire.
fn outlasts_a_takeover(injection: &Injection, plan: &Plan) -> bool {
    let takeover = plan.system.takeover();
    takeover == Nanos(0) || injection.shortest_step(plan.nodes) > takeover
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn used_paths_and_requested_rules_are_demanded() {
        let ids = |text: &str| {
            let text = format!("schema = \"heckle.plan/1\"\n{text}[faults]\nkinds = []\n");
            let plan = Plan::resolve(
                &crate::plan::file::parse(&text, "p", crate::testing::SYSTEMS).expect("well-formed"),
                crate::testing::SYSTEMS,
            )
            .expect("makes sense");
            rules(&plan).into_iter().map(|r| format!("{}={}", r.id, r.need)).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(ids(""), "ok_cas=10 fates_asked=0");
        assert_eq!(ids("[load]\nworkload = \"mixed\"\n"), "ok_cas=10 ok_puts=10 fates_asked=0");
        assert_eq!(ids("[load]\nworkload = \"mixed\"\nmix = \"read=1,get=1\"\n"), "ok_reads=10 ok_gets=10 fates_asked=0");
        assert_eq!(ids("[load]\nworkload = \"mixed\"\nmix = \"put=1\"\n"), "ok_puts=10 fates_asked=0");
        assert_eq!(ids("[coverage]\nok_reads = 7\n"), "ok_cas=10 fates_asked=0 ok_reads=7");
    }

    /// The rules are the same as before faults became data. If the lease is longer than the fault, nothing is required during the fault.
    #[test]
    fn each_kind_of_fault_has_its_coverage_rule() {
        let kinds = "kill kill-all pause partition partition:majority partition:isolate partition:one-way partition:bridge \
            partition:ring partition:clients delay delay:link delay:one-way loss duplicate reorder reset kill:holder pause:holder \
            partition:holder delay:holder kill:coordinator pause:coordinator partition:coordinator delay:coordinator clock-jump clock-drift";
        let after_heal = |nodes: u16, seed: u64, lease: &str| {
            let demands = |kind: &&str| {
                let text = format!(
                    "schema = \"heckle.plan/1\"\nseed = \"{seed}\"\n[cluster]\nnodes = {nodes}\nlease = \"{lease}\"\n\
                     [load]\nduration = \"9s\"\n[faults]\nkinds = [\"{kind}\"]\nevery = \"6s\"\nfor = \"1s\"\n"
                );
                let plan = crate::plan::file::parse(&text, "p", crate::testing::SYSTEMS)
                    .and_then(|s| Plan::resolve(&s, crate::testing::SYSTEMS))
                    .expect(kind);
                let ids: Vec<String> = rules(&plan).into_iter().map(|r| r.id).collect();
                assert!(ids.iter().any(|id| id.starts_with("fault_effective:")), "{ids:?}");
                ids.iter().any(|id| id.starts_with("ok_after_heal:"))
            };
            kinds.split_whitespace().filter(|k| *k != "partition:ring" || nodes > 3).filter(demands).collect::<Vec<_>>().join(" ")
        };
        for nodes in [3, 5] {
            // With this seed, the links of one node are affected. With the other seed, the links of all nodes are.
            assert_eq!(after_heal(nodes, 1, "off"), "kill-all");
            assert_eq!(after_heal(nodes, 2, "off"), "kill-all delay loss duplicate reorder reset");
        }
        assert_eq!(after_heal(5, 1, "priority").split(' ').count(), 27);
    }
}
