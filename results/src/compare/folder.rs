//! Comparison folders: `<out>/<name>/<UTC>-<4 hex>/`, with the runs of each arm below. `compare.json` is written first, with
//! status "running", so that a killed comparison can be identified.

use super::compare_json::Comparison;
use super::{charts, page};
use crate::atomic;
use crate::dated;
use crate::input;
use crate::marked;
use crate::run_folder::slug;
use crate::utc::UnixSeconds;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The file that identifies a comparison folder.
const FILE: &str = "compare.json";

/// The folder of one comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompareFolder {
    root: PathBuf,
}

impl CompareFolder {
    /// Creates the folder of a new comparison called `name` and writes `comparison` into it, with its id and time filled in.
    ///
    /// # Errors
    /// If the file system reports an error.
    pub fn create(out: &Path, name: &str, started: UnixSeconds, nonce: u16, comparison: &mut Comparison) -> io::Result<Self> {
        let (id, root) = dated::create(&out.join(slug(name)), started, nonce, "comparisons")?;
        (comparison.comparison_id, comparison.head.started_utc) = (id, started.iso());
        let folder = CompareFolder { root };
        folder.write_comparison(comparison)?;
        Ok(folder)
    }

    /// Finds the comparison named by `asked`: a folder, an id, or `name/id`. Returns `None` if the name refers to something
    /// else, such as a run.
    ///
    /// # Errors
    /// If `out` cannot be read.
    pub fn find(out: &Path, asked: &str) -> io::Result<Option<Self>> {
        Ok(marked::find(out, FILE, asked)?.map(|root| CompareFolder { root }))
    }

    /// Returns all comparisons below `out`, oldest first. Returns none if `out` does not exist.
    ///
    /// # Errors
    /// If a folder cannot be read.
    pub fn all(out: &Path) -> io::Result<Vec<Self>> {
        Ok(marked::all(out, FILE)?.into_iter().map(|root| CompareFolder { root }).collect())
    }

    /// Reads `compare.json`.
    ///
    /// # Errors
    /// A message that names the file and states what is wrong.
    pub fn read(&self) -> Result<Comparison, String> {
        let path = self.root.join(FILE);
        let text = input::text(&path, input::SUITE).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
        Comparison::from_json(&text).map_err(|e| format!("{}: {e}", path.display()))
    }

    /// Returns the path relative to the folder of all runs: `name/id`.
    pub fn path_below(&self, out: &Path) -> PathBuf {
        self.root.strip_prefix(out).unwrap_or(&self.root).to_owned()
    }

    /// Returns the path of the folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Replaces `compare.json` atomically.
    ///
    /// # Errors
    /// If the file system reports an error.
    pub fn write_comparison(&self, comparison: &Comparison) -> io::Result<()> {
        atomic::replace(&self.root.join(FILE), comparison.to_json().as_bytes())
    }

    /// Draws and writes all artifacts, and `compare.json` last. Fills in the list of artifacts.
    ///
    /// # Errors
    /// If the file system reports an error.
    pub fn write_all(&self, comparison: &mut Comparison) -> io::Result<()> {
        let pictures = charts::draw(comparison);
        let plots = self.root.join("plots");
        fs::create_dir_all(&plots).map_err(|e| atomic::at(&plots, e))?;
        for picture in &pictures {
            comparison.head.artifacts.insert(picture.name.to_owned(), picture.file.to_owned());
            atomic::replace(&self.root.join(picture.file), &picture.png)?;
        }
        comparison.head.artifacts.insert("report".into(), "compare.html".into());
        atomic::replace(&self.root.join("compare.html"), page::page(comparison, &pictures).as_bytes())?;
        self.write_comparison(comparison)
    }
}
