//! redb 4, a copy-on-write B-tree in one file.
//!
//! A batch is one transaction. With [`Durability::Immediate`], its pages, their ancestors and a commit slot in the
//! header are written, then the file is synced once (`redb/src/transactions.rs`: the one-phase commit, which is the
//! default; checksums show which of two slots is valid). After a crash, redb reads the whole file. Quick repair,
//! which avoids this, costs a second sync per transaction and is off by default.

use std::path::{Path, PathBuf};

use ::redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use heckle_paxos::Key;

use super::indexed::Index;
use super::records::Visit;
use crate::storage::StorageError;

const STATES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("states");

/// An open database with one table.
pub(super) struct Redb {
    path: PathBuf,
    database: Database,
}

impl Redb {
    pub(super) fn open(folder: &Path) -> Result<Redb, StorageError> {
        let path = folder.join("states.redb");
        let made = std::fs::create_dir_all(folder).map_err(::redb::Error::from);
        let database = made.and_then(|()| Ok(Database::create(&path)?)).map_err(|error| failure("open of", &path, error.to_string()))?;
        Ok(Redb { path, database })
    }

    fn try_put_all(&self, entries: &[(Key, Vec<u8>)]) -> Result<(), ::redb::Error> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        {
            let mut table = transaction.open_table(STATES)?;
            for (key, bytes) in entries {
                table.insert(key.as_bytes(), &bytes[..])?;
            }
        }
        Ok(transaction.commit()?)
    }

    fn try_for_each_value(&self, visit: &mut Visit<'_>) -> Result<Result<(), String>, ::redb::Error> {
        let transaction = self.database.begin_read()?;
        let table = match transaction.open_table(STATES) {
            Err(::redb::TableError::TableDoesNotExist(_)) => return Ok(Ok(())),
            table => table?,
        };
        for entry in table.iter()? {
            let (_, bytes) = entry?;
            if let Err(why) = visit(bytes.value()) {
                return Ok(Err(why));
            }
        }
        Ok(Ok(()))
    }
}

impl Index for Redb {
    fn put_all(&mut self, entries: &[(Key, Vec<u8>)]) -> Result<(), StorageError> {
        self.try_put_all(entries).map_err(|error| self.failed("write to", error.to_string()))
    }

    fn for_each_value(&self, visit: &mut Visit<'_>) -> Result<(), StorageError> {
        let shown = self.try_for_each_value(visit).unwrap_or_else(|error| Err(error.to_string()));
        shown.map_err(|why| self.failed("read of", why))
    }

    fn failed(&self, what: &'static str, why: String) -> StorageError {
        failure(what, &self.path, why)
    }
}

fn failure(what: &'static str, path: &Path, why: String) -> StorageError {
    StorageError::io(what, path, std::io::Error::other(format!("redb: {why}")))
}
