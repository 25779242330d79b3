//! `heckle report`: judges a run's history again and writes everything that is derived from it anew; of a comparison, its
//! pictures and its page from `compare.json`.

use crate::cli::ReportArgs;
use crate::run::report::{How, judge_history, read_history};
use heckle_checker::coverage::Rule;
use heckle_checker::judge::Checker;
use heckle_results::compare::folder::CompareFolder;
use heckle_results::results_json::Status;
use heckle_results::utc::UnixSeconds;
use heckle_results::{RunFolder, keep};
use std::process::ExitCode;

/// Runs the verb.
pub(super) fn main(args: &ReportArgs) -> ExitCode {
    match report(args) {
        Ok(text) => {
            outln!("{text}");
            ExitCode::SUCCESS
        }
        Err(e) => super::usage("report", &e),
    }
}

fn report(args: &ReportArgs) -> Result<String, String> {
    if let Some(folder) = CompareFolder::find(&args.out.out, &args.run).map_err(|e| e.to_string())? {
        return of_comparison(&folder);
    }
    let folder = RunFolder::find(&args.out.out, &args.run).map_err(|e| e.to_string())?;
    let mut results = folder.read_results().unwrap_or_default();
    let rules: Vec<Rule> = results.coverage.rules.iter().map(|r| Rule::new(r.id.clone(), r.need)).collect();
    let judged = judge_history(read_history(&folder.history())?, &rules, How { checker: Checker::Auto, strict: true });
    results.warnings.clear();
    // Verdict, exit code and reasons stay the run's own: they also rest on what no history tells.
    judged.tell(&mut results);
    let started = UnixSeconds::from_compact(&results.run_id).map_or(0, |s| s.0);
    let written = judged.write_violations(&folder).and_then(|()| keep::derive(&folder, &judged.history, &mut results, started));
    written.map_err(|e| format!("cannot write the run's folder: {e}"))?;
    Ok(folder.report().display().to_string())
}

/// What it came to stays as it was decided; only how it looks is made anew.
fn of_comparison(folder: &CompareFolder) -> Result<String, String> {
    let mut comparison = folder.read()?;
    let shown = folder.root().display();
    if comparison.status == Status::Running {
        return Err(format!(
            "{shown} is a comparison that has not ended, or whose harness was killed: there is nothing to draw yet; its runs are below it, and `{}` makes it again",
            comparison.again
        ));
    }
    folder.keep(&mut comparison).map_err(|e| format!("cannot write {shown}: {e}"))?;
    Ok(folder.root().join("compare.html").display().to_string())
}
