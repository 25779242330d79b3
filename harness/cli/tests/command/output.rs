//! Verbs whose stdout cannot be written: a closed pipe ends them silently; a full disk is an error.

use crate::common::*;
use std::fs::OpenOptions;
use std::process::{Output, Stdio};

/// Verbs that print without a run, and their exit codes.
const VERBS: [(&[&str], i32); 8] = [
    (&["list"], 0),
    (&["--help"], 0),
    (&["--version"], 0),
    (&["mutants"], 0),
    (&["mutants", "--json"], 0),
    (&["completions", "bash"], 0),
    (&["show", "latest"], 64),
    (&["rnu"], 64),
];

#[track_caller]
fn run(folder: &Folder, args: &[&str], stdout: Stdio) -> Output {
    heckle(folder, args).stdout(stdout).stderr(Stdio::piped()).spawn().and_then(|child| child.wait_with_output()).expect("it runs")
}

#[test]
fn a_reader_that_went_away_changes_nothing() {
    let f = Folder::new();
    for (args, code) in VERBS {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let out = run(&f, args, writer.into());
        assert_eq!(out.status.code(), Some(code), "heckle {}\n{}", args.join(" "), said(&out));
        assert!(code != 0 || out.stderr.is_empty(), "heckle {}\n{}", args.join(" "), said(&out));
        assert!(!said(&out).contains("panicked"), "{}", said(&out));
    }
}

#[test]
fn a_full_disk_behind_stdout_is_an_error() {
    let f = Folder::new();
    for (args, code) in VERBS {
        let full = OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
        let out = run(&f, args, full.into());
        let want = if code == 0 { 4 } else { code };
        assert_eq!(out.status.code(), Some(want), "heckle {}\n{}", args.join(" "), said(&out));
        assert!(code != 0 || said(&out).contains("cannot write to standard output: No space left"), "{}", said(&out));
        assert!(!said(&out).contains("panicked"), "{}", said(&out));
    }
}

#[test]
fn a_stderr_that_cannot_be_written_is_no_reason_to_panic() {
    let f = Folder::new();
    let full = OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
    let status = heckle(&f, &["show", "latest"]).stdout(Stdio::null()).stderr(full).status().expect("it runs");
    assert_eq!(status.code(), Some(64));
}
