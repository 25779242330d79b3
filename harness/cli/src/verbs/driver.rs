//! `heckle driver check`: runs scripted cases against a client driver and names each case that it fails.

use crate::cli::{DriverArgs, DriverCheckArgs, DriverWhat};
use crate::cluster::helpers::RunHelpers;
use crate::exit;
use heckle_history::printable::block;
use heckle_system_external::check::{self, CaseError, CheckJob};
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs the verb.
pub(super) fn main(args: &DriverArgs) -> ExitCode {
    let DriverWhat::Check(args) = &args.what;
    match check(args) {
        Ok(0) => ExitCode::from(exit::OK),
        Ok(refused) => {
            errln!("heckle driver check: the driver is refused: {refused} of the cases failed");
            ExitCode::from(exit::VIOLATION)
        }
        Err(e) => super::broken("driver check", &e),
    }
}

/// Returns the number of cases that the driver fails.
fn check(args: &DriverCheckArgs) -> Result<usize, String> {
    let here = std::env::current_dir().map_err(|e| format!("there is no current folder: {e}"))?;
    let folder = Scratch::new()?;
    let helpers = RunHelpers::without_run(&folder.0)?;
    let results = check::check(&CheckJob { command: args.command.clone(), folder: here, node: args.node }, &helpers);
    for case in &results {
        let (mark, says) = match &case.result {
            Ok(says) => ("ok  ", says),
            Err(CaseError::Refused(why)) => ("no  ", why),
            Err(CaseError::LeftOut(why)) => ("--  ", why),
        };
        outln!("{mark} {:<42} {}", case.name, block(says));
    }
    Ok(results.iter().filter(|case| matches!(case.result, Err(CaseError::Refused(_)))).count())
}

/// A folder for the driver's log, removed on drop.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("heckle-driver-check-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|e| format!("cannot make {}: {e}", path.display()))?;
        Ok(Scratch(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
