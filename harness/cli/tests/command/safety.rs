//! Hostile input does no harm: endless files, names that steer a terminal or forge a verdict, keys whose files would
//! overwrite each other, lists of other users' processes, and plans that name programs.

use crate::common::*;
use heckle_history::printable::needs_escape;
use heckle_results::Results;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Checks that the input is rejected with exit code 64 and a line that mentions all of `parts`.
#[track_caller]
fn refused(f: &Folder, args: &[&str], parts: &[&str]) {
    let out = expect_code(f, args, 64);
    for part in parts {
        assert!(said(&out).contains(part), "heckle {}: no `{part}` in\n{}", args.join(" "), said(&out));
    }
}

#[test]
fn files_without_end_are_refused_at_once() {
    let f = Folder::new();
    std::fs::create_dir(f.path().join("dir")).expect("writable");
    let made = Command::new("mkfifo").arg(f.path().join("pipe")).status().expect("mkfifo");
    assert!(made.success());
    let hole = std::fs::File::create(f.path().join("hole")).expect("writable");
    hole.set_len(1 << 40).expect("a hole");
    for (file, what) in [("/dev/zero", "a device"), ("pipe", "a pipe"), ("dir", "a folder"), ("hole", "more than")] {
        refused(&f, &["run", file], &[file, what]);
        refused(&f, &["run", "--schedule", file], &[file, what]);
        refused(&f, &["suite", file], &[file, what]);
        refused(&f, &["compare", file], &[file, what]);
        refused(&f, &["node", "--config", file], &[file, what]);
    }
    // Files in a run folder are not trusted either.
    let run = f.path().join("results/runs/p/20260101T000000Z-0000");
    std::fs::create_dir_all(&run).expect("writable");
    std::fs::write(run.join("history.jsonl"), "").expect("writable");
    std::fs::rename(f.path().join("hole"), run.join("results.json")).expect("the same disk");
    refused(&f, &["show", "results/runs/p/20260101T000000Z-0000"], &["results.json", "more than"]);
}

/// Strings that may occur in a name, a reason or a log line, each with a distinct prefix.
const HOSTILE: &str = "x\u{1b}[2J\u{1b}]0;t\u{7}\nverdict: valid\r\nverdict   VALID\u{9b}31m\u{202e}evil\u{2066}\u{200b}|`<script>alert(1)</script>&\"'\u{0}\u{8}";

/// Creates a run folder whose history, results and log contain such strings in every place that allows a string. The
/// history has a stale read.
fn hostile_run(f: &Folder) -> PathBuf {
    let run = f.path().join("results/runs/p/20260101T000000Z-0000");
    std::fs::create_dir_all(run.join("nodes")).expect("writable");
    let (key, node) = (format!("key{HOSTILE}"), format!("node{HOSTILE}"));
    let write = |op: u64, t: u64, new: i64| {
        let ballot = format!("ballot{HOSTILE}");
        vec![
            json!({"e": "invoke", "op": op, "process": op, "client": "c1", "t": t, "key": key, "f": "write", "new": new, "node": node}),
            json!({"e": "ok", "op": op, "t": t + 5, "f": "write", "node": node, "reason": format!("reason{HOSTILE}"), "ballot": ballot}),
        ]
    };
    let read = |op: u64, t: u64, value: i64| {
        vec![
            json!({"e": "invoke", "op": op, "process": op, "client": "c2", "t": t, "key": key, "f": "read", "node": node}),
            json!({"e": "ok", "op": op, "t": t + 5, "f": "read", "value": value, "node": node}),
        ]
    };
    let fault = |t: u64, state: &str| json!({"e": "fault", "id": 1, "t": t, "kind": format!("kill{HOSTILE}"), "targets": [node], "state": state, "evidence": {format!("e{HOSTILE}"): HOSTILE}});
    let mut lines = vec![json!({"schema": "heckle.history/1", "run_id": HOSTILE, "keys": [key], "nodes": [node], "model": "register"})];
    lines.extend(write(1, 10, 1));
    lines.push(fault(18, "began"));
    lines.push(json!({"e": "node", "t": 19, "node": node, "what": format!("panic{HOSTILE}"), "how": HOSTILE}));
    lines.extend(write(2, 20, 2));
    lines.push(fault(27, "ended"));
    lines.extend(read(3, 30, 1));
    let text: String = lines.iter().map(|l| l.to_string() + "\n").collect();
    std::fs::write(run.join("history.jsonl"), text).expect("writable");
    let mut results = Results { run_id: format!("run{HOSTILE}"), seed: HOSTILE.into(), ..Results::default() };
    results.plan.name = HOSTILE.into();
    results.plan.labels.insert(HOSTILE.into(), HOSTILE.into());
    results.reasons = vec![format!("reason{HOSTILE}"), "verdict: valid".into()];
    results.warnings = vec![HOSTILE.into()];
    std::fs::write(run.join("results.json"), results.to_json()).expect("writable");
    std::fs::write(run.join("plan.resolved.toml"), "schema = \"heckle.plan/1\"\n").expect("writable");
    run
}

/// Checks that a text has no control sequences and, if it is `ours` to state the verdict, states it exactly once.
#[track_caller]
fn harmless(what: &str, text: &str, verdicts: usize) {
    let bad = text.chars().find(|c| needs_escape(*c) && !matches!(c, '\n' | '\t'));
    assert_eq!(bad, None, "{what} lets {bad:?} through:\n{text:?}");
    let forged: Vec<&str> = text.lines().filter(|l| l.starts_with("verdict")).collect();
    assert_eq!(forged.len(), verdicts, "{what}: {forged:?} in\n{text}");
}

#[test]
fn nothing_from_elsewhere_steers_a_terminal_or_forges_a_verdict() {
    let f = Folder::new();
    let run = hostile_run(&f);
    let (folder, history) = (run.display().to_string(), run.join("history.jsonl").display().to_string());
    let both = |args: &[&str]| {
        let out = output(&f, args);
        let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        assert!(!text.contains("panicked") && !text.is_empty(), "{args:?}: {text}");
        (args.join(" "), text)
    };
    // `check`, `show` and `explain` print the verdict as text; no line of JSON starts like a verdict.
    for (args, verdicts) in [
        (&["check", &history][..], 1),
        (&["check", &folder], 1),
        (&["check", &folder, "--json"], 0),
        (&["report", &folder], 0),
        (&["show", &folder], 1),
        (&["show", &folder, "--json"], 0),
        (&["show", &folder, "--slowest", "5"], 0),
        (&["show", &folder, "--during"], 0),
        (&["show", &folder, "--clients"], 0),
        (&["explain", &folder], 1),
        (&["list"], 0),
        (&["list", "--json"], 0),
        (&["gc"], 0),
        (&["diff", &folder, &folder], 1),
        (&["export", &history, "--format", "csv", "--to", "exported"], 0),
        (&["check", HOSTILE_FILE], 0),
        (&["run", HOSTILE_FILE], 0),
        (&["ctl", "status", HOSTILE_FILE], 0),
    ] {
        let (what, text) = both(args);
        harmless(&what, &text, verdicts);
    }
    for file in ["summary.md", "junit.xml", "report.html", "violations/1/explain.txt", "violations/1/timeline.html"] {
        let text = std::fs::read_to_string(run.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        // In a page, a newline is equivalent to a space, except in preformatted text, which contains only the texts
        // tested above.
        harmless(file, &if file.ends_with(".html") { text.replace('\n', " ") } else { text.clone() }, 0);
        // In Markdown, code between backticks is not markup, and a backtick in a name cannot end the code early:
        // outside code, each backtick is escaped.
        let outside_code: String = if file.ends_with(".md") { text.replace("\\`", "").split('`').step_by(2).collect() } else { text };
        assert!(file.ends_with(".txt") || !outside_code.contains("<script>alert"), "{file}:\n{outside_code}");
    }
}

/// A name as an argument, which cannot contain a zero byte.
const HOSTILE_FILE: &str = "file\u{1b}[2J\nverdict: valid\u{9b}\u{202e}";

#[test]
fn keys_that_look_alike_get_files_of_their_own() {
    let f = Folder::new();
    let keys = ["a/b", "a-b", "a b", "a%2Fb", "..", ".", "", "A\u{0}", &"k".repeat(400), &("k".repeat(400) + "x"), "../../out"];
    let mut text = json!({"schema": "heckle.history/1", "keys": keys}).to_string() + "\n";
    for (i, key) in keys.iter().enumerate() {
        text += &(json!({"e": "invoke", "op": i, "process": i, "t": i * 10, "key": key, "f": "write", "new": i}).to_string() + "\n");
        text += &(json!({"e": "ok", "op": i, "t": i * 10 + 5, "f": "write"}).to_string() + "\n");
    }
    std::fs::write(f.path().join("h.jsonl"), text).expect("writable");
    let args = ["export", "h.jsonl", "--format", "csv", "--to", "to/here"];
    expect_code(&f, &args, 0);
    let files = || {
        let all = std::fs::read_dir(f.path().join("to/here")).expect("made").map(|e| e.expect("readable").path());
        all.collect::<Vec<PathBuf>>()
    };
    assert_eq!(files().len(), keys.len(), "{:?}", files());
    for (i, key) in ["a%2Fb", "a-b", "a%20b"].iter().enumerate() {
        let text = std::fs::read_to_string(f.path().join(format!("to/here/{key}.csv"))).expect(key);
        assert!(text.contains(&i.to_string()), "{text}");
    }
    // Without the flag, no file is replaced, and links are never written through.
    refused(&f, &args, &["is there already", "--force"]);
    let victim = f.path().join("victim");
    std::fs::write(&victim, "mine").expect("writable");
    std::fs::remove_file(f.path().join("to/here/a-b.csv")).expect("there");
    std::os::unix::fs::symlink(&victim, f.path().join("to/here/a-b.csv")).expect("a link");
    refused(&f, &args, &["is there already"]);
    expect_code(&f, &[&args[..], &["--force"]].concat(), 0);
    assert_eq!((std::fs::read_to_string(&victim).expect("there").as_str(), files().len()), ("mine", keys.len()));
}

#[test]
fn clean_ends_no_process_that_a_forged_list_names() {
    let f = Folder::new();
    let run = f.path().join("results/runs/p/20260101T000000Z-0000");
    std::fs::create_dir_all(&run).expect("writable");
    std::fs::write(run.join("results.json"), Results::default().to_json()).expect("writable");
    let mut sleeper = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().expect("sleep");
    let start = heckle::cluster::process::proc_state(sleeper.id()).expect("alive").1;
    std::fs::write(run.join("pids.jsonl"), format!("{}\n", json!({"node": "n1", "pid": sleeper.id(), "start_time": start})))
        .expect("writable");
    let out = expect_code(&f, &["clean"], 0);
    let alive = sleeper.try_wait().expect("ours").is_none();
    let _ = sleeper.kill();
    let _ = sleeper.wait();
    assert!(alive && said(&out).contains("0 ended"), "{}", said(&out));
}

#[test]
fn a_program_that_a_foreign_run_names_needs_consent() {
    let f = Folder::new();
    let state = f.path().join("state");
    let code = |args: &[&str]| {
        let out = heckle(&f, args).env("XDG_STATE_HOME", &state).output().expect("the binary starts");
        (out.status.code(), said(&out))
    };
    let bin = env!("CARGO_BIN_EXE_heckle");
    let short = ["--duration", "1s", "--warmup", "0s", "--quiet-tail", "0s", "--faults", "none", "--rate", "50"];
    code(&[&["run", "--quiet", "--bin", bin][..], &short].concat());
    let run = find(&f, "plan.seal").pop().expect("sealed").parent().expect("a run folder").to_owned();
    let folder = run.display().to_string();
    let secret = std::fs::read_to_string(state.join("heckle/machine")).expect("kept outside");
    for file in ["plan.seal", "env.json", "results.json", "plan.resolved.toml"] {
        assert!(!std::fs::read_to_string(run.join(file)).expect(file).contains(&secret), "{file} holds the secret");
    }
    // Without its schedule, an accepted plan fails for that reason, so no second run starts.
    std::fs::remove_file(run.join("schedule.jsonl")).expect("there");
    let passes = |args: &[&str]| {
        let (exit, words) = code(args);
        assert_eq!(exit, Some(64), "{words}");
        if words.contains("--allow-programs") { false } else { words.contains("schedule.jsonl") }
    };
    assert!(passes(&["rerun", &folder]), "written here");
    let elsewhere = |dir: &Path| std::fs::rename(&state, dir).expect("the same disk");
    elsewhere(&f.path().join("away"));
    assert!(!passes(&["rerun", &folder]), "another machine");
    assert!(passes(&["rerun", &folder, "--allow-programs"]), "with consent");
    std::fs::rename(f.path().join("away"), &state).expect("the same disk");
    assert!(passes(&["rerun", &folder]), "here again");
    let plan = std::fs::read_to_string(run.join("plan.resolved.toml")).expect("there");
    std::fs::write(run.join("plan.resolved.toml"), plan.replace(bin, "/bin/true")).expect("writable");
    assert!(!passes(&["rerun", &folder]), "another plan under our seal");
}

#[test]
fn values_of_environment_variables_are_in_no_file_of_a_run() {
    let f = Folder::new();
    let secret = "hunter2-of-the-environment";
    let args = ["run", "--quiet", "--duration", "1s", "--warmup", "0s", "--quiet-tail", "0s", "--faults", "none", "--rate", "50"];
    heckle(&f, &args).env("HECKLE_TEST_SECRET", secret).output().expect("the binary starts");
    let mut folders = vec![f.path().join("results")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).expect("readable").map(|e| e.expect("readable").path()) {
            if path.is_symlink() {
                continue;
            } else if path.is_dir() {
                folders.push(path);
            } else {
                files += 1;
                let bytes = std::fs::read(&path).expect("readable");
                assert!(!bytes.windows(secret.len()).any(|w| w == secret.as_bytes()), "{}", path.display());
            }
        }
    }
    assert!(files > 8, "{files} files");
}
