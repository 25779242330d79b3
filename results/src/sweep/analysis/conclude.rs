//! The conclusion of a sweep: points, knees, maxima, verdict and exit code, all derived from the runs so far.
//!
//! | code | when, the first that applies |
//! |---|---|
//! | 1 | a run violated correctness |
//! | 130 | interrupted |
//! | 4 | the harness or the machine failed |
//! | 2 | too few points remain, or the maximum is not within the range |
//! | 0 | none of these |

use super::axis_words::at_words;
use crate::charts::axis::digits;
use crate::results_json::Status;
use crate::sweep::sweep_json::{Knee, Maximum, Sweep};
use crate::sweep::{answer, find_max, knee, points};
use std::collections::BTreeMap;

/// Minimum number of points of an arm for a curve, if the design has that many.
pub const POINTS_NEEDED: usize = 3;

/// How the runs of a sweep ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// All runs were executed, or all that the bisection needed.
    AsPlanned,
    /// The budget was used up.
    OutOfBudget,
    /// By Ctrl-C or SIGTERM.
    Interrupted,
    /// The harness or the machine failed.
    Failed(String),
}

/// Computes all results that follow from the runs.
#[must_use]
pub fn conclude(mut sweep: Sweep, ending: &Ending) -> Sweep {
    sweep = summarize(sweep);
    let few = too_few(&sweep);
    let violated = sweep.arms.iter().any(|a| a.disqualified.is_some());
    sweep.head.status = if *ending == Ending::Interrupted { Status::Interrupted } else { Status::Done };
    sweep.head.exit_code = match ending {
        _ if violated => 1,
        Ending::Interrupted => 130,
        Ending::Failed(_) => 4,
        Ending::AsPlanned | Ending::OutOfBudget if !few.is_empty() => 2,
        Ending::AsPlanned | Ending::OutOfBudget => 0,
    };
    let disqualified = sweep.arms.iter().filter_map(|a| {
        let d = a.disqualified.as_ref()?;
        Some(format!("DISQUALIFIED: arm {} violated correctness in {}: {}", a.name, d.path, d.why))
    });
    let mut verdict: Vec<String> = disqualified.collect();
    verdict.extend(ending_words(&sweep, ending));
    verdict.extend(few);
    verdict.extend(sweep.maxima.iter().map(|m| maximum_words(&sweep, m)));
    if !sweep.design.find_max {
        verdict.extend(sweep.knees.iter().filter_map(|k| knee_words(&sweep, k)));
        verdict.extend(kneeless_words(&sweep));
    }
    verdict.extend(hollow_words(&sweep));
    verdict.extend(not_counted_words(&sweep));
    verdict.extend(no_evidence_words(&sweep));
    verdict.extend(sweep.arms.iter().filter_map(|a| Some(format!("arm {} was left out: {}", a.name, a.left_out.as_ref()?))));
    sweep.head.verdict = verdict;
    sweep
}

/// Computes points, knees, maxima and answer, without a verdict: for a sweep in progress.
#[must_use]
pub fn summarize(mut sweep: Sweep) -> Sweep {
    sweep.points = points::points(&sweep);
    sweep.knees = knee::knees(&sweep);
    sweep.maxima = find_max::maxima(&sweep);
    sweep.head.answer = answer::answer(&sweep);
    sweep
}

fn ending_words(sweep: &Sweep, ending: &Ending) -> Option<String> {
    let made = format!("{} of {} runs", sweep.runs.len(), sweep.design.runs);
    match ending {
        Ending::AsPlanned => None,
        Ending::OutOfBudget => Some(format!("the budget is used up after {made}: --resume with a new --budget makes the rest")),
        Ending::Interrupted => Some(format!("interrupted after {made}: --resume makes the rest")),
        Ending::Failed(why) => Some(format!("the sweep ended after {made}: {why}")),
    }
}

/// Names each arm with too few points, or without a maximum.
fn too_few(sweep: &Sweep) -> Vec<String> {
    let needed = POINTS_NEEDED.min(sweep.design.values.len());
    let arms = sweep.running_arms().filter(|(_, arm)| arm.disqualified.is_none());
    let few = |arm: &str| {
        if let Some(maximum) = sweep.maxima.iter().find(|m| m.arm == arm) {
            return (!maximum.complete || maximum.rate_per_s.is_none()).then(|| format!("arm {arm}: no maximum was found"));
        }
        let counted = sweep.points_of(arm).filter(|p| p.counted > 0).count();
        (counted < needed).then(|| format!("too few points for arm {arm}: runs count at {counted} values, and a curve needs {needed}"))
    };
    arms.filter_map(|(_, arm)| few(&arm.name)).collect()
}

fn outside(limited_by: &[String]) -> String {
    if limited_by.is_empty() {
        return String::new();
    }
    format!(" (limited from outside the system there: {})", limited_by.join(", "))
}

fn knee_words(sweep: &Sweep, knee: &Knee) -> Option<String> {
    let at = knee.at.as_ref()?;
    let before =
        knee.last_good.as_ref().map_or_else(|| "no lower value holds".to_owned(), |good| format!("{} holds", at_words(sweep, &good.text)));
    Some(format!("{}: the knee is at {}: {}; {before}{}", knee.arm, at_words(sweep, &at.text), knee.why, outside(&knee.limited_by)))
}

/// Returns one sentence for all arms without a knee.
fn kneeless_words(sweep: &Sweep) -> Option<String> {
    let arms: Vec<&str> = sweep.knees.iter().filter(|k| k.at.is_none()).map(|k| k.arm.as_str()).collect();
    let last = sweep.points.iter().filter(|p| arms.contains(&p.arm.as_str())).max_by(|a, b| a.value.number.total_cmp(&b.value.number))?;
    Some(format!("{}: no knee up to {}, every limit holds", arms.join(", "), at_words(sweep, &last.value.text)))
}

fn maximum_words(sweep: &Sweep, maximum: &Maximum) -> String {
    let arm = &maximum.arm;
    let rate = |x: f64| format!("{}/s", digits(x));
    let limits = sweep.design.slo.join(", ");
    let ends = |f: fn(&[crate::sweep::sweep_json::AxisValue]) -> Option<&crate::sweep::sweep_json::AxisValue>| {
        f(&sweep.design.values).map_or(0.0, |v| v.number)
    };
    let Some(highest) = maximum.rate_per_s else {
        return match maximum.complete {
            true => format!(
                "{arm}: not even {} holds {limits}: begin the range lower{}",
                rate(ends(|v| v.first())),
                outside(&maximum.limited_by)
            ),
            false => format!("{arm}: no rate has enough runs yet"),
        };
    };
    let interval = match (maximum.low_per_s, maximum.high_per_s) {
        (_, None) => format!("at least {}, the end of the range", rate(highest)),
        (Some(low), Some(high)) => {
            format!("{}, between {} where every run held and {} where none did", rate(highest), rate(low), rate(high))
        }
        (None, Some(high)) => format!("{}, under {} where no run held; at no rate did every run hold", rate(highest), rate(high)),
    };
    let unfinished = if maximum.complete { "" } else { " (the bisection is not finished)" };
    format!("{arm}: the highest rate that holds {limits} is {interval}{unfinished}{}", outside(&maximum.limited_by))
}

fn hollow_words(sweep: &Sweep) -> Option<String> {
    let mut by: BTreeMap<&str, u32> = BTreeMap::new();
    sweep.points.iter().flat_map(|p| p.limited_by.keys()).for_each(|what| *by.entry(what).or_default() += 1);
    let hollow = sweep.points.iter().filter(|p| !p.limited_by.is_empty()).count();
    let each: Vec<String> = by.iter().map(|(what, n)| format!("{what} at {n}")).collect();
    (hollow > 0).then(|| {
        format!(
            "{hollow} of {} points are hollow: the load generator or the machine was the limit there ({})",
            sweep.points.len(),
            each.join(", ")
        )
    })
}

fn not_counted_words(sweep: &Sweep) -> Option<String> {
    let mut out = sweep.runs.iter().filter(|r| r.not_counted.is_some());
    let (n, first) = (out.clone().count(), out.next()?);
    let why = first.not_counted.as_deref().unwrap_or_default();
    Some(format!("{n} of {} runs do not count; the first is {}: {why}", sweep.runs.len(), first.path))
}

fn no_evidence_words(sweep: &Sweep) -> Option<String> {
    let mut thin = sweep.runs.iter().filter(|r| r.no_evidence.is_some());
    let (n, first) = (thin.clone().count(), thin.next()?);
    let why = first.no_evidence.as_deref().unwrap_or_default();
    Some(format!("{n} of {} runs are inconclusive, though their figures count; the first is {}: {why}", sweep.runs.len(), first.path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::Disqualified;
    use crate::sweep::sample;

    fn code(sweep: &Sweep, ending: &Ending) -> i32 {
        conclude(sweep.clone(), ending).head.exit_code
    }

    #[test]
    fn exit_codes() {
        let sweep = sample::sweep(&["a", "b"], 3);
        let failed = Ending::Failed("no disk".into());
        assert_eq!(code(&sweep, &Ending::AsPlanned), 0);
        assert_eq!(code(&sweep, &Ending::OutOfBudget), 0);
        assert_eq!(code(&sweep, &Ending::Interrupted), 130);
        assert_eq!(code(&sweep, &failed), 4);
        let mut few = sweep.clone();
        few.runs.retain(|r| r.arm == "a" || r.value.number < 300.0);
        assert_eq!(code(&few, &Ending::AsPlanned), 2);
        assert!(conclude(few, &Ending::AsPlanned).head.verdict[0].contains("arm b: runs count at 2 values"));
        let mut violated = sweep;
        violated.arms[1].disqualified = Some(Disqualified { path: "b-400/x".into(), why: "a stale read".into() });
        for ending in [Ending::AsPlanned, Ending::Interrupted, failed] {
            assert_eq!(code(&violated, &ending), 1);
        }
        assert!(conclude(violated, &Ending::AsPlanned).head.verdict[0].starts_with("DISQUALIFIED: arm b violated correctness in b-400/x"));
    }

    #[test]
    fn the_verdict_names_knees_and_hollow_points() {
        let mut sweep = sample::sweep(&["slow", "quick"], 3);
        for run in sweep.runs.iter_mut().filter(|r| r.value.text == "1600") {
            run.limited_by.push("machine_busy".into());
        }
        let verdict = conclude(sweep, &Ending::AsPlanned).head.verdict;
        assert!(verdict[0].starts_with("slow: the knee is at 1,600/s: ") && verdict[0].contains("800/s holds (limited"), "{verdict:?}");
        assert!(verdict[1].starts_with("quick: the knee is at 1,600/s: "), "{verdict:?}");
        assert!(verdict[2].starts_with("2 of 10 points are hollow") && verdict[2].contains("machine_busy at 2"), "{verdict:?}");
    }

    #[test]
    fn the_verdict_names_runs_that_do_not_count_or_are_no_evidence() {
        let mut sweep = sample::sweep(&["a"], 3);
        assert!(sweep.head.verdict.iter().all(|words| !words.contains("count")), "{:?}", sweep.head.verdict);
        sweep.runs[3].not_counted = Some("no disk".into());
        sweep.runs[5].no_evidence = Some("vacuity".into());
        let (out, thin) = (sweep.runs[3].path.clone(), sweep.runs[5].path.clone());
        let verdict = conclude(sweep, &Ending::AsPlanned).head.verdict;
        assert!(verdict.contains(&format!("1 of 15 runs do not count; the first is {out}: no disk")), "{verdict:?}");
        let words = format!("1 of 15 runs are inconclusive, though their figures count; the first is {thin}: vacuity");
        assert!(verdict.contains(&words), "{verdict:?}");
    }

    #[test]
    fn a_maximum_that_was_not_found_is_inconclusive() {
        let mut sweep = sample::sweep(&["a"], 1);
        sweep.design.find_max = true;
        sweep.design.values = vec![sweep.design.values[0].clone(), sweep.design.values[4].clone()];
        let done = conclude(sweep.clone(), &Ending::AsPlanned);
        assert_eq!((done.head.exit_code, done.maxima[0].complete), (2, false), "the bisection needs rates between 800 and 1600");
        sweep.design.resolution = Some(4.1);
        sweep.runs.retain(|r| r.value.number != 800.0 && r.value.number != 200.0);
        let done = conclude(sweep.clone(), &Ending::AsPlanned);
        assert_eq!((done.head.exit_code, done.maxima[0].rate_per_s), (0, Some(400.0)), "{:?}", done.head.verdict);
        assert!(
            done.head.verdict[0].contains("400/s, between 400/s where every run held and 1,600/s where none did"),
            "{:?}",
            done.head.verdict
        );
        sweep.runs.retain(|r| r.value.number == 100.0);
        sweep.runs[0].slo[0].passed = false;
        let done = conclude(sweep, &Ending::AsPlanned);
        assert_eq!(done.head.exit_code, 2);
        assert!(done.head.verdict[1].contains("not even 100/s holds"), "{:?}", done.head.verdict);
    }
}
