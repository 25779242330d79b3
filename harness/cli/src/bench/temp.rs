//! Folders for the data of a measurement.

use std::path::{Path, PathBuf};

/// A folder that is removed when this is dropped.
pub(super) struct TempFolder(PathBuf);

impl TempFolder {
    /// Creates a folder below `out` whose name begins with `name`.
    pub(super) fn below(out: &Path, name: &str) -> Result<TempFolder, String> {
        let folder = out.join(format!("{name}-{}-{:08x}", std::process::id(), rand::random::<u32>()));
        std::fs::create_dir_all(&folder)
            .map_err(|e| format!("cannot make {}: {e}; name a writable folder with --out", folder.display()))?;
        Ok(TempFolder(folder))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
