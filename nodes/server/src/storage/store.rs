//! The interface of a durable store of batches.

use crate::storage::batch::BatchBuilder;
use crate::storage::error::StorageError;

/// A durable store of batches, driven by the group-sync thread. A node uses the write-ahead log in [`wal`].
pub(crate) trait Store: Send {
    /// Appends a batch, which is durable when this returns.
    fn append(&mut self, batch: &mut BatchBuilder) -> Result<(), StorageError>;

    /// Closes the current segment, so that a snapshot of everything appended so far can replace it. Returns the
    /// sequence number of the last batch appended.
    fn seal(&mut self) -> Result<u64, StorageError>;

    /// Removes the batches replaced by the durable snapshot up to this batch.
    fn remove_up_to(&mut self, batch: u64) -> Result<(), StorageError>;

    /// Number of files that contain batches.
    fn segments(&self) -> usize;

    /// Marks a clean end. Nothing is appended afterwards.
    fn finish(&mut self) -> Result<(), StorageError>;
}
