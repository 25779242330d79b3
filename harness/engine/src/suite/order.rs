//! Which run comes next. Under a budget not every cell may get its turn, so those that need it most come first: what failed
//! last time, then what was never run, then what was run longest ago. Pure: the past is an argument.

use heckle_results::index::RunLine;

/// A cell's last known run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Past {
    /// 0 failed last time, 1 never run, 2 as expected.
    rank: u8,
    /// When; the empty text for never.
    started_utc: String,
}

/// What the past runs say of a cell. `is_of` tells a cell's runs from others.
pub fn past(runs: &[RunLine], is_of: impl Fn(&RunLine) -> bool) -> Past {
    match runs.iter().rev().find(|r| is_of(r)) {
        None => Past { rank: 1, started_utc: String::new() },
        Some(run) => Past { rank: if run.exit_code == 0 { 2 } else { 0 }, started_utc: run.started_utc.clone() },
    }
}

/// How long a cell's runs took: the median of the last few; `None` if there were none.
pub fn usual_wall_s(runs: &[RunLine], is_of: impl Fn(&RunLine) -> bool) -> Option<f64> {
    const LAST: usize = 5;
    let walls: Vec<f64> = runs.iter().rev().filter(|r| is_of(r) && r.wall_s > 0.0).take(LAST).map(|r| r.wall_s).collect();
    heckle_results::median(&walls)
}

/// Indices of `pasts` in the order of their turns: ties by index, so that the order is the same everywhere.
pub fn turns(pasts: &[Past]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..pasts.len()).collect();
    order.sort_by(|a, b| pasts[*a].cmp(&pasts[*b]).then(a.cmp(b)));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(plan: &str, at: &str, exit_code: i32, wall_s: f64) -> RunLine {
        RunLine { plan: plan.into(), started_utc: at.into(), exit_code, wall_s, ..RunLine::default() }
    }

    #[test]
    fn failed_then_never_run_then_stale() {
        let runs = [
            run("a", "2026-01-01", 0, 9.0),
            run("b", "2026-01-02", 0, 9.0),
            run("c", "2026-01-03", 2, 9.0),
            run("b", "2026-01-04", 0, 9.0),
        ];
        let pasts: Vec<Past> = ["b", "a", "new", "c"].iter().map(|n| past(&runs, |r| r.plan == *n)).collect();
        assert_eq!(turns(&pasts), [3, 2, 1, 0]);
    }

    #[test]
    fn only_the_last_run_counts() {
        let mended = [run("a", "1", 1, 9.0), run("a", "2", 0, 9.0)];
        assert_eq!(past(&mended, |_| true), Past { rank: 2, started_utc: "2".into() });
    }

    #[test]
    fn walls_are_medians() {
        let runs = [run("a", "1", 0, 10.0), run("a", "2", 0, 90.0), run("a", "3", 0, 11.0)];
        assert_eq!(usual_wall_s(&runs, |r| r.plan == "a"), Some(11.0));
        assert_eq!(usual_wall_s(&runs, |r| r.plan == "b"), None);
    }
}
