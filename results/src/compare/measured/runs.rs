//! Decides which runs count. The rules are fixed: a run is dropped, along with its whole pair, if its figures are meaningless,
//! but never because of their values.

use crate::charts::axis::digits;
use crate::compare::compare_json::{Comparison, DropKind, Dropped, LoadMode, Run};
use crate::measure::LATE_RATIO_LIMIT;
use crate::results_json::{Results, RunVerdict, Status, Verdict};

/// Default limit on the share of the machine that other processes may use during a run.
pub const NOISE_LIMIT: f64 = 0.25;

/// Checks that a run must pass for its figures to be meaningful. Other checks, such as the one for long outages, are part of the
/// comparison: dropping the runs in which an arm did badly would favour that arm.
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
    let dropped = |kind, why: String, mend: &str| Eligibility::Dropped(Dropped { kind, why, mend: mend.to_owned() });
    if results.status == Status::Interrupted {
        return dropped(DropKind::Interrupted, "interrupted before its end".into(), "");
    }
    if results.verdict == RunVerdict::Error || matches!(results.status, Status::Running | Status::Killed) {
        return dropped(DropKind::Broken, first(), "");
    }
    if results.load.aborted.is_some() {
        return dropped(DropKind::Inconclusive, first(), "leave out --abort-on, which ends runs at different times");
    }
    if let Some((why, mend)) = inconclusive_reason(results, load) {
        return dropped(DropKind::Inconclusive, why, &mend);
    }
    if load == LoadMode::EqualOfferedLoad && results.load.late_ratio > limits.late {
        let (late, limit) = (digits(results.load.late_ratio * 100.0), digits(limits.late * 100.0));
        let why = format!("the harness sent {late} % of the ops late, over {limit} %");
        return dropped(DropKind::Late, why, "ask for less with --rate, or use --late-limit 1 to compare counts and bytes alone");
    }
    if let Some(others) = others_cpu.filter(|o| *o > limits.noise) {
        let (others, limit) = (digits(others * 100.0), digits(limits.noise * 100.0));
        let why = format!("other processes used {others} % of the machine, over {limit} %");
        return dropped(DropKind::Noisy, why, "end the other processes, or use --noise-limit 1 and distrust the times");
    }
    Eligibility::Counts
}

/// Returns the number of pairs that can still count after `done` pairs, for the arm with the most. Below `pairs_needed`,
/// no claim is possible any more.
pub fn pairs_possible<'a>(comparison: &Comparison, runs: impl Iterator<Item = &'a Run> + Clone, done: u32) -> u32 {
    let arms: Vec<&str> = comparison.arms.iter().map(|a| if a.disqualified.is_none() { a.name.as_str() } else { "" }).collect();
    let Some((reference, others)) = arms.split_first().filter(|(reference, _)| !reference.is_empty()) else { return 0 };
    let counts = |pair: u32, arm: &str| runs.clone().any(|r| r.pair == pair && r.arm == arm && r.dropped.is_none());
    let counted = |arm: &str| (1..=done).filter(|pair| counts(*pair, reference) && counts(*pair, arm)).count() as u32;
    let left = comparison.design.pairs.saturating_sub(done);
    others.iter().filter(|arm| !arm.is_empty()).map(|arm| counted(arm) + left).max().unwrap_or(0)
}

/// Describes the first pair, which shows whether the runs of a comparison will count. Returns `None` if all its runs count.
pub fn pilot<'a>(runs: impl Iterator<Item = &'a Run>) -> Option<Pilot> {
    let (mut all, mut dropped) = (0, vec![]);
    for run in runs.filter(|r| r.pair == 1) {
        all += 1;
        dropped.extend(run.dropped.as_ref().map(|d| (run, d)));
    }
    if dropped.is_empty() {
        return None;
    }
    // A run that breaks or is interrupted has its own message.
    let of_load = |d: &Dropped| matches!(d.kind, DropKind::Inconclusive | DropKind::Late | DropKind::Noisy);
    let hopeless = dropped.len() == all && dropped.iter().all(|(_, d)| of_load(d));
    let mut words: Vec<String> = vec![];
    for (run, d) in &dropped {
        words.push(format!("{} is {}: {}", run.arm, d.kind.word(), d.why));
    }
    let mut mends: Vec<&str> = dropped.iter().map(|(_, d)| d.mend.as_str()).filter(|mend| !mend.is_empty()).collect();
    mends.dedup();
    Some(Pilot { hopeless, why: words.join("; "), mend: mends.join("; or ") })
}

/// Findings about the first pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pilot {
    /// Whether none of its runs counts, for reasons that will also apply to the other pairs.
    pub hopeless: bool,
    /// The runs that do not count, with reasons.
    pub why: String,
    /// The suggested changes, with their flags. Empty if there is no known remedy.
    pub mend: String,
}

/// Returns why a run is inconclusive, and how to fix it.
fn inconclusive_reason(results: &Results, load: LoadMode) -> Option<(String, String)> {
    if results.linearizability.verdict != Verdict::Valid {
        return Some((
            "linearizability is unknown".into(),
            "spread the load over more keys with --keys, or shorten it with --duration".into(),
        ));
    }
    if let Some(fault) = results.faults.iter().find(|f| !f.effective) {
        let mend = if fault.is_unverified() {
            "leave it out of --faults"
        } else {
            "give it more time with --fault-for, or leave it out of --faults"
        };
        return Some((fault.lack_of_effect(), mend.into()));
    }
    if let Some(rule) = results.coverage.rules.iter().find(|r| !r.passed) {
        return Some((rule.unmet_reason(), more_load(load).into()));
    }
    let check = results.checks.iter().find(|c| REQUIRED_CHECKS.contains(&c.name.as_str()) && c.verdict != Verdict::Valid)?;
    let mend = match check.name.as_str() {
        "vacuity" => more_load(load),
        "durability" => "give the final reads more time with --quiet-tail",
        _ => "",
    };
    Some((format!("{}: {}", check.name, check.words), mend.into()))
}

/// Returns advice for giving a run more to judge.
fn more_load(load: LoadMode) -> &'static str {
    match load {
        LoadMode::EqualOfferedLoad => "use --rate max, with which clients send without a pause, or a higher --rate",
        LoadMode::Saturation => "use more --clients, fewer --keys or a longer --duration",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::compare_json::{Arm, Design};
    use crate::experiment::Disqualified;
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
        check_possible("x..",  "...",  "...",  9);   // The reference is part of every pair.
        check_possible("...",  "x..",  "..x",  9);
        check_possible("...",  "x..",  "...",  10);  // The other arm is still compared.
        check_possible("x..",  "xx.",  ".xx",  8);
        check_possible("x..",  ".xx",  "xxx",  7);
        check_possible("",     "...",  "...",  0);   // Without the reference, nothing can be compared.
        check_possible("...",  "",     "xxx",  7);
        check_possible("...",  "",     "",     0);
    }

    #[test]
    fn the_first_pair_shows_whether_runs_will_count() {
        let run = |pair, arm: &str, kind: Option<DropKind>| {
            let dropped = kind.map(|kind| Dropped { kind, why: "too little overlapped".into(), mend: "use --rate max".into() });
            Run { pair, arm: arm.into(), dropped, ..Run::default() }
        };
        let thin = Some(DropKind::Inconclusive);
        assert_eq!(pilot([run(1, "a", None), run(1, "b", None), run(2, "a", thin)].iter()), None);
        let worthless = pilot([run(1, "a", thin), run(1, "b", thin)].iter()).expect("dropped");
        assert!(
            worthless.hopeless && worthless.why == "a is inconclusive: too little overlapped; b is inconclusive: too little overlapped"
        );
        assert_eq!(worthless.mend, "use --rate max", "said once");
        // One dropped run of two may be chance, and a crash of the harness is not related to the load.
        assert!(!pilot([run(1, "a", thin), run(1, "b", None)].iter()).expect("dropped").hopeless);
        assert!(!pilot([run(1, "a", thin), run(1, "b", Some(DropKind::Broken))].iter()).expect("dropped").hopeless);
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
        let mend = |s: Eligibility| match s {
            Eligibility::Dropped(d) => d.mend,
            Eligibility::Counts | Eligibility::Violated(_) => "not dropped".into(),
        };
        assert!(mend(of(|r| r.load.late_ratio = 0.02)).contains("--late-limit 1"));
        assert!(mend(of(|r| r.coverage.rules[0].passed = false)).contains("--rate max"));
        assert!(mend(of(|r| r.faults[0].effective = false)).contains("--fault-for"));
        assert!(mend(of(|r| r.load.aborted = Some("too slow".into()))).contains("--abort-on"));
        let thin = Results { checks: vec![check("vacuity")], ..good.clone() };
        assert!(mend(eligibility(&thin, LoadMode::EqualOfferedLoad, None, Limits::default())).starts_with("use --rate max"));
        assert!(mend(eligibility(&thin, LoadMode::Saturation, None, Limits::default())).contains("--clients"));
        assert!(mend(eligibility(&good, LoadMode::Saturation, Some(0.5), Limits::default())).contains("--noise-limit 1"));
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
        // In a closed loop no operation is late, since none has a due time.
        let mut closed = good.clone();
        closed.load.late_ratio = 0.5;
        assert_eq!(eligibility(&closed, LoadMode::Saturation, None, Limits::default()), Eligibility::Counts);
        assert!(matches!(of(|r| r.verdict = RunVerdict::Invalid), Eligibility::Violated(_)));
    }
}
