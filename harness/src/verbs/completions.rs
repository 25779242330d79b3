//! `heckle completions`: what a shell needs to complete verbs and flags.

use crate::cli::{Cli, CompletionsArgs};
use clap::CommandFactory;
use std::io::Write;
use std::process::ExitCode;

/// Runs the verb.
pub(super) fn main(args: &CompletionsArgs) -> ExitCode {
    let mut script = vec![];
    clap_complete::generate(args.shell, &mut Cli::command(), "heckle", &mut script);
    // Whoever reads only the beginning has what they wanted.
    let _ = std::io::stdout().write_all(&script);
    ExitCode::SUCCESS
}
