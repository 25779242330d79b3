//! The folder of a log, with everything that code working on the log needs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::points::storage::StoragePoints;
use crate::storage::error::StorageError;
use crate::storage::segment::Owner;
use crate::storage::vfs::Vfs;

/// Where the log and its snapshots are, and which node owns them.
#[derive(Debug, Clone)]
pub(crate) struct LogFolder {
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) path: PathBuf,
    pub(crate) owner: Owner,
    /// Storage points for the work in this folder.
    pub(crate) points: Arc<StoragePoints>,
}

/// Makes a rename or a new file in `folder` durable.
pub(crate) fn sync_folder(vfs: &dyn Vfs, folder: &Path) -> Result<(), StorageError> {
    vfs.sync_folder(folder).map_err(|cause| StorageError::io("sync of folder", folder, cause))
}
