//! Processes that help a system's clients, such as a driver. They belong to the run as nodes do: children of the spawner's thread, in
//! `pids.jsonl`, with the run in their environment.

use super::last_words;
use super::pids;
use super::process::{NodeProcess, Owner, Spawner, how};
use super::strays::{self, CLIENTS};
use crate::limits;
use heckle_system_api::process::{Helper, Helpers, ProcessSpec};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout};
use std::sync::Arc;

/// Starts helpers that log below a folder.
pub struct OfRun {
    spawner: Arc<Spawner>,
    folder: PathBuf,
}

impl OfRun {
    /// Helpers of the run in that folder.
    pub(super) fn new(spawner: Arc<Spawner>, folder: &Path) -> Self {
        OfRun { spawner, folder: folder.to_owned() }
    }
}

impl OfRun {
    /// Helpers of no run, in a folder that is there.
    ///
    /// # Errors
    /// If there can be no more threads.
    pub fn alone(folder: &Path) -> Result<Self, String> {
        Ok(OfRun::new(Arc::new(Spawner::start().map_err(|e| limits::no_thread(&e))?), folder))
    }
}

impl Helpers for OfRun {
    fn start(&self, spec: &ProcessSpec) -> Result<Box<dyn Helper>, String> {
        let cannot = |e: std::io::Error| format!("cannot start `{}`: {}", spec.name, limits::named(&e));
        let program = spec.program.as_deref().ok_or_else(|| format!("`{}` names no program", spec.name))?;
        let root = self.folder.canonicalize().map_err(cannot)?;
        let log = self.folder.join(format!("{}.log", spec.name));
        let owner = Owner { run: &root, node: None };
        let process = NodeProcess::start_piped(&self.spawner, program, spec, owner, &log).map_err(cannot)?;
        pids::append(&self.folder, CLIENTS, process.pid()).map_err(cannot)?;
        Ok(Box::new(OneHelper { process, log, run: root }))
    }
}

struct OneHelper {
    process: NodeProcess,
    log: PathBuf,
    run: PathBuf,
}

impl Helper for OneHelper {
    fn pipes(&mut self) -> Option<(ChildStdin, ChildStdout)> {
        self.process.pipes()
    }

    fn ended(&mut self) -> Option<String> {
        self.process.ended().map(how)
    }

    fn kill(&mut self) {
        let _ = self.process.signal(libc::SIGKILL);
        // What it left in the background goes, too.
        strays::kill(&self.run, CLIENTS);
    }

    fn last_words(&self) -> Vec<String> {
        last_words::end(None, &self.log, 0).log
    }
}
