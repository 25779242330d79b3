//! The knee of a curve: the first value of the axis at which most runs of an arm miss a limit, or are not answered at the target rate.

use crate::sweep::figures::{self, ANSWERED_RATIO, percent};
use crate::sweep::points::vote;
use crate::sweep::sweep_json::{Knee, Point, Run, Sweep};

/// Finds the knee of each arm that has points.
pub fn knees(sweep: &Sweep) -> Vec<Knee> {
    let arms = sweep.running_arms().map(|(_, arm)| arm.name.as_str());
    arms.filter_map(|arm| {
        let points: Vec<&Point> = sweep.points_of(arm).collect();
        (!points.is_empty()).then(|| knee(sweep, arm, &points))
    })
    .collect()
}

fn knee(sweep: &Sweep, arm: &str, points: &[&Point]) -> Knee {
    let arm = arm.to_owned();
    let Some(i) = points.iter().position(|p| p.misses()) else {
        return Knee { arm, why: "every limit holds".into(), ..Knee::default() };
    };
    Knee {
        arm,
        at: Some(points[i].value.clone()),
        last_good: points[..i].iter().rev().find(|p| p.holds()).map(|p| p.value.clone()),
        why: why(sweep, points[i]),
        limited_by: points[i].limited_by.keys().cloned().collect(),
    }
}

/// Describes the limits missed at a point that does not hold.
fn why(sweep: &Sweep, point: &Point) -> String {
    let at_point = |r: &&Run| r.arm == point.arm && r.value.text == point.value.text && vote(r, sweep.design.answered_limit).is_some();
    let runs: Vec<&Run> = sweep.runs.iter().filter(at_point).collect();
    let mut missed: Vec<String> = vec![];
    for (i, limit) in sweep.design.slo.iter().enumerate() {
        let gates = || runs.iter().filter_map(|r| r.slo.get(i));
        let failed = gates().filter(|g| !g.passed).count();
        if failed > 0 {
            let actual: Vec<f64> = gates().filter_map(|g| g.actual).collect();
            let name = limit.split(['<', '>']).next().unwrap_or(limit).trim();
            let words = |x: f64| figures::find(name).map_or_else(|| crate::charts::axis::digits(x), |f| f.words(x));
            let median = crate::median(&actual).map_or_else(|| "unknown, since nothing was answered".into(), words);
            missed.push(format!("{name} is {median}, and {limit} is the limit ({failed} of {} runs miss it)", runs.len()));
        }
    }
    let shares: Vec<f64> = runs.iter().filter_map(|r| r.figures.get(ANSWERED_RATIO).copied()).collect();
    if let Some(share) = crate::median(&shares).filter(|x| *x < sweep.design.answered_limit) {
        missed.push(format!("{} of the asked rate is answered, under {}", percent(share), percent(sweep.design.answered_limit)));
    }
    missed.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results_json::RunVerdict;
    use crate::sweep::figures::P99_MS;
    use crate::sweep::points::points;
    use crate::sweep::sample;

    /// Sets a figure of all runs at a value, and re-evaluates the limit `p99_ms<50`.
    fn set(sweep: &mut Sweep, value: &str, figure: &str, to: f64) {
        for run in sweep.runs.iter_mut().filter(|r| r.value.text == value) {
            run.figures.insert(figure.into(), to);
            if figure == P99_MS {
                (run.slo[0].actual, run.slo[0].passed) = (Some(to), to < 50.0);
            }
        }
        sweep.points = points(sweep);
    }

    /// Returns a sweep over 100, 200, 400, 800 and 1600 operations per second in which every point holds.
    fn flat() -> Sweep {
        let mut sweep = sample::sweep(&["classic"], 3);
        for value in ["100", "200", "400", "800", "1600"] {
            set(&mut sweep, value, P99_MS, 10.0);
            set(&mut sweep, value, ANSWERED_RATIO, 1.0);
        }
        sweep
    }

    fn at(sweep: &Sweep) -> (Option<String>, Option<String>) {
        let knee = knees(sweep).remove(0);
        (knee.at.map(|v| v.text), knee.last_good.map(|v| v.text))
    }

    #[test]
    fn without_a_missed_limit_there_is_no_knee() {
        assert_eq!(at(&flat()), (None, None));
    }

    #[test]
    fn the_knee_is_the_first_value_that_misses_the_limit() {
        let mut sweep = flat();
        set(&mut sweep, "1600", P99_MS, 900.0);
        assert_eq!(at(&sweep), (Some("1600".into()), Some("800".into())));
        set(&mut sweep, "400", P99_MS, 50.0);
        assert_eq!(at(&sweep), (Some("400".into()), Some("200".into())), "the first, and the limit is below 50");
        assert!(knees(&sweep)[0].why.contains("p99_ms is 50 ms, and p99_ms<50 is the limit (3 of 3 runs"), "{}", knees(&sweep)[0].why);
        set(&mut sweep, "100", P99_MS, 60.0);
        assert_eq!(at(&sweep), (Some("100".into()), None));
    }

    #[test]
    fn the_knee_is_where_the_asked_rate_is_not_answered() {
        let mut sweep = flat();
        set(&mut sweep, "800", ANSWERED_RATIO, 0.98);
        assert_eq!(at(&sweep).0, None, "98 % is enough");
        set(&mut sweep, "800", ANSWERED_RATIO, 0.979);
        assert_eq!(at(&sweep), (Some("800".into()), Some("400".into())));
        assert!(knees(&sweep)[0].why.starts_with("97.9 % of the asked rate is answered"), "{}", knees(&sweep)[0].why);
    }

    #[test]
    fn one_bad_repeat_of_three_is_no_knee() {
        let mut sweep = flat();
        let run = sweep.runs.iter_mut().find(|r| r.value.text == "400").expect("a run");
        run.slo[0].passed = false;
        sweep.points = points(&sweep);
        assert_eq!(at(&sweep).0, None);
    }

    #[test]
    fn a_value_whose_runs_decide_nothing_is_no_knee() {
        let mut sweep = flat();
        set(&mut sweep, "1600", ANSWERED_RATIO, 0.1);
        let fail = |sweep: &mut Sweep, verdict| {
            for run in sweep.runs.iter_mut().filter(|r| r.value.text == "1600") {
                (run.verdict, run.not_counted) = (verdict, Some("why".into()));
            }
            sweep.points = points(sweep);
        };
        fail(&mut sweep, RunVerdict::Error);
        assert_eq!(at(&sweep).0, None, "the harness failed, not the arm");
        fail(&mut sweep, RunVerdict::Unknown);
        assert_eq!(at(&sweep).0, Some("1600".into()), "too little was answered to judge");
        assert!(knees(&sweep)[0].why.starts_with("10 % of the asked rate"), "{}", knees(&sweep)[0].why);
    }
}
