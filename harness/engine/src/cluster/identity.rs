//! How a process is known again: by its id and start time, and by the run folder in its environment.

use heckle_results::input;

/// Names the run's folder in the environment of every process of a run, besides the variables by which the relay knows them.
pub(super) const FOLDER_VARIABLE: &str = "HECKLE_RUN_FOLDER";

/// State and start time (in clock ticks since boot) of a process.
pub fn proc_state(pid: u32) -> Option<(char, u64)> {
    let stat = input::kernel(format!("/proc/{pid}/stat"))?;
    // The command's name stands in brackets and may hold anything, so fields are counted from the last bracket.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}
