//! Decides which runs count, and which limits outside the system under test affected them. As in comparisons, a run is never left out
//! because of its figures.

use crate::results_json::{Results, RunVerdict, Status, Verdict};

/// The name, among the limits of a run, for processes of other programs.
pub const OTHER_PROCESSES: &str = "other_processes";
/// The bottleneck that may lie in the system under test and therefore does not make a point hollow.
const OF_THE_SYSTEM: &str = "saturation";

/// Checks that a run must pass for its figures to be meaningful. Too little contention or coverage is no reason to leave out a run:
/// it makes a valid verdict weak, but not the figures. Nor is a long outage a reason, since leaving out the runs in which an arm did
/// badly would favour that arm.
const REQUIRED_CHECKS: [&str; 3] = ["crash", "panics", "durability"];

/// Whether a run counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counts {
    /// The run counts, and is evidence of correctness.
    Yes,
    /// The run counts, but is not evidence of correctness, for this reason.
    WithoutEvidence(String),
    /// The run does not count, for this reason.
    No(String),
    /// The run violated correctness, for this reason. No more runs of its arm are executed.
    Violated(String),
}

/// Decides whether a run with these results counts. A missed gate of the plan does not matter: the sweep has its own limits.
pub fn counts(results: &Results) -> Counts {
    let first = || results.reasons.first().cloned().unwrap_or_else(|| "no reason was recorded".into());
    match (results.verdict, results.status) {
        (RunVerdict::Invalid, _) => Counts::Violated(first()),
        (_, Status::Interrupted) => Counts::No("interrupted before its end".into()),
        (_, Status::Running | Status::Killed) => Counts::No("not finished".into()),
        (RunVerdict::Valid | RunVerdict::GateMissed, Status::Done) => Counts::Yes,
        (RunVerdict::Error, Status::Done) => Counts::No(first()),
        (RunVerdict::Unknown, Status::Done) => figures_doubt(results).map_or_else(|| Counts::WithoutEvidence(first()), Counts::No),
    }
}

/// Returns why the figures of an inconclusive run are meaningless, if they are.
fn figures_doubt(results: &Results) -> Option<String> {
    if results.linearizability.verdict != Verdict::Valid {
        return Some("linearizability is unknown".into());
    }
    if let Some(problem) = &results.history.problem {
        return Some(problem.clone());
    }
    if let Some(fault) = results.faults.iter().find(|f| !f.effective) {
        return Some(fault.lack_of_effect());
    }
    let check = results.checks.iter().find(|c| REQUIRED_CHECKS.contains(&c.name.as_str()) && c.verdict != Verdict::Valid);
    check.map(|c| format!("{}: {}", c.name, c.words))
}

/// Returns the bottlenecks of a run that lie outside the system under test: in the load generator, in the relay or in the machine.
pub fn limited_by(results: &Results, others_cpu: Option<f64>, noise_limit: f64) -> Vec<String> {
    let mut names: Vec<String> = results.bottlenecks.iter().map(|b| b.what.clone()).filter(|what| what != OF_THE_SYSTEM).collect();
    if others_cpu.is_some_and(|share| share > noise_limit) {
        names.push(OTHER_PROCESSES.into());
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results_json::{Bottleneck, Check, Fault};

    fn run(verdict: RunVerdict, status: Status) -> Results {
        Results { verdict, status, reasons: vec!["why".into()], ..Results::default() }
    }

    #[test]
    fn only_judged_runs_count() {
        assert_eq!(counts(&run(RunVerdict::Valid, Status::Done)), Counts::Yes);
        assert_eq!(counts(&run(RunVerdict::GateMissed, Status::Done)), Counts::Yes);
        assert_eq!(counts(&run(RunVerdict::Error, Status::Done)), Counts::No("why".into()));
        assert!(matches!(counts(&run(RunVerdict::Unknown, Status::Interrupted)), Counts::No(_)));
        // A violation counts even if the run was interrupted.
        assert_eq!(counts(&run(RunVerdict::Invalid, Status::Interrupted)), Counts::Violated("why".into()));
    }

    #[test]
    fn an_inconclusive_run_counts_unless_its_figures_are_in_doubt() {
        let mut thin = run(RunVerdict::Unknown, Status::Done);
        assert_eq!(counts(&thin), Counts::No("linearizability is unknown".into()));
        thin.linearizability.verdict = Verdict::Valid;
        let check = |name: &str| Check { name: name.into(), verdict: Verdict::Unknown, words: "words".into(), ..Check::default() };
        thin.checks = vec![check("vacuity"), check("availability")];
        assert_eq!(counts(&thin), Counts::WithoutEvidence("why".into()));
        let doubt = |change: fn(&mut Results)| {
            let mut results = thin.clone();
            change(&mut results);
            counts(&results)
        };
        assert_eq!(doubt(|r| r.checks[0].name = "durability".into()), Counts::No("durability: words".into()));
        assert_eq!(doubt(|r| r.history.problem = Some("torn".into())), Counts::No("torn".into()));
        assert!(matches!(doubt(|r| r.faults.push(Fault::default())), Counts::No(why) if why.contains("no evidence of an effect")));
    }

    #[test]
    fn saturation_is_no_limit_from_outside() {
        let bottleneck = |what: &str| Bottleneck { what: what.into(), ..Bottleneck::default() };
        let results = Results { bottlenecks: vec![bottleneck("saturation"), bottleneck("cpu_steal")], ..Results::default() };
        assert_eq!(limited_by(&results, Some(0.1), 0.25), ["cpu_steal"]);
        assert_eq!(limited_by(&results, Some(0.3), 0.25), ["cpu_steal", OTHER_PROCESSES]);
        assert_eq!(limited_by(&Results::default(), None, 0.25), [] as [&str; 0]);
    }
}
