//! A stored run is judged from its history alone, with the same result as the run itself. If any part of it is lost or
//! changed, it never passes.

use crate::common::*;
use serde_json::Value;
use std::path::{Path, PathBuf};

const SHORT: &[&str] = &["run", "--warmup", "500ms", "--quiet-tail", "1s", "--faults", "none", "--seed", "2", "--json", "--quiet"];

/// Performs a run that exits with `code`, and returns its folder and results.
fn run(folder: &Folder, extra: &[&str], code: i32) -> (PathBuf, Value) {
    let out = expect_code(folder, &[SHORT, extra].concat(), code);
    let results: Value = serde_json::from_slice(&out.stdout).expect("--json prints JSON");
    let root = std::fs::canonicalize(folder.path().join("results/runs/latest")).expect("a link to the run");
    (root, results)
}

/// Checks that `heckle check` on `target` exits with `code` and prints `words`.
#[track_caller]
fn checked(folder: &Folder, target: &Path, code: i32, words: &[&str]) {
    let output = said(&expect_code(folder, &["check", target.to_str().expect("UTF-8")], code));
    for part in words {
        assert!(output.contains(part), "no `{part}` in {output}");
    }
}

/// Returns the text of the history.
fn text(run: &Path) -> String {
    let packed = std::fs::read(run.join("history.jsonl.zst")).expect("recorded");
    String::from_utf8(zstd::decode_all(&packed[..]).expect("whole")).expect("UTF-8")
}

fn store(run: &Path, text: &str) {
    std::fs::write(run.join("history.jsonl.zst"), zstd::encode_all(text.as_bytes(), 3).expect("memory")).expect("writable");
}

#[test]
fn recheck_of_a_run_with_too_few_ops_is_inconclusive_whatever_its_results_say() {
    let folder = Folder::new();
    let (root, results) = run(&folder, &["--duration", "2s", "--rate", "8"], 2);
    assert_eq!(results["verdict"], "unknown");
    checked(&folder, Path::new("latest"), 2, &["verdict: unknown", results["reasons"][0].as_str().expect("a reason")]);
    let output = said(&expect_code(&folder, &["explain", "latest"], 0));
    for part in ["Unknown: no violation was found", "Why:", "What to change:", "`--rate`", "verdict: unknown"] {
        assert!(output.contains(part), "no `{part}` in {output}");
    }
    // A copy of the history elsewhere belongs to the same run.
    let copy = folder.path().join("elsewhere.zst");
    std::fs::copy(root.join("history.jsonl.zst"), &copy).expect("writable");
    checked(&folder, &copy, 2, &["verdict: unknown"]);
    for damage in [Some(""), Some("{}"), Some("{\"schema\":\"heckle.results/1\",\"verdict\":\"valid\"}"), None] {
        match damage {
            Some(bytes) => std::fs::write(root.join("results.json"), bytes).expect("writable"),
            None => std::fs::remove_file(root.join("results.json")).expect("there"),
        }
        checked(&folder, &root, 2, &["results.json", "verdict: unknown"]);
    }
}

#[test]
fn recheck_of_a_valid_run_is_valid_until_something_is_lost_or_changed() {
    let folder = Folder::new();
    let (root, results) = run(&folder, &["--duration", "2s", "--rate", "300"], 0);
    let (stored, whole) = (std::fs::read_to_string(root.join("results.json")).expect("written"), text(&root));
    checked(&folder, &root, 0, &["verdict: valid"]);
    checked(&folder, &root.join("history.jsonl.zst"), 0, &["verdict: valid"]);
    let too_long = said(&expect_code(&folder, &["check", "latest", "--max-bytes", "100"], 64));
    assert!(too_long.contains("longer than 100 bytes"), "the bound holds for a stored run too: {too_long}");
    let output = said(&expect_code(&folder, &["explain", "latest"], 0));
    for part in ["Valid: one order explains", "What happened:", "What would have been caught:", "What it does not show:"] {
        assert!(output.contains(part), "no `{part}` in {output}");
    }
    assert_eq!(results["history"]["events"], whole.lines().count() - 2);
    assert_eq!(results["history"]["whole"], true);

    // Damage the history: cut it at the end of a line, drop its last line, keep only the header, change a line.
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    for kept in [lines.len() - 1, lines.len() / 2, 1] {
        store(&root, &lines[..kept].concat());
        checked(&folder, &root, 2, &["no end record", "verdict: unknown"]);
        checked(&folder, &root.join("history.jsonl.zst"), 2, &["no end record", "verdict: unknown"]);
    }
    store(&root, &whole.replacen("\"need\":10", "\"need\":11", 1));
    checked(&folder, &root, 2, &["was changed after it was recorded", "hash"]);
    // Remove the end record and its announcement. Formally this is an old history, but not the one that results.json
    // describes.
    store(&root, &lines[..lines.len() - 1].concat().replacen("\"end\":true,", "", 1));
    checked(&folder, &root, 2, &["results.json is of another history"]);
    store(&root, &whole);

    // Damage the results: truncated, missing, of another run, unfinished, or with a wrong verdict.
    let said_otherwise = stored.replacen("\"verdict\": \"valid\"", "\"verdict\": \"gate_missed\"", 1);
    let going_on = stored.replacen("\"status\": \"done\"", "\"status\": \"running\"", 1);
    let of_another = stored.replacen("\"xxh3\": \"", "\"xxh3\": \"f", 1);
    for (bytes, words) in [
        ("", "results.json cannot be read"),
        (&stored[..stored.len() / 2], "results.json cannot be read"),
        (&said_otherwise, "results.json says gate_missed"),
        (&going_on, "still going on"),
        (&of_another, "of another history"),
    ] {
        std::fs::write(root.join("results.json"), bytes).expect("writable");
        checked(&folder, &root, 2, &[words, "verdict: unknown"]);
    }
    report_writes_results_anew(&folder, &root, &results);
}

/// Returns results without the parts that depend on how far a search gets within its time limit: on a busy machine, one
/// of two searches may give up. Whether a second opinion agrees is checked here.
#[track_caller]
fn without_second_opinions(mut results: Value) -> Value {
    for key in results.pointer_mut("/linearizability/keys").and_then(Value::as_array_mut).expect("keys") {
        let key = key.as_object_mut().expect("an object");
        let opinion = key.remove("second_opinion").expect("each key has a word on it");
        let opinion = opinion.as_str().expect("words");
        assert!(opinion == "the search agrees" || opinion.starts_with("none: time limit"), "{opinion}");
        key.remove("confirmed");
        key.remove("note");
    }
    results
}

/// Checks that `heckle report` never replaces missing results with defaults.
fn report_writes_results_anew(folder: &Folder, root: &Path, results: &Value) {
    let shown = root.to_str().expect("UTF-8");
    for damage in [Some("{\"schema\": \"heckle.resu"), None] {
        match damage {
            Some(bytes) => std::fs::write(root.join("results.json"), bytes).expect("writable"),
            None => std::fs::remove_file(root.join("results.json")).expect("there"),
        }
        let output = said(&expect_code(folder, &["report", shown], 0));
        assert!(output.contains("rewritten from the history") && output.contains("valid (exit code 0)"), "{output}");
        let read = std::fs::read_to_string(root.join("results.json")).expect("written");
        let mut anew: Value = serde_json::from_str(&read).expect("JSON");
        // Compare everything except what a history does not contain: how long the run and the judgement took, and when
        // files were written.
        for (pointer, _) in
            [("/wall_s", ()), ("/linearizability/check_ms", ()), ("/linearizability/second_opinion_ms", ()), ("/artifacts", ())]
        {
            *anew.pointer_mut(pointer).expect("a field") = results.pointer(pointer).expect("a field").clone();
        }
        assert_eq!(without_second_opinions(anew), without_second_opinions(results.clone()));
        checked(folder, root, 0, &["verdict: valid"]);
    }
    let aside = std::fs::read_to_string(root.join("results.damaged.json")).expect("set aside");
    assert_eq!(aside, "{\"schema\": \"heckle.resu");

    // The history was recorded before histories contained requirements, so no results can be derived from it.
    let whole = text(root);
    let (header, rest) = whole.split_once('\n').expect("a header");
    let mut header: Value = serde_json::from_str(header).expect("JSON");
    let fields = header.as_object_mut().expect("an object");
    fields.remove("terms");
    fields.remove("end");
    let events = rest.trim_end().rsplit_once('\n').expect("an end record").0;
    store(root, &format!("{header}\n{events}\n"));
    let kept = std::fs::read_to_string(root.join("results.json")).expect("written");
    let earlier = kept.replacen("\"whole\": true", "\"whole\": false", 1);
    std::fs::write(root.join("results.json"), &earlier).expect("writable");
    checked(folder, root, 0, &["recorded before", "verdict: valid"]);
    std::fs::write(root.join("results.json"), "").expect("writable");
    checked(folder, root, 2, &["does not say what its run was held to"]);
    let output = said(&expect_code(folder, &["report", shown], 64));
    assert!(output.contains("cannot be written anew") && output.contains("heckle check"), "{output}");
    assert_eq!(std::fs::read_to_string(root.join("results.json")).expect("left alone"), "", "defaults must not be written");
}

#[test]
fn recheck_of_a_missed_gate_misses_it_again() {
    let folder = Folder::new();
    let (root, _) = run(&folder, &["--duration", "2s", "--rate", "300", "--gate", "unknown_ratio<0"], 3);
    checked(&folder, &root, 3, &["verdict: gate missed", "gate unknown_ratio<0 missed"]);
    checked(&folder, &root.join("history.jsonl.zst"), 3, &["gate unknown_ratio<0 missed"]);
}
