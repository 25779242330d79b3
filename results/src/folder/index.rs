//! `runs.jsonl`: one line per run, appended when it ends, so that lists and trends do not have to open every folder. The
//! folders are the source of truth, and the index can be rebuilt from them, so a torn or missing line does no harm.

use crate::alive;
use crate::atomic;
use crate::input;
use crate::results_json::{Results, RunVerdict, Status};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Name of the index file.
pub const FILE: &str = "runs.jsonl";

/// Maximum depth of a run folder below the folder of all runs: `<plan>/<run>`, or `<comparison>/<time>/<arm>/<run>` plus one spare level.
pub(crate) const MAX_DEPTH: usize = 5;

/// The data of a run that lists show.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RunLine {
    /// The run id.
    pub run_id: String,
    /// Path of the run folder, relative to the index.
    pub path: String,
    /// Name of the plan.
    pub plan: String,
    /// Hash of the plan.
    pub plan_hash: String,
    /// Labels of the plan in a matrix.
    pub labels: BTreeMap<String, String>,
    /// Start time of the run.
    pub started_utc: String,
    /// Duration of the run.
    pub wall_s: f64,
    /// The seed of the run.
    pub seed: String,
    /// The commit of the tool.
    pub git: String,
    /// Fingerprint of the machine.
    pub env: String,
    /// Whether the run has ended.
    pub status: Status,
    /// The verdict on the run.
    pub verdict: RunVerdict,
    /// The exit code of the run.
    pub exit_code: i32,
    /// The first reason for the verdict.
    pub reason: String,
    /// Number of operations sent.
    pub ops: u64,
    /// Number of operations with an unknown outcome.
    pub unknown: u64,
    /// Number of faults that took effect.
    pub faults_effective: u64,
    /// Total duration of the faults that took effect.
    pub fault_s: f64,
    /// Operations sent per second.
    pub achieved_per_s: f64,
    /// Median latency from the due time over all kinds of operations.
    pub p50_ms: f64,
    /// 99th percentile of latency from the due time over all kinds of operations.
    pub p99_ms: f64,
}

impl RunLine {
    /// Returns the line of a run whose folder is `path`, relative to the index.
    pub fn of(results: &Results, path: &str) -> Self {
        let all = results.latency_ms.get("all").map(|l| l.from_intended).unwrap_or_default();
        let effective = || results.faults.iter().filter(|f| f.effective);
        RunLine {
            run_id: results.run_id.clone(),
            path: path.to_owned(),
            plan: results.plan.name.clone(),
            plan_hash: results.plan.hash.clone(),
            labels: results.plan.labels.clone(),
            started_utc: results.started_utc.clone(),
            wall_s: results.wall_s,
            seed: results.seed.clone(),
            git: results.build.git.clone(),
            env: results.env.fingerprint.clone(),
            status: results.status,
            verdict: results.verdict,
            exit_code: results.exit_code,
            reason: results.reasons.first().cloned().unwrap_or_default(),
            ops: results.ops.invoked,
            unknown: results.ops.unknown,
            faults_effective: effective().count() as u64,
            fault_s: effective().map(|f| (f.end_s - f.start_s).max(0.0)).sum(),
            achieved_per_s: results.load.achieved_per_s,
            p50_ms: all.p50,
            p99_ms: all.p99,
        }
    }
}

/// Appends one line. A single write of less than a page to a file opened for appending does not interleave with other writers.
///
/// # Errors
/// If the file system reports an error.
pub fn append(out: &Path, line: &RunLine) -> io::Result<()> {
    let path = out.join(FILE);
    let mut text = serde_json::to_string(line).expect("strings and numbers serialize");
    text.push('\n');
    let mut file = OpenOptions::new().append(true).create(true).open(&path).map_err(|e| atomic::at(&path, e))?;
    file.write_all(text.as_bytes()).map_err(|e| atomic::at(&path, e))
}

/// Returns all runs below `out`, oldest first, from the index. Runs without a line, because the index is missing or damaged or
/// their harness was killed, are read from their folders. Lines whose folder is gone are dropped. If there are two lines for
/// the same folder, the later one counts.
///
/// # Errors
/// If `out` exists but cannot be read.
pub fn read(out: &Path) -> io::Result<Vec<RunLine>> {
    let mut by_path = stored_lines(out)?;
    let mut lines = vec![];
    for folder in folders(out)? {
        let path = relative(out, &folder);
        lines.push(by_path.remove(&path).unwrap_or_else(|| line_of_folder(&folder, &path)));
    }
    lines.sort_by(|a, b| (&a.started_utc, &a.run_id).cmp(&(&b.started_utc, &b.run_id)));
    Ok(lines)
}

/// Returns the lines of the index in `out` by path. A missing or damaged index has no lines.
///
/// # Errors
/// If the index exists but cannot be read.
pub(crate) fn stored_lines(out: &Path) -> io::Result<BTreeMap<String, RunLine>> {
    let text = match input::text(&out.join(FILE), input::INDEX) {
        Ok(text) => text,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData | io::ErrorKind::FileTooLarge) => String::new(),
        Err(e) => return Err(atomic::at(&out.join(FILE), e)),
    };
    Ok(text.lines().filter_map(|l| serde_json::from_str::<RunLine>(l).ok()).map(|line| (line.path.clone(), line)).collect())
}

/// Rebuilds the index from the folders, and returns the number of runs.
///
/// # Errors
/// If the file system reports an error.
pub fn rebuild(out: &Path) -> io::Result<usize> {
    let mut lines: Vec<RunLine> = folders(out)?.iter().map(|f| line_of_folder(f, &relative(out, f))).collect();
    lines.sort_by(|a, b| (&a.started_utc, &a.run_id).cmp(&(&b.started_utc, &b.run_id)));
    let text: String = lines.iter().map(|l| serde_json::to_string(l).expect("strings and numbers serialize") + "\n").collect();
    atomic::replace(&out.join(FILE), text.as_bytes())?;
    Ok(lines.len())
}

/// Returns every run folder below `out`: each folder that contains a `results.json`. Does not follow links.
///
/// # Errors
/// If a folder cannot be read. If `out` does not exist, there are no runs.
pub fn folders(out: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = vec![];
    collect(out, 0, &mut found)?;
    found.sort();
    Ok(found)
}

fn collect(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> io::Result<()> {
    if depth > 0 && folder.join("results.json").is_file() {
        found.push(folder.to_owned());
        return Ok(());
    }
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        // Another process may delete folders at the same time.
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(atomic::at(folder, e)),
    };
    for entry in entries {
        let entry = entry.map_err(|e| atomic::at(folder, e))?;
        // `file_type` does not follow links, so `latest` is not counted as a second copy of a run.
        if depth < MAX_DEPTH && entry.file_type().is_ok_and(|t| t.is_dir()) {
            collect(&entry.path(), depth + 1, found)?;
        }
    }
    Ok(())
}

/// Returns the path of a folder relative to `out`, as in [`RunLine::path`].
pub(crate) fn relative(out: &Path, folder: &Path) -> String {
    folder.strip_prefix(out).unwrap_or(folder).to_string_lossy().into_owned()
}

/// Returns the line of a run from its folder. For a run whose results cannot be read, the line states that.
pub(crate) fn line_of_folder(folder: &Path, path: &str) -> RunLine {
    let read = input::text(&folder.join("results.json"), input::RESULTS).map_err(|e| e.to_string());
    match read.and_then(|text| Results::from_json(&text).map_err(|e| e.to_string())) {
        Ok(mut results) => {
            alive::update_status(&mut results, folder);
            RunLine::of(&results, path)
        }
        Err(what) => RunLine {
            run_id: folder.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default(),
            path: path.to_owned(),
            verdict: RunVerdict::Error,
            exit_code: 4,
            reason: format!("results.json cannot be read: {what}"),
            ..RunLine::default()
        },
    }
}
