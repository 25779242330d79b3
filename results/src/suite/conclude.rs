//! Derives one exit code and its reasons from many runs. A passed retry does not hide a failure: every counted run counts.

use super::suite_json::{Canary, Cell, SuiteResults};
use crate::results_json::Status;

/// Maximum number of runs named in a reason.
const MAX_NAMES: usize = 3;

impl SuiteResults {
    /// Sets exit code and reasons. `interrupted` states whether a signal stopped the suite before its end.
    ///
    /// The exit code is the first of these that applies: 1 (a violation), 130 (interrupted), 4 (failure of harness or
    /// machine), 2 (inconclusive, which includes a canary that was missed or not run, and fewer cells run than `min_cells`), 3
    /// (missed gates and confirmed regressions).
    pub fn conclude(&mut self, interrupted: bool) {
        self.status = if interrupted { Status::Interrupted } else { Status::Done };
        let mut found: Vec<(u8, String)> = vec![];
        for (code, what) in [(1, "violated"), (4, "broke"), (64, "was refused"), (2, "was inconclusive"), (3, "missed a gate")] {
            let cells: Vec<&Cell> = self.cells.iter().filter(|c| c.codes().contains(&code)).collect();
            if let Some(first) = cells.first() {
                let names: Vec<&str> = cells.iter().take(MAX_NAMES).map(|c| c.name.as_str()).collect();
                let more = if cells.len() > MAX_NAMES { format!(" and {} more", cells.len() - MAX_NAMES) } else { String::new() };
                let why = first.counted().find(|r| r.code() == code).map(|r| r.run.reason.clone()).unwrap_or_default();
                found.push((code, format!("{what}: {}{more}: {why}", names.join("; "))));
            }
        }
        for canary in &self.canaries {
            found.extend(canary.problem());
        }
        for trip in self.trips.iter().filter(|t| t.confirmed.as_ref().is_some_and(|c| c.regression)) {
            found
                .push((3, format!("regression, confirmed by pairs: {} of {} is {:.2} times worse", trip.metric, trip.cell, trip.worse_by)));
        }
        let missing: Vec<&Cell> = self.cells.iter().filter(|c| c.counted().count() == 0).collect();
        let (run, needed, all) = (self.cells_run(), self.cells_needed(), self.cells.len());
        if run == 0 {
            found.push((2, "no cell was run".into()));
        } else if run < needed {
            found.push((2, format!("too few cells were run: {run} of {all}, at least {needed} needed (--min-cells)")));
        }
        if interrupted {
            found.push((130, "interrupted; the same command goes on from here".into()));
        }
        let order = [1, 130, 4, 64, 2, 3];
        found.sort_by_key(|(code, _)| order.iter().position(|c| c == code));
        self.exit_code = found.first().map_or(0, |(code, _)| i32::from(*code));
        self.reasons = found.into_iter().map(|(_, why)| why).collect();
        if self.reasons.is_empty() {
            let runs: usize = self.cells.iter().map(|c| c.counted().count()).sum();
            self.reasons.push(format!("{runs} runs in {} cells, all as expected", self.cells.len() - missing.len()));
        }
        if !missing.is_empty() && missing.len() < self.cells.len() {
            let why = missing.iter().find_map(|c| c.not_run.clone()).unwrap_or_else(|| "not reached".into());
            self.reasons.push(format!("{} of {} cells were not run: {why}", missing.len(), self.cells.len()));
        }
        if self.runs_missing() > 0 {
            self.reasons.push(format!("{} runs of cells that were begun are missing", self.runs_missing()));
        }
    }
}

impl Canary {
    /// Returns the problem with the canary, if any: a suite whose canary is not caught is red.
    fn problem(&self) -> Option<(u8, String)> {
        let counted: Vec<_> = self.runs.iter().filter(|r| r.counted).collect();
        if self.caught_after().is_some() {
            return None;
        }
        if let Some(broken) = counted.iter().find(|r| r.code() == 4) {
            return Some((4, format!("the canary {} broke: {}", self.mutant, broken.run.reason)));
        }
        let why = match (counted.len(), &self.not_run) {
            (0, Some(why)) => format!("was not run: {why}"),
            (0, None) => "was not run".into(),
            (n, _) => format!("was not caught in {n} of {} runs", self.within_runs),
        };
        Some((2, format!("the canary {} {why}: this night proves nothing", self.mutant)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::suite_json::{Confirmation, SuiteRun, TrendWarning};
    use super::*;
    use crate::index::RunLine;

    fn run(code: i32) -> SuiteRun {
        SuiteRun {
            repeat: 1,
            attempt: 1,
            counted: true,
            run: RunLine { exit_code: code, reason: format!("because {code}"), ..RunLine::default() },
        }
    }

    fn suite(cells: &[&[i32]], canary: &[i32]) -> SuiteResults {
        let cells = cells.iter().enumerate().map(|(i, codes)| Cell {
            name: format!("cell {i}"),
            wanted: 1,
            runs: codes.iter().map(|c| run(*c)).collect(),
            ..Cell::default()
        });
        let canaries = vec![Canary { mutant: "m".into(), within_runs: 2, runs: canary.iter().map(|c| run(*c)).collect(), not_run: None }];
        SuiteResults { cells: cells.collect(), canaries, ..SuiteResults::default() }
    }

    #[track_caller]
    fn check(mut suite: SuiteResults, interrupted: bool, code: i32, word: &str) {
        suite.conclude(interrupted);
        assert_eq!(suite.exit_code, code, "{:?}", suite.reasons);
        assert!(suite.reasons[0].contains(word), "{:?}", suite.reasons);
    }

    #[test]
    fn the_most_severe_result_decides() {
        check(suite(&[&[0], &[0]], &[1]), false, 0, "as expected");
        check(suite(&[&[0, 1, 0], &[4]], &[1]), false, 1, "violated: cell 0: because 1");
        check(suite(&[&[0], &[4], &[2]], &[1]), false, 4, "broke: cell 1");
        check(suite(&[&[3], &[2]], &[1]), false, 2, "inconclusive: cell 1");
        check(suite(&[&[3], &[0]], &[1]), false, 3, "missed a gate");
        check(suite(&[&[0], &[]], &[1]), false, 0, "as expected");
        check(suite(&[&[0], &[], &[]], &[1]), false, 2, "too few cells were run: 1 of 3, at least 2 needed");
        check(suite(&[&[], &[]], &[1]), false, 2, "no cell was run");
        check(suite(&[&[0]], &[1]), true, 130, "interrupted");
        check(suite(&[&[1]], &[1]), true, 1, "violated");
    }

    /// A cell that did not run is neither a failure nor a pass.
    #[test]
    fn a_suite_reports_cells_that_did_not_run() {
        use crate::suite::summary::verdict;
        for (min_cells, code, words) in [
            (None, 2, "INCONCLUSIVE"),
            (Some(2), 2, "INCONCLUSIVE"),
            (Some(1), 0, "GREEN, 3 of 4 cells not run"),
            (Some(0), 0, "GREEN, 3 of 4 cells not run"),
        ] {
            let mut night = suite(&[&[0], &[], &[], &[]], &[1]);
            night.min_cells = min_cells;
            night.conclude(false);
            assert_eq!((night.exit_code, verdict(&night).1.as_str()), (code, words), "--min-cells {min_cells:?}");
            assert!(night.reasons.iter().any(|r| r.starts_with("3 of 4 cells were not run")), "{:?}", night.reasons);
        }
        let mut half = suite(&[&[0], &[0], &[], &[]], &[1]);
        half.conclude(false);
        assert_eq!((half.exit_code, verdict(&half).1.as_str()), (0, "GREEN, 2 of 4 cells not run"));
        let mut whole = suite(&[&[0], &[0]], &[1]);
        whole.conclude(false);
        assert_eq!(verdict(&whole).1, "GREEN");
        whole.cells[0].wanted = 3;
        whole.conclude(false);
        assert_eq!(verdict(&whole).1, "GREEN, 2 runs not made");
        // A failure in one cell counts even if other cells did not run.
        check(suite(&[&[1], &[], &[], &[]], &[1]), false, 1, "violated");
    }

    #[test]
    fn a_missed_canary_makes_the_suite_red() {
        check(suite(&[&[0]], &[0, 0]), false, 2, "not caught in 2 of 2 runs");
        check(suite(&[&[0]], &[]), false, 2, "was not run");
        check(suite(&[&[0]], &[4]), false, 4, "canary m broke");
        check(suite(&[&[0]], &[0, 1]), false, 0, "as expected");
    }

    #[test]
    fn a_retried_attempt_does_not_count_but_a_confirmed_regression_does() {
        let mut retried = suite(&[&[4, 0]], &[1]);
        retried.cells[0].runs[0].counted = false;
        check(retried, false, 0, "as expected");

        let mut slower = suite(&[&[0]], &[1]);
        slower.trips.push(TrendWarning { cell: "cell 0".into(), metric: "p99_ms".into(), worse_by: 1.5, ..TrendWarning::default() });
        check(slower.clone(), false, 0, "as expected");
        slower.trips[0].confirmed = Some(Confirmation { regression: true, ..Confirmation::default() });
        check(slower, false, 3, "regression");
    }
}
