//! The storage seam: every write and sync of the log passes here, so that a test or a nemesis can make it fail.
//!
//! Switched by the control channel at run time. A node on which nothing is armed pays one relaxed load per sync.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::control::Failpoint;
use crate::storage::StorageError;

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
    file: File,
    path: PathBuf,
    failpoints: Arc<Failpoints>,
}

impl SeamFile {
    pub(crate) fn new(file: File, path: PathBuf, failpoints: Arc<Failpoints>) -> SeamFile {
        SeamFile { file, path, failpoints }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn write_all_at(&self, bytes: &[u8], offset: u64) -> Result<(), StorageError> {
        let half = &bytes[..bytes.len() / 2];
        let result = if self.failpoints.fires(Failpoint::CrashMidWrite) {
            // The error of the half write does not matter: the node ends here either way.
            let _ = self.file.write_all_at(half, offset);
            return Err(StorageError::Crash { name: "crash-mid-write" });
        } else if self.failpoints.fires(Failpoint::FailWrite) {
            Err(io::Error::from_raw_os_error(libc::EIO))
        } else if self.failpoints.fires(Failpoint::DiskFull) {
            let partly = self.file.write_all_at(half, offset);
            partly.and(Err(io::Error::from_raw_os_error(libc::ENOSPC)))
        } else {
            self.file.write_all_at(bytes, offset)
        };
        result.map_err(|cause| StorageError::io("write to", &self.path, cause))
    }

    /// Makes the data durable. Its length and other metadata were made durable when the file was prepared.
    pub(crate) fn sync_data(&self) -> Result<(), StorageError> {
        if self.failpoints.fires(Failpoint::CrashBeforeSync) {
            return Err(StorageError::Crash { name: "crash-before-sync" });
        }
        assert!(!self.failpoints.fires(Failpoint::Panic), "failpoint panic was reached");
        if let Some(delay) = self.failpoints.fire(Failpoint::SlowSync) {
            std::thread::sleep(delay);
        }
        let result =
            if self.failpoints.fires(Failpoint::FailSync) { Err(io::Error::from_raw_os_error(libc::EIO)) } else { self.file.sync_data() };
        result.map_err(|cause| StorageError::io("sync of", &self.path, cause))?;
        if self.failpoints.fires(Failpoint::CrashAfterSync) {
            return Err(StorageError::Crash { name: "crash-after-sync" });
        }
        Ok(())
    }
}
