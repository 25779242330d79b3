//! `heckle show` and `heckle list`: what runs came to, from their results alone.

use crate::cli::{ListArgs, ShowArgs};
use crate::run::report::read_history;
use heckle_results::{RunFolder, index, measure, summary, tell};
use std::process::ExitCode;

/// Clients that are shown.
const CLIENTS: usize = 20;

/// `heckle show`.
pub(super) fn show(args: &ShowArgs) -> ExitCode {
    if args.slowest.is_some() || args.during || args.clients {
        return match from_history(args) {
            Ok(text) => {
                print!("{text}");
                ExitCode::SUCCESS
            }
            Err(e) => super::usage("show", &e),
        };
    }
    let found = RunFolder::find(&args.out.out, &args.run).and_then(|folder| folder.read_results().map(|r| (folder, r)));
    match found {
        Ok((_, results)) if args.voice.json => {
            println!("{}", results.to_json());
            ExitCode::SUCCESS
        }
        Ok((folder, results)) => {
            print!("{}", super::summary_of(&folder, &results));
            ExitCode::SUCCESS
        }
        Err(e) => super::usage("show", &e.to_string()),
    }
}

/// What only the history can answer.
fn from_history(args: &ShowArgs) -> Result<String, String> {
    let folder = RunFolder::find(&args.out.out, &args.run).map_err(|e| e.to_string())?;
    let history = read_history(&folder.history())?;
    let (measured, width) = (measure::analyze(&history), super::fitting());
    Ok(match args.slowest {
        Some(wanted) => tell::slowest(&history, &measured, wanted, width),
        None if args.during => tell::faults(&history, &measured, width),
        None => tell::clients(&history, &measured, CLIENTS, width),
    })
}

/// `heckle list`.
pub(super) fn list(args: &ListArgs) -> ExitCode {
    match index::read(&args.out.out) {
        Ok(lines) if args.voice.json => {
            println!("{}", serde_json::to_string_pretty(&lines).expect("plain data has a JSON form"));
            ExitCode::SUCCESS
        }
        Ok(lines) => {
            print!("{}", summary::list(&lines, super::width(), super::colour()));
            ExitCode::SUCCESS
        }
        Err(e) => super::usage("list", &format!("cannot read the index below {}: {e}", args.out.out.display())),
    }
}
