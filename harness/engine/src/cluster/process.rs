//! One node process: started, struck with signals, seen to be in the state it should be in, reaped.
//!
//! Nodes are children of one long-lived thread, because a parent-death signal follows the *thread* that started
//! the child. Each has its own process group, so that a pause or a kill strikes whatever the node started, and a
//! Ctrl-C in the terminal does not reach it.

use heckle_checker::checks::crash::{self, End};
use heckle_results::input;
use heckle_system_api::launch::Process;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// Starts processes from one thread that lives as long as the harness.
pub struct Spawner {
    jobs: Sender<(Command, Sender<std::io::Result<Child>>)>,
}

impl Spawner {
    /// Starts the thread.
    ///
    /// # Errors
    /// If there can be no more threads.
    pub fn start() -> std::io::Result<Self> {
        let (jobs, queue) = channel::<(Command, Sender<std::io::Result<Child>>)>();
        std::thread::Builder::new().name("spawner".into()).spawn(move || {
            for (mut command, answer) in queue {
                let _ = answer.send(command.spawn());
            }
            // The thread never ends before the process does: its end would kill every child.
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

/// A running node.
pub struct NodeProcess {
    child: Child,
    /// Of its standard output.
    lines: Receiver<String>,
    status: Option<ExitStatus>,
}

/// How a process ended, in words.
pub fn how(status: ExitStatus) -> String {
    crash::how(&End { signal: status.signal(), code: status.code(), ..End::default() })
}

impl NodeProcess {
    /// Starts `program args` with these variables besides ours, appending its stderr to `log`.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(
        spawner: &Spawner,
        program: &Path,
        args: &[OsString],
        environment: &[(&str, String)],
        log: &Path,
    ) -> std::io::Result<Self> {
        let log: File = OpenOptions::new().create(true).append(true).open(log)?;
        let mut command = Command::new(program);
        command
            .args(args)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .process_group(0);
        // SAFETY: `prctl` with these arguments only sets a field of the new process; it allocates nothing.
        unsafe {
            command.pre_exec(|| {
                if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let mut child = spawner.spawn(command)?;
        let stdout = child.stdout.take().expect("stdout was piped");
        let (send, lines) = channel();
        std::thread::Builder::new().name("node-stdout".into()).spawn(move || {
            // Read to its end, so that a node never waits for us.
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        })?;
        Ok(NodeProcess { child, lines, status: None })
    }

    /// Its process id, also the id of its group.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did. Reaps it.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
        }
        self.status
    }

    /// Waits for its end.
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

    /// Sends a signal to the node's group. Nothing is sent once the process was reaped: its pid may be another's.
    ///
    /// # Errors
    /// What the system said.
    pub fn signal(&mut self, signal: libc::c_int) -> std::io::Result<()> {
        if self.ended().is_some() {
            return Err(std::io::Error::other("the process has already ended"));
        }
        // SAFETY: the group is the child's own, which has not been reaped, so the id cannot be another's.
        match unsafe { libc::kill(-(self.pid() as libc::pid_t), signal) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    }

    /// Its state as the kernel tells it: `R`, `S`, `T` …
    pub fn state(&self) -> Option<char> {
        proc_state(self.pid()).map(|(state, _)| state)
    }

    /// Waits until its kernel state is (or is not) stopped.
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

impl Process for NodeProcess {
    fn line(&mut self, wait: Duration) -> Option<String> {
        self.lines.recv_timeout(wait).ok()
    }

    fn ended(&mut self) -> Option<String> {
        NodeProcess::ended(self).map(how)
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

/// State and start time (in clock ticks since boot) of a process.
pub fn proc_state(pid: u32) -> Option<(char, u64)> {
    let stat = input::kernel(format!("/proc/{pid}/stat"))?;
    // The command's name stands in brackets and may hold anything, so fields are counted from the last bracket.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}
