//! `heckle report`: judges a run's history again and rewrites everything derived from it. For a comparison, it rewrites the plots and the page from `compare.json`; for a sweep, from `sweep.json`.

use crate::cli::ReportArgs;
use crate::history_file;
use crate::run::recheck::{self, Recheck};
use heckle_results::compare::folder::CompareFolder;
use heckle_results::results_json::Status;
use heckle_results::sweep::folder::SweepFolder;
use heckle_results::utc::UnixSeconds;
use heckle_results::{RunFolder, artifacts, rerun};
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
        return report_comparison(&folder);
    }
    if let Some(folder) = SweepFolder::find(&args.out.out, &args.run).map_err(|e| e.to_string())? {
        return report_sweep(&folder);
    }
    let folder = RunFolder::find(&args.out.out, &args.run).map_err(|e| e.to_string())?;
    let Recheck { judged, from_history, stored, self_contained, .. } = recheck::of_folder(&folder, None, history_file::own_bytes(None)?)?;
    let (mut results, note) = match stored {
        Ok(mut results) => {
            // The verdict is kept, because scripts and indexes rely on it. `heckle check` reports a changed verdict.
            judged.add_to(&mut results);
            results.warnings.clone_from(&from_history.warnings);
            (results, None)
        }
        Err(why) if !self_contained => {
            return Err(format!(
                "{why}, and the history was recorded before histories included the rules of their run, so it cannot be written anew; \
                 `heckle check {}` judges the history",
                rerun::quote(&folder.root().display().to_string())
            ));
        }
        Err(why) => (rename_damaged_results(&folder).map(|()| from_history)?, Some(why)),
    };
    let started = UnixSeconds::from_compact(&results.run_id).map_or(0, |s| s.0);
    let written = judged.write_violations(&folder).and_then(|()| artifacts::derive(&folder, &judged.history, &mut results, started));
    written.map_err(|e| format!("cannot write the run's folder: {e}"))?;
    let page = folder.report().display().to_string();
    Ok(match note {
        None => page,
        Some(why) => format!(
            "{why}: it was rewritten from the history, with the verdict {} (exit code {}); the duration of the run is known only from its last event\n{page}",
            results.verdict, results.exit_code
        ),
    })
}

/// Renames a `results.json` that cannot be read, so that the new one does not overwrite it.
fn rename_damaged_results(folder: &RunFolder) -> Result<(), String> {
    let (old, aside) = (folder.results(), folder.path("results.damaged.json"));
    if !old.exists() {
        return Ok(());
    }
    std::fs::rename(&old, &aside).map_err(|e| format!("cannot set {} aside: {e}", old.display()))
}

/// Rewrites the plots and page of a comparison. Its results are not changed.
fn report_comparison(folder: &CompareFolder) -> Result<String, String> {
    let mut comparison = folder.read()?;
    let shown = folder.root().display();
    if comparison.head.status == Status::Running {
        return Err(format!(
            "{shown} is a comparison that has not ended, or whose harness was killed: there is nothing to draw yet; its runs are below it, and `{}` makes it again",
            comparison.head.again
        ));
    }
    folder.write_all(&mut comparison).map_err(|e| format!("cannot write {shown}: {e}"))?;
    Ok(folder.root().join("compare.html").display().to_string())
}

/// Rewrites the picture and page of a sweep. Its results are not changed.
fn report_sweep(folder: &SweepFolder) -> Result<String, String> {
    let mut sweep = folder.read()?;
    let shown = folder.root().display();
    if sweep.head.status == Status::Running {
        return Err(format!(
            "{shown} is a sweep that has not ended, or whose harness was killed: `heckle sweep --resume {shown}` makes the rest"
        ));
    }
    folder.write_all(&mut sweep).map_err(|e| format!("cannot write {shown}: {e}"))?;
    Ok(folder.root().join("sweep.html").display().to_string())
}
