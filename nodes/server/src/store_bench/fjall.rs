//! fjall 3, a log-structured merge tree.
//!
//! A batch is one atomic write to the journal, synced before it is visible (`fjall/src/batch/mod.rs`): with
//! [`PersistMode::SyncData`], one `fdatasync` of the journal, whose length was set to 64 MiB in advance, without
//! zero-filling. Entries stay in memory until there are enough of them for a table. fjall's own threads merge the
//! tables.

use std::path::{Path, PathBuf};

use ::fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use heckle_paxos::Key;

use super::indexed::Index;
use super::records::Visit;
use super::{SEGMENT_BYTES, SEGMENTS_BEFORE_SNAPSHOT};
use crate::storage::StorageError;

/// An open database with one keyspace.
pub(super) struct Fjall {
    path: PathBuf,
    database: Database,
    states: Keyspace,
}

impl Fjall {
    pub(super) fn open(path: &Path) -> Result<Fjall, StorageError> {
        let failed = |error: ::fjall::Error| failure("open of", path, error.to_string());
        let database = Database::builder(path).open().map_err(failed)?;
        // As many bytes as the log accumulates before a snapshot.
        let gathered = SEGMENT_BYTES * SEGMENTS_BEFORE_SNAPSHOT as u64;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(gathered);
        let states = database.keyspace("states", options).map_err(failed)?;
        Ok(Fjall { path: path.to_owned(), database, states })
    }
}

impl Index for Fjall {
    fn put_all(&mut self, entries: &[(Key, Vec<u8>)]) -> Result<(), StorageError> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        for (key, bytes) in entries {
            batch.insert(&self.states, key.as_bytes(), &bytes[..]);
        }
        batch.commit().map_err(|error| self.failed("write to", error.to_string()))
    }

    fn for_each_value(&self, visit: &mut Visit<'_>) -> Result<(), StorageError> {
        for entry in self.states.iter() {
            let bytes = entry.value().map_err(|error| self.failed("read of", error.to_string()))?;
            visit(&bytes).map_err(|why| self.failed("read of", why))?;
        }
        Ok(())
    }

    fn failed(&self, what: &'static str, why: String) -> StorageError {
        failure(what, &self.path, why)
    }
}

fn failure(what: &'static str, path: &Path, why: String) -> StorageError {
    StorageError::io(what, path, std::io::Error::other(format!("fjall: {why}")))
}
