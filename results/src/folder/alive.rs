//! Whether the process behind a run that never ended is still there. A run folder says `running` from its first moment on; a
//! harness that was killed cannot take that back, so readers look for its process: by id *and* start time, since ids are
//! given out again.

use crate::input;
use crate::results_json::{Harness, Results, RunVerdict, Status};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// A run on another machine, or in another container, is taken for alive while its files change at least this often.
const QUIET_FOR: Duration = Duration::from_secs(600);

/// What a reader sees in the place of a reason.
pub const KILLED: &str = "the harness was killed before the run ended: what it recorded is in the folder, and `heckle check` judges it";

/// This process, as it goes into the folder of its run.
pub fn this_process() -> Option<Harness> {
    let pid = std::process::id();
    Some(Harness { pid, start_time: start_time(pid)?, host: host() })
}

/// Takes a run that is not over, and whose process is gone, for what it is.
pub fn settle(results: &mut Results, folder: &Path) {
    if results.status == Status::Running && !goes_on(results.harness.as_ref(), folder) {
        results.status = Status::Killed;
        if results.verdict == RunVerdict::Unknown && results.reasons.is_empty() {
            results.reasons.push(KILLED.into());
        }
    }
}

fn goes_on(harness: Option<&Harness>, folder: &Path) -> bool {
    match harness {
        Some(harness) if harness.host == host() => start_time(harness.pid) == Some(harness.start_time),
        // Its processes cannot be seen from here, or it is of a version that did not say: then its files tell.
        Some(_) | None => changed_lately(folder),
    }
}

fn changed_lately(folder: &Path) -> bool {
    let files = ["results.json", "history.jsonl.zst", "history.jsonl"].iter().map(|f| folder.join(f));
    let changed = files.filter_map(|f| fs::metadata(f).and_then(|m| m.modified()).ok()).max();
    // A time that lies ahead is another machine's clock: nothing is known then, and nothing is taken away.
    changed.is_some_and(|at| at.elapsed().map_or(true, |quiet| quiet < QUIET_FOR))
}

/// The boot of the machine and the names that process ids belong to: two processes with equal ones can see each other.
fn host() -> String {
    let boot = input::kernel("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let names = fs::read_link("/proc/self/ns/pid").map(|p| p.to_string_lossy().into_owned()).unwrap_or_default();
    format!("{} {names}", boot.trim())
}

/// When a process was started, in clock ticks since boot; none if there is no such process, or only its remains.
fn start_time(pid: u32) -> Option<u64> {
    let stat = input::kernel(format!("/proc/{pid}/stat"))?;
    // The command's name stands in brackets and may hold anything, so fields are counted from the last bracket.
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
        let folder = std::env::temp_dir().join(format!("heckle-alive-{}-{}", std::process::id(), rand_name()));
        fs::create_dir_all(&folder).expect("a writable folder");
        let file = fs::File::create(folder.join("results.json")).expect("a writable folder");
        if age == Age::Old {
            file.set_modified(std::time::SystemTime::UNIX_EPOCH).expect("a time");
        }
        let mut results = Results { harness: harness.clone(), ..Results::default() };
        settle(&mut results, &folder);
        fs::remove_dir_all(&folder).expect("it was there");
        assert_eq!(results.status, want, "{harness:?}, {age:?} old");
        assert_eq!(results.reasons.iter().any(|r| r == KILLED), want == Status::Killed);
    }

    fn rand_name() -> u64 {
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    }

    #[test]
    fn a_run_goes_on_while_its_own_process_does() {
        let me = this_process().expect("Linux says it");
        check(Some(me.clone()), Age::Old, Status::Running);
        check(Some(Harness { start_time: me.start_time + 1, ..me.clone() }), Age::New, Status::Killed);
        check(Some(Harness { pid: u32::MAX, ..me.clone() }), Age::New, Status::Killed);
        // Of another machine, or of an older version, only the files tell.
        check(Some(Harness { host: "another".into(), ..me.clone() }), Age::New, Status::Running);
        check(Some(Harness { host: "another".into(), ..me }), Age::Old, Status::Killed);
        check(None, Age::New, Status::Running);
        check(None, Age::Old, Status::Killed);
    }

    #[test]
    fn a_run_that_is_over_stays_as_it_is() {
        let mut results = Results { status: Status::Done, ..Results::default() };
        settle(&mut results, Path::new("nowhere"));
        assert_eq!(results.status, Status::Done);
    }
}
