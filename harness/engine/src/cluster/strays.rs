//! Processes that a node started in the background, out of its process group: known by the run and node in their environment, which
//! they inherit.

use super::identity::{FOLDER_VARIABLE, proc_state};
use crate::relay::raw::owners::NODE;
use heckle_results::input;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What stands for the node's name of a process that helps clients.
pub(super) const CLIENTS: &str = "clients";
/// Bytes of an environment that are read, at most.
const ENVIRONMENT: u64 = 256 << 10;

/// A process of a run, found by its environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stray {
    /// Its process id.
    pub(super) pid: u32,
    /// Clock ticks since boot.
    pub(super) start_time: u64,
    /// The node it belongs to.
    pub(super) node: String,
}

/// The processes of a run, or of one node of it. `run` is the run's folder from the root. This process is none of them.
pub(super) fn of(run: &Path, node: Option<&str>) -> Vec<Stray> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()).filter(|pid| *pid != std::process::id());
    let found = pids.filter_map(|pid| {
        let of_node = owner(pid, run)?;
        let (state, start_time) = proc_state(pid)?;
        (state != 'Z' && node.is_none_or(|node| node == of_node)).then_some(Stray { pid, start_time, node: of_node })
    });
    found.collect()
}

/// The node that a process belongs to, if it is one of the run's.
pub(super) fn owner(pid: u32, run: &Path) -> Option<String> {
    let environment = input::bytes(Path::new(&format!("/proc/{pid}/environ")), ENVIRONMENT).ok()?;
    let value = |name: &str| {
        let mut all = environment.split(|b| *b == 0);
        all.find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=")).map(<[u8]>::to_vec)
    };
    let of_run = value(FOLDER_VARIABLE)? == run.as_os_str().as_bytes();
    of_run.then(|| value(NODE).map_or(CLIENTS.to_owned(), |node| String::from_utf8_lossy(&node).into_owned()))
}

/// Kills all processes of a node that are left.
pub(super) fn kill(run: &Path, node: &str) {
    for stray in of(run, Some(node)) {
        if proc_state(stray.pid).is_some_and(|(_, start)| start == stray.start_time) {
            // SAFETY: it was this process, by its start time, a moment ago.
            unsafe {
                libc::kill(stray.pid as libc::pid_t, libc::SIGKILL);
            }
        }
    }
}
