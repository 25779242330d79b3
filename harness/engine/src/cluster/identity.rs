//! Identifies a process: by its id and start time, and by the run folder in its environment.

use heckle_results::input;

/// Environment variable that holds the run's folder, set for every process of a run. The relay uses other variables to identify them.
pub(super) const FOLDER_VARIABLE: &str = "HECKLE_RUN_FOLDER";

/// Returns the state and the start time (in clock ticks since boot) of a process.
pub fn proc_state(pid: u32) -> Option<(char, u64)> {
    let stat = input::kernel(format!("/proc/{pid}/stat"))?;
    // The command's name is in parentheses and may contain any character, so count fields from the last parenthesis.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}
