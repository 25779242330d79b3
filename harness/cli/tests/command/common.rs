//! Shared by the tests of the command: a temporary folder and the binary.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A folder that is removed when dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("heckle-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a temporary folder");
        Folder(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Returns the command, to be run in `folder`, with its runs in `results/runs` below it.
pub(crate) fn heckle(folder: &Folder, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_heckle"));
    command.args(args).current_dir(folder.path()).stdin(Stdio::null());
    command
}

/// Runs the binary and waits until it exits.
pub(crate) fn output(folder: &Folder, args: &[&str]) -> Output {
    heckle(folder, args).output().expect("the binary starts")
}

/// Returns the standard output and standard error, for messages.
pub(crate) fn said(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs the command and checks its exit code.
#[track_caller]
pub(crate) fn expect_code(folder: &Folder, args: &[&str], code: i32) -> Output {
    let output = output(folder, args);
    assert_eq!(output.status.code(), Some(code), "heckle {}\n{}", args.join(" "), said(&output));
    output
}

/// Returns all files with this name below the folder of runs, two levels deep.
pub(crate) fn find(folder: &Folder, name: &str) -> Vec<PathBuf> {
    let children = |p: &Path| std::fs::read_dir(p).into_iter().flatten().flatten().map(|e| e.path()).collect::<Vec<_>>();
    let runs = folder.path().join("results/runs");
    let folders = children(&runs).into_iter().flat_map(|plan| children(&plan));
    folders.map(|run| run.join(name)).filter(|p| p.exists()).collect()
}

/// Returns the live processes (excluding zombies) in the pid files below the folder, without the harness itself.
pub(crate) fn nodes_alive(folder: &Folder) -> Vec<u32> {
    let lists = find(folder, "pids.jsonl");
    let runs = lists.iter().map(|p| p.parent().expect("a run folder"));
    let started = runs.flat_map(heckle::cluster::pids::alive);
    started.filter(|s| s.node != heckle::cluster::pids::HARNESS).map(|s| s.pid).collect()
}

/// Waits until `done` returns true, for at most `within`.
pub(crate) fn wait_for(within: Duration, mut done: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + within;
    while Instant::now() < deadline {
        if done() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    done()
}

/// A started command that is killed when dropped.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
