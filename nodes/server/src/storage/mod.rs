//! The node's disk: a write-ahead log with group sync, snapshots and recovery.
//!
//! # What is promised
//! A record is durable once the sync of its batch has returned, and only then is anything sent that relies on it.
//! A crash at any byte loses no durable record. A failed write or sync ends the process with code 74: after a
//! failed `fsync` Linux marks the pages clean, so a second `fsync` that succeeds proves nothing (the "fsyncgate" of
//! PostgreSQL, 2018; Rebello et al., *Can Applications Recover from fsync Failures?*, USENIX ATC 2020).
//!
//! # Files of a data folder
//! ```text
//! lock                        held while a process uses the folder
//! identity.json               format, cluster, node, folder id, incarnation
//! log-<first batch>.wal       segments; filled with zeroes before use, so that a sync need not touch metadata
//! snapshot-<last batch>.snap  the whole state as records; replaces all segments up to that batch
//! *.tmp                       not yet valid: removed at the start
//! ```
//! All of them are readable by the node's own user alone, and every access to them goes through [`vfs`].
//!
//! # Torn tail or corruption?
//! The unit of writing, of checksums and of syncing is the *batch*, and batch n+1 is written only after the sync of
//! batch n has returned. So a crash can damage the last batch only, in any of its sectors and in any order:
//! a damaged batch with nothing valid after it was (as far as anyone can tell) never acknowledged and is
//! cut, with a logged count; a damaged batch with a valid one anywhere after it was synced once and has rotted,
//! and the folder is refused. A clean stop writes an empty batch last, which turns damage of the
//! last real batch from undecidable into corruption.
//! Nothing is ever appended to a segment that recovery has read: it is cut to its valid length and a new one begun,
//! so left-overs of a torn batch can never be read as the continuation of a later log.

pub(crate) mod batch;
pub(crate) mod folder;
pub(crate) mod group;
pub(crate) mod log_file;
pub(crate) mod recovery;
pub(crate) mod segment;
pub(crate) mod snapshot;
pub(crate) mod spare;
pub(crate) mod thread;
pub(crate) mod vfs;
pub(crate) mod wal;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::points::storage::StoragePoints;
use crate::storage::batch::BatchBuilder;
use crate::storage::segment::Owner;
use crate::storage::vfs::Vfs;

/// Where the log and its snapshots are, and whose they are.
#[derive(Debug, Clone)]
pub(crate) struct LogFolder {
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) path: PathBuf,
    pub(crate) owner: Owner,
    /// Where its work can be made to fail.
    pub(crate) points: Arc<StoragePoints>,
}

/// Where durable batches go. The group-sync thread drives one; the write-ahead log of [`wal`] is the one in use.
pub(crate) trait Store: Send {
    /// Makes a batch durable; when this returns, it is.
    fn append(&mut self, batch: &mut BatchBuilder) -> Result<(), StorageError>;

    /// Closes the current segment, so that a snapshot of everything appended so far can replace it, and tells the
    /// sequence number of the last batch appended.
    fn seal(&mut self) -> Result<u64, StorageError>;

    /// Forgets what the durable snapshot up to this batch has replaced.
    fn forget_up_to(&mut self, batch: u64) -> Result<(), StorageError>;

    /// Files that hold batches.
    fn segments(&self) -> usize;

    /// Marks a clean end, after which nothing is appended.
    fn finish(&mut self) -> Result<(), StorageError>;
}

/// Why the storage cannot go on, or cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The disk failed.
    #[error("{what} {path}: {cause}{}", advice(.cause))]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The folder cannot be used as a data folder.
    #[error("data folder {path}: {cause}")]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Another process uses the folder.
    #[error("data folder {path} is in use by another process: give each node a folder of its own")]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// The folder was written by another version.
    #[error("{path} has format {found}, this program reads {expected}: use the release that wrote it, or an empty folder")]
    OtherFormat {
        /// The file.
        path: PathBuf,
        /// Format found.
        found: String,
        /// Format expected.
        expected: String,
    },
    /// The folder belongs to another node or cluster.
    #[error("{path} belongs to {found}, this is {expected}: check --data-dir, or start with an empty folder")]
    OtherOwner {
        /// The file.
        path: PathBuf,
        /// `node` of `cluster` found.
        found: String,
        /// `node` of `cluster` expected.
        expected: String,
    },
    /// Durable data was damaged or is missing.
    #[error(
        "{path} is damaged at byte {offset}: {why}. Nothing was changed. This node must not vote with it: \
         restore the file, or replace the node"
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        why: String,
    },
    /// The process is to end at this point as if it was killed.
    #[error("point {name} was reached")]
    Crash {
        /// Its name.
        name: &'static str,
    },
}

impl StorageError {
    pub(crate) fn io(what: &'static str, path: &Path, cause: io::Error) -> StorageError {
        StorageError::Io { what, path: path.to_owned(), cause }
    }

    pub(crate) fn corrupt(path: &Path, offset: u64, why: impl Into<String>) -> StorageError {
        StorageError::Corrupt { path: path.to_owned(), offset, why: why.into() }
    }

    /// Whether what the user supplied is wrong (exit code 64), rather than the disk (74).
    pub fn is_usage(&self) -> bool {
        match self {
            StorageError::Unusable { .. }
            | StorageError::Locked { .. }
            | StorageError::OtherFormat { .. }
            | StorageError::OtherOwner { .. } => true,
            StorageError::Io { .. } | StorageError::Corrupt { .. } | StorageError::Crash { .. } => false,
        }
    }
}

/// What to do about it, where that can be told.
fn advice(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            ". Nothing that was acknowledged is lost: make room there (or raise the quota, or the limit of file sizes), then start this \
             node again"
        }
        _ => "",
    }
}

/// Makes a rename or a new name in `folder` durable.
pub(crate) fn sync_folder(vfs: &dyn Vfs, folder: &Path) -> Result<(), StorageError> {
    vfs.sync_folder(folder).map_err(|cause| StorageError::io("sync of folder", folder, cause))
}

#[cfg(test)]
mod tests;
