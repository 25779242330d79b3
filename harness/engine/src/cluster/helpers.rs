//! Helper processes of a system's clients, such as a driver. They belong to the run just as nodes do: they are
//! children of the spawner's thread, are listed in `pids.jsonl`, and carry the run's name in their environment.

use super::log_tail;
use super::pids;
use super::process::{NodeProcess, Owner, Spawner, describe_exit};
use super::strays::{self, CLIENTS};
use crate::limits;
use heckle_system_api::process::{Helper, Helpers, ProcessSpec};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout};
use std::sync::Arc;

/// Starts helper processes, with their logs in one folder.
pub struct RunHelpers {
    spawner: Arc<Spawner>,
    folder: PathBuf,
}

impl RunHelpers {
    /// Creates a starter for helpers of the run in `folder`.
    pub(super) fn new(spawner: Arc<Spawner>, folder: &Path) -> Self {
        RunHelpers { spawner, folder: folder.to_owned() }
    }
}

impl RunHelpers {
    /// Creates a starter for helpers outside any run. `folder` must exist.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn without_run(folder: &Path) -> Result<Self, String> {
        Ok(RunHelpers::new(Arc::new(Spawner::start().map_err(|e| limits::no_thread(&e))?), folder))
    }
}

impl Helpers for RunHelpers {
    fn start(&self, spec: &ProcessSpec) -> Result<Box<dyn Helper>, String> {
        let cannot = |e: std::io::Error| format!("cannot start `{}`: {}", spec.name, limits::named(&e));
        let program = spec.program.as_deref().ok_or_else(|| format!("`{}` names no program", spec.name))?;
        let root = self.folder.canonicalize().map_err(cannot)?;
        let log = self.folder.join(format!("{}.log", spec.name));
        let owner = Owner { run: &root, node: None };
        let process = NodeProcess::start_piped(&self.spawner, program, spec, owner, &log).map_err(cannot)?;
        pids::append(&self.folder, CLIENTS, process.pid()).map_err(cannot)?;
        Ok(Box::new(HelperProcess { process, log, run: root }))
    }
}

struct HelperProcess {
    process: NodeProcess,
    log: PathBuf,
    run: PathBuf,
}

impl Helper for HelperProcess {
    fn pipes(&mut self) -> Option<(ChildStdin, ChildStdout)> {
        self.process.pipes()
    }

    fn ended(&mut self) -> Option<String> {
        self.process.ended().map(describe_exit)
    }

    fn kill(&mut self) {
        let _ = self.process.signal(libc::SIGKILL);
        // Also kill the background processes that the helper left behind.
        strays::kill(&self.run, CLIENTS);
    }

    fn last_words(&self) -> Vec<String> {
        log_tail::end(None, &self.log, 0).log
    }
}
