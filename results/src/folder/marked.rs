//! Folders of experiments, `<out>/<name>/<UTC>-<4 hex>/`: comparisons and sweeps. Each kind is marked by a file.

use crate::atomic;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Finds the folder with the file `mark` that is named by `asked`: a path, an id, or `name/id`. Returns `None` if the name
/// refers to something else.
///
/// # Errors
/// If `out` cannot be read.
pub fn find(out: &Path, mark: &str, asked: &str) -> io::Result<Option<PathBuf>> {
    let given = Path::new(asked);
    if given.join(mark).is_file() {
        return Ok(Some(given.to_owned()));
    }
    let named = |root: &PathBuf| !asked.is_empty() && (root.ends_with(given) || root.strip_prefix(out).unwrap_or(root) == given);
    Ok(all(out, mark)?.into_iter().find(named))
}

/// Returns all folders with the file `mark` below `out`, oldest first. Returns none if `out` does not exist.
///
/// # Errors
/// If a folder cannot be read.
pub fn all(out: &Path, mark: &str) -> io::Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = vec![];
    for name in folders_in(out)? {
        found.extend(folders_in(&name)?.into_iter().filter(|root| root.join(mark).is_file()));
    }
    // Ids start with the time, so this sorts by time.
    found.sort_by(|a, b| (a.file_name(), a).cmp(&(b.file_name(), b)));
    Ok(found)
}

/// Returns the subfolders of a folder, without links.
fn folders_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        Err(e) => return Err(atomic::at(folder, e)),
    };
    let mut found = vec![];
    for entry in entries {
        let entry = entry.map_err(|e| atomic::at(folder, e))?;
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            found.push(entry.path());
        }
    }
    Ok(found)
}
