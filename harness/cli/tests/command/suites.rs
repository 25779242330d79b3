//! Whole suites on real processes: one that passes, one whose canary is not caught, and one that is killed and resumed.

use crate::common::*;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

const PLAN: &str = "schema = \"heckle.plan/1\"\nname = \"night\"\n[load]\nduration = \"3s\"\nwarmup = \"0s\"\nclients = 4\nkeys = 2\n[faults]\nkinds = [\"none\"]\nquiet_tail = \"0s\"\n";
const AXES: &str = "[suite.axes]\nvalue_bytes = [8, 16]\n";

fn plan(folder: &Folder, more: &str) {
    std::fs::write(folder.path().join("night.toml"), format!("{PLAN}{more}")).expect("writable");
}

/// Returns the suites below the folder, oldest first.
fn suites(folder: &Folder) -> Vec<(PathBuf, Value)> {
    let mut found = find(folder, "suite.json");
    found.sort();
    let read = |p: &PathBuf| serde_json::from_slice(&std::fs::read(p).expect("readable")).expect("whole at any time");
    found.iter().map(|p| (p.parent().expect("a folder").to_owned(), read(p))).collect()
}

fn counted(suite: &Value) -> usize {
    let runs = suite["cells"].as_array().expect("cells").iter().flat_map(|c| c["runs"].as_array().expect("runs"));
    runs.filter(|r| r["counted"] == true).count()
}

#[test]
fn a_night_leaves_its_verdict_for_people_and_machines() {
    let folder = Folder::new();
    plan(&folder, AXES);
    let out = expect_code(&folder, &["suite", "night.toml", "--seed", "7", "--json", "--quiet"], 0);
    let suite: Value = serde_json::from_slice(&out.stdout).expect("--json prints JSON");
    assert_eq!((suite["status"].as_str(), counted(&suite)), (Some("done"), 2), "{suite:#}");
    let (root, kept) = suites(&folder).remove(0);
    assert_eq!(kept, suite);
    let junit = std::fs::read_to_string(root.join("junit.xml")).expect("there");
    assert!(junit.contains("tests=\"2\" failures=\"0\" errors=\"0\"") && junit.contains("value_bytes=16"), "{junit}");
    for file in ["summary.md", "trend.html"] {
        assert!(root.join(file).is_file(), "{file}");
    }
    // A run of a suite is found like any other, including through its index.
    expect_code(&folder, &["show", "latest"], 0);
    let list = expect_code(&folder, &["list", "--json", "--all"], 0);
    assert_eq!(serde_json::from_slice::<Value>(&list.stdout).expect("JSON").as_array().expect("a list").len(), 2);
    expect_code(&folder, &["trend", "--json"], 0);

    let freed = expect_code(&folder, &["gc", "--keep", "0", "--keep-failed", "0", "--delete", "--json"], 0);
    let freed: Value = serde_json::from_slice(&freed.stdout).expect("JSON");
    assert_eq!(freed["runs"].as_array().map(Vec::len), Some(2));
    let again = expect_code(&folder, &["list", "--json", "--all"], 0);
    assert_eq!(again.stdout, list.stdout, "what runs came to outlives their files");
    // A finished suite cannot be resumed.
    expect_code(&folder, &["suite", "night.toml", "--quiet", "--budget", "1ms"], 2);
    assert_eq!(suites(&folder).len(), 2);
}

#[test]
fn a_silent_canary_makes_the_night_red() {
    let folder = Folder::new();
    // A control: a planted bug that no history can reveal.
    plan(
        &folder,
        "[[canary]]\nmutant = \"keep-accepted-at-learn\"\n[canary.set]\nduration = \"1s\"\nkinds = [\"none\"]\nquiet_tail = \"0s\"\n",
    );
    let out = expect_code(&folder, &["suite", "night.toml", "--quiet"], 2);
    assert!(said(&out).contains("canary keep-accepted-at-learn was not caught"), "{}", said(&out));
}

#[test]
fn a_killed_suite_goes_on_where_it_was() {
    let folder = Folder::new();
    plan(&folder, &format!("{AXES}nodes = [1, 3]\n"));
    let args = ["suite", "night.toml", "--quiet"];
    let mut running = Running(heckle(&folder, &args).spawn().expect("starts"));
    let one_done = || suites(&folder).first().is_some_and(|(_, suite)| counted(suite) >= 1);
    assert!(wait_for(Duration::from_secs(120), one_done), "no run in two minutes");
    running.0.kill().expect("killed");
    running.0.wait().expect("reaped");
    let before = suites(&folder).remove(0).1;
    assert_eq!(before["status"], "running");
    // The run in progress is signalled, heals its faults, and stops its nodes by itself.
    let out = expect_code(&folder, &args, 0);
    let all = suites(&folder);
    assert_eq!(all.len(), 1, "{}", said(&out));
    let after = &all[0].1;
    assert_eq!((&after["sittings"], counted(after)), (&2.into(), 4), "{after:#}");
    let first = |suite: &Value| suite["cells"].as_array().expect("cells").iter().find_map(|c| c["runs"].get(0).cloned());
    let kept = first(&before).expect("one was done");
    let cells = after["cells"].as_array().expect("cells");
    assert!(cells.iter().any(|c| c["runs"].as_array().expect("runs").contains(&kept)), "its runs are not made twice");
}

#[test]
fn a_matrix_that_makes_no_sense_is_refused_before_anything_runs() {
    let folder = Folder::new();
    plan(&folder, "[suite.axes]\nbackof = [\"none\"]\n");
    let out = expect_code(&folder, &["suite", "night.toml"], 64);
    assert!(said(&out).contains("did you mean `backoff`"), "{}", said(&out));
    plan(&folder, AXES);
    expect_code(&folder, &["suite", "night.toml", "--shard", "3/2"], 64);
    expect_code(&folder, &["suite", "night.toml", "--profile", "x"], 64);
    expect_code(&folder, &["suite", "night.toml", "--baseline-bin", "nowhere"], 64);
    let out = expect_code(&folder, &["suite", "night.toml", "--min-cells", "3"], 64);
    assert!(said(&out).contains("the matrix has 2 cells"), "{}", said(&out));
    assert!(suites(&folder).is_empty());
}

#[test]
fn embedded_plans_work_in_any_folder() {
    let folder = Folder::new();
    // A file with the name of a built-in plan is not a path and does no harm.
    std::fs::write(folder.path().join("quick"), "not a plan").expect("writable");
    // The size of the matrix is checked before anything runs.
    let out = expect_code(&folder, &["suite", "quick", "--min-cells", "99"], 64);
    assert!(said(&out).contains("the matrix has 4 cells"), "{}", said(&out));
    let out = expect_code(&folder, &["suite", "./quick"], 64);
    assert!(said(&out).contains("./quick, line 1"), "{}", said(&out));
    let out = expect_code(&folder, &["run", "nightyl"], 64);
    for part in
        ["did you mean `nightly`?", "embedded plans: all-faults, mixed, nightly, power-loss, quick", "mutants/ accept-ignores-promise"]
    {
        assert!(said(&out).contains(part), "no `{part}` in {}", said(&out));
    }
    let out = expect_code(&folder, &["suite", "plans/quick.toml"], 64);
    assert!(said(&out).contains("heckle carries a plan called `quick`"), "{}", said(&out));
    let out = expect_code(&folder, &["compare", "presets/lease", "--pairs", "0"], 64);
    assert!(said(&out).contains("--pairs 0"), "{}", said(&out));
    // A plan that runs and exposes its bug.
    let out = expect_code(&folder, &["run", "mutants/answer-before-write", "--quiet"], 1);
    assert!(said(&out).contains("invalid"), "{}", said(&out));
    let resolved = std::fs::read_to_string(&find(&folder, "plan.resolved.toml")[0]).expect("kept");
    assert!(resolved.contains("name = \"mutant-answer-before-write\""), "{resolved}");
}
