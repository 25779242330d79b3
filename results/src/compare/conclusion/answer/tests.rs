use super::*;
use crate::compare::conclude::conclude;
use crate::compare::decide::Ending;
use crate::compare::figures::{self, Clients};
use crate::compare::sample::{self, LEASE_ARMS, SampleArm};
use crate::experiment::Disqualified;

const HOLDER: [&str; 2] = ["kill:holder", "pause:holder"];

fn answer(arms: &[SampleArm], pairs: u32, faults: &[&str]) -> Vec<String> {
    let mut planned = sample::planned_comparison(arms, pairs);
    planned.design.faults = faults.iter().map(|f| (*f).to_owned()).collect();
    sentences(&conclude(planned, sample::measured_runs(arms, pairs), Ending::AsPlanned))
}

#[test]
fn three_sentences_say_who_how_long_and_what_a_fault_costs() {
    let said = answer(&LEASE_ARMS, 12, &HOLDER);
    let [who, how_long, cost] = &said[..] else { panic!("{said:#?}") };
    assert!(who.starts_with("Who waits: compared with off, ") && who.contains("read"), "{who}");
    assert!(how_long.starts_with("How long: a client waits ") && how_long.contains(" % less (95 % interval −"), "{how_long}");
    assert!(how_long.contains("with priority, ") && !how_long.contains("less (95 % interval) with read"), "{how_long}");
    assert!(cost.starts_with("What a dead holder costs: the longest wait is "), "{cost}");
    assert!(said.iter().all(|s| s.ends_with('.') && s.matches(". ").count() == 0), "a sentence each: {said:#?}");
}

#[test]
fn an_arm_that_starves_is_named() {
    let starving = SampleArm { starved: 0.1, ratio: 1.0, ..LEASE_ARMS[1] };
    let said = answer(&[LEASE_ARMS[0], starving], 12, &HOLDER);
    assert!(said[0].contains("priority shares success less equally (Jain’s index 0.9"), "{}", said[0]);
    assert!(said[0].contains("), starves more clients (0 → 1) and leaves more intents unfinished (0 % → "), "{}", said[0]);
    assert!(said[1].contains("times as long (95 % interval") && said[1].contains("with priority"), "{}", said[1]);
    assert!(said[2].contains("at least "), "its longest wait is a bound: {}", said[2]);
}

#[test]
fn what_is_not_claimed_is_not_said() {
    // Two arms with the same figures.
    let same = SampleArm { ratio: 1.0, ..LEASE_ARMS[1] };
    let said = answer(&[LEASE_ARMS[0], same], 12, &[]);
    assert!(!said.iter().any(|s| s.contains("less (") || s.contains("more (") || s.contains("equally")), "{said:#?}");
    assert_eq!(said[2], "What a fault costs: not measured, since no fault was injected.");
    let said = answer(&LEASE_ARMS[..2], 5, &HOLDER);
    assert_eq!(said, ["No answer: 4 of 5 pairs count, and 8 are needed."]);
}

#[test]
fn some_comparisons_have_no_answer() {
    let runs = || sample::measured_runs(&LEASE_ARMS, 10);
    let planned = || sample::planned_comparison(&LEASE_ARMS, 10);
    assert!(sentences(&conclude(planned(), runs(), Ending::Interrupted)).is_empty());
    let mut aa = planned();
    aa.design.aa = true;
    assert!(sentences(&conclude(aa, runs(), Ending::AsPlanned)).is_empty());
    let mut independent = planned();
    independent.design.primary = figures::primary(Clients::Independent).map(|f| f.name.to_owned()).collect();
    assert!(sentences(&conclude(independent, runs(), Ending::AsPlanned)).is_empty());
    let mut wrong = planned();
    wrong.arms[1].disqualified = Some(Disqualified { path: "priority/x".into(), why: "stale read".into() });
    let said = sentences(&conclude(wrong.clone(), runs(), Ending::AsPlanned));
    assert!(said[0].contains("; priority violated correctness and is out.") && !said[1].contains("priority"), "{said:#?}");
    wrong.arms[0].disqualified = wrong.arms[1].disqualified.take();
    assert_eq!(sentences(&conclude(wrong, runs(), Ending::AsPlanned)).len(), 1);
}
