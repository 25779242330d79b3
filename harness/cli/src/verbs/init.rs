//! `heckle init`: creates a folder with a plan, a driver and a toy server that run without changes.

use crate::cli::InitArgs;
use crate::exit;
use heckle_history::printable::printable;
use heckle_results::rerun::quote;
use heckle_system_external::skeleton;
use std::process::ExitCode;

/// Runs the verb.
pub(super) fn main(args: &InitArgs) -> ExitCode {
    match skeleton::write(&args.name) {
        Ok(files) => {
            let folder = args.name.display().to_string();
            outln!("wrote {} in {}", files.join(", "), printable(&folder));
            outln!("run it:  heckle run {}", quote(&format!("{folder}/plan.toml")));
            ExitCode::from(exit::OK)
        }
        Err(e) => super::usage("init", &e),
    }
}
