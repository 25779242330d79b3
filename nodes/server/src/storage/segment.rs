//! Files of batches: their header, and the scan that distinguishes a torn tail from corruption.

use std::path::Path;

use crate::options::{MAX_CLUSTER_ID, NodeId};
use crate::storage::StorageError;
use crate::storage::batch::{BATCH_ALIGN, Batch};

/// Size of the header in bytes. The first batch follows it.
pub(crate) const FILE_HEADER: usize = 256;

const MAGIC_LEN: usize = 16;
const CLUSTER_AT: usize = 48;
const CRC_AT: usize = FILE_HEADER - 4;

/// The kind of a batch file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    Segment,
    Snapshot,
}

impl FileKind {
    fn magic_prefix(self) -> &'static str {
        match self {
            FileKind::Segment => "heckle.log/",
            FileKind::Snapshot => "heckle.snap/",
        }
    }

    fn magic(self) -> String {
        format!("{}1", self.magic_prefix())
    }
}

/// The node that owns a file. Checked at every start: a file copied from another node's folder is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) cluster: String,
    pub(crate) node: NodeId,
    pub(crate) folder: u64,
}

/// Header of a batch file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileHeader {
    pub(crate) kind: FileKind,
    pub(crate) owner: Owner,
    /// Sequence number of a batch: the first one of a segment, or the last one replaced by a snapshot.
    pub(crate) batch: u64,
    /// Mixed into the checksums of this file's batches.
    pub(crate) salt: u64,
}

impl FileHeader {
    pub(crate) fn encode(&self) -> [u8; FILE_HEADER] {
        let mut bytes = [0; FILE_HEADER];
        let magic = self.kind.magic();
        bytes[..magic.len()].copy_from_slice(magic.as_bytes());
        let cluster = self.owner.cluster.as_bytes();
        assert!(cluster.len() <= MAX_CLUSTER_ID, "the options bound the cluster's name");
        bytes[16..20].copy_from_slice(&u32::from(self.owner.node.number()).to_le_bytes());
        bytes[20..24].copy_from_slice(&(cluster.len() as u32).to_le_bytes());
        bytes[24..32].copy_from_slice(&self.owner.folder.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.batch.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.salt.to_le_bytes());
        bytes[CLUSTER_AT..CLUSTER_AT + cluster.len()].copy_from_slice(cluster);
        let crc = crc32fast::hash(&bytes[..CRC_AT]);
        bytes[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads and checks the header of `path`, whose content is `bytes`.
    pub(crate) fn decode(bytes: &[u8], kind: FileKind, owner: &Owner, path: &Path) -> Result<FileHeader, StorageError> {
        let corrupt = |why: &str| StorageError::corrupt(path, 0, why);
        let header = bytes.get(..FILE_HEADER).ok_or_else(|| corrupt("the file is shorter than its header"))?;
        let magic = header[..MAGIC_LEN].split(|&b| b == 0).next().unwrap_or_default();
        let magic = String::from_utf8_lossy(magic);
        if magic != kind.magic() {
            return Err(if magic.starts_with(kind.magic_prefix()) {
                StorageError::OtherFormat { path: path.to_owned(), found: magic.into_owned(), expected: kind.magic() }
            } else {
                corrupt("the header is not one of such a file")
            });
        }
        if crc32fast::hash(&header[..CRC_AT]) != u32::from_le_bytes(field(header, CRC_AT)) {
            return Err(corrupt("bad checksum of the header"));
        }
        let cluster_len = u32::from_le_bytes(field(header, 20)) as usize;
        let cluster = header.get(CLUSTER_AT..CLUSTER_AT + cluster_len.min(MAX_CLUSTER_ID)).unwrap_or_default();
        let node = u16::try_from(u32::from_le_bytes(field(header, 16))).unwrap_or(0);
        let found = Owner {
            cluster: String::from_utf8_lossy(cluster).into_owned(),
            node: NodeId::new(node).map_err(|_| corrupt("the header names no node"))?,
            folder: u64::from_le_bytes(field(header, 24)),
        };
        if found != *owner {
            let name = |o: &Owner| format!("{} of cluster {:?}, folder {:x}", o.node, o.cluster, o.folder);
            return Err(StorageError::OtherOwner { path: path.to_owned(), found: name(&found), expected: name(owner) });
        }
        let (batch, salt) = (u64::from_le_bytes(field(header, 32)), u64::from_le_bytes(field(header, 40)));
        Ok(FileHeader { kind, owner: found, batch, salt })
    }
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("the header is long enough")
}

/// Whether a crash may have damaged the end of this file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    /// A later file exists, so every batch in this one was synced.
    Earlier,
    /// This is the last file, so a crash may have damaged its end.
    Last,
}

/// The result of scanning a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scan {
    /// Sequence number after the last batch.
    pub(crate) next_batch: u64,
    /// Length of the valid part in bytes.
    pub(crate) valid_len: u64,
    /// Length of a torn batch after the valid part, in bytes, up to the last nonzero byte.
    pub(crate) torn_bytes: u64,
    /// Number of records in the valid part.
    pub(crate) records: u64,
    /// Whether the last batch is empty, which marks a clean stop. `None` if there is no batch.
    pub(crate) ends_clean: Option<bool>,
    /// Whether the file ends right after the valid part, without the zeroes of a segment in use.
    pub(crate) is_short: bool,
}

/// Called with each record and the sequence number of its batch. An error counts as damage.
pub(crate) type Visit<'a> = dyn FnMut(u64, &[u8]) -> Result<(), String> + 'a;

/// Reads the batches of a file, which must start with `first_batch`, and passes each record to `visit`.
pub(crate) fn scan(
    path: &Path,
    bytes: &[u8],
    salt: u64,
    first_batch: u64,
    position: Position,
    visit: &mut Visit<'_>,
) -> Result<Scan, StorageError> {
    let mut offset = FILE_HEADER;
    let mut result = Scan { next_batch: first_batch, valid_len: 0, torn_bytes: 0, records: 0, ends_clean: None, is_short: false };
    while let Some(batch) = bytes.get(offset..).and_then(|rest| Batch::parse(rest, salt)) {
        let corrupt = |why: String| StorageError::corrupt(path, offset as u64, why);
        if batch.seq != result.next_batch {
            return Err(corrupt(format!("batch {} where {} was expected", batch.seq, result.next_batch)));
        }
        let mut seen = 0;
        for record in batch.records() {
            visit(batch.seq, record).map_err(|why| corrupt(format!("batch {}: {why}", batch.seq)))?;
            seen += 1;
        }
        if seen != batch.count {
            return Err(corrupt(format!("batch {} has {seen} records, not {}", batch.seq, batch.count)));
        }
        result.next_batch += 1;
        result.records += u64::from(seen);
        result.ends_clean = Some(seen == 0);
        offset += batch.file_len();
    }
    let rest = bytes.get(offset..).unwrap_or_default();
    result.valid_len = offset.min(bytes.len()) as u64;
    result.is_short = rest.is_empty();
    result.torn_bytes = rest.iter().rposition(|&byte| byte != 0).map_or(0, |at| at as u64 + 1);
    if result.torn_bytes == 0 {
        return Ok(result);
    }
    // Batch n+1 is written only after the sync of batch n. So if anything valid follows the damage, or a later file
    // exists, the damaged batch was once durable, and a reply may have relied on it.
    if position == Position::Earlier {
        return Err(StorageError::corrupt(path, offset as u64, "a bad batch, and a later file exists"));
    }
    if let Some(len) = Batch::declared_len(rest).filter(|&len| (len as u64) < result.torn_bytes) {
        let why = format!("a bad batch {} of {len} bytes, and what follows it is not empty", result.next_batch);
        return Err(StorageError::corrupt(path, offset as u64, why));
    }
    let later = (BATCH_ALIGN..rest.len()).step_by(BATCH_ALIGN).find_map(|at| Batch::parse(&rest[at..], salt));
    match later {
        Some(batch) => {
            let why = format!("a bad batch {}, and batch {} after it is valid", result.next_batch, batch.seq);
            Err(StorageError::corrupt(path, offset as u64, why))
        }
        None => Ok(result),
    }
}
