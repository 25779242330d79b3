//! What of old runs may go. A run's verdict and figures are a few kilobytes and stay for good; its history, pictures and logs
//! take room. The choice is pure; files are touched in [`strip`] and [`size`] only.

use crate::atomic;
use crate::index::RunLine;
use crate::results_json::Status;
use crate::utc::UnixSeconds;
use std::fs;
use std::io;
use std::path::Path;

/// Files of a run that stay: what it came to, and what is needed to run it again.
pub const KEPT: [&str; 8] =
    ["results.json", "plan.resolved.toml", crate::seal::FILE, "schedule.jsonl", "env.json", "rerun.sh", "summary.md", "junit.xml"];

/// A run and the room it takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// The run.
    pub run: RunLine,
    /// Bytes of what may go.
    pub bytes: u64,
}

/// What may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Newest runs of which everything stays.
    pub keep: usize,
    /// Newest failed runs of which everything stays, whatever the other limits say.
    pub keep_failed: usize,
    /// Only what began before this time may go.
    pub before: Option<UnixSeconds>,
    /// Nothing more goes once all runs together take no more than this.
    pub max_bytes: Option<u64>,
}

/// The runs that are stripped, oldest first. `runs` are oldest first. One that is still running is never among them.
pub fn choose(runs: &[Held], limits: Limits) -> Vec<&Held> {
    let failed: Vec<&str> =
        runs.iter().rev().filter(|h| h.run.exit_code != 0).take(limits.keep_failed).map(|h| h.run.path.as_str()).collect();
    let old = &runs[..runs.len().saturating_sub(limits.keep)];
    let began = |h: &Held| UnixSeconds::from_compact(&h.run.run_id);
    let mut left: u64 = runs.iter().map(|h| h.bytes).sum();
    let mut chosen = vec![];
    for held in old {
        if limits.max_bytes.is_some_and(|max| left <= max) {
            break;
        }
        let young = limits.before.is_some_and(|before| began(held).is_none_or(|at| at >= before));
        if held.bytes == 0 || held.run.status == Status::Running || young || failed.contains(&held.run.path.as_str()) {
            continue;
        }
        left -= held.bytes;
        chosen.push(held);
    }
    chosen
}

/// Bytes of what [`strip`] would remove from a run's folder.
pub fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|e| !is_kept(&e.file_name().to_string_lossy())).map(|e| size_of(&e.path())).sum()
}

/// Bytes of the files at a path and below it; what goes meanwhile has none.
pub fn size_of(path: &Path) -> u64 {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::read_dir(path).into_iter().flatten().flatten().map(|e| size_of(&e.path())).sum(),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    }
}

fn is_kept(name: &str) -> bool {
    KEPT.contains(&name)
}

/// Removes everything from a run's folder but [`KEPT`].
///
/// # Errors
/// From the file system, naming the path; also for a folder that is no run's.
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
        // A link is removed, never what it points at.
        let is_dir = entry.file_type().is_ok_and(|t| t.is_dir());
        let removed = if is_dir { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(|e| atomic::at(&path, e))?;
    }
    Ok(())
}

/// `500M`, `20G`, `1000`: bytes.
///
/// # Errors
/// In words.
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

    fn held(day: u32, exit_code: i32) -> Held {
        let run_id = format!("202601{day:02}T000000Z-0000");
        Held { run: RunLine { path: format!("p/{run_id}"), run_id, exit_code, status: Status::Done, ..RunLine::default() }, bytes: 100 }
    }

    const ALL: Limits = Limits { keep: 0, keep_failed: 0, before: None, max_bytes: None };

    #[track_caller]
    fn check(limits: Limits, days: &[u32]) {
        let runs = [held(1, 1), held(2, 0), held(3, 2), held(4, 0), held(5, 0)];
        let chosen: Vec<u32> = choose(&runs, limits).iter().map(|h| h.run.run_id[6..8].parse().expect("a day")).collect();
        assert_eq!(chosen, days, "{limits:?}");
    }

    #[test]
    fn the_oldest_go_first_and_failures_stay() {
        check(ALL, &[1, 2, 3, 4, 5]);
        check(Limits { keep: 2, ..ALL }, &[1, 2, 3]);
        check(Limits { keep_failed: 1, ..ALL }, &[1, 2, 4, 5]);
        check(Limits { keep_failed: 9, keep: 1, ..ALL }, &[2, 4]);
        check(Limits { max_bytes: Some(300), ..ALL }, &[1, 2]);
        check(Limits { before: UnixSeconds::from_compact("20260103T000000Z"), ..ALL }, &[1, 2]);
        check(Limits { keep: 99, ..ALL }, &[]);
    }

    #[test]
    fn a_run_that_goes_on_is_left_alone_a_killed_one_goes_and_one_without_weight_is_not_listed() {
        let mut runs = [held(1, 0), held(2, 0), held(3, 2)];
        runs[0].run.status = Status::Running;
        runs[1].bytes = 0;
        runs[2].run.status = Status::Killed;
        let chosen: Vec<&str> = choose(&runs, ALL).iter().map(|h| h.run.run_id.as_str()).collect();
        assert_eq!(chosen, [runs[2].run.run_id.as_str()]);
    }

    #[test]
    fn stripping_leaves_what_a_run_came_to() {
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
    fn nothing_outside_the_results_folder_is_touched() {
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
        // A forged index names a folder outside, and one through a link.
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
    fn sizes_as_people_write_them() {
        for (text, want) in [("1000", 1_000), ("2K", 2_048), ("1.5M", 1_572_864), ("20G", 20 << 30), ("1GiB", 1 << 30), ("3 MB", 3 << 20)] {
            assert_eq!(parse_size(text), Ok(want), "{text}");
        }
        assert!(parse_size("20X").unwrap_err().contains("unit"));
        assert!(parse_size("many").is_err());
    }
}
