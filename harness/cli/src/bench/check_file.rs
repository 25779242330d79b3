//! Measures the duration and the memory use of `heckle check` on a file.

use super::peak_bytes;
use super::temp::TempFolder;
use heckle_checker::bench::{Shape, events, history};
use heckle_history::writer::Writer;
use heckle_history::{Event, Header};
use heckle_results::median;
use serde::Serialize;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Number of keys in the history.
const KEYS: u32 = 4;
/// Number of concurrent processes.
const PROCESSES: u32 = 50;
/// Share of operations with an unknown outcome.
const UNKNOWN: f64 = 0.05;
/// Interval between samples of a check's memory.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// Number of repetitions, over which medians are taken.
const REPETITIONS: usize = 3;

/// The figures of one file.
#[derive(Debug, Clone, Serialize)]
pub struct FileRow {
    /// Number of operations in the file.
    pub ops: usize,
    /// Size of the file.
    pub file_bytes: u64,
    /// Median duration of `heckle check --checker chain`, from process start to exit.
    pub check_ms: f64,
    /// Largest peak resident memory over all repetitions.
    pub peak_bytes: u64,
}

/// Writes a history of `ops` operations, checks it in another process, and removes the file.
///
/// # Errors
/// If the file cannot be written or is not judged valid.
pub fn measure(ops: usize, below: &Path) -> Result<FileRow, String> {
    let folder = TempFolder::below(below, "bench-check")?;
    let file = folder.path().join("history.jsonl.zst");
    let at = |e: std::io::Error| format!("cannot write {}: {e}; name a writable folder with --out", file.display());
    let file_bytes = write(&file, ops).map_err(at)?;
    let (mut times, mut peak_bytes) = (vec![], 0);
    for _ in 0..REPETITIONS {
        let (ms, peak) = check(&file)?;
        times.push(ms);
        peak_bytes = peak_bytes.max(peak);
    }
    Ok(FileRow { ops, file_bytes, check_ms: median(&times).unwrap_or(0.0), peak_bytes })
}

/// Formats the rows as a table.
pub fn table(rows: &[FileRow]) -> String {
    let mut out = format!(
        "\nheckle check --checker chain of a compressed file, {KEYS} keys, {PROCESSES} processes, {:.0} % unknown, medians of {REPETITIONS}:\n",
        100.0 * UNKNOWN
    );
    let header = format!("{:>10} {:>9} {:>10} {:>9} {:>10}\n", "ops", "file MB", "check ms", "ns/op", "peak MB");
    out.push_str(&header);
    for row in rows {
        let ns = row.check_ms * 1e6 / row.ops.max(1) as f64;
        let (file, peak) = (row.file_bytes as f64 / 1e6, row.peak_bytes as f64 / 1e6);
        out.push_str(&format!("{:>10} {file:>9.1} {:>10.0} {ns:>9.0} {peak:>10.0}\n", row.ops, row.check_ms));
    }
    out
}

fn write(path: &Path, ops: usize) -> std::io::Result<u64> {
    let history = history(Shape { keys: KEYS, ..Shape::contended(ops, PROCESSES, UNKNOWN) });
    let mut writer = Writer::new(BufWriter::new(std::fs::File::create(path)?), &Header::default())?;
    events(&history).try_for_each(|event: Event| writer.write(&event, &history.names))?;
    writer.finish([].into())?.0.flush()?;
    Ok(std::fs::metadata(path)?.len())
}

/// Runs the check. Returns its duration in milliseconds and its peak memory in bytes.
fn check(file: &Path) -> Result<(f64, u64), String> {
    let program = std::env::current_exe().map_err(|e| format!("this program cannot find itself: {e}"))?;
    let began = Instant::now();
    let mut command = Command::new(program);
    command.arg("check").arg(file).args(["--checker", "chain", "--json"]);
    // Discard stderr, on which every check announces a large file.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|e| format!("cannot start a check: {e}"))?;
    let mut peak = 0;
    // `ru_maxrss` of an exited child includes this process's memory from before `exec`, so the peak is polled.
    let status = loop {
        peak = peak_bytes(child.id()).unwrap_or(0).max(peak);
        match child.try_wait().map_err(|e| format!("cannot wait for a check: {e}"))? {
            Some(status) => break status,
            None => std::thread::sleep(LOOK_EVERY),
        }
    };
    let ms = began.elapsed().as_secs_f64() * 1e3;
    if status.success() { Ok((ms, peak)) } else { Err(format!("the check of a valid history ended with {status}")) }
}
