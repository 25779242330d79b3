//! `heckle clean`: ends node processes that a killed harness left behind. It ends only processes listed in a run folder, and only if
//! pid, start time, program and run folder all match. It never searches by name.

use crate::cli::CleanArgs;
use crate::cluster::pids;
use crate::exit;
use heckle_history::printable::printable;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Runs the verb.
pub(super) fn main(args: &CleanArgs) -> ExitCode {
    let mut ended = 0;
    for folder in list_run_folders(&args.out.out) {
        if owner_is_alive(&folder) {
            errln!("{}: its run is still going on; left alone", folder.display());
            continue;
        }
        for started in pids::alive(&folder) {
            pids::kill(&started);
            ended += 1;
            outln!("ended {} (pid {}) of {}", printable(&started.node), started.pid, folder.display());
        }
    }
    std::thread::sleep(Duration::from_millis(if ended > 0 { 200 } else { 0 }));
    let left: usize = list_run_folders(&args.out.out).iter().filter(|f| !owner_is_alive(f)).map(|f| pids::alive(f).len()).sum();
    outln!("{ended} ended, {left} left");
    ExitCode::from(if left == 0 { exit::OK } else { exit::BROKEN })
}

fn owner_is_alive(folder: &Path) -> bool {
    pids::alive(folder).iter().any(|s| s.node == pids::HARNESS)
}

fn list_run_folders(out: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    collect_run_folders(out, 0, &mut found);
    found
}

/// Collects run folders with a list of processes: those of single runs, and those below a suite or an arm of a comparison. Does not
/// follow links.
fn collect_run_folders(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    const MAX_DEPTH: usize = 5;
    if folder.join(pids::FILE).is_file() {
        found.push(folder.to_owned());
        return;
    }
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if depth < MAX_DEPTH && entry.file_type().is_ok_and(|t| t.is_dir()) {
            collect_run_folders(&entry.path(), depth + 1, found);
        }
    }
}
