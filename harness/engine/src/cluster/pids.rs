//! The run folder's list of node processes, so that `heckle clean` can end what a killed harness may have left.
//! A pid alone may be another's by then: it counts only together with its start time. And the list may have been written by
//! anyone: a process is a node of this run only if its environment names this very run folder and the node, or its command line the
//! node's data folder in it; and if it runs the program that was recorded or this one. What a node left in the background is known by
//! its environment alone.

use super::identity::proc_state;
use super::strays;
use heckle_results::input;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// One started process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Which node.
    pub node: String,
    /// Its process id and group.
    pub pid: u32,
    /// Clock ticks since boot.
    pub start_time: u64,
    /// The program it runs, as the kernel names it; older lists do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// The run folder, from the root; older lists do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
}

/// Name of the list in the run folder.
pub const FILE: &str = "pids.jsonl";

/// The name under which the harness itself stands in the list: while it lives, its nodes are not leftovers.
pub const HARNESS: &str = "harness";

/// Appends a process to the list.
///
/// # Errors
/// If the file cannot be written.
pub fn append(folder: &Path, node: &str, pid: u32) -> std::io::Result<()> {
    let start_time = proc_state(pid).map_or(0, |(_, t)| t);
    let words = |path: PathBuf| path.to_string_lossy().into_owned();
    let (program, root) = (program_of(pid).map(words), folder.canonicalize().ok().map(words));
    let line = serde_json::to_string(&Started { node: node.into(), pid, start_time, program, folder: root })?;
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(folder.join(FILE))?;
    writeln!(file, "{line}")
}

/// Those of the list that are still alive, and what the list says they are.
pub fn alive(folder: &Path) -> Vec<Started> {
    let text = input::text(&folder.join(FILE), input::PIDS).unwrap_or_default();
    let all = text.lines().filter_map(|l| serde_json::from_str::<Started>(l).ok());
    let lives = |s: &Started| proc_state(s.pid).is_some_and(|(state, t)| t == s.start_time && state != 'Z');
    let mut alive: Vec<Started> = all.filter(|s| lives(s) && is_of(s, folder)).collect();
    let Ok(root) = folder.canonicalize() else { return alive };
    for stray in strays::of(&root, None) {
        if !alive.iter().any(|known| known.pid == stray.pid) {
            let (program, folder) =
                (program_of(stray.pid).map(|p| p.to_string_lossy().into_owned()), Some(root.to_string_lossy().into_owned()));
            alive.push(Started { node: stray.node, pid: stray.pid, start_time: stray.start_time, program, folder });
        }
    }
    alive
}

/// Whether a process is the node of this run folder, or its harness.
fn is_of(started: &Started, folder: &Path) -> bool {
    let Ok(root) = folder.canonicalize() else { return false };
    if started.folder.as_ref().is_some_and(|f| *f != root.to_string_lossy()) {
        return false;
    }
    let Some(program) = program_of(started.pid) else { return false };
    if strays::owner(started.pid, &root).is_some_and(|node| node == started.node) {
        // A script's process may have become another program since.
        return true;
    }
    let this = std::env::current_exe().is_ok_and(|this| this == program);
    if started.program.as_ref().is_some_and(|p| *p != program.to_string_lossy()) && !this {
        return false;
    }
    // A harness is only ever spared for being alive, never killed.
    started.node == HARNESS || data_folder_of(started.pid).is_some_and(|data| data == root.join("nodes").join(&started.node).join("data"))
}

/// The program of a process. One that was replaced by a newer build meanwhile is still that program.
fn program_of(pid: u32) -> Option<PathBuf> {
    let path = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let gone = path.as_os_str().as_bytes().strip_suffix(b" (deleted)").map(|bytes| PathBuf::from(OsStr::from_bytes(bytes)));
    Some(gone.unwrap_or(path))
}

/// In the environment of a node's processes: the folder of its data, from the root. Not every program names it in its command line.
pub const DATA: &str = "HECKLE_DATA";

/// The folder of a node's data, from the root, as its command line says it (`--data DIR`, `--data-dir DIR`, or either with `=`), or else its
/// environment.
fn data_folder_of(pid: u32) -> Option<PathBuf> {
    let read = |file: &str| input::bytes(Path::new(&format!("/proc/{pid}/{file}")), input::KERNEL).unwrap_or_default();
    let (line, environment) = (read("cmdline"), read("environ"));
    let args: Vec<&[u8]> = line.split(|b| *b == 0).collect();
    let named = args.iter().enumerate().find_map(|(i, arg)| match *arg {
        b"--data" | b"--data-dir" => args.get(i + 1).copied(),
        other => other.strip_prefix(b"--data=").or_else(|| other.strip_prefix(b"--data-dir=")),
    });
    let variable = |entry: &'_ [u8]| entry.starts_with(DATA.as_bytes()) && entry.get(DATA.len()) == Some(&b'=');
    let set = environment.split(|b| *b == 0).find(|entry| variable(entry)).map(|entry| &entry[DATA.len() + 1..]);
    let value = named.or(set)?;
    let whole = std::fs::read_link(format!("/proc/{pid}/cwd")).ok()?.join(OsStr::from_bytes(value));
    // The data folder itself is removed after a run that passed, so the run folder above it is what is looked up.
    let run = whole.ancestors().nth(3)?;
    Some(run.canonicalize().ok()?.join(whole.strip_prefix(run).ok()?))
}

/// Kills one of them, with its group.
pub fn kill(started: &Started) {
    let pid = started.pid as libc::pid_t;
    // SAFETY: the caller took it from [`alive`], which compared start time, program and folder a moment ago. A group is struck
    // only where the process leads one, as nodes do.
    unsafe {
        if libc::getpgid(pid) == pid {
            libc::kill(-pid, libc::SIGKILL);
        }
        libc::kill(pid, libc::SIGKILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command};

    struct Run(PathBuf, Vec<Child>);

    impl Run {
        fn new(name: &str) -> Self {
            let root = std::env::temp_dir().join(format!("heckle-pids-{name}-{}", std::process::id()));
            std::fs::create_dir_all(root.join("nodes/n1/data")).expect("writable");
            Run(root, vec![])
        }

        /// A process of the test's own that sleeps, with these words behind its name.
        fn sleeper(&mut self, words: &[&str], data: Option<&str>) -> u32 {
            let mut command = Command::new("sh");
            command.args(["-c", "read line", "sh"]).args(words).current_dir(&self.0).process_group(0);
            command.envs(data.map(|data| (DATA, data)));
            let child = command.stdin(std::process::Stdio::piped()).spawn().expect("a shell");
            let pid = child.id();
            self.1.push(child);
            // Until it has become the shell, its command line is the test's.
            let named = || input::kernel(format!("/proc/{pid}/cmdline")).is_some_and(|line| line.starts_with("sh\0"));
            while !named() {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            pid
        }

        /// What of a list of one such line is taken for alive.
        fn taken(&self, line: &Started) -> usize {
            std::fs::write(self.0.join(FILE), serde_json::to_string(line).expect("plain") + "\n").expect("writable");
            alive(&self.0).len()
        }
    }

    impl Drop for Run {
        fn drop(&mut self) {
            for child in &mut self.1 {
                let _ = child.kill();
                let _ = child.wait();
            }
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn only_a_process_of_this_run_folder_is_taken_for_its_node() {
        let mut run = Run::new("forged");
        let data = run.0.join("nodes/n1/data").to_string_lossy().into_owned();
        let others = [vec![], vec![data.as_str()], vec!["--data", "/elsewhere/nodes/n1/data"], vec!["--data", "nodes/n2/data"]];
        let forged = |pid: u32, node: &str| {
            let start_time = proc_state(pid).expect("alive").1;
            Started { node: node.into(), pid, start_time, program: None, folder: None }
        };
        for words in others {
            let pid = run.sleeper(&words, Some("/elsewhere/nodes/n1/data"));
            let program = program_of(pid).map(|p| p.to_string_lossy().into_owned());
            let folder = run.0.canonicalize().ok().map(|f| f.to_string_lossy().into_owned());
            assert_eq!(run.taken(&forged(pid, "n1")), 0, "{words:?}");
            assert_eq!(run.taken(&Started { program, folder, ..forged(pid, "n1") }), 0, "{words:?}");
        }
        let cases = [vec!["--data", data.as_str()], vec!["--data", "nodes/n1/data"], vec!["--data-dir=nodes/n1/data"], vec![]];
        for words in cases {
            // Without words its environment says it.
            let pid = run.sleeper(&words, words.is_empty().then_some(data.as_str()));
            assert_eq!(run.taken(&forged(pid, "n1")), 1, "{words:?}: an older list");
            assert_eq!(run.taken(&forged(pid, "n2")), 0, "another node's");
            assert_eq!(run.taken(&Started { start_time: 1, ..forged(pid, "n1") }), 0, "another time");
            assert_eq!(run.taken(&Started { program: Some("/bin/other".into()), ..forged(pid, "n1") }), 0, "another program");
            assert_eq!(run.taken(&Started { folder: Some("/elsewhere".into()), ..forged(pid, "n1") }), 0, "another folder");
            append(&run.0, "n1", pid).expect("writable");
            let own = alive(&run.0).pop().expect("as it was recorded");
            kill(&own);
            assert!(run.1.last_mut().expect("started").wait().is_ok_and(|status| !status.success()));
        }
    }
}
