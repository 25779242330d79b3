//! Syncs, counted where all stores must pass: at the kernel, by `strace`, in passes of their own since it slows a process
//! down. What is counted is every call that waits for the disk, of every thread; `sync_file_range` is not one of them, as it
//! makes nothing durable.

use super::{Scratch, child};
use heckle_results::input;
use heckle_server::store_bench::{Candidate, Workload};
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::process::{Command, Stdio};

const CALLS: [&str; 5] = ["fsync", "fdatasync", "msync", "syncfs", "sync"];

/// Syncs per batch: those of the workload without those of its first writes, which a pass of its own counts. If they cannot
/// be counted here, why.
pub(super) fn per_batch(store: Candidate, workload: &Workload, scratch: &Scratch) -> Result<Result<f64, String>, String> {
    let before = Workload { batches: 0, ..workload.clone() };
    let (before, all) = match (count(store, &before, scratch)?, count(store, workload, scratch)?) {
        (Ok(before), Ok(all)) => (before, all),
        (Err(why), _) | (_, Err(why)) => return Ok(Err(why)),
    };
    Ok(Ok((all as f64 - before as f64) / workload.batches as f64))
}

fn count(store: Candidate, workload: &Workload, scratch: &Scratch) -> Result<Result<u64, String>, String> {
    let (folder, log) = (scratch.empty()?, scratch.0.join("strace.log"));
    let measured = child(store, workload, &folder)?;
    let mut traced = Command::new("strace");
    traced.args(["-f", "-qq", "-e", "signal=none", "-e"]).arg(format!("trace={}", CALLS.join(","))).arg("-o").arg(&log);
    traced.arg(measured.get_program()).args(measured.get_args().collect::<Vec<&OsStr>>());
    let out = match traced.stdin(Stdio::null()).output() {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Err("there is no strace here".into())),
        Err(e) => return Err(format!("cannot run strace: {e}")),
        Ok(out) => out,
    };
    // Figures come only from a child that came to its end.
    if serde_json::from_slice::<serde_json::Value>(&out.stdout).is_err() {
        return Ok(Err(format!("strace cannot watch a process here: {}", String::from_utf8_lossy(&out.stderr).trim())));
    }
    let log = input::text(&log, input::TRACE).map_err(|e| format!("cannot read {}: {e}", log.display()))?;
    Ok(Ok(log.lines().filter(|line| is_sync(line)).count() as u64))
}

/// Whether a line of strace begins such a call; a call that another thread interrupts has a second line.
fn is_sync(line: &str) -> bool {
    let call = line.trim_start_matches(|c: char| c.is_ascii_digit() || c.is_whitespace());
    call.split_once('(').is_some_and(|(name, _)| CALLS.contains(&name))
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
