use super::*;
use crate::compare::compare_json::Dropped;
use crate::compare::sample::{self, LEASE_ARMS, SampleArm};
use crate::experiment::Disqualified;

fn primary<'a>(comparison: &'a Comparison, arm: &str, figure: &str) -> &'a FigureResult {
    let contrast = comparison.contrasts.iter().find(|c| c.arm == arm).expect("an arm");
    contrast.figures.iter().find(|f| f.primary && f.figure == figure).expect("a figure")
}

#[test]
fn what_is_there_is_found_and_pairs_go_together() {
    let comparison = sample::comparison(&LEASE_ARMS, 10);
    assert_eq!(comparison.head.exit_code, 0, "{:#?}", comparison.head.verdict);
    let priority = &comparison.contrasts[0];
    assert_eq!((priority.pairs.len(), priority.dropped.len(), priority.dropped[0].pair), (9, 1, 3));
    assert_eq!(comparison.contrasts[1].pairs.len(), 10, "the arm that was not dropped keeps its pair");
    let p99 = primary(&comparison, "priority", "intent_p99_ms");
    assert_eq!((p99.decision, p99.n, p99.method.as_str()), (Decision::Changed, 9, "log_ratio"));
    assert!(p99.low < p99.effect && p99.effect < p99.high && p99.high < Some(1.0), "{p99:#?}");
    let first = &comparison.head.verdict[0];
    assert!(first.starts_with("priority against off: p99 intent time changed by −"), "{first}");
    assert_ne!(primary(&comparison, "read", "intent_p99_ms").decision, Decision::Changed);
    let phases: Vec<Phase> = priority.figures.iter().filter(|f| f.figure == "intent_p99_ms").filter_map(|f| f.phase).collect();
    assert_eq!(phases, Phase::ALL);
    assert!(priority.figures.iter().filter(|f| !f.primary).all(|f| f.decision == Decision::Exploratory && f.p_adjusted.is_none()));
    assert!(comparison.validity.iter().all(|v| v.passed), "{:#?}", comparison.validity);
}

#[test]
fn too_few_pairs_claim_nothing() {
    let few = sample::comparison(&LEASE_ARMS[..2], 8);
    assert_eq!(few.contrasts[0].pairs.len(), 7);
    assert_eq!(few.head.exit_code, 2);
    assert!(few.head.verdict[0].contains("no claim is made: 7 of 8 pairs count, and 8 are needed"), "{:#?}", few.head.verdict);
    assert!(few.contrasts[0].figures.iter().filter(|f| f.primary).all(|f| f.decision == Decision::NoClaim));
    assert!(few.validity.iter().any(|v| v.name == "pairs" && !v.passed));
}

#[test]
fn an_interrupt_claims_nothing_however_many_pairs_there_are() {
    let arms = &LEASE_ARMS[..2];
    let all = conclude(sample::planned_comparison(arms, 20), sample::measured_runs(arms, 20), Ending::Interrupted);
    assert_eq!((all.head.exit_code, all.head.status), (130, Status::Interrupted));
    assert!(all.head.verdict[0].contains("interrupted"), "{:#?}", all.head.verdict);
    assert!(all.contrasts[0].figures.iter().all(|f| f.decision != Decision::Changed));
    // If both runs of a pair are responsible, both are named.
    let mut late = sample::measured_runs(arms, 10);
    for m in &mut late {
        m.run.dropped = Some(Dropped { kind: DropKind::Late, why: "late".into(), ..Dropped::default() });
    }
    let late = conclude(sample::planned_comparison(arms, 10), late, Ending::AsPlanned);
    assert_eq!((late.contrasts[0].pairs.len(), late.contrasts[0].dropped.len(), late.head.exit_code), (0, 20, 2));
    // Half a pair does not count.
    let mut half = sample::measured_runs(arms, 20);
    half.truncate(5);
    let half = conclude(sample::planned_comparison(arms, 20), half, Ending::Interrupted);
    assert_eq!((half.contrasts[0].pairs.clone(), half.contrasts[0].dropped.len()), (vec![1, 2], 2), "one noisy, one never made");
    let none = conclude(sample::planned_comparison(arms, 20), vec![], Ending::Interrupted);
    assert_eq!((none.head.exit_code, none.contrasts[0].pairs.len(), none.successes.len()), (130, 0, 0));
}

#[test]
fn a_violation_puts_its_arm_out_and_beats_everything() {
    let mut planned = sample::planned_comparison(&LEASE_ARMS, 10);
    planned.arms[1].disqualified = Some(Disqualified { path: "priority/x".into(), why: "stale read on key k1".into() });
    let out = conclude(planned.clone(), sample::measured_runs(&LEASE_ARMS, 10), Ending::Interrupted);
    assert_eq!(out.head.exit_code, 1);
    assert!(
        out.head.verdict[0].starts_with("DISQUALIFIED: arm priority violated correctness in priority/x: stale read"),
        "{:#?}",
        out.head.verdict
    );
    assert!(out.contrasts[0].figures.is_empty() && out.contrasts[0].pairs.is_empty());
    assert_eq!(out.contrasts[1].pairs.len(), 10, "the other arm is compared all the same");
    // Without the reference, no comparison is possible.
    planned.arms[0].disqualified = planned.arms[1].disqualified.take();
    let out = conclude(planned, sample::measured_runs(&LEASE_ARMS, 10), Ending::AsPlanned);
    assert!(out.contrasts.iter().all(|c| c.figures.is_empty()) && out.head.exit_code == 1);
}

#[test]
fn an_arm_that_starves_is_compared_by_bounds() {
    let starving = SampleArm { starved: 0.05, ratio: 1.0, ..LEASE_ARMS[1] };
    let comparison = sample::comparison(&[LEASE_ARMS[0], LEASE_ARMS[2], starving], 10);
    let p99 = primary(&comparison, "priority", "intent_p99_ms");
    assert_eq!((p99.decision, p99.method.as_str(), p99.bound, p99.low), (Decision::Changed, "sign", true, None));
    assert!(p99.words.contains("at least ×") && p99.words.contains("lower bound"), "{}", p99.words);
    assert!(comparison.head.verdict.iter().any(|s| s.contains("intents never finished")), "{:#?}", comparison.head.verdict);
    let arm = comparison.arms.iter().find(|a| a.name == "priority").expect("an arm");
    assert!(arm.unfinished > 0 && arm.finished_by.last().expect("a curve")[1] < 0.99);
}

#[test]
fn pairs_lost_to_one_arm_are_a_warning() {
    let mut made = sample::measured_runs(&LEASE_ARMS[..2], 14);
    for m in made.iter_mut().filter(|m| m.run.arm == "priority" && m.run.pair > 9) {
        m.run.dropped = Some(Dropped { kind: DropKind::Inconclusive, why: "too little happened".into(), mend: "use --rate max".into() });
    }
    let comparison = conclude(sample::planned_comparison(&LEASE_ARMS[..2], 14), made, Ending::AsPlanned);
    let dropped = comparison.validity.iter().find(|v| v.name == "dropped").expect("in the box");
    assert!(
        !dropped.passed && dropped.words.contains("5 inconclusive because of priority") && dropped.words.contains("may flatter it"),
        "{}",
        dropped.words
    );
}

#[test]
fn a_comparison_without_a_claim_names_the_main_reason() {
    let mut made = sample::measured_runs(&LEASE_ARMS[..2], 8);
    for m in &mut made {
        let why = "vacuity: 7 of 90 ops were contended".to_owned();
        m.run.dropped = Some(Dropped { kind: DropKind::Inconclusive, why, mend: "use --rate max".into() });
    }
    let comparison = conclude(sample::planned_comparison(&LEASE_ARMS[..2], 8), made, Ending::AsPlanned);
    let said = &comparison.head.verdict[0];
    assert!(said.contains("0 of 8 pairs count, and 8 are needed; 16 runs were inconclusive, the first because vacuity: 7 of 90"), "{said}");
    assert!(said.ends_with("(use --rate max)"), "{said}");
    assert_eq!(comparison.head.answer, ["No answer: 0 of 8 pairs count, and 8 are needed."]);
}

#[test]
fn seeds_and_load_are_held_against_the_runs() {
    let mut made = sample::measured_runs(&LEASE_ARMS[..2], 12);
    made[2].run.schedule = "another".into();
    made[3].run.offered_per_s = 250.0;
    let comparison = conclude(sample::planned_comparison(&LEASE_ARMS[..2], 12), made, Ending::AsPlanned);
    let failed: Vec<&str> = comparison.validity.iter().filter(|v| !v.passed).map(|v| v.name.as_str()).collect();
    assert_eq!(failed, ["same choices", "load"], "{:#?}", comparison.validity);
}

#[test]
fn an_effect_between_equal_arms_is_an_alarm() {
    let mut planned = sample::planned_comparison(&LEASE_ARMS[..2], 10);
    planned.design.aa = true;
    let comparison = conclude(planned, sample::measured_runs(&LEASE_ARMS[..2], 10), Ending::AsPlanned);
    assert!(comparison.head.verdict.iter().any(|s| s.contains("two arms that are the same")), "{:#?}", comparison.head.verdict);
}
