//! The interface of a durable store of batches.

use crate::storage::batch::BatchBuilder;
use crate::storage::error::StorageError;

/// A durable store of batches, driven by the group-sync thread. The node uses the write-ahead log of [`wal`].
pub(crate) trait Store: Send {
    /// Appends a batch. The batch is durable when this returns.
    fn append(&mut self, batch: &mut BatchBuilder) -> Result<(), StorageError>;

    /// Closes the current segment, so that a snapshot of everything appended so far can replace it. Returns the
    /// sequence number of the last batch appended.
    fn seal(&mut self) -> Result<u64, StorageError>;

    /// Removes the batches that the durable snapshot up to this batch has replaced.
    fn remove_up_to(&mut self, batch: u64) -> Result<(), StorageError>;

    /// Number of files that hold batches.
    fn segments(&self) -> usize;

    /// Marks a clean end. Nothing is appended afterwards.
    fn finish(&mut self) -> Result<(), StorageError>;
}
