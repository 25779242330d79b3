//! Folders and files that only the node's own user may read: they hold the values of all clients.
//!
//! The mode is set when a file is made, not afterwards, so there is no moment at which another user could open it. What an
//! earlier version left behind with a wider mode is narrowed before anything is written to it.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// What group and others may do.
const OTHERS: u32 = 0o077;

/// Makes a folder and what is missing above it. One that exists keeps its mode: its owner chose it.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path)
}

/// Makes an empty file for reading and writing, in place of one that may be there.
pub(crate) fn create_file(path: &Path) -> io::Result<File> {
    open(path, true)
}

/// Opens a file for reading and writing and makes it if needed.
pub(crate) fn open_or_create_file(path: &Path) -> io::Result<File> {
    open(path, false)
}

fn open(path: &Path, truncate: bool) -> io::Result<File> {
    let file = OpenOptions::new().create(true).truncate(truncate).read(true).write(true).mode(FILE_MODE).open(path)?;
    // The mode above is for a new file only.
    if file.metadata()?.permissions().mode() & OTHERS != 0 {
        file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;

    #[track_caller]
    fn check_mode(path: &Path, expected: u32) {
        let mode = std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, expected, "{} is {mode:o}", path.display());
    }

    #[test]
    fn what_is_made_is_private_and_a_file_left_behind_becomes_so() {
        let dir = TempDir::new("private");
        let folder = dir.path().join("a/b");
        create_folder(&folder).unwrap();
        check_mode(&folder, 0o700);
        check_mode(&dir.path().join("a"), 0o700);
        for (name, make) in [("new", create_file as fn(&Path) -> io::Result<File>), ("lock", open_or_create_file)] {
            let path = folder.join(name);
            make(&path).unwrap();
            check_mode(&path, 0o600);
            std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
            make(&path).unwrap();
            check_mode(&path, 0o600);
        }
    }
}
