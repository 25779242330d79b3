//! All processes of a running node as a unit. A fault affects all of them, and the node has ended as soon as one of them has.

use super::process::{NodeProcess, Owner, Spawner, describe_exit};
use super::strays;
use heckle_system_api::launch::{NodeSpec, Process};
use heckle_system_api::process::ProcessSpec;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

/// Maximum number of bytes of a log to search for a line, counted from the start of the process.
const MAX_LOG_SEARCH: u64 = 4 << 20;

/// All processes of a node.
pub(super) struct RunningNode {
    name: String,
    run: PathBuf,
    /// At least one, in start order.
    processes: Vec<MemberProcess>,
}

struct MemberProcess {
    spec: ProcessSpec,
    process: NodeProcess,
    log: LogPart,
}

/// The part of a log that one process wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogPart {
    /// Path of the log.
    pub(super) path: PathBuf,
    /// Offset at which the output of the process begins.
    pub(super) from: u64,
}

/// Returns the path of a process's log in a run folder.
pub(super) fn log_path(run: &Path, node: &str, process: &str) -> PathBuf {
    run.join("nodes").join(node).join(format!("{process}.log"))
}

impl RunningNode {
    /// Starts all processes of a node. A process without a program of its own runs `program`. Calls `started` with each process id.
    ///
    /// # Errors
    /// Names the process that could not be started. Those started before it have been killed.
    pub(super) fn start(
        spawner: &Spawner,
        program: &Path,
        node: &NodeSpec,
        run: &Path,
        mut started: impl FnMut(u32) -> std::io::Result<()>,
    ) -> Result<Self, (String, std::io::Error)> {
        let root = run.canonicalize().map_err(|e| (run.display().to_string(), e))?;
        let mut running = RunningNode { name: node.name.clone(), run: root.clone(), processes: vec![] };
        for spec in &node.processes {
            let path = log_path(run, &node.name, &spec.name);
            let named = |e| (spec.name.clone(), e);
            prepare(spec).map_err(named)?;
            let log = LogPart { from: std::fs::metadata(&path).map_or(0, |meta| meta.len()), path };
            let process =
                NodeProcess::start(spawner, program, spec, Owner { run: &root, node: Some(&node.name) }, &log.path).map_err(named)?;
            started(process.pid()).map_err(named)?;
            running.processes.push(MemberProcess { spec: spec.clone(), process, log });
        }
        Ok(running)
    }

    /// Whether the first process has logged a line with this text since it started.
    pub(super) fn has_logged_first(&self, text: &str) -> bool {
        self.has_logged(&self.processes[0].spec.name, text)
    }

    /// Returns the process id of the first process.
    pub(super) fn pid(&self) -> u32 {
        self.processes[0].process.pid()
    }

    /// Returns the exit status of an ended process, if any. Processes that it left in the background do not count as running.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.processes.iter_mut().find_map(|running| running.process.ended())
    }

    /// Returns the name of a process that ended, if the node has several.
    pub(super) fn ended_process_name(&mut self) -> Option<String> {
        let i = self.processes.iter_mut().position(|running| running.process.ended().is_some())?;
        (self.processes.len() > 1).then(|| self.processes[i].spec.name.clone())
    }

    /// Returns the log of the process that ended, or of the first process if none has.
    pub(super) fn log(&mut self) -> LogPart {
        let ended = self.processes.iter_mut().position(|running| running.process.ended().is_some());
        self.processes[ended.unwrap_or(0)].log.clone()
    }

    /// Returns all logs of the node.
    pub(super) fn logs(&self) -> Vec<LogPart> {
        self.processes.iter().map(|running| running.log.clone()).collect()
    }

    /// Waits until every process has ended. `within` is the time limit for processes that do not specify one. Returns the status
    /// of the first process.
    pub(super) fn wait_ended(&mut self, within: Duration) -> Option<ExitStatus> {
        let began = Instant::now();
        let mut first = None;
        for running in &mut self.processes {
            let within = running.spec.stop.within.unwrap_or(within);
            let status = running.process.wait_ended(within.saturating_sub(began.elapsed()))?;
            first.get_or_insert(status);
        }
        first
    }

    /// Sends a signal to every running process.
    ///
    /// # Errors
    /// If no process is running, or the error returned by the kernel.
    pub(super) fn signal(&mut self, signal: libc::c_int) -> std::io::Result<()> {
        let mut sent = Err(std::io::Error::other("the process has already ended"));
        for running in self.processes.iter_mut().filter_map(|r| r.process.ended().is_none().then_some(&mut r.process)) {
            sent = running.signal(signal);
            sent.as_ref().map_err(|e| std::io::Error::new(e.kind(), e.to_string()))?;
        }
        if signal == libc::SIGKILL {
            strays::kill(&self.run, &self.name);
        }
        sent
    }

    /// Sends every process the stop signal that it specifies.
    ///
    /// # Errors
    /// If no process is running, or the error returned by the kernel.
    pub(super) fn ask_to_end(&mut self) -> std::io::Result<()> {
        let mut asked = Err(std::io::Error::other("the process has already ended"));
        for running in &mut self.processes {
            if running.process.ended().is_none() {
                asked = running.process.signal(running.spec.stop.signal);
            }
        }
        asked
    }

    /// Returns the state reported by the kernel: `T` if all processes are stopped, otherwise the state of the first one that is not.
    pub(super) fn state(&self) -> Option<char> {
        let states: Vec<char> = self.processes.iter().filter_map(|running| running.process.state()).collect();
        states.iter().find(|state| **state != 'T').or(states.first()).copied()
    }

    /// Waits until the kernel reports all processes as stopped, or all as running, depending on `stopped`.
    pub(super) fn await_stopped(&self, stopped: bool, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        self.processes.iter().all(|r| r.process.await_stopped(stopped, deadline.saturating_duration_since(Instant::now())))
    }

    /// If a process of this node exited successfully and left a background process behind, kills that process and returns an
    /// error message: a background process cannot be watched.
    pub(super) fn end_background_process(&mut self) -> Option<String> {
        let gone = self.processes.iter_mut().position(|r| r.process.ended().is_some_and(|status| status.success()))?;
        let name = self.processes[gone].spec.name.clone();
        let own: Vec<u32> = self.processes.iter().map(|running| running.process.pid()).collect();
        let stray = strays::find(&self.run, Some(&self.name)).into_iter().find(|stray| !own.contains(&stray.pid))?;
        strays::kill(&self.run, &self.name);
        Some(format!("`{name}` ended and left process {} in the background: let it stay in the foreground", stray.pid))
    }
}

impl Process for RunningNode {
    fn line(&mut self, wait: Duration) -> Option<String> {
        self.processes[0].process.line(wait)
    }

    fn ended(&mut self) -> Option<String> {
        let words = describe_exit(RunningNode::ended(self)?);
        Some(self.ended_process_name().map_or(words.clone(), |name| format!("{words} of `{name}`")))
    }

    fn has_logged(&self, process: &str, text: &str) -> bool {
        let Some(running) = self.processes.iter().find(|running| running.spec.name == process) else { return false };
        let read = || -> std::io::Result<Vec<u8>> {
            let mut file = File::open(&running.log.path)?;
            file.seek(SeekFrom::Start(running.log.from))?;
            let mut bytes = vec![];
            file.take(MAX_LOG_SEARCH).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        read().is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(text))
    }
}

impl Drop for RunningNode {
    fn drop(&mut self) {
        self.processes.clear();
        strays::kill(&self.run, &self.name);
    }
}

/// Creates the folders and files that a process needs before its first start. Existing files are not changed.
fn prepare(spec: &ProcessSpec) -> std::io::Result<()> {
    for folder in &spec.folders {
        std::fs::create_dir_all(folder)?;
    }
    for (path, text) in &spec.files {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        match File::create_new(path) {
            Ok(mut file) => std::io::Write::write_all(&mut file, text.as_bytes())?,
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(std::io::Error::new(e.kind(), format!("{}: {e}", path.display()))),
        }
    }
    Ok(())
}
