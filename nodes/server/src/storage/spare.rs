//! Prepares the next log segment ahead of time: at full length, filled with zeroes and synced.
//!
//! With a prepared segment, syncing a batch changes no metadata: there is no new length, no extent to allocate, and
//! none to convert from "unwritten", the state in which `fallocate` alone leaves extents. Measured on ext4 with
//! batches of 5 KB: 105 us zero-filled, 191 us with `fallocate` alone, 190 us appending.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::storage::StorageError;
use crate::storage::vfs::{Vfs, VfsFile};

/// Bytes per write. Small steps, each synced before the next, keep the log's own syncs from waiting behind a long
/// one.
const WRITE_STEP: usize = 256 << 10;
/// Pause between steps, for the same reason.
const STEP_PAUSE: Duration = Duration::from_millis(2);
/// Length of the first segment of a process in bytes: short, so that the node is ready quickly.
const FIRST_SEGMENT_LEN: u64 = 1 << 20;

/// A zero-filled file that is not yet part of the log.
#[derive(Debug)]
pub(crate) struct Spare {
    pub(crate) file: Box<dyn VfsFile>,
    pub(crate) path: PathBuf,
    pub(crate) len: u64,
}

/// Prepares spare segments, one at a time, in a separate thread.
#[derive(Debug)]
pub(crate) struct SpareMaker {
    vfs: Arc<dyn Vfs>,
    folder: PathBuf,
    len: u64,
    running: Option<JoinHandle<Result<Spare, StorageError>>>,
    /// Whether the log is waiting for the spare, so that the thread must not pause any more.
    hurry: Arc<AtomicBool>,
}

impl SpareMaker {
    pub(crate) fn new(vfs: Arc<dyn Vfs>, folder: &Path, len: u64) -> SpareMaker {
        SpareMaker { vfs, folder: folder.to_owned(), len, running: None, hurry: Arc::default() }
    }

    /// Begins a spare in the background, unless one is in progress or threads are not allowed.
    pub(crate) fn begin(&mut self) -> Result<(), StorageError> {
        if self.running.is_none() && self.vfs.allows_helper_threads() {
            self.hurry.store(false, Ordering::Relaxed);
            let (vfs, path, len) = (Arc::clone(&self.vfs), self.folder.join("spare.tmp"), self.len);
            let hurry = Arc::clone(&self.hurry);
            let work = move || fill(&*vfs, path, len, &hurry);
            let thread = std::thread::Builder::new().name("spare".to_owned()).spawn(work);
            self.running = Some(thread.map_err(|cause| StorageError::io("thread for", &self.folder, cause))?);
        }
        Ok(())
    }

    /// Returns a spare of at least `min_len` bytes: the prepared one if it is long enough, or one made now.
    pub(crate) fn take(&mut self, min_len: u64) -> Result<Spare, StorageError> {
        self.hurry.store(true, Ordering::Relaxed);
        if min_len > self.len {
            return fill(&*self.vfs, self.folder.join("long.tmp"), min_len, &self.hurry);
        }
        match self.running.take() {
            Some(thread) => thread.join().expect("the spare thread does not panic"),
            None => fill(&*self.vfs, self.folder.join("spare.tmp"), self.len.min(FIRST_SEGMENT_LEN).max(min_len), &self.hurry),
        }
    }
}

impl Drop for SpareMaker {
    /// Waits for the thread: the folder's lock must not be released while a thread still writes to the folder.
    fn drop(&mut self) {
        self.hurry.store(true, Ordering::Relaxed);
        if let Some(thread) = self.running.take() {
            let _ = thread.join();
        }
    }
}

fn fill(vfs: &dyn Vfs, path: PathBuf, len: u64, hurry: &AtomicBool) -> Result<Spare, StorageError> {
    let io = |cause| StorageError::io("zero-filling of", &path, cause);
    let file = vfs.create(&path).map_err(io)?;
    // Detects a full disk before anything relies on the file, and keeps its blocks contiguous.
    file.allocate(len).map_err(io)?;
    let zeroes = vec![0; WRITE_STEP];
    let mut at = 0;
    while at < len {
        let step = (len - at).min(WRITE_STEP as u64);
        file.write_at(&zeroes[..step as usize], at).map_err(io)?;
        file.write_back(at, step);
        at += step;
        if !hurry.load(Ordering::Relaxed) {
            std::thread::sleep(STEP_PAUSE);
        }
    }
    file.sync_all().map_err(io)?;
    Ok(Spare { file, path, len })
}
