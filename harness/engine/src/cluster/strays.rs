//! Processes that a node started in the background, outside its process group. They are identified by the run and the node in
//! their environment, which they inherit.

use super::identity::{FOLDER_VARIABLE, proc_state};
use crate::relay::raw::owners::NODE;
use heckle_results::input;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Stands in for the node's name for helper processes of the clients.
pub(super) const CLIENTS: &str = "clients";
/// Maximum number of bytes to read from an environment.
const ENVIRONMENT: u64 = 256 << 10;

/// A process of a run, found by its environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stray {
    /// Process id.
    pub(super) pid: u32,
    /// Start time, in clock ticks since boot.
    pub(super) start_time: u64,
    /// Name of the node that it belongs to.
    pub(super) node: String,
}

/// Finds the processes of a run, or of one of its nodes. `run` is the absolute path of the run's folder. Excludes the current process.
pub(super) fn find(run: &Path, node: Option<&str>) -> Vec<Stray> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()).filter(|pid| *pid != std::process::id());
    let found = pids.filter_map(|pid| {
        let of_node = owner(pid, run)?;
        let (state, start_time) = proc_state(pid)?;
        (state != 'Z' && node.is_none_or(|node| node == of_node)).then_some(Stray { pid, start_time, node: of_node })
    });
    found.collect()
}

/// Returns the name of the node that owns a process, if the process belongs to the run.
pub(super) fn owner(pid: u32, run: &Path) -> Option<String> {
    let environment = input::bytes(Path::new(&format!("/proc/{pid}/environ")), ENVIRONMENT).ok()?;
    let value = |name: &str| {
        let mut all = environment.split(|b| *b == 0);
        all.find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=")).map(<[u8]>::to_vec)
    };
    let of_run = value(FOLDER_VARIABLE)? == run.as_os_str().as_bytes();
    of_run.then(|| value(NODE).map_or(CLIENTS.to_owned(), |node| String::from_utf8_lossy(&node).into_owned()))
}

/// Kills all remaining processes of a node.
pub(super) fn kill(run: &Path, node: &str) {
    for stray in find(run, Some(node)) {
        if proc_state(stray.pid).is_some_and(|(_, start)| start == stray.start_time) {
            // SAFETY: the start time has just confirmed that the pid still belongs to this process.
            unsafe {
                libc::kill(stray.pid as libc::pid_t, libc::SIGKILL);
            }
        }
    }
}
