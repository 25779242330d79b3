//! Garbage collection of old runs. The verdict and figures of a run take a few kilobytes and are kept forever; its history,
//! charts and logs take up most of the space. The selection is pure: only [`strip`] and [`size`] touch files.

use crate::atomic;
use crate::index::RunLine;
use crate::results_json::Status;
use crate::utc::UnixSeconds;
use std::fs;
use std::io;
use std::path::Path;

/// Files of a run that are never removed: its results, and the files needed to run it again.
pub const KEPT_FILES: [&str; 8] =
    ["results.json", "plan.resolved.toml", crate::seal::FILE, "schedule.jsonl", "env.json", "rerun.sh", "summary.md", "junit.xml"];

/// A run and the space that it takes up.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredRun {
    /// The line of the run.
    pub run: RunLine,
    /// Size of the files that may be removed, in bytes.
    pub bytes: u64,
}

/// Limits on what may be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Number of newest runs to keep complete.
    pub keep: usize,
    /// Number of newest failed runs to keep complete, regardless of the other limits.
    pub keep_failed: usize,
    /// Only runs that began before this time are stripped.
    pub before: Option<UnixSeconds>,
    /// No further runs are stripped once the total size is at most this.
    pub max_bytes: Option<u64>,
}

/// Selects the runs to strip, oldest first, from `runs`, also oldest first. Never selects a run that is still in progress.
pub fn choose(runs: &[StoredRun], limits: Limits) -> Vec<&StoredRun> {
    let failed: Vec<&str> =
        runs.iter().rev().filter(|h| h.run.exit_code != 0).take(limits.keep_failed).map(|h| h.run.path.as_str()).collect();
    let old = &runs[..runs.len().saturating_sub(limits.keep)];
    let began = |h: &StoredRun| UnixSeconds::from_compact(&h.run.run_id);
    let mut left: u64 = runs.iter().map(|h| h.bytes).sum();
    let mut chosen = vec![];
    for stored_run in old {
        if limits.max_bytes.is_some_and(|max| left <= max) {
            break;
        }
        let young = limits.before.is_some_and(|before| began(stored_run).is_none_or(|at| at >= before));
        if stored_run.bytes == 0 || stored_run.run.status == Status::Running || young || failed.contains(&stored_run.run.path.as_str()) {
            continue;
        }
        left -= stored_run.bytes;
        chosen.push(stored_run);
    }
    chosen
}

/// Returns the size of the files that [`strip`] would remove from a run folder, in bytes.
pub fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|e| !is_kept(&e.file_name().to_string_lossy())).map(|e| size_of(&e.path())).sum()
}

/// Returns the size of the files at and below a path, in bytes. Files that disappear at the same time count as 0.
pub fn size_of(path: &Path) -> u64 {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::read_dir(path).into_iter().flatten().flatten().map(|e| size_of(&e.path())).sum(),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    }
}

fn is_kept(name: &str) -> bool {
    KEPT_FILES.contains(&name)
}

/// Removes everything from a run folder except [`KEPT_FILES`].
///
/// # Errors
/// If the file system reports an error (the message names the path), or the folder is not a run folder.
pub fn strip(folder: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(folder).is_ok_and(|m| m.is_dir()) {
        return Err(atomic::at(folder, io::Error::new(io::ErrorKind::InvalidInput, "it is a link or no folder, and is left alone")));
    }
    if !folder.join("results.json").is_file() {
        return Err(atomic::at(folder, io::Error::new(io::ErrorKind::NotFound, "it holds no results.json, so it is no run")));
    }
    for entry in fs::read_dir(folder).map_err(|e| atomic::at(folder, e))? {
        let entry = entry.map_err(|e| atomic::at(folder, e))?;
        if is_kept(&entry.file_name().to_string_lossy()) {
            continue;
        }
        let path = entry.path();
        // A link itself is removed, never its target.
        let is_dir = entry.file_type().is_ok_and(|t| t.is_dir());
        let removed = if is_dir { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(|e| atomic::at(&path, e))?;
    }
    Ok(())
}

/// Parses a size such as `500M`, `20G` or `1000`, in bytes.
///
/// # Errors
/// A message that states what is wrong.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let factor = match unit.to_ascii_uppercase().trim_end_matches("IB").trim_end_matches('B') {
        "" => 1u64,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        "T" => 1 << 40,
        _ => return Err(format!("`{unit}` is no unit of size; use K, M, G or T")),
    };
    let number: f64 =
        number.trim().parse().ok().filter(|n: &f64| *n >= 0.0).ok_or_else(|| format!("`{text}` is not a size; write for example 20G"))?;
    Ok((number * factor as f64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored_run(day: u32, exit_code: i32) -> StoredRun {
        let run_id = format!("202601{day:02}T000000Z-0000");
        StoredRun {
            run: RunLine { path: format!("p/{run_id}"), run_id, exit_code, status: Status::Done, ..RunLine::default() },
            bytes: 100,
        }
    }

    const ALL: Limits = Limits { keep: 0, keep_failed: 0, before: None, max_bytes: None };

    #[track_caller]
    fn check(limits: Limits, days: &[u32]) {
        let runs = [stored_run(1, 1), stored_run(2, 0), stored_run(3, 2), stored_run(4, 0), stored_run(5, 0)];
        let chosen: Vec<u32> = choose(&runs, limits).iter().map(|h| h.run.run_id[6..8].parse().expect("a day")).collect();
        assert_eq!(chosen, days, "{limits:?}");
    }

    #[test]
    fn the_oldest_are_removed_first_and_failures_are_kept() {
        check(ALL, &[1, 2, 3, 4, 5]);
        check(Limits { keep: 2, ..ALL }, &[1, 2, 3]);
        check(Limits { keep_failed: 1, ..ALL }, &[1, 2, 4, 5]);
        check(Limits { keep_failed: 9, keep: 1, ..ALL }, &[2, 4]);
        check(Limits { max_bytes: Some(300), ..ALL }, &[1, 2]);
        check(Limits { before: UnixSeconds::from_compact("20260103T000000Z"), ..ALL }, &[1, 2]);
        check(Limits { keep: 99, ..ALL }, &[]);
    }

    #[test]
    fn only_finished_or_killed_runs_with_files_to_remove_are_chosen() {
        let mut runs = [stored_run(1, 0), stored_run(2, 0), stored_run(3, 2)];
        runs[0].run.status = Status::Running;
        runs[1].bytes = 0;
        runs[2].run.status = Status::Killed;
        let chosen: Vec<&str> = choose(&runs, ALL).iter().map(|h| h.run.run_id.as_str()).collect();
        assert_eq!(chosen, [runs[2].run.run_id.as_str()]);
    }

    #[test]
    fn stripping_keeps_the_results() {
        let folder = std::env::temp_dir().join(format!("heckle-gc-{}", std::process::id()));
        fs::create_dir_all(folder.join("plots")).unwrap();
        for (file, bytes) in [("results.json", 10), ("history.jsonl.zst", 70), ("plots/rate.png", 30), ("rerun.sh", 5)] {
            fs::write(folder.join(file), vec![b'x'; bytes]).unwrap();
        }
        assert_eq!(size(&folder), 100);
        strip(&folder).unwrap();
        let mut left: Vec<String> = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        left.sort();
        assert_eq!((left, size(&folder)), (vec!["rerun.sh".to_owned(), "results.json".into()], 0));
        fs::remove_file(folder.join("results.json")).unwrap();
        assert!(strip(&folder).unwrap_err().to_string().contains("no run"));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn stripping_never_leaves_the_results_folder() {
        let root = std::env::temp_dir().join(format!("heckle-gc-links-{}", std::process::id()));
        let (out, other) = (root.join("out"), root.join("other"));
        for folder in [out.join("p/run"), other.join("run")] {
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("results.json"), "{}").unwrap();
            fs::write(folder.join("history.jsonl.zst"), "x").unwrap();
        }
        let link = |to: &Path, name: &str| std::os::unix::fs::symlink(to, out.join(name)).unwrap();
        link(&other.join("run"), "latest");
        link(&other.join("run"), "p/linked");
        link(&other, "linked-plan");
        link(&other, "p/run/plots");
        // A forged index, with one folder outside and one behind a link.
        let line = |path: &str| serde_json::to_string(&RunLine { path: path.into(), ..RunLine::default() }).unwrap() + "\n";
        fs::write(out.join("runs.jsonl"), line("../other/run") + &line("linked-plan/run")).unwrap();
        let runs = crate::index::read(&out).unwrap();
        assert_eq!(runs.iter().map(|r| r.path.as_str()).collect::<Vec<_>>(), ["p/run"]);
        strip(&out.join("p/run")).unwrap();
        assert!(!out.join("p/run/plots").exists() && !out.join("p/run/history.jsonl.zst").exists());
        assert!(strip(&out.join("p/linked")).unwrap_err().to_string().contains("link"));
        assert!(other.join("run/history.jsonl.zst").is_file(), "what links point at stays");
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn sizes_are_parsed() {
        for (text, want) in [("1000", 1_000), ("2K", 2_048), ("1.5M", 1_572_864), ("20G", 20 << 30), ("1GiB", 1 << 30), ("3 MB", 3 << 20)] {
            assert_eq!(parse_size(text), Ok(want), "{text}");
        }
        assert!(parse_size("20X").unwrap_err().contains("unit"));
        assert!(parse_size("many").is_err());
    }
}
