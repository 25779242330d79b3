//! `heckle completions`: prints the completion script for a shell.

use crate::cli::{Cli, CompletionsArgs};
use clap::CommandFactory;
use std::process::ExitCode;

/// Runs the verb.
pub(super) fn main(args: &CompletionsArgs) -> ExitCode {
    let mut script = vec![];
    clap_complete::generate(args.shell, &mut Cli::command(), "heckle", &mut script);
    crate::output::bytes_to_stdout(&script);
    ExitCode::SUCCESS
}
