//! Files from elsewhere are read within limits: no code in the command, in `results` or in a system adapter calls a
//! function that reads without a limit.

use std::path::{Path, PathBuf};

/// Functions that read a whole file, a whole pipe or a line of any length. Only the module in `READER` may use them.
const UNBOUNDED: [&str; 5] = ["fs::read_to_string(", "fs::read(", "File::open(", ".read_to_end(", ".read_to_string("];
const READER: &str = "results/src/folder/input.rs";

/// Files that contain such calls, the number of calls, and why they are safe.
const ALLOWED: [(&str, usize, &str); 15] = [
    ("results/src/folder/atomic.rs", 1, "opens a folder to sync it"),
    ("harness/engine/src/history_file.rs", 2, "a history is streamed, and `heckle-history` holds the limits; what /proc says of memory"),
    ("harness/engine/src/relay/raw/sockets.rs", 1, "the kernel's table of sockets, under /proc, a line at a time"),
    ("harness/engine/src/search.rs", 2, "pipes between this program and itself, the child under a limit of memory and time"),
    ("harness/engine/src/suite/child.rs", 1, "what a run of this program prints"),
    ("systems/etcd/src/members.rs", 1, "after `take`"),
    ("systems/loopback/src/lib.rs", 1, "the kernel's range of ports, under /proc"),
    ("harness/engine/src/cluster/log_tail.rs", 2, "a bounded end of a log, from where its process began, after `take`"),
    ("harness/engine/src/cluster/running.rs", 2, "a bounded part of a log, after `take`"),
    ("systems/external/src/command.rs", 1, "what a command prints, after `take`"),
    ("systems/external/src/ready.rs", 1, "after `take`"),
    ("systems/zookeeper/src/ensemble.rs", 1, "after `take`"),
    ("harness/engine/src/read_ahead.rs", 1, "a block at a time, after `take`"),
    ("harness/engine/src/run/strain.rs", 2, "what the kernel counts of the machine and of our own threads, under /proc"),
    (READER, 4, "the reader"),
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs") && !path.to_string_lossy().contains("/tests/")
        {
            found.push(path);
        }
    }
}

/// Counts the unlimited reads in `text`, excluding unit tests.
fn calls(text: &str) -> usize {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = code.lines().filter(|l| !l.trim_start().starts_with("//"));
    lines.map(|l| UNBOUNDED.iter().filter(|call| l.contains(*call)).count()).sum()
}

#[test]
fn only_one_module_reads_files_from_elsewhere() {
    assert_eq!(calls("let a = std::fs::read_to_string(p);\nlet b = File::open(p)?.read_to_end(&mut v);\n// fs::read(p)\n"), 3);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("a workspace");
    let mut all = vec![];
    for part in ["harness/engine/src", "harness/cli/src", "results/src", "systems"] {
        sources(&root.join(part), &mut all);
    }
    assert!(all.len() > 100, "{} files", all.len());
    // Every allowed file must exist: when a file moves, its entry must move too.
    for (file, count, _) in ALLOWED {
        assert_eq!(calls(&std::fs::read_to_string(root.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))), count, "{file}");
    }
    for path in all {
        let name = path.strip_prefix(root).expect("below").to_string_lossy().into_owned();
        let got = calls(&std::fs::read_to_string(&path).expect("readable"));
        let allowed = ALLOWED.iter().find(|(file, ..)| *file == name).map_or(0, |(_, n, _)| *n);
        assert!(
            got <= allowed,
            "{name} reads without a limit {got} times, {allowed} are known: use `heckle_results::input`, which refuses pipes, devices and files that are too large"
        );
    }
}
