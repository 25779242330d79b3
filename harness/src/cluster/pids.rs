//! The run folder's list of node processes, so that `heckle clean` can end what a killed harness may have left.
//! A pid alone may be another's by then: it counts only together with its start time.

use super::process::proc_state;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::Path;

/// One started process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Which node.
    pub node: String,
    /// Its process id and group.
    pub pid: u32,
    /// Clock ticks since boot.
    pub start_time: u64,
}

/// Name of the list in the run folder.
pub const FILE: &str = "pids.jsonl";

/// The name under which the harness itself stands in the list: while it lives, its nodes are not leftovers.
pub const HARNESS: &str = "harness";

/// Appends a process to the list.
///
/// # Errors
/// If the file cannot be written.
pub fn append(folder: &Path, node: &str, pid: u32) -> std::io::Result<()> {
    let start_time = proc_state(pid).map_or(0, |(_, t)| t);
    let line = serde_json::to_string(&Started { node: node.into(), pid, start_time })?;
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(folder.join(FILE))?;
    writeln!(file, "{line}")
}

/// Those of the list that are still alive.
pub fn alive(folder: &Path) -> Vec<Started> {
    let text = std::fs::read_to_string(folder.join(FILE)).unwrap_or_default();
    let all = text.lines().filter_map(|l| serde_json::from_str::<Started>(l).ok());
    all.filter(|s| proc_state(s.pid).is_some_and(|(state, t)| t == s.start_time && state != 'Z')).collect()
}

/// Kills one of them, with its group.
pub fn kill(started: &Started) {
    // SAFETY: the caller took it from [`alive`], which compared the start time a moment ago.
    unsafe {
        libc::kill(-(started.pid as libc::pid_t), libc::SIGKILL);
        libc::kill(started.pid as libc::pid_t, libc::SIGKILL);
    }
}
