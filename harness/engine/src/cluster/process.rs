//! One process of a node: starting it, signalling it, verifying its state, and reaping it.
//!
//! Such processes are children of one long-lived thread, because a parent-death signal follows the *thread* that
//! started the child. Each has its own process group, so that a pause or a kill also reaches its children, and a Ctrl-C in
//! the terminal does not reach it.

use super::identity::FOLDER_VARIABLE;
pub use super::identity::proc_state;
use super::{log, pids};
use crate::limits::thread;
use crate::orphans::end_with_parent;
use crate::relay::raw::owners;
use heckle_checker::checks::crash::{self, End};
use heckle_system_api::process::{Output, ProcessSpec};
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Maximum number of lines of standard output buffered for a reader.
const MAX_LINES: usize = 1_024;
/// Maximum length of one line, in bytes; a longer line is split.
const MAX_LINE: u64 = 64 << 10;

/// Starts processes from one thread that lives as long as the harness.
pub struct Spawner {
    jobs: Sender<(Command, Sender<std::io::Result<Child>>)>,
}

impl Spawner {
    /// Starts the thread.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn start() -> std::io::Result<Self> {
        let (jobs, queue) = channel::<(Command, Sender<std::io::Result<Child>>)>();
        std::thread::Builder::new().name("spawner".into()).spawn(move || {
            for (mut command, answer) in queue {
                let _ = answer.send(command.spawn());
            }
            // The thread must outlive all children: the kernel kills them when it ends.
            loop {
                std::thread::park();
            }
        })?;
        Ok(Spawner { jobs })
    }

    fn spawn(&self, command: Command) -> std::io::Result<Child> {
        let (send, answer) = channel();
        let gone = || std::io::Error::other("the spawner thread is gone");
        self.jobs.send((command, send)).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
    }
}

/// Time limit for the last output of an ended process to reach its log, since a process that it left behind may hold the log open.
const LOG_TIMEOUT: Duration = Duration::from_millis(500);

/// A running process.
pub struct NodeProcess {
    child: Child,
    /// Lines of its standard output, unless they go to its log.
    lines: Receiver<String>,
    status: Option<ExitStatus>,
    /// Thread that copies its output to its log, if the harness does the copying.
    log_writer: Option<JoinHandle<()>>,
}

/// The owner of a process, stored in its environment. Background processes inherit the environment, which identifies them.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    /// Absolute path of the run's folder.
    pub run: &'a Path,
    /// Name of the node; `None` for a helper process of the clients.
    pub node: Option<&'a str>,
}

/// Describes how a process ended.
pub fn describe_exit(status: ExitStatus) -> String {
    crash::how(&End { signal: status.signal(), code: status.code(), ..End::default() })
}

impl NodeProcess {
    /// Starts a process whose standard error is appended to `log`. Runs `program` unless `spec` names another one.
    ///
    /// # Errors
    /// If the process cannot be started.
    pub fn start(spawner: &Spawner, program: &Path, spec: &ProcessSpec, owner: Owner<'_>, log: &Path) -> std::io::Result<Self> {
        let mut command = command(program, spec, owner);
        let reader = match spec.output {
            Output::Lines => {
                command.stdout(Stdio::piped()).stderr(OpenOptions::new().create(true).append(true).open(log)?);
                None
            }
            Output::Log => {
                let (reader, writer) = std::io::pipe()?;
                command.stdout(writer.try_clone()?).stderr(writer);
                Some(reader)
            }
        };
        let mut child = spawner.spawn(command)?;
        let (send, lines) = sync_channel(MAX_LINES);
        let mut log_writer = None;
        match (child.stdout.take(), reader) {
            (Some(stdout), _) => drop(thread("node-stdout", move || pass_lines(stdout, &send))?),
            (None, Some(reader)) => log_writer = Some(log::append_in_background(reader, log)?),
            (None, None) => {}
        }
        Ok(NodeProcess { child, lines, status: None, log_writer })
    }

    /// Starts a process with pipes for its standard input and output. Its standard error goes to `log`, up to a size limit.
    ///
    /// # Errors
    /// If the process cannot be started.
    pub fn start_piped(spawner: &Spawner, program: &Path, spec: &ProcessSpec, owner: Owner<'_>, log: &Path) -> std::io::Result<Self> {
        let (reader, writer) = std::io::pipe()?;
        let mut command = command(program, spec, owner);
        command.stdout(Stdio::piped()).stderr(writer);
        let child = spawner.spawn(command)?;
        let log_writer = Some(log::append_in_background(reader, log)?);
        Ok(NodeProcess { child, lines: sync_channel(0).1, status: None, log_writer })
    }

    /// Takes the pipes of a process started by [`NodeProcess::start_piped`]. Later calls return `None`.
    pub fn pipes(&mut self) -> Option<(ChildStdin, ChildStdout)> {
        Some((self.child.stdin.take()?, self.child.stdout.take()?))
    }

    /// Returns the process id, which is also the group id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the exit status and reaps the process, if it has ended. Its log is then complete, unless a process that it started
    /// also has the log open.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
            if self.status.is_some() {
                self.await_log();
            }
        }
        self.status
    }

    /// Waits up to [`LOG_TIMEOUT`] for all output of the process to reach its log.
    fn await_log(&mut self) {
        let deadline = Instant::now() + LOG_TIMEOUT;
        while self.log_writer.as_ref().is_some_and(|writer| !writer.is_finished()) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.log_writer = None;
    }

    /// Waits up to `within` for the process to end.
    pub fn wait_ended(&mut self, within: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            if Instant::now() >= deadline {
                return None;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Sends a signal to the node's group. Sends nothing once the process has been reaped, since its pid may have been reused.
    ///
    /// # Errors
    /// The error returned by the kernel.
    pub fn signal(&mut self, signal: libc::c_int) -> std::io::Result<()> {
        if self.ended().is_some() {
            return Err(std::io::Error::other("the process has already ended"));
        }
        // SAFETY: the group belongs to the child, which has not been reaped, so the id cannot have been reused.
        match unsafe { libc::kill(-(self.pid() as libc::pid_t), signal) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    }

    /// Returns the next line of standard output, or `None` if none arrives within `wait`.
    pub fn line(&mut self, wait: Duration) -> Option<String> {
        self.lines.recv_timeout(wait).ok()
    }

    /// Returns the process state as reported by the kernel: `R`, `S`, `T` …
    pub fn state(&self) -> Option<char> {
        proc_state(self.pid()).map(|(state, _)| state)
    }

    /// Waits until the kernel reports the process as stopped or as running, depending on `stopped`.
    pub fn await_stopped(&self, stopped: bool, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        while Instant::now() < deadline {
            if self.state().is_some_and(|s| (s == 'T') == stopped) {
                return true;
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        false
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        if self.ended().is_none() {
            let _ = self.signal(libc::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

/// Builds the command for a process in its own process group, with a parent-death signal.
fn command(program: &Path, spec: &ProcessSpec, owner: Owner<'_>) -> Command {
    let mut command = Command::new(spec.program.as_deref().unwrap_or(program));
    command.args(&spec.args).stdin(Stdio::piped()).process_group(0);
    command.envs(spec.env.iter().map(|(name, value)| (name, value)));
    command.env(FOLDER_VARIABLE, owner.run).env(owners::RUN, super::name_of(owner.run)).env_remove(owners::NODE);
    if let Some(node) = owner.node {
        command.env(owners::NODE, node).env(pids::DATA, owner.run.join("nodes").join(node).join("data"));
    }
    if let Some(folder) = &spec.folder {
        command.current_dir(folder);
    }
    end_with_parent(&mut command, libc::SIGKILL);
    command
}

/// Reads a process's standard output to the end, so that a full pipe never blocks the process. Drops lines when no reader takes them.
fn pass_lines(stdout: impl Read, send: &SyncSender<String>) {
    let mut stdout = BufReader::new(stdout);
    let mut line = vec![];
    loop {
        line.clear();
        match stdout.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => drop(send.try_send(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned())),
        }
    }
}
