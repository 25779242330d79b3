//! Whether the process behind an unfinished run is still alive. A run folder has the status `running` from the beginning,
//! and a killed harness cannot correct that. Readers therefore look up the process by id *and* start time, since process ids are reused.

use crate::input;
use crate::results_json::{Harness, Results, RunVerdict, Status};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Maximum time between file changes for a run on another machine or in another container to count as alive.
const MAX_QUIET: Duration = Duration::from_secs(600);

/// The reason shown for a killed run.
pub const KILLED: &str = "the harness was killed before the run ended: what it recorded is in the folder, and `heckle check` judges it";

/// Identifies this process in its run folder.
pub fn this_process() -> Option<Harness> {
    let pid = std::process::id();
    Some(Harness { pid, start_time: start_time(pid)?, host: host() })
}

/// Sets the status of a run to `killed` if it is marked as running but its process is gone.
pub fn update_status(results: &mut Results, folder: &Path) {
    if results.status == Status::Running && !is_alive(results.harness.as_ref(), folder) {
        results.status = Status::Killed;
        if results.verdict == RunVerdict::Unknown && results.reasons.is_empty() {
            results.reasons.push(KILLED.into());
        }
    }
}

/// Whether this process is visible from here and running.
pub fn is_running(harness: &Harness) -> bool {
    harness.host == host() && start_time(harness.pid) == Some(harness.start_time)
}

fn is_alive(harness: Option<&Harness>, folder: &Path) -> bool {
    match harness {
        Some(harness) if harness.host == host() => start_time(harness.pid) == Some(harness.start_time),
        // If the process is not visible from here, or an older version did not record it, the age of the files decides.
        Some(_) | None => changed_recently(folder),
    }
}

fn changed_recently(folder: &Path) -> bool {
    any_changed_recently(folder, &["results.json", "history.jsonl.zst", "history.jsonl"])
}

/// Whether one of these files of a folder changed recently enough for its writer to count as alive.
pub(crate) fn any_changed_recently(folder: &Path, files: &[&str]) -> bool {
    let changed = files.iter().filter_map(|f| fs::metadata(folder.join(f)).and_then(|m| m.modified()).ok()).max();
    // A time in the future comes from another machine's clock and proves nothing, so the run counts as alive.
    changed.is_some_and(|at| at.elapsed().map_or(true, |quiet| quiet < MAX_QUIET))
}

/// Whether the process with this id and start time exists on this machine.
pub(crate) fn process_exists(pid: u32, started: u64) -> bool {
    start_time(pid) == Some(started)
}

/// Returns the boot id and the process namespace. Two processes with equal values can see each other.
fn host() -> String {
    let boot = input::kernel("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let names = fs::read_link("/proc/self/ns/pid").map(|p| p.to_string_lossy().into_owned()).unwrap_or_default();
    format!("{} {names}", boot.trim())
}

/// Returns the start time of a process, in clock ticks since boot, or `None` if it does not exist or is a zombie.
fn start_time(pid: u32) -> Option<u64> {
    let stat = input::kernel(format!("/proc/{pid}/stat"))?;
    // The command name is in parentheses and may contain any character, so count fields from the last parenthesis.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    (state != "Z" && state != "X").then(|| fields.nth(18)?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Age {
        New,
        Old,
    }

    #[track_caller]
    fn check(harness: Option<Harness>, age: Age, want: Status) {
        let folder = std::env::temp_dir().join(format!("heckle-alive-{}-{}", std::process::id(), unique_number()));
        fs::create_dir_all(&folder).expect("a writable folder");
        let file = fs::File::create(folder.join("results.json")).expect("a writable folder");
        if age == Age::Old {
            file.set_modified(std::time::SystemTime::UNIX_EPOCH).expect("a time");
        }
        let mut results = Results { harness: harness.clone(), ..Results::default() };
        update_status(&mut results, &folder);
        fs::remove_dir_all(&folder).expect("it was there");
        assert_eq!(results.status, want, "{harness:?}, {age:?} old");
        assert_eq!(results.reasons.iter().any(|r| r == KILLED), want == Status::Killed);
    }

    fn unique_number() -> u64 {
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    }

    #[test]
    fn a_run_is_alive_while_its_process_is() {
        let me = this_process().expect("Linux says it");
        check(Some(me.clone()), Age::Old, Status::Running);
        check(Some(Harness { start_time: me.start_time + 1, ..me.clone() }), Age::New, Status::Killed);
        check(Some(Harness { pid: u32::MAX, ..me.clone() }), Age::New, Status::Killed);
        // For a run on another machine, or of an older version, only the files decide.
        check(Some(Harness { host: "another".into(), ..me.clone() }), Age::New, Status::Running);
        check(Some(Harness { host: "another".into(), ..me }), Age::Old, Status::Killed);
        check(None, Age::New, Status::Running);
        check(None, Age::Old, Status::Killed);
    }

    #[test]
    fn a_finished_run_keeps_its_status() {
        let mut results = Results { status: Status::Done, ..Results::default() };
        update_status(&mut results, Path::new("nowhere"));
        assert_eq!(results.status, Status::Done);
    }
}
