//! Files that are whole or not there, and links that always point somewhere: whoever looks during a crash, or while
//! another run ends, sees the old or the new, never half of either.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Replaces `path` by `bytes`: written beside it, synced, renamed over it, and the folder synced.
///
/// # Errors
/// From the file system, naming the path.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temp = beside(path);
    let write = || -> io::Result<()> {
        // Never through a link that stands in its place; a file of a killed process with this number may.
        let _ = fs::remove_file(&temp);
        let mut file = File::create_new(&temp)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temp, path)?;
        // Without this the rename itself may be lost with the power, and the reader finds the old file.
        File::open(parent(path))?.sync_all()
    };
    write().map_err(|e| {
        // The half-written file helps nobody; the first error is the one to tell.
        let _ = fs::remove_file(&temp);
        at(path, e)
    })
}

/// Points the symbolic link `link` at `target`, in one step.
///
/// # Errors
/// From the file system; also if something that is not a link stands in the place.
pub fn point(link: &Path, target: &Path) -> io::Result<()> {
    if fs::symlink_metadata(link).is_ok_and(|m| !m.file_type().is_symlink()) {
        let what = "it is in the way: a link belongs there, so move it elsewhere";
        return Err(at(link, io::Error::new(io::ErrorKind::AlreadyExists, what)));
    }
    let temp = beside(link);
    std::os::unix::fs::symlink(target, &temp).and_then(|()| fs::rename(&temp, link)).map_err(|e| {
        let _ = fs::remove_file(&temp);
        at(link, e)
    })
}

/// Puts the path in front of what went wrong.
pub fn at(path: &Path, e: io::Error) -> io::Error {
    io::Error::new(e.kind(), format!("{}: {e}", path.display()))
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A name in the same folder that no other writer uses: the process and a counter are in it.
fn beside(path: &Path) -> PathBuf {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let n = COUNTER.fetch_add(1, Ordering::Relaxed);
    parent(path).join(format!(".{name}.{}.{n}.tmp", std::process::id()))
}
