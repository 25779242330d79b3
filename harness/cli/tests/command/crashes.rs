//! Nodes that exit without an injected fault: either by themselves, which is a violation, or due to an external cause,
//! which is an error of the machine. Also nodes that cannot restart.

use crate::common::*;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::process::{Output, Stdio};
use std::time::Duration;

const QUICK: [&str; 9] = ["run", "--duration", "20s", "--warmup", "200ms", "--quiet-tail", "200ms", "--quiet", "--json"];

fn results(out: &Output) -> serde_json::Value {
    serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("--json prints JSON: {e}\n{}", said(out)))
}

/// Checks a run without faults in which one node gets an external signal.
#[track_caller]
fn struck_from_outside(folder: &Folder, signal: i32, code: i32, reason: &str) -> serde_json::Value {
    let args: Vec<&str> = QUICK.into_iter().chain(["--faults", "none"]).collect();
    let child = heckle(folder, &args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    assert!(wait_for(Duration::from_secs(60), || find(folder, "nodes/n1/metrics.jsonl").len() == 1), "the run gets going");
    let victim = nodes_alive(folder)[0];
    // SAFETY: the pid was just compared with its start time.
    unsafe { libc::kill(victim as libc::pid_t, signal) };
    let out = child.wait_with_output().expect("ends");
    assert_eq!(out.status.code(), Some(code), "signal {signal}\n{}", said(&out));
    let results = results(&out);
    let reasons = results["reasons"].to_string();
    assert!(reasons.contains(reason), "signal {signal}: {reasons}");
    assert_eq!(nodes_alive(folder), Vec::<u32>::new());
    results
}

#[test]
fn a_signal_that_only_comes_from_outside_is_an_error_of_the_machine() {
    for signal in [libc::SIGKILL, libc::SIGTERM] {
        let folder = Folder::new();
        let results = struck_from_outside(&folder, signal, 4, "ended without a fault");
        assert!(results["reasons"].to_string().contains("node.log"), "the end of its log is shown");
        assert_eq!(results.get("crashes"), None);
    }
}

#[test]
fn an_abort_is_a_crash_whatever_caused_it_in_check_and_explain() {
    let folder = Folder::new();
    let results = struck_from_outside(&folder, libc::SIGABRT, 1, "crash: n1 crashed at");
    assert_eq!((&results["crashes"][0]["kind"], &results["crashes"][0]["node"]), (&"crash".into(), &"n1".into()));
    expect_code(&folder, &["check", "latest"], 1);
    let explanation = said(&expect_code(&folder, &["explain", "latest"], 0));
    assert!(explanation.contains("crash of n1") && explanation.contains("SIGABRT") && explanation.contains("event=ready"), "{explanation}");
}

#[test]
fn an_assertion_that_fires_is_a_crash_with_its_text() {
    let folder = Folder::new();
    let out = expect_code(&folder, &["run", "--mutant", "learn-keeps-promised-low", "--quiet", "--json"], 1);
    let crash = &results(&out)["crashes"][0];
    assert!(crash["said"].as_str().is_some_and(|said| said.contains("is above the promise")), "{crash:#}");
    let explanation = said(&expect_code(&folder, &["explain", "latest-failed"], 0));
    assert!(explanation.contains("is above the promise") && explanation.contains("crash of"), "{explanation}");
}

/// Writes a plan whose nodes are started by a script. From the fourth start, which is the first restart in a cluster of
/// three nodes, the script runs `second`.
fn plan_with_restarts_that(folder: &Folder, second: &str) {
    let (script, starts) = (folder.path().join("node.sh"), folder.path().join("starts"));
    let heckle = env!("CARGO_BIN_EXE_heckle");
    let text = format!(
        "#!/bin/sh\necho x >> '{starts}'\nif [ $(wc -l < '{starts}') -gt 3 ]; then {second}; fi\nexec '{heckle}' \"$@\"\n",
        starts = starts.display()
    );
    std::fs::write(&script, text).expect("a writable folder");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    let plan = format!("schema = \"heckle.plan/1\"\n[cluster]\nbin = '{}'\n", script.display());
    std::fs::write(folder.path().join("plan.toml"), plan).expect("a writable folder");
}

#[test]
fn a_failed_restart_is_reported_first_and_refusing_its_own_data_is_a_crash() {
    for (second, code, first, also) in [
        ("exit 64", 4, "did not start again", ""),
        ("echo 'log is damaged at byte 7' >&2; exit 65", 1, "error of the run", "crash: n"),
        ("echo 'listen: Address already in use' >&2; exit 1", 4, "did not start again", ""),
    ] {
        let folder = Folder::new();
        plan_with_restarts_that(&folder, second);
        let more = ["plan.toml", "--faults", "kill", "--fault-every", "1s", "--fault-for", "500ms"];
        let args: Vec<&str> = QUICK.into_iter().chain(more).collect();
        let out = expect_code(&folder, &args, code);
        let results = results(&out);
        let reasons: Vec<&str> = results["reasons"].as_array().expect("a list").iter().filter_map(|r| r.as_str()).collect();
        assert!(reasons[0].contains(first) && reasons[0].contains("did not start again"), "{second}: {reasons:?}");
        assert!(reasons.iter().any(|r| r.contains(also)), "{second}: {reasons:?}");
        let checks = results["checks"].to_string();
        assert!(!checks.contains("no node crashed"), "{second}: the check does not pass over it: {checks}");
    }
}

#[test]
fn kills_of_nodes_that_are_still_down_wait_for_them() {
    let folder = Folder::new();
    let schedule = [(900, "kill", "n1"), (1_000, "kill", "n1"), (1_100, "kill-all", "all"), (1_200, "pause", "n1")];
    let lines: String = (0..).zip(schedule).map(|(id, (at, kind, target))| line(id, at, kind, target)).collect();
    std::fs::write(folder.path().join("s.jsonl"), lines).expect("a writable folder");
    let mut args: Vec<&str> = QUICK.to_vec();
    args[2] = "8s";
    args.extend(["--schedule", "s.jsonl", "--rate", "100"]);
    let out = output(&folder, &args);
    let results = results(&out);
    assert!([Some(0), Some(2)].contains(&out.status.code()), "no error of the run: {}", results["reasons"]);
    let faults = results["faults"].as_array().expect("a list");
    assert_eq!(faults.len(), 4, "{faults:#?}");
    for fault in faults {
        assert!(fault["effective"] == true && fault["healed"] == true, "each had its turn: {fault:#}");
    }
}

fn line(id: u32, at_ms: u64, kind: &str, target: &str) -> String {
    let event = |at: u64, state: &str| {
        format!("{{\"id\":{id},\"t\":{},\"kind\":\"{kind}\",\"targets\":[\"{target}\"],\"state\":\"{state}\"}}\n", at * 1_000_000)
    };
    event(at_ms, "begin") + &event(at_ms + 600, "end")
}

#[test]
fn an_out_that_is_no_text_is_one_folder() {
    let folder = Folder::new();
    let name = std::ffi::OsStr::from_bytes(b"out-\xff");
    let out =
        heckle(&folder, &["run", "--duration", "2s", "--warmup", "200ms", "--quiet-tail", "200ms", "--quiet", "--faults", "none", "--out"])
            .arg(name)
            .output()
            .expect("it runs");
    assert!(out.status.code() != Some(4), "{}", said(&out));
    let entries: Vec<_> = std::fs::read_dir(folder.path()).expect("readable").flatten().map(|e| e.file_name()).collect();
    assert_eq!(entries, [name], "one folder, and no second one for the data");
}
