use super::*;
use crate::results_json::Results;
use std::path::PathBuf;

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("heckle-catalogue-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("writable");
        Folder(path)
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.0.join(file);
        fs::create_dir_all(path.parent().expect("below the folder")).expect("writable");
        fs::write(path, text).expect("writable");
    }

    /// Writes a finished run of a plan.
    fn run(&self, path: &str, plan: &str, verdict: RunVerdict) {
        let mut results =
            Results { status: Status::Done, verdict, exit_code: i32::from(verdict != RunVerdict::Valid), ..Results::default() };
        results.plan.name = plan.into();
        results.run_id = path.rsplit('/').next().expect("a name").into();
        results.started_utc = UnixSeconds::from_compact(&results.run_id).map_or_else(String::new, UnixSeconds::iso);
        self.write(&format!("{path}/results.json"), &results.to_json());
    }

    fn entries(&self) -> Vec<Entry> {
        Catalogue::read(&self.0).expect("readable").entries
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn runs_of_suites_comparisons_and_sweeps_are_parts() {
    let out = Folder::new("parts");
    out.run("plain/20260101T000000Z-0001", "plain", RunVerdict::Valid);
    out.write("night/20260102T000000Z-0002/suite.json", r#"{"name":"night","status":"done","exit_code":1,"reasons":["a violation"],"started_utc":"2026-01-02T00:00:00Z","cells":[{"x":1}]}"#);
    out.run("night/20260102T000000Z-0002/cell/20260102T000001Z-0003", "cell", RunVerdict::Invalid);
    out.write(
        "lease/20260103T000000Z-0004/compare.json",
        r#"{"name":"lease","status":"done","exit_code":0,"verdict":["shorter waits","more"]}"#,
    );
    out.run("lease/20260103T000000Z-0004/off/20260103T000001Z-0005", "off", RunVerdict::Valid);
    out.write("curve/20260104T000000Z-0006/sweep.json", r#"{"name":{"of":"later versions"},"exit_code":2,"verdict":"no knee"}"#);
    out.run("curve/20260104T000000Z-0006/point/20260104T000001Z-0007", "point", RunVerdict::Valid);
    // A link to a folder elsewhere reveals nothing about it.
    let other = Folder::new("parts-other");
    other.run("run", "other", RunVerdict::Valid);
    std::os::unix::fs::symlink(&other.0, out.0.join("linked")).expect("a link");

    let entries = out.entries();
    let got: Vec<(Kind, &str, RunVerdict, &str, bool)> =
        entries.iter().map(|e| (e.kind, e.name.as_str(), e.verdict, e.reason.as_str(), e.part_of.is_some())).collect();
    assert_eq!(
        got,
        [
            (Kind::Run, "plain", RunVerdict::Valid, "", false),
            (Kind::Suite, "night", RunVerdict::Invalid, "a violation", false),
            (Kind::Run, "cell", RunVerdict::Invalid, "", true),
            (Kind::Comparison, "lease", RunVerdict::Valid, "shorter waits", false),
            (Kind::Run, "off", RunVerdict::Valid, "", true),
            (Kind::Sweep, "curve", RunVerdict::Unknown, "no knee", false),
            (Kind::Run, "point", RunVerdict::Valid, "", true),
        ]
    );
    assert_eq!(entries[2].part_of.as_deref(), Some("night/20260102T000000Z-0002"));
    let catalogue = Catalogue { entries };
    let all = Filter { all: true, ..Filter::default() };
    assert_eq!((catalogue.shown(&Filter::default()).count(), catalogue.hidden(&Filter::default())), (4, 3));
    assert_eq!((catalogue.shown(&all).count(), catalogue.hidden(&all)), (7, 0));
    assert_eq!(catalogue.names(), ["cell", "curve", "lease", "night", "off", "plain", "point"]);
}

#[test]
fn indexes_of_suites_are_used_and_damaged_files_are_entries() {
    let out = Folder::new("damaged");
    out.write("night/20260102T000000Z-0002/suite.json", "{");
    out.run("night/20260102T000000Z-0002/cell/20260102T000001Z-0003", "cell", RunVerdict::Valid);
    let line = RunLine { path: "cell/20260102T000001Z-0003".into(), plan: "from-the-index".into(), ..RunLine::default() };
    out.write("night/20260102T000000Z-0002/runs.jsonl", &(serde_json::to_string(&line).expect("a line") + "\nnonsense\n"));
    out.write("plain/20260103T000000Z-0004/results.json", "{\"schema\":");
    let entries = out.entries();
    let got: Vec<(&str, RunVerdict, bool)> =
        entries.iter().map(|e| (e.name.as_str(), e.verdict, e.reason.contains("cannot be read"))).collect();
    assert_eq!(got, [("night", RunVerdict::Error, true), ("from-the-index", RunVerdict::Unknown, false), ("", RunVerdict::Error, true)]);
    assert_eq!(entries[1].path, "night/20260102T000000Z-0002/cell/20260102T000001Z-0003");
}

#[test]
fn a_group_without_a_process_was_killed() {
    let out = Folder::new("killed");
    let owner = |pid: u32| format!(r#"{{"name":"n","status":"running","owner":{{"pid":{pid},"start_time":1}}}}"#);
    out.write("a/20260101T000000Z-0001/suite.json", &owner(u32::MAX));
    let me = alive::this_process().expect("Linux says it");
    out.write(
        "b/20260102T000000Z-0002/suite.json",
        &format!(r#"{{"name":"n","status":"running","owner":{{"pid":{},"start_time":{}}}}}"#, me.pid, me.start_time),
    );
    out.write("c/20260103T000000Z-0003/compare.json", r#"{"name":"n","status":"running"}"#);
    out.write("d/20260104T000000Z-0004/compare.json", r#"{"name":"n","status":"running"}"#);
    let old = fs::File::options().write(true).open(out.0.join("d/20260104T000000Z-0004/compare.json")).expect("there");
    old.set_modified(std::time::SystemTime::UNIX_EPOCH).expect("a time");
    let status = |entries: &[Entry]| entries.iter().map(|e| e.status).collect::<Vec<_>>();
    assert_eq!(status(&out.entries()), [Status::Killed, Status::Running, Status::Running, Status::Killed]);
    // A run in progress below a group shows that the group's process is alive.
    let running = Results { harness: Some(me), run_id: "20260104T000001Z-0005".into(), ..Results::default() };
    out.write("d/20260104T000000Z-0004/arm/20260104T000001Z-0005/results.json", &running.to_json());
    assert_eq!(status(&out.entries())[3..], [Status::Running, Status::Running]);
    assert_eq!(Catalogue::read(&out.0).expect("readable").running().count(), 1);
}

#[test]
fn a_missing_folder_is_empty() {
    assert_eq!(Catalogue::read(Path::new("/nowhere/at/all")).expect("empty").entries, []);
}
