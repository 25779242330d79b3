//! Folders named by their creation time: `<UTC>-<4 hex>`.

use super::atomic;
use crate::utc::UnixSeconds;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Maximum number of names to try when several folders are created in the same second with the same nonce.
const MAX_NAME_TRIES: u16 = 64;

/// Creates a folder below `parent`, which is created if necessary. `nonce` distinguishes folders of the same second. If the
/// name is taken, the next free nonce is used. Returns the name and the path. `what` names the kind of folder, in the plural,
/// for the error message.
///
/// # Errors
/// If the file system reports an error.
pub fn create(parent: &Path, started: UnixSeconds, nonce: u16, what: &str) -> io::Result<(String, PathBuf)> {
    fs::create_dir_all(parent).map_err(|e| atomic::at(parent, e))?;
    for attempt in 0..MAX_NAME_TRIES {
        let name = format!("{}-{:04x}", started.compact(), nonce.wrapping_add(attempt));
        let root = parent.join(&name);
        match fs::create_dir(&root) {
            Ok(()) => return Ok((name, root)),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(atomic::at(&root, e)),
        }
    }
    let why = format!("{MAX_NAME_TRIES} {what} already began in this second; start again in a second");
    Err(atomic::at(parent, io::Error::new(io::ErrorKind::AlreadyExists, why)))
}
