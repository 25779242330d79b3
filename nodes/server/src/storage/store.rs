//! Where durable batches go.

use crate::storage::batch::BatchBuilder;
use crate::storage::error::StorageError;

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
