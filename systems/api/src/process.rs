//! One process: what is started, with which files and environment, where its output goes, and how it is stopped. A node is one process or
//! several; a fault of a node strikes all of them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{ChildStdin, ChildStdout};
use std::time::Duration;

/// The name of a process that is its node's only one.
pub const ONLY: &str = "node";

/// A process to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessSpec {
    /// Its name, which no other process of its node has: its log is `NAME.log`.
    pub name: String,
    /// The program; `None` for the one that the plan or the system names.
    pub program: Option<PathBuf>,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables of its environment, besides those of the harness.
    pub env: Vec<(OsString, OsString)>,
    /// The folder it is started in; the harness's own by default.
    pub folder: Option<PathBuf>,
    /// Folders that are made before its first start.
    pub folders: Vec<PathBuf>,
    /// Files with their text, written before its first start only: a process may keep state in its configuration.
    pub files: Vec<(PathBuf, String)>,
    /// Where its standard output goes. Standard error always goes to its log.
    pub output: Output,
    /// How it is asked to end.
    pub stop: StopRequest,
}

impl ProcessSpec {
    /// The only process of a node: the system's program with these arguments, which reports on its standard output.
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
    /// To the log, with standard error. The log has a bound; what is beyond is dropped.
    Log,
}

/// How a process is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopRequest {
    /// The signal's number.
    pub signal: i32,
    /// How long it may take; the engine's own limit by default.
    pub within: Option<Duration>,
}

impl Default for StopRequest {
    fn default() -> Self {
        StopRequest { signal: libc::SIGTERM, within: None }
    }
}

/// Starts processes that help a system's clients, such as a driver: children of the harness, gone when it is.
pub trait Helpers: Send + Sync {
    /// Starts one with its standard input and output as pipes.
    ///
    /// # Errors
    /// If it cannot be started.
    fn start(&self, spec: &ProcessSpec) -> Result<Box<dyn Helper>, String>;
}

/// A running helper. It is killed with its group when it is dropped.
pub trait Helper: Send {
    /// Its standard input and output, the first time.
    fn pipes(&mut self) -> Option<(ChildStdin, ChildStdout)>;

    /// How it ended, in words, if it did.
    fn ended(&mut self) -> Option<String>;

    /// Kills it with its group, and all other helpers' leftovers of the run.
    fn kill(&mut self);

    /// The last lines of its log.
    fn last_words(&self) -> Vec<String>;
}
