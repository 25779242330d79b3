//! A log segment whose writes and syncs pass through the storage points.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::points::storage::StoragePoints;
use crate::points::storage_point::StoragePoint;
use crate::storage::StorageError;
use crate::storage::vfs::{RequestId, VfsFile};

/// A log segment that is open for writing.
#[derive(Debug)]
pub(crate) struct LogFile {
    file: Box<dyn VfsFile>,
    path: PathBuf,
    points: Arc<StoragePoints>,
}

impl LogFile {
    pub(crate) fn new(file: Box<dyn VfsFile>, path: PathBuf, points: Arc<StoragePoints>) -> LogFile {
        LogFile { file, path, points }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), StorageError> {
        self.reach(StoragePoint::BeforeWrite)?;
        let half = if self.points.is_armed(StoragePoint::MidWrite) { bytes.len() / 2 } else { 0 };
        if half > 0 {
            let written = self.file.write_at(&bytes[..half], offset);
            // If the node ends here, the first half may or may not have been written.
            self.reach(StoragePoint::MidWrite)?;
            self.check("write to", written)?;
        }
        self.check("write to", self.file.write_at(&bytes[half..], offset + half as u64))
    }

    /// Makes the data durable before returning. See [`begin_sync`](LogFile::begin_sync).
    pub(crate) fn sync_data(&self) -> Result<(), StorageError> {
        self.reach(StoragePoint::BeforeSync)?;
        self.end_sync(self.file.sync_data())
    }

    /// Starts making the data durable. The file's length and other metadata became durable when the file was
    /// prepared.
    pub(crate) fn begin_sync(&self, id: RequestId) -> Result<(), StorageError> {
        self.reach(StoragePoint::BeforeSync)?;
        self.file.begin_sync(id);
        Ok(())
    }

    /// Handles the result of a finished sync.
    pub(crate) fn end_sync(&self, result: io::Result<()>) -> Result<(), StorageError> {
        self.check("sync of", result)?;
        self.reach(StoragePoint::AfterSync)
    }

    fn reach(&self, point: StoragePoint) -> Result<(), StorageError> {
        self.points.reach(point, &self.path)
    }

    fn check(&self, what: &'static str, result: io::Result<()>) -> Result<(), StorageError> {
        result.map_err(|cause| StorageError::io(what, &self.path, cause))
    }
}
