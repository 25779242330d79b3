//! Which runs count. The rules are fixed: a run is left out for what makes its figures meaningless, never for what they
//! are, and its whole pair goes with it.

use super::compare_json::{DropKind, Dropped, LoadMode};
use crate::charts::axis::digits;
use crate::measure::LATE_RATIO_LIMIT;
use crate::results_json::{Results, RunVerdict, Status, Verdict};

/// Share of the machine that others may use during a run, unless it is said otherwise.
pub const NOISE_LIMIT: f64 = 0.25;

/// Checks that tell whether a run means anything. The others, such as an outage that lasted long, are what arms are
/// compared for: leaving out the runs in which an arm did badly would flatter it.
const TELL_OF_MEANING: [&str; 3] = ["vacuity", "panics", "durability"];

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

/// What `results` are to a comparison at this load, with what others used of the machine.
pub fn standing(results: &Results, load: LoadMode, others_cpu: Option<f64>, noise_limit: f64) -> Standing {
    let first = || results.reasons.first().cloned().unwrap_or_default();
    if results.verdict == RunVerdict::Invalid {
        return Standing::Violated(first());
    }
    let dropped = |kind, why: String| Standing::Dropped(Dropped { kind, why });
    if results.status == Status::Interrupted {
        return dropped(DropKind::Interrupted, "interrupted before its end".into());
    }
    if results.verdict == RunVerdict::Error || results.status == Status::Running {
        return dropped(DropKind::Broken, first());
    }
    if let Some(why) = inconclusive(results) {
        return dropped(DropKind::Inconclusive, why);
    }
    if load == LoadMode::EqualOfferedLoad && results.load.late_ratio > LATE_RATIO_LIMIT {
        let (late, limit) = (digits(results.load.late_ratio * 100.0), digits(LATE_RATIO_LIMIT * 100.0));
        return dropped(DropKind::Late, format!("the harness sent {late} % of the ops late, over {limit} %"));
    }
    if let Some(others) = others_cpu.filter(|o| *o > noise_limit) {
        let (others, limit) = (digits(others * 100.0), digits(noise_limit * 100.0));
        return dropped(DropKind::Noisy, format!("other processes used {others} % of the machine, over {limit} %"));
    }
    Standing::Counts
}

fn inconclusive(results: &Results) -> Option<String> {
    if results.linearizability.verdict != Verdict::Valid {
        return Some("linearizability is unknown".into());
    }
    if let Some(fault) = results.faults.iter().find(|f| !f.effective) {
        return Some(format!("fault {} ({} {}) left no evidence of an effect", fault.id, fault.kind, fault.targets.join(" ")));
    }
    if let Some(rule) = results.coverage.rules.iter().find(|r| !r.passed) {
        return Some(format!("too little happened: {} is {}, and {} are needed", rule.id, rule.got, rule.need));
    }
    let check = results.checks.iter().find(|c| TELL_OF_MEANING.contains(&c.name.as_str()) && c.verdict != Verdict::Valid);
    check.map(|c| format!("{}: {}", c.name, c.words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results_json::{Check, Gate};
    use crate::sample::{self, Sample};
    use crate::sample_results;

    #[test]
    fn runs_are_left_out_for_what_makes_them_meaningless_only() {
        let good = sample_results::valid(&sample::history(Sample::default()));
        let of = |change: fn(&mut Results)| {
            let mut results = good.clone();
            change(&mut results);
            standing(&results, LoadMode::EqualOfferedLoad, Some(0.1), NOISE_LIMIT)
        };
        let check = |name: &str| Check { name: name.into(), verdict: Verdict::Invalid, ..Check::default() };
        // What an arm is compared for does not drop it.
        assert_eq!(of(|_| ()), Standing::Counts);
        assert_eq!(of(|r| r.verdict = RunVerdict::GateMissed), Standing::Counts);
        assert_eq!(of(|r| r.gates = vec![Gate::default()]), Standing::Counts);
        let mut slow = good.clone();
        (slow.verdict, slow.checks) = (RunVerdict::Unknown, vec![check("availability"), check("liveness"), check("starvation")]);
        assert_eq!(standing(&slow, LoadMode::EqualOfferedLoad, None, NOISE_LIMIT), Standing::Counts);
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
        assert_eq!(kind(standing(&vacuous, LoadMode::Saturation, None, NOISE_LIMIT)), Some(DropKind::Inconclusive));
        assert_eq!(kind(standing(&good, LoadMode::EqualOfferedLoad, Some(0.3), NOISE_LIMIT)), Some(DropKind::Noisy));
        assert_eq!(standing(&good, LoadMode::EqualOfferedLoad, Some(0.3), 1.0), Standing::Counts);
        // Nothing is late where nothing is due.
        let mut closed = good.clone();
        closed.load.late_ratio = 0.5;
        assert_eq!(standing(&closed, LoadMode::Saturation, None, NOISE_LIMIT), Standing::Counts);
        assert!(matches!(of(|r| r.verdict = RunVerdict::Invalid), Standing::Violated(_)));
    }
}
