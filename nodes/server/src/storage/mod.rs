//! The node's disk: a write-ahead log with group sync, snapshots and recovery.
//!
//! # Guarantees
//! A record is durable once the sync of its batch has returned, and anything that relies on it is sent only then. A
//! crash at any byte loses no durable record. A failed write or sync ends the process with code 74: after a failed
//! `fsync` Linux marks the pages clean, so a second `fsync` that succeeds proves nothing (the "fsyncgate" of
//! PostgreSQL, 2018; Rebello et al., *Can Applications Recover from fsync Failures?*, USENIX ATC 2020).
//!
//! # Files of a data folder
//! ```text
//! lock                        held while a process uses the folder
//! identity.json               format, cluster, node, folder id, incarnation
//! log-<first batch>.wal       segments; filled with zeroes before use, so that a sync need not touch metadata
//! snapshot-<last batch>.snap  the whole state as records; replaces all segments up to that batch
//! *.tmp                       not yet valid: removed at the start
//! overlay/                    un-synced bytes and names, if the node runs with an overlay: see [`vfs::overlay`]
//! ```
//! All files are readable only by the node's own user, and every access to them goes through [`vfs`].
//!
//! # Torn tail or corruption?
//! The unit of writing, checksumming and syncing is the *batch*, and batch n+1 is written only after the sync of
//! batch n has returned. So a crash can damage only the last batch, in any of its sectors and in any order. A damaged
//! batch with nothing valid after it cannot be shown to have been acknowledged, so it is cut off, and the node's log
//! reports its size. A damaged batch followed anywhere by a valid one was durable once and has been corrupted since,
//! so the folder is refused. A clean stop ends the log with an empty batch, so that damage to the last real batch,
//! otherwise ambiguous, is detected as corruption. Recovery never appends to a segment that it has read. It truncates
//! the segment to its valid length and begins a new one, so the remains of a torn batch can never be read as the
//! continuation of a later log.

pub(crate) mod batch;
mod error;
pub(crate) mod folder;
pub(crate) mod group;
pub(crate) mod log_file;
mod log_folder;
pub(crate) mod recovery;
pub(crate) mod segment;
pub(crate) mod snapshot;
pub(crate) mod spare;
mod store;
pub(crate) mod thread;
pub(crate) mod vfs;
pub(crate) mod wal;

pub use error::StorageError;
pub(crate) use log_folder::{LogFolder, sync_folder};
pub(crate) use store::Store;
pub use vfs::overlay::{lose_power, unsynced_writes};
pub use vfs::unsynced::PowerLoss;

#[cfg(test)]
mod tests;
