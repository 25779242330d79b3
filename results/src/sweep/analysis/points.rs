//! Points: the runs of one arm at one value, summarized.

use crate::results_json::RunVerdict;
use crate::sweep::figures::{self, ANSWERED_RATIO, FIGURES};
use crate::sweep::sweep_json::{Point, Run, Sweep};
use std::collections::BTreeMap;

/// Computes the points of all arms from the runs.
pub fn points(sweep: &Sweep) -> Vec<Point> {
    let mut all = vec![];
    for (_, arm) in sweep.running_arms() {
        let mut values: Vec<&crate::sweep::sweep_json::AxisValue> = vec![];
        for run in sweep.runs.iter().filter(|r| r.arm == arm.name) {
            if !values.iter().any(|v| v.text == run.value.text) {
                values.push(&run.value);
            }
        }
        values.sort_by(|a, b| a.number.total_cmp(&b.number));
        for value in values {
            let runs: Vec<&Run> = sweep.runs.iter().filter(|r| r.arm == arm.name && r.value.text == value.text).collect();
            all.push(point(&runs, sweep.design.answered_limit));
        }
    }
    all
}

/// Summarizes the runs of one point. There must be at least one.
fn point(runs: &[&Run], answered_limit: f64) -> Point {
    let counted: Vec<&Run> = runs.iter().copied().filter(|r| r.not_counted.is_none()).collect();
    let left_out: Vec<&&Run> = runs.iter().filter(|r| r.not_counted.is_some()).collect();
    let mut limits: BTreeMap<String, u32> = BTreeMap::new();
    counted.iter().flat_map(|r| &r.limited_by).for_each(|what| *limits.entry(what.clone()).or_default() += 1);
    limits.retain(|_, n| 2 * *n as usize >= counted.len());
    let figure = |f: &figures::Figure| {
        let values: Vec<f64> = counted.iter().filter_map(|r| r.figures.get(f.name).copied()).collect();
        Some((f.name.to_owned(), figures::spread(&values)?))
    };
    let votes = |wanted: Vote| runs.iter().filter(|r| vote(r, answered_limit) == Some(wanted)).count() as u32;
    Point {
        arm: runs[0].arm.clone(),
        value: runs[0].value.clone(),
        counted: counted.len() as u32,
        not_counted: left_out.len() as u32,
        why_not: left_out.first().and_then(|r| r.not_counted.clone()),
        limited_by: limits,
        held: votes(Vote::Held),
        missed: votes(Vote::Missed),
        figures: FIGURES.iter().filter_map(figure).collect(),
    }
}

/// Whether a run met the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vote {
    /// The run met all limits and was answered at the target rate.
    Held,
    /// The run missed a limit.
    Missed,
}

/// Returns whether a run met the limits, or `None` if it does not count because it broke or was inconclusive for another reason.
/// Lateness of the harness makes latency look worse, never better, so a limit that is met despite it still counts as met.
pub fn vote(run: &Run, answered_limit: f64) -> Option<Vote> {
    let held = run.slo.iter().all(|gate| gate.passed) && run.figures.get(ANSWERED_RATIO).is_none_or(|x| *x >= answered_limit);
    match (&run.not_counted, held) {
        (None, true) => Some(Vote::Held),
        (None, false) => Some(Vote::Missed),
        (Some(_), false) if run.verdict == RunVerdict::Unknown => Some(Vote::Missed),
        (Some(_), _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::figures::P99_MS;
    use crate::sweep::sample;

    #[test]
    fn a_point_has_the_median_of_its_counted_runs() {
        let mut sweep = sample::sweep(&["classic"], 3);
        let at = |sweep: &Sweep| points(sweep).into_iter().find(|p| p.value.text == "400").expect("a point");
        let before = at(&sweep);
        assert_eq!((before.counted, before.not_counted), (3, 0));
        let run = sweep.runs.iter_mut().find(|r| r.value.text == "400").expect("a run");
        run.not_counted = Some("coverage".into());
        run.figures.insert(P99_MS.into(), 1e9);
        let after = at(&sweep);
        assert_eq!((after.counted, after.not_counted, after.why_not.as_deref()), (2, 1, Some("coverage")));
        assert!(after.figures[P99_MS].max < 1e6, "a run that does not count has no influence");
    }

    #[test]
    fn an_inconclusive_run_can_miss_a_limit_but_not_hold_it() {
        let mut run = sample::sweep(&["classic"], 1).runs[0].clone();
        let mut check = |verdict, counted: bool, passed, want| {
            run.verdict = verdict;
            run.not_counted = (!counted).then(|| "why".to_owned());
            run.slo[0].passed = passed;
            assert_eq!(vote(&run, 0.98), want, "{verdict:?} counted: {counted} passed: {passed}");
        };
        check(RunVerdict::Valid, true, true, Some(Vote::Held));
        check(RunVerdict::Valid, true, false, Some(Vote::Missed));
        check(RunVerdict::Unknown, false, true, None);
        check(RunVerdict::Unknown, false, false, Some(Vote::Missed));
        check(RunVerdict::Error, false, false, None);
    }

    #[test]
    fn a_point_is_limited_if_half_of_its_runs_are() {
        let mut sweep = sample::sweep(&["classic"], 4);
        let limit = |sweep: &mut Sweep, n: usize| {
            for (i, run) in sweep.runs.iter_mut().filter(|r| r.value.text == "400").enumerate() {
                run.limited_by = if i < n { vec!["machine_busy".into()] } else { vec![] };
            }
            points(sweep).into_iter().find(|p| p.value.text == "400").expect("a point").limited_by
        };
        assert_eq!(limit(&mut sweep, 1), BTreeMap::new());
        assert_eq!(limit(&mut sweep, 2), [("machine_busy".to_owned(), 2)].into());
    }
}
