//! The `junit.xml` of a suite: one test case per cell and per canary. An unknown result is an error: an inconclusive suite is
//! never green.

use super::suite_json::{Canary, Cell, SuiteResults, SuiteRun};
use crate::junit::escape;

enum Outcome {
    Passed,
    Skipped(String),
    Failed(String),
    Inconclusive(String),
}

/// Returns the text of the file.
pub fn xml(suite: &SuiteResults) -> String {
    let cases: Vec<(String, f64, Outcome)> =
        suite.cells.iter().map(cell_case).chain(suite.canaries.iter().map(canary_case)).chain(too_few_cells(suite)).collect();
    let of = |wanted: fn(&Outcome) -> bool| cases.iter().filter(|(_, _, outcome)| wanted(outcome)).count();
    let (failed, errors) = (of(|o| matches!(o, Outcome::Failed(_))), of(|o| matches!(o, Outcome::Inconclusive(_))));
    let skipped = of(|o| matches!(o, Outcome::Skipped(_)));
    let name = escape(&suite.name);
    let counts = format!("tests=\"{}\" failures=\"{failed}\" errors=\"{errors}\" time=\"{:.3}\"", cases.len(), suite.wall_s);
    let mut out = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"heckle\" {counts}>\n");
    let stamp = escape(suite.started_utc.trim_end_matches('Z'));
    out += &format!("  <testsuite name=\"{name}\" {counts} skipped=\"{skipped}\" timestamp=\"{stamp}\">\n");
    for (case, seconds, outcome) in cases {
        let open = format!("    <testcase classname=\"{name}\" name=\"{}\" time=\"{seconds:.3}\"", escape(&case));
        out += &match outcome {
            Outcome::Passed => format!("{open}/>\n"),
            Outcome::Skipped(why) => format!("{open}><skipped message=\"{}\"/></testcase>\n", escape(&why)),
            Outcome::Failed(why) => format!("{open}>\n      <failure message=\"{0}\">{0}</failure>\n    </testcase>\n", escape(&why)),
            Outcome::Inconclusive(why) => {
                format!("{open}>\n      <error type=\"inconclusive\" message=\"{0}\">{0}</error>\n    </testcase>\n", escape(&why))
            }
        };
    }
    out + "  </testsuite>\n</testsuites>\n"
}

/// Returns a separate test case if too many cells were skipped, since most readers show skipped cases as green.
fn too_few_cells(suite: &SuiteResults) -> Option<(String, f64, Outcome)> {
    let (run, needed) = (suite.cells_run(), suite.cells_needed().max(1));
    let words = || format!("{run} of {} cells were run, at least {needed} needed", suite.cells.len());
    (run < needed).then(|| ("enough cells".to_owned(), 0.0, Outcome::Inconclusive(words())))
}

fn seconds(runs: &[SuiteRun]) -> f64 {
    runs.iter().map(|r| r.run.wall_s).sum()
}

/// Lists the reason of each run that did not pass, with its path.
fn failure_reasons(runs: &[SuiteRun]) -> String {
    let bad = runs.iter().filter(|r| r.code() != 0);
    bad.map(|r| {
        let tried = if r.counted { "" } else { " (tried again)" };
        format!("exit {} in {}{tried}: {}", r.run.exit_code, r.run.path, r.run.reason)
    })
    .collect::<Vec<_>>()
    .join("\n")
}

fn cell_case(cell: &Cell) -> (String, f64, Outcome) {
    let codes = cell.codes();
    let outcome = if codes.is_empty() {
        Outcome::Skipped(cell.not_run.clone().unwrap_or_else(|| "not reached".into()))
    } else if codes.iter().any(|c| matches!(c, 1 | 3)) {
        Outcome::Failed(failure_reasons(&cell.runs))
    } else if codes.iter().any(|c| *c != 0) {
        Outcome::Inconclusive(failure_reasons(&cell.runs))
    } else {
        Outcome::Passed
    };
    (cell.name.clone(), seconds(&cell.runs), outcome)
}

fn canary_case(canary: &Canary) -> (String, f64, Outcome) {
    let outcome = match canary.caught_after() {
        Some(_) => Outcome::Passed,
        None if canary.runs.is_empty() => Outcome::Inconclusive(canary.not_run.clone().unwrap_or_else(|| "not run".into())),
        None => Outcome::Inconclusive(format!("the planted bug was not caught\n{}", failure_reasons(&canary.runs))),
    };
    (format!("canary {}", canary.mutant), seconds(&canary.runs), outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::RunLine;

    fn run(code: i32) -> SuiteRun {
        SuiteRun {
            repeat: 1,
            attempt: 1,
            counted: true,
            run: RunLine { exit_code: code, reason: "a < b & \"c\"".into(), ..RunLine::default() },
        }
    }

    #[test]
    fn each_cell_is_a_case_and_nothing_inconclusive_is_green() {
        let cell = |name: &str, runs: Vec<SuiteRun>| Cell { name: name.into(), wanted: 1, runs, ..Cell::default() };
        let cells = vec![cell("good", vec![run(0)]), cell("bad", vec![run(1)]), cell("vague", vec![run(2)]), cell("late", vec![])];
        let canaries = vec![Canary { mutant: "m".into(), within_runs: 1, ..Canary::default() }];
        let text = xml(&SuiteResults { name: "n<".into(), cells, canaries, ..SuiteResults::default() });
        assert!(text.contains("tests=\"5\" failures=\"1\" errors=\"2\""), "{text}");
        assert!(text.contains("skipped=\"1\""), "{text}");
        assert!(text.contains("a &lt; b &amp; &quot;c&quot;") && text.contains("n&lt;"), "{text}");
        assert_eq!(text.matches("<testcase").count(), 5);
    }

    #[test]
    fn too_many_skipped_cells_have_their_own_case() {
        let cell = |runs: Vec<SuiteRun>| Cell { wanted: 1, runs, ..Cell::default() };
        let mut suite = SuiteResults { cells: vec![cell(vec![run(0)]), cell(vec![]), cell(vec![])], ..SuiteResults::default() };
        for (min_cells, errors) in [(None, 1), (Some(1), 0), (Some(0), 0), (Some(3), 1)] {
            suite.min_cells = min_cells;
            let text = xml(&suite);
            assert!(text.contains(&format!("errors=\"{errors}\"")), "{min_cells:?}: {text}");
            assert_eq!(text.contains("enough cells"), errors == 1, "{min_cells:?}: {text}");
        }
        suite.cells.remove(0);
        suite.min_cells = Some(0);
        assert!(xml(&suite).contains("0 of 2 cells were run, at least 1 needed"), "a suite in which nothing ran is never green");
    }
}
