//! The folder of a log, as the code that works on the log needs it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::points::storage::StoragePoints;
use crate::storage::error::StorageError;
use crate::storage::segment::Owner;
use crate::storage::vfs::Vfs;

/// Where the log and its snapshots are, and which node they belong to.
#[derive(Debug, Clone)]
pub(crate) struct LogFolder {
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) path: PathBuf,
    pub(crate) owner: Owner,
    /// Storage points of the work in this folder.
    pub(crate) points: Arc<StoragePoints>,
}

/// Makes a rename or a new file in `folder` durable.
pub(crate) fn sync_folder(vfs: &dyn Vfs, folder: &Path) -> Result<(), StorageError> {
    vfs.sync_folder(folder).map_err(|cause| StorageError::io("sync of folder", folder, cause))
}
