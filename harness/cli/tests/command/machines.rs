//! Our files read by other tools: the Python code in `docs/machines.md` is run on real runs, and its output is compared
//! with the history. This requires `python3` with the packages listed on the page. Without them, the tests print a
//! notice and check nothing.

use crate::common::*;
use heckle_history::operation::{History, Keep};
use heckle_history::{Outcome, Seen};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const PAGE: &str = include_str!("../../../../docs/machines.md");

/// Returns the Python code below this heading.
fn script(heading: &str) -> &'static str {
    let (_, rest) = PAGE.split_once(&format!("## {heading}\n")).unwrap_or_else(|| panic!("no heading `{heading}`"));
    rest.split_once("```python\n").and_then(|(_, rest)| rest.split_once("```")).expect("a fence").0
}

fn python(at: &Path, script: &str) -> Output {
    Command::new("python3").args(["-c", script]).current_dir(at).env("PYTHONIOENCODING", "utf-8").output().expect("starts")
}

fn has(module: &str) -> bool {
    let found = Command::new("python3").args(["-c", &format!("import {module}")]).output().is_ok_and(|out| out.status.success());
    if !found {
        eprintln!("SKIPPED: no python3 that can `import {module}`, so nothing was read back with it (pip install, see docs/machines.md)");
    }
    found
}

#[track_caller]
fn answer(at: &Path, script: &str) -> String {
    let out = python(at, script);
    assert!(out.status.success(), "{}", said(&out));
    String::from_utf8(out.stdout).expect("UTF-8")
}

/// Performs a short run, and returns its folder and history.
fn run(folder: &Folder) -> (PathBuf, History) {
    let args = ["run", "--faults", "partition:isolate", "--duration", "5s", "--warmup", "500ms", "--quiet-tail", "500ms", "--quiet"];
    let out = output(folder, &[&args[..], &["--rate", "200", "--keys", "3"]].concat());
    assert!(matches!(out.status.code(), Some(0 | 2)), "{}", said(&out));
    let run = folder.path().join("results/runs/latest");
    let file = std::fs::File::open(run.join("history.jsonl.zst")).expect("recorded");
    (run, History::read(file, Keep::Details).expect("well-formed"))
}

#[test]
fn machines_read_a_history_with_duckdb() {
    if !has("duckdb") {
        return;
    }
    let folder = Folder::new();
    let (_, history) = run(&folder);
    expect_code(&folder, &["export", "latest", "--format", "csv", "--to", "csv"], 0);
    let table = answer(folder.path(), script("A history in SQL"));
    let rows = table.lines().filter(|l| l.starts_with('│')).map(|l| l.trim_matches('│').split('│').map(str::trim).collect::<Vec<_>>());
    let listed: BTreeMap<(String, String), usize> =
        rows.filter_map(|r| Some(((r[0].to_owned(), r[1].to_owned()), r.get(2)?.parse().ok()?))).collect();
    let mut want: BTreeMap<(String, String), usize> = BTreeMap::new();
    for op in &history.ops {
        let outcome = match op.outcome {
            Outcome::Ok(Seen::ConditionNotMet(_)) => "refused",
            Outcome::Ok(_) => "ok",
            Outcome::Failed => "fail",
            Outcome::Unknown | Outcome::Open => "unknown",
        };
        *want.entry((op.call.name().to_owned(), outcome.to_owned())).or_default() += 1;
    }
    assert_eq!(listed, want, "{table}");
}

#[test]
fn machines_read_a_history_from_parquet() {
    if !has("duckdb") {
        return;
    }
    let folder = Folder::new();
    let (_, history) = run(&folder);
    expect_code(&folder, &["export", "latest", "--format", "csv", "--to", "csv"], 0);
    let table = answer(folder.path(), script("A history in Parquet"));
    let rows = table.lines().filter(|l| l.starts_with('│')).map(|l| l.trim_matches('│').split('│').map(str::trim).collect::<Vec<_>>());
    let listed: BTreeMap<String, usize> = rows.filter_map(|r| Some((r[0].to_owned(), r.get(1)?.parse().ok()?))).collect();
    let mut want: BTreeMap<String, usize> = BTreeMap::new();
    history.ops.iter().for_each(|op| *want.entry(op.call.name().to_owned()).or_default() += 1);
    assert_eq!(listed, want, "{table}");
}

#[test]
fn machines_read_figures_with_prometheus_own_parser() {
    if !has("prometheus_client") {
        return;
    }
    let folder = Folder::new();
    let (_, history) = run(&folder);
    let text = answer(folder.path(), script("Figures for dashboards"));
    let ok = history.ops.iter().filter(|op| matches!(op.outcome, Outcome::Ok(_))).count();
    assert!(text.trim().ends_with(&format!("figures, {} ops, {ok} ok", history.ops.len())), "{text}");
}

#[test]
fn machines_read_latencies_with_another_hdr_tool() {
    if !has("hdrh") {
        return;
    }
    let folder = Folder::new();
    let (_, history) = run(&folder);
    let text = answer(folder.path(), script("Latency in other HDR tools"));
    let ok = history.ops.iter().filter(|op| matches!(op.outcome, Outcome::Ok(_)));
    let mut took: Vec<f64> = ok.map(|op| op.completed.since(op.intended).as_ms_f64()).collect();
    took.sort_by(f64::total_cmp);
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|w| w.parse().ok()).collect();
    let [count, p99, max] = numbers[..] else { panic!("{text}") };
    assert_eq!(count as usize, took.len(), "{text}");
    let close = |a: f64, b: f64| (a - b).abs() <= b * 0.002;
    let rank = (took.len() as f64 * 0.99).ceil() as usize - 1;
    // Quantiles may differ by one rank, depending on the definition.
    assert!((rank.saturating_sub(1)..=rank + 1).any(|r| took.get(r).is_some_and(|t| close(p99, *t))), "{text}, {}", took[rank]);
    assert!(close(max, *took.last().expect("some")), "{text}");
}

#[test]
fn machines_read_junit_with_a_parser_of_its_own() {
    if !has("junitparser") {
        return;
    }
    let folder = Folder::new();
    // This gate cannot be met by any machine. Names and reasons contain markup.
    let plan = "schema = \"heckle.plan/1\"\nname = \"read\"\n[load]\nduration = \"2s\"\nwarmup = \"0s\"\nkeys = 1\nrate = 400\n[faults]\nkinds = [\"none\"]\nquiet_tail = \"0s\"\n[gates]\nmax_ms = \"<0.0001\"\n[suite.axes]\nvalue_bytes = [8, 16]\n";
    std::fs::write(folder.path().join("read.toml"), plan).expect("writable");
    let code = output(&folder, &["suite", "read.toml", "--quiet"]).status.code();
    let suite = find(&folder, "suite.json").remove(0);
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&suite).expect("readable")).expect("JSON");
    let codes: Vec<i64> =
        json["cells"].as_array().expect("cells").iter().map(|c| c["runs"][0]["run"]["exit_code"].as_i64().expect("a code")).collect();
    let of = |want: i64| codes.iter().filter(|c| **c == want).count();
    // On a machine too busy to send ops in time, the gate does not count. The run is then inconclusive, which JUnit
    // calls an error.
    assert_eq!((of(3) + of(2), codes.len()), (2, 2), "{codes:?}, {code:?}");
    let root = suite.parent().expect("a folder");
    let text = answer(root, script("JUnit and the step summary"));
    assert_eq!(text.trim(), format!("read 2 cases, {} failed, {} undecided, 0 not run", of(3), of(2)));
    // The file of a single run names its gate, whatever characters the name contains.
    let names = "from junitparser import JUnitXml\nfor s in JUnitXml.fromfile('junit.xml'):\n    for c in s: print(c.name)\n";
    let run = std::fs::canonicalize(folder.path().join("results/runs/latest")).expect("a run");
    let text = answer(&run, names);
    assert!(text.contains("max_ms<0.0001"), "{text}");
}

#[test]
fn machines_refuse_what_is_cut_off() {
    if !has("junitparser") {
        return;
    }
    let folder = Folder::new();
    std::fs::write(folder.path().join("junit.xml"), "<testsuites><testsuite name=\"a\" tests=\"1\"").expect("writable");
    assert!(!python(folder.path(), script("JUnit and the step summary")).status.success());
}
