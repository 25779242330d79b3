//! The journal of an overlay: the changes that no sync has covered, in order.
//!
//! ```text
//! | len u32 | crc32 u32 | record, len bytes |   and so on
//! ```
//! It is never synced: the bytes that a process has written outlive the process, and that is all that is needed. If a
//! process ends in the middle of a record, that change counts as not made.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::storage::vfs::unsynced::Change;

const HEAD: usize = 8;
const FILE_MODE: u32 = 0o600;

/// One record. Files are numbered, and names are file names in the data folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Record {
    /// This file has a durable name. Later records may refer to it.
    File {
        file: u64,
        name: String,
        inode: u64,
    },
    /// A new file. Until its name is durable, its content is kept in the overlay folder, under its number.
    Create {
        file: u64,
        name: String,
        inode: u64,
    },
    Rename {
        file: u64,
        from: String,
        to: String,
    },
    Remove {
        file: u64,
        name: String,
    },
    Write {
        file: u64,
        offset: u64,
        #[serde(with = "byte_string")]
        bytes: Vec<u8>,
    },
    /// A write of zeroes, which are not stored.
    Zeroes {
        file: u64,
        offset: u64,
        len: u64,
    },
    Length {
        file: u64,
        len: u64,
    },
    /// This many of the oldest changes of this file are now in the file itself and synced.
    Synced {
        file: u64,
        changes: u64,
    },
    /// The names are being made durable. If this is the last record, some of that work may have been done.
    NamesSyncing,
}

/// Copies bytes as a block. By default, serde reads and writes them one at a time.
mod byte_string {
    use std::fmt;

    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        struct ByteString;
        impl Visitor<'_> for ByteString {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a byte string")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
        }
        from.deserialize_bytes(ByteString)
    }
}

impl Record {
    /// Creates the record of a change to a file's content.
    pub(super) fn of_change(file: u64, change: &Change) -> Record {
        match change {
            Change::Write { offset, bytes } if bytes.iter().all(|byte| *byte == 0) => {
                Record::Zeroes { file, offset: *offset, len: bytes.len() as u64 }
            }
            Change::Write { offset, bytes } => Record::Write { file, offset: *offset, bytes: bytes.clone() },
            Change::Length(len) => Record::Length { file, len: *len },
        }
    }

    /// The file of a write with nonzero content.
    fn written(&self) -> Option<u64> {
        if let Record::Write { file, .. } = self { Some(*file) } else { None }
    }

    /// The file of any other content change.
    fn changed(&self) -> Option<u64> {
        if let Record::Zeroes { file, .. } | Record::Length { file, .. } = self { Some(*file) } else { None }
    }
}

/// Counts the writes in a journal that no sync has covered, except for writes of zeroes. Changes nothing, so the process
/// that writes the journal may still exist, as long as it is stopped.
pub(super) fn count_unsynced_writes(path: &Path) -> io::Result<u64> {
    let (records, _) = decode(&std::fs::read(path)?)?;
    // For each file: whether each of its changes is a write, oldest first.
    let mut files: BTreeMap<u64, VecDeque<bool>> = BTreeMap::new();
    for record in &records {
        if let Some(file) = record.written() {
            files.entry(file).or_default().push_back(true);
        } else if let Some(file) = record.changed() {
            files.entry(file).or_default().push_back(false);
        } else if let Record::Synced { file, changes } = record {
            let changed = files.entry(*file).or_default();
            changed.drain(..changed.len().min(*changes as usize));
        }
    }
    Ok(files.into_values().flatten().filter(|is_write| *is_write).count() as u64)
}

/// The journal, open for appending.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    len: u64,
}

impl Journal {
    /// Opens the journal and reads its records. A record that was being written when the process ended is cut off.
    pub(super) fn open(path: &Path) -> io::Result<(Journal, Vec<Record>)> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(FILE_MODE).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let (records, len) = decode(&bytes)?;
        file.set_len(len)?;
        file.seek(SeekFrom::Start(len))?;
        Ok((Journal { file, len }, records))
    }

    pub(super) fn append(&mut self, record: &Record) -> io::Result<()> {
        let bytes = encode(record);
        self.file.write_all(&bytes)?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Length in bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Replaces the journal at `path` with these records, in one step.
    pub(super) fn rewrite(path: &Path, records: &[Record]) -> io::Result<Journal> {
        let new = path.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(&new)?;
        let bytes: Vec<u8> = records.iter().flat_map(encode).collect();
        file.write_all(&bytes)?;
        std::fs::rename(&new, path)?;
        Ok(Journal { file, len: bytes.len() as u64 })
    }
}

fn encode(record: &Record) -> Vec<u8> {
    let mut bytes = postcard::to_extend(record, vec![0; HEAD]).expect("a record is plain data");
    let len = u32::try_from(bytes.len() - HEAD).expect("a change is far below 4 GiB");
    let crc = crc32fast::hash(&bytes[HEAD..]);
    bytes[..4].copy_from_slice(&len.to_le_bytes());
    bytes[4..HEAD].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Returns the records and the length of the part that contains them.
fn decode(bytes: &[u8]) -> io::Result<(Vec<Record>, u64)> {
    let (mut records, mut at) = (Vec::new(), 0);
    while let Some(head) = bytes.get(at..at + HEAD) {
        let field = |from: usize| u32::from_le_bytes(head[from..from + 4].try_into().expect("four bytes"));
        let Some(payload) = bytes.get(at + HEAD..).and_then(|rest| rest.get(..field(0) as usize)) else { break };
        let end = at + HEAD + payload.len();
        if crc32fast::hash(payload) != field(4) {
            // A process that ends in the middle of a record leaves nothing after it.
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("the journal is damaged at byte {at}")));
        }
        let record = postcard::from_bytes(payload).map_err(|cause| io::Error::new(io::ErrorKind::InvalidData, cause))?;
        records.push(record);
        at = end;
    }
    Ok((records, at as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;

    #[test]
    fn a_record_that_was_not_finished_is_cut_off_and_a_damaged_one_is_refused() {
        let dir = TempDir::new("journal");
        let path = dir.path().join("journal");
        let records = [
            Record::Create { file: 1, name: "a".into(), inode: 7 },
            Record::Write { file: 1, offset: 3, bytes: b"abc".to_vec() },
            Record::NamesSyncing,
        ];
        drop(Journal::rewrite(&path, &records).unwrap());
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let (mut journal, found) = Journal::open(&path).unwrap();
            assert_eq!(found, records[..found.len()], "cut at {cut}");
            assert!(found.len() < records.len());
            journal.append(&Record::Length { file: 1, len: 9 }).unwrap();
            let (again, more) = Journal::open(&path).unwrap();
            assert_eq!((more.len(), again.len()), (found.len() + 1, journal.len()));
        }
        let mut damaged = whole;
        damaged[HEAD] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        assert_eq!(Journal::open(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
