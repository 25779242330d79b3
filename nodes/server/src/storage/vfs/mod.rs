//! The file system as the storage sees it: every access to a data folder goes through [`Vfs`].
//!
//! Two kinds: [`real`], which the node uses, and [`memory`], which tests and simulations use. The second keeps what was
//! synced apart from what was not, so that it can lose power.
//!
//! # What is durable when
//! - Bytes and length of a file: when a sync of it that began after the write has ended.
//! - A new name, a rename, a removal: when [`Vfs::sync_folder`] has returned. Until then each may vanish on its own.
//!
//! # Requests and completions
//! Only the sync of a batch takes long enough that other work has to go on meanwhile. It is a request with an id:
//! [`VfsFile::begin_sync`] starts it, and [`Vfs::next_completion`] gives its result. The real kind syncs on the calling
//! thread, so the completion is there when `begin_sync` returns. A simulation lets time pass in between. All other calls
//! return when they are done.

#[cfg(test)]
pub(crate) mod memory;
pub(crate) mod real;

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};

/// Names one request. The caller chooses it, and no two requests in flight have the same one.
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

/// A file system. Errors are the operating system's.
pub(crate) trait Vfs: Debug + Send + Sync {
    /// Creates a folder and its missing parents, for the node's user alone. One that exists keeps its mode.
    fn create_folder(&self, path: &Path) -> io::Result<()>;

    /// Takes the lock file `path`; [`io::ErrorKind::WouldBlock`] if another process holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn FolderLock>>;

    /// The files of a folder, in any order.
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;

    /// The whole content of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Creates an empty file for the node's user alone, in place of one that may be there.
    fn create(&self, path: &Path) -> io::Result<Box<dyn VfsFile>>;

    /// Opens an existing file for writing.
    fn open(&self, path: &Path) -> io::Result<Box<dyn VfsFile>>;

    /// Renames a file, in place of one that may have the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes all names of a folder durable.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;

    /// The result of a request that has ended and was not given before.
    fn next_completion(&self) -> Option<Completion>;

    /// Whether helper threads may use it at the same time. Where time is simulated, everything is done in turn.
    fn allows_helper_threads(&self) -> bool;
}

/// An open file. It stays the same file when it is renamed.
pub(crate) trait VfsFile: Debug + Send + Sync {
    /// Its length in bytes.
    fn size(&self) -> io::Result<u64>;

    /// Cuts or extends it.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Reserves space for `len` bytes, so that a full disk is noticed now. Where the file system cannot, it does nothing.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`. Not durable.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Lets the disk start on these bytes, to shorten a later sync. Not durable, and a failure does not matter.
    fn write_back(&self, offset: u64, len: u64);

    /// Makes content, length and other metadata durable.
    fn sync_all(&self) -> io::Result<()>;

    /// Makes content and length durable.
    fn sync_data(&self) -> io::Result<()>;

    /// Starts to make the content durable that was written so far. Ends with a [`Completion`].
    fn begin_sync(&self, id: RequestId);
}
