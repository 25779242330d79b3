//! The storage's interface to the file system: every access to a data folder goes through [`Vfs`].
//!
//! There are three implementations: [`real`], which the node uses; [`overlay`], which keeps un-synced data out of the real
//! files, so that a harness can simulate a power loss; and [`memory`], which does the same in tests and simulations.
//!
//! # What is durable when
//! - The bytes and length of a file: once a sync that began after the write has ended.
//! - A new name, a rename or a removal: once [`Vfs::sync_folder`] has returned. Until then, each may be lost
//!   independently.
//!
//! # Requests and completions
//! Only the sync of a batch takes so long that other work must continue while it runs. So it is a request with an id:
//! [`VfsFile::begin_sync`] starts it, and [`Vfs::next_completion`] returns its result. The real file system syncs on
//! the calling thread, so the completion is available when `begin_sync` returns. A simulation lets time pass in
//! between. All other calls return when their work is done.

#[cfg(test)]
pub(crate) mod memory;
pub(crate) mod overlay;
pub(crate) mod real;
pub(crate) mod unsynced;

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};

/// Id of a request. Chosen by the caller, and unique among the requests in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RequestId(pub(crate) u64);

/// The result of a request.
#[derive(Debug)]
pub(crate) struct Completion {
    pub(crate) id: RequestId,
    pub(crate) result: io::Result<()>,
}

/// Keeps other processes out of a folder until it is dropped or the process ends.
pub(crate) trait FolderLock: Debug + Send + Sync {}

/// A file system. All errors come from the operating system.
pub(crate) trait Vfs: Debug + Send + Sync {
    /// Creates a folder and its missing parents, accessible only to the node's user. An existing folder keeps its
    /// mode.
    fn create_folder(&self, path: &Path) -> io::Result<()>;

    /// Takes the lock file `path`. Fails with [`io::ErrorKind::WouldBlock`] if another process holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn FolderLock>>;

    /// Lists the files of a folder, in any order.
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;

    /// Reads the whole content of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Creates an empty file, accessible only to the node's user. Replaces an existing file.
    fn create(&self, path: &Path) -> io::Result<Box<dyn VfsFile>>;

    /// Opens an existing file for writing.
    fn open(&self, path: &Path) -> io::Result<Box<dyn VfsFile>>;

    /// Renames a file. Replaces an existing file with the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes all names in a folder durable.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;

    /// Returns the result of a completed request. Each result is returned once.
    fn next_completion(&self) -> Option<Completion>;

    /// Whether helper threads may use the file system in parallel. With simulated time, all work is sequential.
    fn allows_helper_threads(&self) -> bool;
}

/// An open file. The handle stays valid when the file is renamed.
pub(crate) trait VfsFile: Debug + Send + Sync {
    /// Returns the length of the file in bytes.
    fn size(&self) -> io::Result<u64>;

    /// Truncates or extends the file.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Reserves space for `len` bytes, so that a full disk is detected now. Does nothing if the file system cannot
    /// reserve space.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`. The write is not durable yet.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Asks the disk to start writing these bytes, to shorten a later sync. This does not make them durable, and
    /// failures are ignored.
    fn write_back(&self, offset: u64, len: u64);

    /// Makes content, length and other metadata durable.
    fn sync_all(&self) -> io::Result<()>;

    /// Makes content and length durable.
    fn sync_data(&self) -> io::Result<()>;

    /// Starts making the content written so far durable. The sync ends with a [`Completion`].
    fn begin_sync(&self, id: RequestId);
}
