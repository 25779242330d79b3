//! Run folders on a real file system: creating, finding, damaging, and racing for them.

use heckle_results::results_json::{Results, RunVerdict, Status};
use heckle_results::run_folder::{FindError, RunFolder, slug};
use heckle_results::sample::{self, Sample};
use heckle_results::utc::UnixSeconds;
use heckle_results::{artifacts, atomic, index, sample_results};
use std::fs;
use std::path::{Path, PathBuf};

/// A folder of runs that is removed after the test.
struct Out(PathBuf);

impl Out {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("heckle-results-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Out(path)
    }

    fn run(&self, plan: &str, second: u64, exit_code: i32) -> RunFolder {
        let mut results = Results { exit_code, ..Results::default() };
        results.plan.name = plan.into();
        let folder = RunFolder::create(&self.0, plan, UnixSeconds(1_767_225_600 + second), 0xabcd, &mut results).unwrap();
        results.status = Status::Done;
        results.verdict = if exit_code == 0 { RunVerdict::Valid } else { RunVerdict::Invalid };
        folder.finish(&results).unwrap();
        folder
    }

    #[track_caller]
    fn find(&self, asked: &str, want: &RunFolder) {
        let found = RunFolder::find(&self.0, asked).unwrap_or_else(|e| panic!("{asked}: {e}"));
        assert_eq!((found.run_id(), found.root().to_owned()), (want.run_id(), want.root().canonicalize().unwrap()), "{asked}");
    }

    #[track_caller]
    fn fail(&self, asked: &str, want: &str) {
        let error = RunFolder::find(&self.0, asked).unwrap_err().to_string();
        assert!(error.contains(want), "{asked}: {error}");
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_new_folder_says_running_before_anything_else() {
    let out = Out::new("new");
    let mut results = Results::default();
    let folder = RunFolder::create(&out.0, "lease hot/../x", UnixSeconds(1_767_225_600), 0xabcd, &mut results).unwrap();
    assert_eq!(folder.root(), out.0.join("lease-hot-..-x/20260101T000000Z-abcd"));
    let read = folder.read_results().unwrap();
    assert_eq!((read.status, read.verdict, read.exit_code), (Status::Running, RunVerdict::Unknown, 2));
    assert_eq!((read.run_id.as_str(), read.started_utc.as_str()), (folder.run_id(), "2026-01-01T00:00:00Z"));
    // A killed run is still in the list.
    assert_eq!(index::read(&out.0).unwrap()[0].status, Status::Running);
    // A second run with the same second and nonce takes the next name.
    let second = RunFolder::create(&out.0, "lease hot/../x", UnixSeconds(1_767_225_600), 0xabcd, &mut results).unwrap();
    assert_eq!(second.run_id(), "20260101T000000Z-abce");
}

#[test]
fn plans_become_folder_names_that_stay_in_the_folder() {
    for (plan, want) in
        [("lease-hot", "lease-hot"), ("..", "run"), ("", "run"), ("/etc/passwd", "etc-passwd"), ("ä b", "b"), (".hidden", "hidden")]
    {
        assert_eq!(slug(plan), want);
    }
}

#[test]
fn runs_are_found_by_every_name() {
    let out = Out::new("find");
    let (a, b, c) = (out.run("alpha", 0, 0), out.run("alpha", 86_400, 1), out.run("beta", 172_800, 0));
    out.find(a.run_id(), &a);
    out.find("20260101", &a);
    out.find("alpha/20260102", &b);
    out.find("beta", &c);
    out.find("latest", &c);
    out.find("latest-failed", &b);
    out.find(a.root().to_str().unwrap(), &a);
    out.find(&format!("{}/latest", out.0.display()), &c);
    out.fail("2026010", "is the beginning of 3 runs");
    out.fail("alpha", "is the beginning of 2 runs");
    out.fail("alpha", "there are alpha/20260102T000000Z-abcd, alpha/20260101T000000Z-abcd");
    out.fail("gamma", "no run `gamma` below");
    out.fail("gamma", "there are beta/20260103T000000Z-abcd, alpha/20260102T000000Z-abcd");
    out.fail("", "no run ``");
    out.fail(out.0.to_str().unwrap(), "is not the folder of a run");
}

#[test]
fn without_runs_the_error_says_how_to_make_one() {
    let out = Out::new("none");
    for asked in ["latest", "latest-failed", "x"] {
        out.fail(asked, "`heckle run` makes one");
    }
}

#[test]
fn a_link_whose_run_is_gone_is_no_run() {
    let out = Out::new("gone");
    let (_, b) = (out.run("alpha", 0, 0), out.run("alpha", 1, 0));
    fs::remove_dir_all(b.root()).unwrap();
    out.fail("latest", "no run `latest`");
    out.fail("latest", "there is alpha/20260101T000000Z-abcd");
    assert_eq!(index::read(&out.0).unwrap().len(), 1, "its index line is passed over");
}

#[test]
fn a_folder_with_only_a_history_is_a_run() {
    let out = Out::new("bare");
    fs::create_dir_all(out.0.join("x")).unwrap();
    fs::write(out.0.join("x/history.jsonl"), "").unwrap();
    let folder = RunFolder::open(&out.0.join("x")).unwrap();
    assert_eq!(folder.history(), folder.path("history.jsonl"));
    assert!(matches!(folder.read_results(), Err(FindError::Io(_))));
}

#[test]
fn damaged_results_are_named_by_line_and_column() {
    let out = Out::new("damaged");
    let folder = out.run("alpha", 0, 0);
    let good = fs::read_to_string(folder.results()).unwrap();
    for (text, want) in [
        (good[..good.len() / 2].to_owned(), "results.json: line "),
        (good.replace("\"exit_code\": 0", "\"exit_code\": \"zero\""), "column"),
        (good.replace("\"exit_code\": 0", "\"exit_code\": \"zero\""), "invalid type: string \"zero\""),
        (good.replace("results/1", "results/9"), "schema `heckle.results/9` is not `heckle.results/1`"),
        (String::new(), "line 1, column 0"),
        ("{}".into(), "missing field `schema`"),
    ] {
        fs::write(folder.results(), text).unwrap();
        let error = folder.read_results().unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
        let line = &index::read(&out.0).unwrap();
        assert_eq!(line.len(), 1, "a list goes on");
    }
}

#[test]
fn what_a_later_version_adds_is_passed_over_and_what_an_earlier_one_lacks_is_empty() {
    let text = r#"{"schema":"heckle.results/1","run_id":"x","from_the_future":{"a":1},"ops":{"invoked":7,"new":1}}"#;
    let results = Results::from_json(text).unwrap();
    assert_eq!((results.run_id.as_str(), results.ops.invoked, results.faults.len()), ("x", 7, 0));
}

#[test]
fn results_survive_the_way_to_disk() {
    let history = sample::history(Sample::default());
    for results in [sample_results::valid(&history), sample_results::violated(&history), Results::default()] {
        assert_eq!(Results::from_json(&results.to_json()).unwrap(), results);
    }
}

#[test]
fn the_index_is_rebuilt_from_the_folders() {
    let out = Out::new("index");
    let runs = [out.run("alpha", 0, 0), out.run("beta", 1, 3)];
    let before = index::read(&out.0).unwrap();
    assert_eq!(before.iter().map(|l| l.run_id.as_str()).collect::<Vec<_>>(), runs.iter().map(|r| r.run_id()).collect::<Vec<_>>());
    // A torn line, as left by a full disk, and a line that is not JSON.
    let path = out.0.join(index::FILE);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("not json\n{}", &text[..text.len() - 20])).unwrap();
    assert_eq!(index::read(&out.0).unwrap(), before);
    fs::remove_file(&path).unwrap();
    assert_eq!(index::read(&out.0).unwrap(), before);
    assert_eq!(index::rebuild(&out.0).unwrap(), 2);
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn a_link_always_points_at_a_run_while_others_move_it() {
    let out = Out::new("race");
    let targets = [out.run("alpha", 0, 0), out.run("alpha", 1, 0)];
    let link = out.0.join("latest");
    std::thread::scope(|scope| {
        let move_it = |target: &RunFolder| {
            let relative = target.root().strip_prefix(&out.0).unwrap().to_owned();
            let link = link.clone();
            scope.spawn(move || (0..2_000).for_each(|_| atomic::replace_link(&link, &relative).unwrap()))
        };
        let movers = [move_it(&targets[0]), move_it(&targets[1])];
        while !movers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            assert!(link.symlink_metadata().is_ok(), "the link was gone for a moment");
        }
    });
    out.find("latest", &RunFolder::find(&out.0, "latest").unwrap());
    let left: Vec<_> =
        fs::read_dir(&out.0).unwrap().map(|e| e.unwrap().file_name()).filter(|n| n.to_string_lossy().contains("tmp")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_reader_sees_the_old_or_the_new_file_and_never_half() {
    let out = Out::new("atomic");
    fs::create_dir_all(&out.0).unwrap();
    let path = out.0.join("f");
    let (old, new) = (vec![b'a'; 200_000], vec![b'b'; 100_000]);
    atomic::replace(&path, &old).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| (0..40).for_each(|i| atomic::replace(&path, if i % 2 == 0 { &new } else { &old }).unwrap()));
        for _ in 0..200 {
            let read = fs::read(&path).unwrap();
            assert!(read == old || read == new, "{} bytes", read.len());
        }
    });
}

#[test]
fn what_stands_in_the_way_is_not_removed() {
    let out = Out::new("way");
    fs::create_dir_all(out.0.join("latest")).unwrap();
    let error = atomic::replace_link(&out.0.join("latest"), Path::new("x")).unwrap_err().to_string();
    assert!(error.contains("latest") && error.contains("in the way"), "{error}");
    let error = atomic::replace(Path::new("/proc/nowhere/f"), b"x").unwrap_err().to_string();
    assert!(error.starts_with("/proc/nowhere/f: "), "{error}");
}

#[test]
fn everything_derived_is_kept() {
    let out = Out::new("keep");
    let history = sample::history(Sample { seconds: 8, ..Sample::default() });
    let mut results = sample_results::valid(&history);
    let folder = RunFolder::create(&out.0, "cas-register", UnixSeconds(1_767_225_600), 1, &mut results).unwrap();
    fs::write(folder.rerun(), "#!/bin/sh\n").unwrap();
    artifacts::write_all(&folder, &history, &mut results, 1_767_225_600).unwrap();
    let read = folder.read_results().unwrap();
    assert_eq!(read, results);
    assert!(read.artifacts.contains_key("report") && read.artifacts.contains_key("rerun") && !read.artifacts.contains_key("history"));
    for (name, file) in &read.artifacts {
        assert!(fs::metadata(folder.path(file)).is_ok_and(|m| m.len() > 0), "{name}: {file}");
    }
    out.find("latest", &folder);
    assert!(RunFolder::find(&out.0, "latest-failed").is_err(), "a valid run is no failed one");
}
