//! The order of the runs. A budget may not suffice for every cell, so the cells most in need of a run come first:
//! those that failed last time, then those never run, then those whose last run is the oldest. Pure: the previous runs are an argument.

use heckle_results::index::RunLine;

/// A cell's last known run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LastRun {
    /// 0 if it failed last time, 1 if it was never run, 2 if it ended as expected.
    rank: u8,
    /// Start time; empty if it was never run.
    started_utc: String,
}

/// Returns a cell's last run. `is_of` selects the runs of the cell.
pub fn last_run(runs: &[RunLine], is_of: impl Fn(&RunLine) -> bool) -> LastRun {
    match runs.iter().rev().find(|r| is_of(r)) {
        None => LastRun { rank: 1, started_utc: String::new() },
        Some(run) => LastRun { rank: if run.exit_code == 0 { 2 } else { 0 }, started_utc: run.started_utc.clone() },
    }
}

/// Returns the usual duration of a cell's runs: the median of the last few, or `None` if there were none.
pub fn usual_wall_s(runs: &[RunLine], is_of: impl Fn(&RunLine) -> bool) -> Option<f64> {
    const LAST: usize = 5;
    let walls: Vec<f64> = runs.iter().rev().filter(|r| is_of(r) && r.wall_s > 0.0).take(LAST).map(|r| r.wall_s).collect();
    heckle_results::median(&walls)
}

/// Returns the indices of `last_runs` in run order. Ties are broken by index, so that the order is the same on every machine.
pub fn run_order(last_runs: &[LastRun]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..last_runs.len()).collect();
    order.sort_by(|a, b| last_runs[*a].cmp(&last_runs[*b]).then(a.cmp(b)));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(plan: &str, at: &str, exit_code: i32, wall_s: f64) -> RunLine {
        RunLine { plan: plan.into(), started_utc: at.into(), exit_code, wall_s, ..RunLine::default() }
    }

    #[test]
    fn failed_cells_run_first_then_new_then_old_ones() {
        let runs = [
            run("a", "2026-01-01", 0, 9.0),
            run("b", "2026-01-02", 0, 9.0),
            run("c", "2026-01-03", 2, 9.0),
            run("b", "2026-01-04", 0, 9.0),
        ];
        let last_runs: Vec<LastRun> = ["b", "a", "new", "c"].iter().map(|n| last_run(&runs, |r| r.plan == *n)).collect();
        assert_eq!(run_order(&last_runs), [3, 2, 1, 0]);
    }

    #[test]
    fn only_the_last_run_counts() {
        let mended = [run("a", "1", 1, 9.0), run("a", "2", 0, 9.0)];
        assert_eq!(last_run(&mended, |_| true), LastRun { rank: 2, started_utc: "2".into() });
    }

    #[test]
    fn usual_durations_are_medians() {
        let runs = [run("a", "1", 0, 10.0), run("a", "2", 0, 90.0), run("a", "3", 0, 11.0)];
        assert_eq!(usual_wall_s(&runs, |r| r.plan == "a"), Some(11.0));
        assert_eq!(usual_wall_s(&runs, |r| r.plan == "b"), None);
    }
}
