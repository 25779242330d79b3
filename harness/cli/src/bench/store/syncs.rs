//! Counts syncs with `strace` at the kernel interface, which all stores use. Syncs are counted in separate passes, since `strace`
//! slows down a process. It counts every call of every thread that waits for the disk. `sync_file_range` is not included, as it
//! makes nothing durable.

use super::{ScratchFolder, child_command};
use heckle_results::input;
use heckle_server::store_bench::{Candidate, Workload};
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::process::{Command, Stdio};

const SYNC_CALLS: [&str; 5] = ["fsync", "fdatasync", "msync", "syncfs", "sync"];

/// Returns the syncs per batch, or the reason why they cannot be counted here. The syncs of the initial writes are counted
/// in a separate pass and subtracted.
pub(super) fn per_batch(store: Candidate, workload: &Workload, scratch: &ScratchFolder) -> Result<Result<f64, String>, String> {
    let before = Workload { batches: 0, ..workload.clone() };
    let (before, all) = match (count(store, &before, scratch)?, count(store, workload, scratch)?) {
        (Ok(before), Ok(all)) => (before, all),
        (Err(why), _) | (_, Err(why)) => return Ok(Err(why)),
    };
    Ok(Ok((all as f64 - before as f64) / workload.batches as f64))
}

fn count(store: Candidate, workload: &Workload, scratch: &ScratchFolder) -> Result<Result<u64, String>, String> {
    let (folder, log) = (scratch.empty()?, scratch.0.join("strace.log"));
    let measured = child_command(store, workload, &folder)?;
    let mut traced = Command::new("strace");
    traced.args(["-f", "-qq", "-e", "signal=none", "-e"]).arg(format!("trace={}", SYNC_CALLS.join(","))).arg("-o").arg(&log);
    traced.arg(measured.get_program()).args(measured.get_args().collect::<Vec<&OsStr>>());
    let out = match traced.stdin(Stdio::null()).output() {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Err("there is no strace here".into())),
        Err(e) => return Err(format!("cannot run strace: {e}")),
        Ok(out) => out,
    };
    // Only a child that ran to completion prints figures.
    if serde_json::from_slice::<serde_json::Value>(&out.stdout).is_err() {
        return Ok(Err(format!("strace cannot watch a process here: {}", String::from_utf8_lossy(&out.stderr).trim())));
    }
    let log = input::text(&log, input::TRACE).map_err(|e| format!("cannot read {}: {e}", log.display()))?;
    Ok(Ok(log.lines().filter(|line| is_sync(line)).count() as u64))
}

/// Whether a line of `strace` is the start of a sync call. A call interrupted by another thread has a second line.
fn is_sync(line: &str) -> bool {
    let call = line.trim_start_matches(|c: char| c.is_ascii_digit() || c.is_whitespace());
    call.split_once('(').is_some_and(|(name, _)| SYNC_CALLS.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_counts_once() {
        let log = "12 fdatasync(7)                      = 0\n\
                   13 fsync(9 <unfinished ...>\n\
                   12 fdatasync(7)                      = -1 EIO (Input/output error)\n\
                   13 <... fsync resumed>)              = 0\n\
                   13 +++ killed by SIGKILL +++\n\
                   14 sync_file_range(3, 0, 262144, 7)  = 0\n";
        assert_eq!(log.lines().filter(|line| is_sync(line)).count(), 3);
    }
}
