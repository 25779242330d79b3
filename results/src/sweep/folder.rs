//! Sweep folders: `<out>/<name>/<UTC>-<4 hex>/`, with the runs of each point below. `sweep.json` is written first, with status
//! "running", and again after every run, so that a killed sweep can be resumed.

use super::sweep_json::Sweep;
use super::view::{page, png};
use crate::utc::UnixSeconds;
use crate::{alive, atomic, dated, input, marked, run_folder};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The file that identifies a sweep folder.
pub const FILE: &str = "sweep.json";
/// File name of the picture of all panels.
const PICTURE: &str = "sweep.png";
/// File name of the page.
const PAGE: &str = "sweep.html";
/// Name of the folder with the arms' settings, which a resumed sweep reads.
const ARMS: &str = "arms";

/// The folder of one sweep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepFolder {
    root: PathBuf,
}

impl SweepFolder {
    /// Creates the folder of a new sweep called `name` and writes `sweep` into it, with its id, time and process filled in.
    ///
    /// # Errors
    /// If the file system reports an error.
    pub fn create(out: &Path, name: &str, started: UnixSeconds, nonce: u16, sweep: &mut Sweep) -> io::Result<Self> {
        let (id, root) = dated::create(&out.join(run_folder::slug(name)), started, nonce, "sweeps")?;
        (sweep.sweep_id, sweep.head.started_utc, sweep.owner) = (id, started.iso(), alive::this_process());
        let folder = SweepFolder { root };
        folder.write_sweep(sweep)?;
        Ok(folder)
    }

    /// Opens an existing sweep folder.
    ///
    /// # Errors
    /// If it has no `sweep.json`.
    pub fn open(root: &Path) -> Result<Self, String> {
        if root.join(FILE).is_file() {
            return Ok(SweepFolder { root: root.to_owned() });
        }
        Err(format!("{} is no folder of a sweep: it has no {FILE}", root.display()))
    }

    /// Finds the sweep named by `asked`: a folder, an id, or `name/id`. Returns `None` if the name refers to something else, such as a run.
    ///
    /// # Errors
    /// If `out` cannot be read.
    pub fn find(out: &Path, asked: &str) -> io::Result<Option<Self>> {
        Ok(marked::find(out, FILE, asked)?.map(|root| SweepFolder { root }))
    }

    /// Returns the path of the folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Reads `sweep.json`.
    ///
    /// # Errors
    /// A message that names the file and states what is wrong.
    pub fn read(&self) -> Result<Sweep, String> {
        let path = self.root.join(FILE);
        let text = input::text(&path, input::SUITE).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
        Sweep::from_json(&text).map_err(|e| format!("{}: {e}", path.display()))
    }

    /// Replaces `sweep.json` atomically.
    ///
    /// # Errors
    /// If the file system reports an error.
    pub fn write_sweep(&self, sweep: &Sweep) -> io::Result<()> {
        atomic::replace(&self.root.join(FILE), sweep.to_json().as_bytes())
    }

    /// Writes the settings of an arm, as the text of a plan.
    ///
    /// # Errors
    /// If the file system reports an error.
    pub fn write_arm(&self, arm: &str, plan: &str) -> io::Result<()> {
        let path = self.arm_file(arm);
        let folder = self.root.join(ARMS);
        fs::create_dir_all(&folder).map_err(|e| atomic::at(&folder, e))?;
        atomic::replace(&path, plan.as_bytes())
    }

    /// Reads the settings of an arm, as the text of a plan.
    ///
    /// # Errors
    /// A message that names the file and states what is wrong.
    pub fn read_arm(&self, arm: &str) -> Result<String, String> {
        let path = self.arm_file(arm);
        input::text(&path, input::PLAN).map_err(|e| format!("cannot read {}: {e}", path.display()))
    }

    /// Returns the path of an arm's file. The arm's name comes from `sweep.json`, so it is reduced to a safe file name.
    fn arm_file(&self, arm: &str) -> PathBuf {
        self.root.join(ARMS).join(format!("{}.toml", run_folder::slug(arm)))
    }

    /// Draws and writes picture and page, and `sweep.json` last. Fills in the list of artifacts.
    ///
    /// # Errors
    /// If the file system reports an error.
    pub fn write_all(&self, sweep: &mut Sweep) -> io::Result<()> {
        sweep.head.artifacts.insert("picture".into(), PICTURE.into());
        sweep.head.artifacts.insert("report".into(), PAGE.into());
        atomic::replace(&self.root.join(PICTURE), &png::draw(sweep))?;
        atomic::replace(&self.root.join(PAGE), page::page(sweep).as_bytes())?;
        self.write_sweep(sweep)
    }
}
