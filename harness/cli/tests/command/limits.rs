//! Limits of the machine: checked before the load starts, reported in one line, exit code 4.

use crate::common::*;
use std::process::{Command, Output, Stdio};

/// Runs the command under limits set by a shell.
fn limited(folder: &Folder, limits: &str, args: &str) -> Output {
    let script = format!("{limits} && exec '{}' {args}", env!("CARGO_BIN_EXE_heckle"));
    Command::new("sh").args(["-c", &script]).current_dir(folder.path()).stdin(Stdio::null()).output().expect("a shell")
}

#[track_caller]
fn refused(limits: &str, args: &str, parts: &[&str]) {
    let folder = Folder::new();
    let out = limited(&folder, limits, args);
    let text = said(&out);
    assert_eq!(out.status.code(), Some(4), "{limits}: {text}");
    for part in parts {
        assert!(text.contains(part), "{limits}: it does not say `{part}`:\n{text}");
    }
    assert!(!text.contains("panicked") && text.trim().lines().count() == 1, "{limits}: one line:\n{text}");
    assert!(!folder.path().join("results").exists(), "{limits}: nothing was begun");
}

#[test]
fn a_limit_that_is_too_low_is_named_before_the_load_starts() {
    refused("ulimit -n 40", "run --quiet --duration 2s", &["file descriptors", "the limit is 40", "ulimit -n"]);
    refused("ulimit -n 100", "run --quiet --duration 2s --clients 64", &["64 clients", "the limit is 100", "ulimit -n"]);
    refused("ulimit -n 400", "sweep --quiet --over clients=1,512", &["512 clients", "the limit is 400", "ulimit -n"]);
    refused("ulimit -f 100", "run --quiet --duration 2s", &["ulimit -f"]);
    refused("ulimit -v 300000", "run --quiet --duration 2s", &["ulimit -v", "address space"]);
}

#[test]
fn a_soft_limit_is_raised_where_the_hard_one_allows() {
    let folder = Folder::new();
    let args = "run --quiet --duration 2s --warmup 200ms --quiet-tail 200ms --faults none --clients 64";
    let out = limited(&folder, "ulimit -S -n 100", args);
    assert!(out.status.code() != Some(4), "{}", said(&out));
}
