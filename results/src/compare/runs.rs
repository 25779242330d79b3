//! Which runs count. The rules are fixed: a run is left out for what makes its figures meaningless, never for what they
//! are, and its whole pair goes with it.

use super::compare_json::{Comparison, DropKind, Dropped, LoadMode, Run};
use crate::charts::axis::digits;
use crate::measure::LATE_RATIO_LIMIT;
use crate::results_json::{Results, RunVerdict, Status, Verdict};

/// Share of the machine that others may use during a run, unless it is said otherwise.
pub const NOISE_LIMIT: f64 = 0.25;

/// Checks that tell whether a run means anything. The others, such as an outage that lasted long, are what arms are
/// compared for: leaving out the runs in which an arm did badly would flatter it.
const TELL_OF_MEANING: [&str; 4] = ["vacuity", "crash", "panics", "durability"];

/// What a run is to the comparison.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// It counts.
    Counts,
    /// It does not, and neither does its pair.
    Dropped(Dropped),
    /// It violated correctness: its arm is out.
    Violated(String),
}

/// Above which shares a run is dropped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Of the machine, used by other processes.
    pub noise: f64,
    /// Of the ops, sent late by the harness.
    pub late: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { noise: NOISE_LIMIT, late: LATE_RATIO_LIMIT }
    }
}

/// What `results` are to a comparison at this load, with what others used of the machine.
pub fn standing(results: &Results, load: LoadMode, others_cpu: Option<f64>, limits: Limits) -> Standing {
    let first = || results.reasons.first().cloned().unwrap_or_default();
    if results.verdict == RunVerdict::Invalid {
        return Standing::Violated(first());
    }
    let dropped = |kind, why: String| Standing::Dropped(Dropped { kind, why });
    if results.status == Status::Interrupted {
        return dropped(DropKind::Interrupted, "interrupted before its end".into());
    }
    if results.verdict == RunVerdict::Error || matches!(results.status, Status::Running | Status::Killed) {
        return dropped(DropKind::Broken, first());
    }
    if let Some(why) = inconclusive(results) {
        return dropped(DropKind::Inconclusive, why);
    }
    if load == LoadMode::EqualOfferedLoad && results.load.late_ratio > limits.late {
        let (late, limit) = (digits(results.load.late_ratio * 100.0), digits(limits.late * 100.0));
        return dropped(DropKind::Late, format!("the harness sent {late} % of the ops late, over {limit} %"));
    }
    if let Some(others) = others_cpu.filter(|o| *o > limits.noise) {
        let (others, limit) = (digits(others * 100.0), digits(limits.noise * 100.0));
        return dropped(DropKind::Noisy, format!("other processes used {others} % of the machine, over {limit} %"));
    }
    Standing::Counts
}

/// How many pairs can still count once `done` of the planned ones are made: of the arm for which it is most. Below
/// `pairs_needed` no claim is possible any more.
pub fn pairs_possible<'a>(comparison: &Comparison, runs: impl Iterator<Item = &'a Run> + Clone, done: u32) -> u32 {
    let arms: Vec<&str> = comparison.arms.iter().map(|a| if a.disqualified.is_none() { a.name.as_str() } else { "" }).collect();
    let Some((reference, others)) = arms.split_first().filter(|(reference, _)| !reference.is_empty()) else { return 0 };
    let counts = |pair: u32, arm: &str| runs.clone().any(|r| r.pair == pair && r.arm == arm && r.dropped.is_none());
    let counted = |arm: &str| (1..=done).filter(|pair| counts(*pair, reference) && counts(*pair, arm)).count() as u32;
    let left = comparison.design.pairs.saturating_sub(done);
    others.iter().filter(|arm| !arm.is_empty()).map(|arm| counted(arm) + left).max().unwrap_or(0)
}

fn inconclusive(results: &Results) -> Option<String> {
    if results.linearizability.verdict != Verdict::Valid {
        return Some("linearizability is unknown".into());
    }
    if let Some(fault) = results.faults.iter().find(|f| !f.effective) {
        return Some(format!("fault {} ({} {}) left no evidence of an effect", fault.id, fault.kind, fault.targets.join(" ")));
    }
    if let Some(rule) = results.coverage.rules.iter().find(|r| !r.passed) {
        return Some(rule.missed());
    }
    let check = results.checks.iter().find(|c| TELL_OF_MEANING.contains(&c.name.as_str()) && c.verdict != Verdict::Valid);
    check.map(|c| format!("{}: {}", c.name, c.words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::compare_json::{Arm, Design, Disqualified};
    use crate::results_json::{Check, Gate};
    use crate::sample::{self, Sample};
    use crate::sample_results;

    /// Ten pairs of a reference and two arms; each letter is a pair of one arm: counted or dropped.
    #[track_caller]
    fn check_possible(reference: &str, b: &str, c: &str, possible: u32) {
        let arms = [("a", reference), ("b", b), ("c", c)];
        let run = |(i, letter): (usize, char), arm: &str| Run {
            pair: i as u32 + 1,
            arm: arm.into(),
            dropped: (letter == 'x').then(Dropped::default),
            ..Run::default()
        };
        let runs: Vec<Run> = arms.iter().flat_map(|(arm, row)| row.chars().enumerate().map(move |at| run(at, arm))).collect();
        let comparison = Comparison {
            design: Design { pairs: 10, ..Design::default() },
            arms: arms
                .iter()
                .map(|(name, row)| Arm { name: (*name).into(), disqualified: row.is_empty().then(Disqualified::default), ..Arm::default() })
                .collect(),
            ..Comparison::default()
        };
        let done = arms.iter().map(|(_, row)| row.len()).max().unwrap_or(0) as u32;
        assert_eq!(pairs_possible(&comparison, runs.iter(), done), possible, "{arms:?}");
    }

    #[test]
    #[rustfmt::skip] // A table.
    fn what_is_dropped_is_not_made_up_for() {
        //             a       b       c       possible of 10
        check_possible("...",  "...",  "...",  10);
        check_possible("x..",  "...",  "...",  9);   // The reference is part of each pair.
        check_possible("...",  "x..",  "..x",  9);
        check_possible("...",  "x..",  "...",  10);  // The other arm can still tell.
        check_possible("x..",  "xx.",  ".xx",  8);
        check_possible("x..",  ".xx",  "xxx",  7);
        check_possible("",     "...",  "...",  0);   // Without the reference there is nothing to compare with.
        check_possible("...",  "",     "xxx",  7);
        check_possible("...",  "",     "",     0);
    }

    #[test]
    fn runs_are_left_out_for_what_makes_them_meaningless_only() {
        let good = sample_results::valid(&sample::history(Sample::default()));
        let of = |change: fn(&mut Results)| {
            let mut results = good.clone();
            change(&mut results);
            standing(&results, LoadMode::EqualOfferedLoad, Some(0.1), Limits::default())
        };
        let check = |name: &str| Check { name: name.into(), verdict: Verdict::Invalid, ..Check::default() };
        // What an arm is compared for does not drop it.
        assert_eq!(of(|_| ()), Standing::Counts);
        assert_eq!(of(|r| r.verdict = RunVerdict::GateMissed), Standing::Counts);
        assert_eq!(of(|r| r.gates = vec![Gate::default()]), Standing::Counts);
        let mut slow = good.clone();
        (slow.verdict, slow.checks) = (RunVerdict::Unknown, vec![check("availability"), check("liveness"), check("starvation")]);
        assert_eq!(standing(&slow, LoadMode::EqualOfferedLoad, None, Limits::default()), Standing::Counts);
        let kind = |s: Standing| match s {
            Standing::Dropped(d) => Some(d.kind),
            Standing::Counts | Standing::Violated(_) => None,
        };
        assert_eq!(kind(of(|r| r.load.late_ratio = 0.02)), Some(DropKind::Late));
        assert_eq!(kind(of(|r| r.faults[0].effective = false)), Some(DropKind::Inconclusive));
        assert_eq!(kind(of(|r| r.coverage.rules[0].passed = false)), Some(DropKind::Inconclusive));
        assert_eq!(kind(of(|r| r.linearizability.verdict = Verdict::Unknown)), Some(DropKind::Inconclusive));
        assert_eq!(kind(of(|r| r.verdict = RunVerdict::Error)), Some(DropKind::Broken));
        assert_eq!(kind(of(|r| r.status = Status::Interrupted)), Some(DropKind::Interrupted));
        let mut vacuous = good.clone();
        vacuous.checks.push(check("vacuity"));
        assert_eq!(kind(standing(&vacuous, LoadMode::Saturation, None, Limits::default())), Some(DropKind::Inconclusive));
        assert_eq!(kind(standing(&good, LoadMode::EqualOfferedLoad, Some(0.3), Limits::default())), Some(DropKind::Noisy));
        assert_eq!(standing(&good, LoadMode::EqualOfferedLoad, Some(0.3), Limits { noise: 1.0, ..Limits::default() }), Standing::Counts);
        // Nothing is late where nothing is due.
        let mut closed = good.clone();
        closed.load.late_ratio = 0.5;
        assert_eq!(standing(&closed, LoadMode::Saturation, None, Limits::default()), Standing::Counts);
        assert!(matches!(of(|r| r.verdict = RunVerdict::Invalid), Standing::Violated(_)));
    }
}
