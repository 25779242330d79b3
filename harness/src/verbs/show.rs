//! `heckle show` and `heckle list`: what runs came to, from their results alone.

use crate::cli::{ListArgs, ShowArgs};
use heckle_results::{RunFolder, index, summary};
use std::process::ExitCode;

/// `heckle show`.
pub(super) fn show(args: &ShowArgs) -> ExitCode {
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
