//! Atomic replacement of files and links. A reader sees either the old or the new content, never a mixture, even after a crash or
//! while another run ends.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Replaces the contents of `path` with `bytes`: writes a temporary file in the same folder, syncs it, renames it over `path`
/// and syncs the folder.
///
/// # Errors
/// If the file system reports an error. The message names the path.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temp = temp_path(path);
    let write = || -> io::Result<()> {
        // A killed process with the same id may have left a file here. Remove it first, so that a link in its place is never followed.
        let _ = fs::remove_file(&temp);
        let mut file = File::create_new(&temp)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temp, path)?;
        // Without this sync a power failure may undo the rename, and readers would find the old file.
        File::open(parent(path))?.sync_all()
    };
    write().map_err(|e| {
        // Remove the incomplete file, which is useless. The first error is the one to report.
        let _ = fs::remove_file(&temp);
        at(path, e)
    })
}

/// Makes the symbolic link `link` point to `target`, atomically.
///
/// # Errors
/// If the file system reports an error, or `link` exists and is not a link.
pub fn replace_link(link: &Path, target: &Path) -> io::Result<()> {
    if fs::symlink_metadata(link).is_ok_and(|m| !m.file_type().is_symlink()) {
        let what = "it is in the way: a link belongs there, so move it elsewhere";
        return Err(at(link, io::Error::new(io::ErrorKind::AlreadyExists, what)));
    }
    let temp = temp_path(link);
    std::os::unix::fs::symlink(target, &temp).and_then(|()| fs::rename(&temp, link)).map_err(|e| {
        let _ = fs::remove_file(&temp);
        at(link, e)
    })
}

/// Prefixes an error with the path.
pub fn at(path: &Path, e: io::Error) -> io::Error {
    io::Error::new(e.kind(), format!("{}: {e}", path.display()))
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Returns a name in the same folder that no other writer uses: it contains the process id and a counter.
fn temp_path(path: &Path) -> PathBuf {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let n = COUNTER.fetch_add(1, Ordering::Relaxed);
    parent(path).join(format!(".{name}.{}.{n}.tmp", std::process::id()))
}
