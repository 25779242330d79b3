//! `heckle clean`: ends node processes that a killed harness may have left. Only what a run folder lists, and only if
//! pid and start time both match: never by name.

use crate::cli::CleanArgs;
use crate::cluster::pids;
use crate::exit;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Runs the verb.
pub(super) fn main(args: &CleanArgs) -> ExitCode {
    let mut ended = 0;
    for folder in folders(&args.out.out) {
        if owner_lives(&folder) {
            errln!("{}: its run is still going on; left alone", folder.display());
            continue;
        }
        for started in pids::alive(&folder) {
            pids::kill(&started);
            ended += 1;
            outln!("ended {} (pid {}) of {}", started.node, started.pid, folder.display());
        }
    }
    std::thread::sleep(Duration::from_millis(if ended > 0 { 200 } else { 0 }));
    let left: usize = folders(&args.out.out).iter().filter(|f| !owner_lives(f)).map(|f| pids::alive(f).len()).sum();
    outln!("{ended} ended, {left} left");
    ExitCode::from(if left == 0 { exit::OK } else { exit::BROKEN })
}

fn owner_lives(folder: &Path) -> bool {
    pids::alive(folder).iter().any(|s| s.node == pids::HARNESS)
}

fn folders(out: &Path) -> Vec<PathBuf> {
    let subfolders = |of: &Path| {
        std::fs::read_dir(of)
            .into_iter()
            .flatten()
            .flatten()
            .map(|e| e.path())
            .filter(|p| p.is_dir() && !p.is_symlink())
            .collect::<Vec<_>>()
    };
    subfolders(out).iter().flat_map(|plan| subfolders(plan)).filter(|f| f.join(pids::FILE).is_file()).collect()
}
