//! Why the storage cannot start or continue.

use std::io;
use std::path::{Path, PathBuf};

use crate::amnesia::REMEDY;
use crate::resources::descriptors::is_exhausted;

/// Why the storage cannot start or continue.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The disk failed.
    #[error("{what} {path}: {cause}{}", advice(.cause))]
    Io {
        /// The operation that failed.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The error from the operating system.
        cause: io::Error,
    },
    /// The folder cannot be used as a data folder.
    #[error("data folder {path}: {cause}")]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// The error from the operating system.
        cause: io::Error,
    },
    /// Another process is using the folder.
    #[error("data folder {path} is in use by another process: give each node its own folder")]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// The folder was written by a different version.
    #[error("{path} has format {found}, this program reads {expected}: use the release that wrote it")]
    OtherFormat {
        /// The file.
        path: PathBuf,
        /// Format found.
        found: String,
        /// Format expected.
        expected: String,
    },
    /// The folder belongs to another node or cluster.
    #[error("{path} belongs to {found}, this is {expected}: check --data-dir")]
    OtherOwner {
        /// The file.
        path: PathBuf,
        /// The `node` and `cluster` found.
        found: String,
        /// The `node` and `cluster` expected.
        expected: String,
    },
    /// The folder belongs to a cluster of other nodes.
    #[error(
        "{path} belongs to a cluster of {found}, and this start names {expected}: give --peer for the same nodes as before. The members \
         of a cluster cannot be changed: to use other nodes, start a new cluster with empty folders"
    )]
    OtherMembers {
        /// The file.
        path: PathBuf,
        /// The nodes found.
        found: String,
        /// The nodes expected.
        expected: String,
    },
    /// Durable data was damaged or is missing.
    #[error("{path} is damaged at byte {offset}: {why}. Nothing was changed. {REMEDY}")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Offset of the damage in bytes.
        offset: u64,
        /// What is wrong at that offset.
        why: String,
    },
    /// The log lacks something that it once held.
    #[error("data folder {path} has lost a part of its state: {why}. Nothing was changed. {REMEDY}")]
    LostLog {
        /// The folder.
        path: PathBuf,
        /// The evidence.
        why: String,
    },
    /// The process must end at this point as if killed.
    #[error("point {name} was reached")]
    Crash {
        /// Name of the point.
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

    /// Whether the process has run out of file descriptors. Such an error says nothing about the disk.
    pub fn is_out_of_descriptors(&self) -> bool {
        match self {
            StorageError::Io { cause, .. } | StorageError::Unusable { cause, .. } => is_exhausted(cause),
            StorageError::Locked { .. }
            | StorageError::OtherFormat { .. }
            | StorageError::OtherOwner { .. }
            | StorageError::OtherMembers { .. }
            | StorageError::Corrupt { .. }
            | StorageError::LostLog { .. }
            | StorageError::Crash { .. } => false,
        }
    }

    /// Whether the user's input is at fault (exit code 64) rather than the disk (74).
    pub fn is_usage(&self) -> bool {
        match self {
            StorageError::Unusable { .. }
            | StorageError::Locked { .. }
            | StorageError::OtherFormat { .. }
            | StorageError::OtherOwner { .. }
            | StorageError::OtherMembers { .. } => true,
            StorageError::Io { .. } | StorageError::Corrupt { .. } | StorageError::LostLog { .. } | StorageError::Crash { .. } => false,
        }
    }
}

/// Advice on the error. Empty if there is none.
fn advice(cause: &io::Error) -> &'static str {
    if is_exhausted(cause) {
        return ". The disk is not at fault: this process may open no more files. Raise the limit (ulimit -n), then start this node again";
    }
    match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            ". Nothing that was acknowledged is lost: make room there (or raise the quota, or the limit of file sizes), then start this \
             node again"
        }
        _ => "",
    }
}
