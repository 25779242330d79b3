//! Histories of other tools: each file in `tests/cases` gets the expected verdict.

use crate::common::*;
use std::path::{Path, PathBuf};

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

#[test]
fn every_case_gets_its_answer() {
    let table = std::fs::read_to_string(cases().join("cases.tsv")).expect("the table");
    let (folder, mut wrong, mut count) = (Folder::new(), vec![], 0);
    for line in table.lines().filter(|l| !l.starts_with('#') && !l.is_empty()) {
        let [file, format, model, extra, right, what] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("six columns: {line}") };
        let path = cases().join(file).display().to_string();
        let extra = extra.split(' ').filter(|flag| *flag != "-");
        let args: Vec<&str> = ["check", &path, "--format", format, "--model", model].into_iter().chain(extra).collect();
        let code = output(&folder, &args).status.code().expect("it exits by itself");
        if !right.split(' ').any(|r| r == code.to_string()) {
            wrong.push(format!("{file}: exit {code}, right is {right}: {what}"));
        }
        count += 1;
    }
    assert!(count >= 34 && wrong.is_empty(), "{} of {count} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Runs the command, which must exit with 64 and mention all of `parts`.
#[track_caller]
fn refused(folder: &Folder, args: &[&str], parts: &[&str]) {
    let text = said(&expect_code(folder, args, 64));
    for part in parts {
        assert!(text.contains(part), "heckle {} does not say `{part}`:\n{text}", args.join(" "));
    }
}

#[test]
fn devices_and_pipes_are_read_within_bounds() {
    let f = Folder::new();
    refused(&f, &["check", "/dev/zero"], &["line 1", "longer than"]);
    for format in ["jepsen-edn", "knossos-json", "porcupine-log", "csv"] {
        refused(&f, &["check", "/dev/zero", "--format", format], &["not UTF-8 text"]);
    }
    let pipe = f.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs");
    assert!(made.success());
    let text = std::fs::read(cases().join("hex.edn")).expect("a case");
    // The writer starts late, and the reader waits for it.
    let writing = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(200));
        std::fs::write(pipe, text)
    });
    expect_code(&f, &["check", "pipe", "--format", "jepsen-edn"], 0);
    writing.join().expect("the writer ends").expect("it was read");
    let long = cases().join("independent-cas.edn").display().to_string();
    refused(&f, &["check", &long, "--format", "jepsen-edn", "--max-bytes", "100"], &["longer than 100 bytes", "--max-bytes"]);
    refused(&f, &["check", &long, "--format", "jepsen-edn", "--max-bytes", "0"], &["--max-bytes `0`"]);
}

#[test]
fn what_is_not_understood_is_said() {
    let f = Folder::new();
    let text = "{:process 0, :type :invoke, :f :write, :value 1, :time 5}\n{:process 0, :type :oK, :f :write, :value 1, :time 4}\n";
    std::fs::write(f.path().join("typo.edn"), text).expect("a writable folder");
    let check = ["check", "typo.edn", "--format", "jepsen-edn"];
    refused(&f, &check, &["line 2", "oK", ":info"]);
    let json = said(&expect_code(&f, &[&check[..], &["--lenient", "--json"]].concat(), 2));
    let value: serde_json::Value = serde_json::from_str(&json).expect("JSON alone");
    assert_eq!((&value["schema"], &value["verdict"]), (&"heckle.check/1".into(), &"unknown".into()), "{json}");
    assert_eq!((&value["understood"]["lines_passed_over"], &value["understood"]["ops"]["write"]["unknown"]), (&1.into(), &1.into()));
    let warnings = value["warnings"].to_string();
    assert!(warnings.contains("1 lines were passed over (--lenient), first line 2") && warnings.contains("nothing was checked"), "{json}");
    refused(&f, &["check", "typo.edn", "--format", "jepsen-edn", "--key-from", "value"], &["--key-from `value` is none of"]);
}

#[test]
fn violations_of_other_objects_are_named_and_explained() {
    let f = Folder::new();
    #[rustfmt::skip] // A table.
    let table = [
        ("set-lost.edn",         "set",          "lost_update",     "op 0 added 1, was acknowledged and was over before op 2 was invoked"),
        ("list-append-stale.edn","list-append",  "stale_read",      "op 1 appended 2, was acknowledged"),
        ("list-append-fork.edn", "list-append",  "fork",            "differ at position 0"),
        ("queue-order.edn",      "queue",        "out_of_order",    "\"a\" was in before \"b\" was enqueued"),
        ("queue-empty.edn",      "queue",        "false_empty",     "found the queue empty"),
        ("counter-high.edn",     "counter",      "count_too_high",  "op 1 saw 2"),
        ("token-back.edn",       "fenced-mutex", "token_went_back", "got token 7, and later op 2 got token 5"),
    ];
    for (file, model, kind, words) in table {
        let path = cases().join(file).display().to_string();
        let args = ["check", &path, "--format", "jepsen-edn", "--model", model];
        let text = said(&expect_code(&f, &args, 1));
        assert!(text.contains(kind) && text.contains(words) && text.contains("counted"), "{file}:\n{text}");
        let json = expect_code(&f, &[&args[..], &["--json"]].concat(), 1).stdout;
        let value: serde_json::Value = serde_json::from_slice(&json).expect("JSON alone");
        let violation = &value["linearizability"]["violations"][0];
        assert_eq!((&violation["kind"], &violation["certified"]), (&kind.into(), &true.into()), "{value:#}");
        assert!(violation["meaning"].as_str().is_some_and(|m| text.contains(m)) && value["counts"].is_object(), "{value:#}");
    }
}
