//! Decides which runs count. The rules are fixed: a run is dropped if its figures are meaningless, never because of their values,
//! and its whole pair is dropped with it.

use super::compare_json::{Comparison, DropKind, Dropped, LoadMode, Run};
use crate::charts::axis::digits;
use crate::measure::LATE_RATIO_LIMIT;
use crate::results_json::{Results, RunVerdict, Status, Verdict};

/// Default limit on the share of the machine that other processes may use during a run.
pub const NOISE_LIMIT: f64 = 0.25;

/// Checks that a run needs to pass for its figures to be meaningful. Other checks, such as the one for long outages, are part of
/// the comparison: dropping the runs in which an arm did badly would favour it.
const REQUIRED_CHECKS: [&str; 4] = ["vacuity", "crash", "panics", "durability"];

/// Whether a run counts in a comparison.
#[derive(Debug, Clone, PartialEq)]
pub enum Eligibility {
    /// The run counts.
    Counts,
    /// The run and its pair do not count.
    Dropped(Dropped),
    /// The run violated correctness, so its arm is disqualified.
    Violated(String),
}

/// Limits above which a run is dropped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Share of the machine used by other processes.
    pub noise: f64,
    /// Share of operations that the harness sent late.
    pub late: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { noise: NOISE_LIMIT, late: LATE_RATIO_LIMIT }
    }
}

/// Decides whether a run with these results counts at this kind of load. `others_cpu` is the share of the machine that other
/// processes used.
pub fn eligibility(results: &Results, load: LoadMode, others_cpu: Option<f64>, limits: Limits) -> Eligibility {
    let first = || results.reasons.first().cloned().unwrap_or_default();
    if results.verdict == RunVerdict::Invalid {
        return Eligibility::Violated(first());
    }
    let dropped = |kind, why: String| Eligibility::Dropped(Dropped { kind, why });
    if results.status == Status::Interrupted {
        return dropped(DropKind::Interrupted, "interrupted before its end".into());
    }
    if results.verdict == RunVerdict::Error || matches!(results.status, Status::Running | Status::Killed) {
        return dropped(DropKind::Broken, first());
    }
    if let Some(why) = inconclusive_reason(results) {
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
    Eligibility::Counts
}

/// Returns how many pairs can still count after `done` pairs, for the arm with the most. Below `pairs_needed` no claim is
/// possible any more.
pub fn pairs_possible<'a>(comparison: &Comparison, runs: impl Iterator<Item = &'a Run> + Clone, done: u32) -> u32 {
    let arms: Vec<&str> = comparison.arms.iter().map(|a| if a.disqualified.is_none() { a.name.as_str() } else { "" }).collect();
    let Some((reference, others)) = arms.split_first().filter(|(reference, _)| !reference.is_empty()) else { return 0 };
    let counts = |pair: u32, arm: &str| runs.clone().any(|r| r.pair == pair && r.arm == arm && r.dropped.is_none());
    let counted = |arm: &str| (1..=done).filter(|pair| counts(*pair, reference) && counts(*pair, arm)).count() as u32;
    let left = comparison.design.pairs.saturating_sub(done);
    others.iter().filter(|arm| !arm.is_empty()).map(|arm| counted(arm) + left).max().unwrap_or(0)
}

fn inconclusive_reason(results: &Results) -> Option<String> {
    if results.linearizability.verdict != Verdict::Valid {
        return Some("linearizability is unknown".into());
    }
    if let Some(fault) = results.faults.iter().find(|f| !f.effective) {
        return Some(format!("fault {} ({} {}) left no evidence of an effect", fault.id, fault.kind, fault.targets.join(" ")));
    }
    if let Some(rule) = results.coverage.rules.iter().find(|r| !r.passed) {
        return Some(rule.unmet_reason());
    }
    let check = results.checks.iter().find(|c| REQUIRED_CHECKS.contains(&c.name.as_str()) && c.verdict != Verdict::Valid);
    check.map(|c| format!("{}: {}", c.name, c.words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::compare_json::{Arm, Design, Disqualified};
    use crate::results_json::{Check, Gate};
    use crate::sample::{self, Sample};
    use crate::sample_results;

    /// Ten pairs of a reference and two arms. Each letter is a run of one arm: counted or dropped.
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
    fn dropped_pairs_are_not_replaced() {
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
    fn runs_are_dropped_only_if_their_figures_are_meaningless() {
        let good = sample_results::valid(&sample::history(Sample::default()));
        let of = |change: fn(&mut Results)| {
            let mut results = good.clone();
            change(&mut results);
            eligibility(&results, LoadMode::EqualOfferedLoad, Some(0.1), Limits::default())
        };
        let check = |name: &str| Check { name: name.into(), verdict: Verdict::Invalid, ..Check::default() };
        // A result that is part of the comparison does not drop a run.
        assert_eq!(of(|_| ()), Eligibility::Counts);
        assert_eq!(of(|r| r.verdict = RunVerdict::GateMissed), Eligibility::Counts);
        assert_eq!(of(|r| r.gates = vec![Gate::default()]), Eligibility::Counts);
        let mut slow = good.clone();
        (slow.verdict, slow.checks) = (RunVerdict::Unknown, vec![check("availability"), check("liveness"), check("starvation")]);
        assert_eq!(eligibility(&slow, LoadMode::EqualOfferedLoad, None, Limits::default()), Eligibility::Counts);
        let kind = |s: Eligibility| match s {
            Eligibility::Dropped(d) => Some(d.kind),
            Eligibility::Counts | Eligibility::Violated(_) => None,
        };
        assert_eq!(kind(of(|r| r.load.late_ratio = 0.02)), Some(DropKind::Late));
        assert_eq!(kind(of(|r| r.faults[0].effective = false)), Some(DropKind::Inconclusive));
        assert_eq!(kind(of(|r| r.coverage.rules[0].passed = false)), Some(DropKind::Inconclusive));
        assert_eq!(kind(of(|r| r.linearizability.verdict = Verdict::Unknown)), Some(DropKind::Inconclusive));
        assert_eq!(kind(of(|r| r.verdict = RunVerdict::Error)), Some(DropKind::Broken));
        assert_eq!(kind(of(|r| r.status = Status::Interrupted)), Some(DropKind::Interrupted));
        let mut vacuous = good.clone();
        vacuous.checks.push(check("vacuity"));
        assert_eq!(kind(eligibility(&vacuous, LoadMode::Saturation, None, Limits::default())), Some(DropKind::Inconclusive));
        assert_eq!(kind(eligibility(&good, LoadMode::EqualOfferedLoad, Some(0.3), Limits::default())), Some(DropKind::Noisy));
        assert_eq!(
            eligibility(&good, LoadMode::EqualOfferedLoad, Some(0.3), Limits { noise: 1.0, ..Limits::default() }),
            Eligibility::Counts
        );
        // In a closed loop no operation is late, since none is due.
        let mut closed = good.clone();
        closed.load.late_ratio = 0.5;
        assert_eq!(eligibility(&closed, LoadMode::Saturation, None, Limits::default()), Eligibility::Counts);
        assert!(matches!(of(|r| r.verdict = RunVerdict::Invalid), Eligibility::Violated(_)));
    }
}
