//! `heckle show`: prints a run, comparison or sweep from its results.

use crate::cli::ShowArgs;
use crate::run::report::read_history;
use heckle_results::compare::folder::CompareFolder;
use heckle_results::compare::text;
use heckle_results::summary::View;
use heckle_results::sweep::folder::SweepFolder;
use heckle_results::{RunFolder, measure, terminal_report};
use std::process::ExitCode;

/// Maximum number of clients to show.
const CLIENTS: usize = 20;

/// `heckle show`.
pub(super) fn show(args: &ShowArgs) -> ExitCode {
    if args.slowest.is_some() || args.during || args.clients {
        return match history_view(args) {
            Ok(text) => {
                out!("{text}");
                ExitCode::SUCCESS
            }
            Err(e) => super::usage("show", &e),
        };
    }
    match CompareFolder::find(&args.out.out, &args.run).map_err(|e| e.to_string()).and_then(|f| f.map(|f| Ok((f.read()?, f))).transpose()) {
        Ok(None) => {}
        Ok(Some((comparison, _))) if args.output.json => {
            outln!("{}", comparison.to_json().trim_end());
            return ExitCode::SUCCESS;
        }
        Ok(Some((comparison, folder))) => {
            let shown = folder.root().display().to_string();
            out!("{}", text::text(&comparison, View { folder: &shown, width: super::width(), colour: super::colour() }));
            return ExitCode::SUCCESS;
        }
        Err(e) => return super::usage("show", &e),
    }
    match sweep_view(args) {
        Ok(None) => {}
        Ok(Some(text)) => {
            out!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(e) => return super::usage("show", &e),
    }
    let found = RunFolder::find(&args.out.out, &args.run).and_then(|folder| folder.read_results().map(|r| (folder, r)));
    match found {
        Ok((_, results)) if args.output.json => {
            outln!("{}", results.to_json());
            ExitCode::SUCCESS
        }
        Ok((folder, results)) => {
            out!("{}", super::summary_of(&folder, &results));
            ExitCode::SUCCESS
        }
        Err(e) => super::usage("show", &e.to_string()),
    }
}

/// Formats a sweep. Returns `None` if the name does not refer to a sweep.
fn sweep_view(args: &ShowArgs) -> Result<Option<String>, String> {
    let Some(folder) = SweepFolder::find(&args.out.out, &args.run).map_err(|e| e.to_string())? else { return Ok(None) };
    let sweep = folder.read()?;
    let shown = folder.root().display().to_string();
    let view = View { folder: &shown, width: super::width(), colour: super::colour() };
    Ok(Some(if args.output.json { sweep.to_json() } else { heckle_results::sweep::text::text(&sweep, view) }))
}

/// Formats the views that need the history.
fn history_view(args: &ShowArgs) -> Result<String, String> {
    let folder = RunFolder::find(&args.out.out, &args.run).map_err(|e| e.to_string())?;
    let history = read_history(&folder.history())?;
    let (measured, width) = (measure::analyze(&history), super::line_width());
    Ok(match args.slowest {
        Some(wanted) => terminal_report::slowest(&history, &measured, wanted, width),
        None if args.during => terminal_report::faults(&history, &measured, width),
        None => terminal_report::clients(&history, &measured, CLIENTS, width),
    })
}
