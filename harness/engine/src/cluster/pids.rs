//! The run folder's list of node processes, so that `heckle clean` can kill the processes that a killed harness left
//! running. The kernel may have reused a pid, so it counts only together with its start time. The list itself cannot be
//! trusted either: a process is a node of this run only if its environment names this run folder and the node, or its
//! command line names the node's data folder in it, and if it runs the recorded program or this one. Background processes
//! of a node are identified only by their environment.

use super::identity::proc_state;
use super::strays;
use heckle_results::input;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Record of one started process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRecord {
    /// Name of the node.
    pub node: String,
    /// Process id, which is also its group id.
    pub pid: u32,
    /// Start time, in clock ticks since boot.
    pub start_time: u64,
    /// Path of its program, as reported by the kernel. Absent in older lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// Absolute path of the run folder. Absent in older lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
}

/// Name of the list in the run folder.
pub const FILE: &str = "pids.jsonl";

/// Name of the harness itself in the list. While the harness is alive, its nodes are not leftovers.
pub const HARNESS: &str = "harness";

/// Appends a process to the list.
///
/// # Errors
/// If the file cannot be written.
pub fn append(folder: &Path, node: &str, pid: u32) -> std::io::Result<()> {
    let start_time = proc_state(pid).map_or(0, |(_, t)| t);
    let words = |path: PathBuf| path.to_string_lossy().into_owned();
    let (program, root) = (program_of(pid).map(words), folder.canonicalize().ok().map(words));
    let line = serde_json::to_string(&ProcessRecord { node: node.into(), pid, start_time, program, folder: root })?;
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(folder.join(FILE))?;
    writeln!(file, "{line}")
}

/// Returns the listed processes that are still alive and match their record.
pub fn alive(folder: &Path) -> Vec<ProcessRecord> {
    let text = input::text(&folder.join(FILE), input::PIDS).unwrap_or_default();
    let all = text.lines().filter_map(|l| serde_json::from_str::<ProcessRecord>(l).ok());
    let lives = |s: &ProcessRecord| proc_state(s.pid).is_some_and(|(state, t)| t == s.start_time && state != 'Z');
    let mut alive: Vec<ProcessRecord> = all.filter(|s| lives(s) && belongs_to(s, folder)).collect();
    let Ok(root) = folder.canonicalize() else { return alive };
    for stray in strays::find(&root, None) {
        if !alive.iter().any(|known| known.pid == stray.pid) {
            let (program, folder) =
                (program_of(stray.pid).map(|p| p.to_string_lossy().into_owned()), Some(root.to_string_lossy().into_owned()));
            alive.push(ProcessRecord { node: stray.node, pid: stray.pid, start_time: stray.start_time, program, folder });
        }
    }
    alive
}

/// Whether a process is a node of this run folder, or its harness.
fn belongs_to(record: &ProcessRecord, folder: &Path) -> bool {
    let Ok(root) = folder.canonicalize() else { return false };
    if record.folder.as_ref().is_some_and(|f| *f != root.to_string_lossy()) {
        return false;
    }
    let Some(program) = program_of(record.pid) else { return false };
    if strays::owner(record.pid, &root).is_some_and(|node| node == record.node) {
        // A script's process may have been replaced by another program since.
        return true;
    }
    let this = std::env::current_exe().is_ok_and(|this| this == program);
    if record.program.as_ref().is_some_and(|p| *p != program.to_string_lossy()) && !this {
        return false;
    }
    // A live harness is listed only to protect its nodes. It is never killed.
    record.node == HARNESS || data_folder_of(record.pid).is_some_and(|data| data == root.join("nodes").join(&record.node).join("data"))
}

/// Returns the path of a process's program, even if a newer build has since replaced the file.
fn program_of(pid: u32) -> Option<PathBuf> {
    let path = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let gone = path.as_os_str().as_bytes().strip_suffix(b" (deleted)").map(|bytes| PathBuf::from(OsStr::from_bytes(bytes)));
    Some(gone.unwrap_or(path))
}

/// Environment variable that holds the absolute path of a node's data folder, since not every program has that path on its command line.
pub const DATA: &str = "HECKLE_DATA";

/// Returns the absolute path of a node's data folder from its command line (`--data DIR`, `--data-dir DIR`, or either
/// with `=`), or else from its environment.
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
    // The data folder itself is removed after a run that passed, so only the run folder above it is resolved.
    let run = whole.ancestors().nth(3)?;
    Some(run.canonicalize().ok()?.join(whole.strip_prefix(run).ok()?))
}

/// Kills one of these processes and its group.
pub fn kill(record: &ProcessRecord) {
    let pid = record.pid as libc::pid_t;
    // SAFETY: the caller took it from [`alive`], which compared start time, program and folder a moment ago. The
    // signal goes to the group only if the process leads one, as nodes do.
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

        /// Starts a sleeping process with `words` as its arguments.
        fn sleeper(&mut self, words: &[&str], data: Option<&str>) -> u32 {
            let mut command = Command::new("sh");
            command.args(["-c", "read line", "sh"]).args(words).current_dir(&self.0).process_group(0);
            command.envs(data.map(|data| (DATA, data)));
            let child = command.stdin(std::process::Stdio::piped()).spawn().expect("a shell");
            let pid = child.id();
            self.1.push(child);
            // Until the shell has replaced the forked process, the command line is still that of the test.
            let named = || input::kernel(format!("/proc/{pid}/cmdline")).is_some_and(|line| line.starts_with("sh\0"));
            while !named() {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            pid
        }

        /// Writes a list that contains only this record, and returns the number of its processes that count as alive.
        fn taken(&self, line: &ProcessRecord) -> usize {
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
    fn only_a_process_of_this_run_folder_matches() {
        let mut run = Run::new("forged");
        let data = run.0.join("nodes/n1/data").to_string_lossy().into_owned();
        let others = [vec![], vec![data.as_str()], vec!["--data", "/elsewhere/nodes/n1/data"], vec!["--data", "nodes/n2/data"]];
        let forged = |pid: u32, node: &str| {
            let start_time = proc_state(pid).expect("alive").1;
            ProcessRecord { node: node.into(), pid, start_time, program: None, folder: None }
        };
        for words in others {
            let pid = run.sleeper(&words, Some("/elsewhere/nodes/n1/data"));
            let program = program_of(pid).map(|p| p.to_string_lossy().into_owned());
            let folder = run.0.canonicalize().ok().map(|f| f.to_string_lossy().into_owned());
            assert_eq!(run.taken(&forged(pid, "n1")), 0, "{words:?}");
            assert_eq!(run.taken(&ProcessRecord { program, folder, ..forged(pid, "n1") }), 0, "{words:?}");
        }
        let cases = [vec!["--data", data.as_str()], vec!["--data", "nodes/n1/data"], vec!["--data-dir=nodes/n1/data"], vec![]];
        for words in cases {
            // Without arguments, the environment names the folder.
            let pid = run.sleeper(&words, words.is_empty().then_some(data.as_str()));
            assert_eq!(run.taken(&forged(pid, "n1")), 1, "{words:?}: an older list");
            assert_eq!(run.taken(&forged(pid, "n2")), 0, "another node's");
            assert_eq!(run.taken(&ProcessRecord { start_time: 1, ..forged(pid, "n1") }), 0, "another time");
            assert_eq!(run.taken(&ProcessRecord { program: Some("/bin/other".into()), ..forged(pid, "n1") }), 0, "another program");
            assert_eq!(run.taken(&ProcessRecord { folder: Some("/elsewhere".into()), ..forged(pid, "n1") }), 0, "another folder");
            append(&run.0, "n1", pid).expect("writable");
            let own = alive(&run.0).pop().expect("as it was recorded");
            kill(&own);
            assert!(run.1.last_mut().expect("started").wait().is_ok_and(|status| !status.success()));
        }
    }
}
