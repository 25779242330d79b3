//! The storage seam: every write and sync of the log passes here, so that a test or a nemesis can make it fail.
//!
//! Switched by the control channel at run time. A node on which nothing is armed pays one relaxed load per sync.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::control::Failpoint;
use crate::storage::StorageError;
use crate::storage::vfs::{RequestId, VfsFile};

/// Which failures are armed, and how often each fired. Shared by the event loop (which arms) and the storage
/// thread (which fails).
#[derive(Debug, Default)]
pub(crate) struct Failpoints {
    /// Zero: not armed. Else one more than the delay in microseconds.
    armed: [AtomicU64; Failpoint::ALL.len()],
    fired: [AtomicU64; Failpoint::ALL.len()],
}

impl Failpoints {
    pub(crate) fn arm(&self, point: Failpoint, delay_us: u64) {
        self.armed[point as usize].store(delay_us.saturating_add(1), Ordering::Relaxed);
    }

    pub(crate) fn disarm(&self, point: Failpoint) {
        self.armed[point as usize].store(0, Ordering::Relaxed);
    }

    /// The delay of an armed failpoint; counts it as fired.
    fn fire(&self, point: Failpoint) -> Option<Duration> {
        let armed = self.armed[point as usize].load(Ordering::Relaxed);
        (armed > 0).then(|| {
            self.fired[point as usize].fetch_add(1, Ordering::Relaxed);
            Duration::from_micros(armed - 1)
        })
    }

    fn fires(&self, point: Failpoint) -> bool {
        self.fire(point).is_some()
    }

    pub(crate) fn armed(&self) -> impl Iterator<Item = Failpoint> {
        Failpoint::ALL.into_iter().filter(|&point| self.armed[point as usize].load(Ordering::Relaxed) > 0)
    }

    pub(crate) fn fired(&self) -> impl Iterator<Item = (Failpoint, u64)> {
        let counts = Failpoint::ALL.into_iter().map(|point| (point, self.fired[point as usize].load(Ordering::Relaxed)));
        counts.filter(|(_, count)| *count > 0)
    }
}

/// A file of the log behind the seam.
#[derive(Debug)]
pub(crate) struct SeamFile {
    file: Box<dyn VfsFile>,
    path: PathBuf,
    failpoints: Arc<Failpoints>,
}

impl SeamFile {
    pub(crate) fn new(file: Box<dyn VfsFile>, path: PathBuf, failpoints: Arc<Failpoints>) -> SeamFile {
        SeamFile { file, path, failpoints }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), StorageError> {
        let half = &bytes[..bytes.len() / 2];
        let result = if self.failpoints.fires(Failpoint::CrashMidWrite) {
            // The error of the half write does not matter: the node ends here either way.
            let _ = self.file.write_at(half, offset);
            return Err(StorageError::Crash { name: "crash-mid-write" });
        } else if self.failpoints.fires(Failpoint::FailWrite) {
            Err(io::Error::from_raw_os_error(libc::EIO))
        } else if self.failpoints.fires(Failpoint::DiskFull) {
            let partly = self.file.write_at(half, offset);
            partly.and(Err(io::Error::from_raw_os_error(libc::ENOSPC)))
        } else {
            self.file.write_at(bytes, offset)
        };
        result.map_err(|cause| StorageError::io("write to", &self.path, cause))
    }

    /// Makes the data durable before it returns. See [`begin_sync`](SeamFile::begin_sync).
    pub(crate) fn sync_data(&self) -> Result<(), StorageError> {
        self.before_sync()?;
        self.end_sync(self.file.sync_data())
    }

    /// Starts to make the data durable. Its length and other metadata were made durable when the file was prepared.
    pub(crate) fn begin_sync(&self, id: RequestId) -> Result<(), StorageError> {
        self.before_sync()?;
        self.file.begin_sync(id);
        Ok(())
    }

    fn before_sync(&self) -> Result<(), StorageError> {
        if self.failpoints.fires(Failpoint::CrashBeforeSync) {
            return Err(StorageError::Crash { name: "crash-before-sync" });
        }
        assert!(!self.failpoints.fires(Failpoint::Panic), "failpoint panic was reached");
        if let Some(delay) = self.failpoints.fire(Failpoint::SlowSync) {
            std::thread::sleep(delay);
        }
        if self.failpoints.fires(Failpoint::FailSync) {
            return self.end_sync(Err(io::Error::from_raw_os_error(libc::EIO)));
        }
        Ok(())
    }

    /// A sync has ended with this result.
    pub(crate) fn end_sync(&self, result: io::Result<()>) -> Result<(), StorageError> {
        result.map_err(|cause| StorageError::io("sync of", &self.path, cause))?;
        if self.failpoints.fires(Failpoint::CrashAfterSync) {
            return Err(StorageError::Crash { name: "crash-after-sync" });
        }
        Ok(())
    }
}
