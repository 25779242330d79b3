//! One process: its program, files and environment, where its output goes, and how to stop it. A node has one process or several, and a
//! fault of the node affects all of them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{ChildStdin, ChildStdout};
use std::time::Duration;

/// The process name in a node that has only one process.
pub const ONLY: &str = "node";

/// Finds a program on `PATH`.
pub fn program_on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// A process to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessSpec {
    /// Its name, unique within its node. Its log is `NAME.log`.
    pub name: String,
    /// The program, or `None` to use that of the plan or the system.
    pub program: Option<PathBuf>,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Environment variables, in addition to those of the harness.
    pub env: Vec<(OsString, OsString)>,
    /// The working folder. Defaults to that of the harness.
    pub folder: Option<PathBuf>,
    /// Folders to create before the first start.
    pub folders: Vec<PathBuf>,
    /// Files with their contents. They are written only before the first start, because a process may keep state in its
    /// configuration.
    pub files: Vec<(PathBuf, String)>,
    /// Where its standard output goes. Standard error always goes to its log.
    pub output: Output,
    /// How to stop it.
    pub stop: StopRequest,
}

impl ProcessSpec {
    /// Describes the only process of a node. It runs the system's program with these arguments and reports on its
    /// standard output.
    pub fn only(args: Vec<OsString>) -> Self {
        ProcessSpec {
            name: ONLY.into(),
            program: None,
            args,
            env: vec![],
            folder: None,
            folders: vec![],
            files: vec![],
            output: Output::Lines,
            stop: StopRequest::default(),
        }
    }
}

/// Where the standard output of a process goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// To [`Process::line`](crate::launch::Process::line), line by line. Only standard error goes to the log.
    Lines,
    /// To the log, with standard error. The log has a maximum size, and further output is dropped.
    Log,
}

/// How to stop a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopRequest {
    /// Number of the signal to send.
    pub signal: i32,
    /// Time limit for the process to end. Defaults to that of the engine.
    pub within: Option<Duration>,
}

impl Default for StopRequest {
    fn default() -> Self {
        StopRequest { signal: libc::SIGTERM, within: None }
    }
}

/// Starts processes for a system's clients, such as a driver. They are children of the harness and end with it.
pub trait Helpers: Send + Sync {
    /// Starts a process with its standard input and output as pipes.
    ///
    /// # Errors
    /// Fails if it cannot be started.
    fn start(&self, spec: &ProcessSpec) -> Result<Box<dyn Helper>, String>;
}

/// A running helper. Dropping it kills its process group.
pub trait Helper: Send {
    /// Returns its standard input and output on the first call, then `None`.
    fn pipes(&mut self) -> Option<(ChildStdin, ChildStdout)>;

    /// Describes how it ended, or returns `None` if it is running.
    fn ended(&mut self) -> Option<String>;

    /// Kills its process group, and processes left behind by other helpers of the run.
    fn kill(&mut self);

    /// The last lines of its log.
    fn last_words(&self) -> Vec<String>;
}
