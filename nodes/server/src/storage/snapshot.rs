//! A snapshot: the whole state of a replica in one file, so that the log up to it can be removed.
//!
//! It is written to a temporary file, synced and renamed, and then the folder is synced. So a snapshot under its
//! final name is complete, and any damage to it is corruption, never a torn write.

use std::path::{Path, PathBuf};

use crate::points::storage_point::StoragePoint;
use crate::storage::batch::{BATCH_ALIGN, BatchBuilder};
use crate::storage::segment::{self, FILE_HEADER, FileHeader, FileKind, Position};
use crate::storage::vfs::Vfs;
use crate::storage::{LogFolder, StorageError, sync_folder};

/// Size in bytes of the payload of one chunk (a batch) of a snapshot.
pub(crate) const CHUNK: usize = 256 << 10;

pub(crate) fn file_name(batch: u64) -> String {
    format!("snapshot-{batch:016x}.snap")
}

fn number(name: &str) -> Option<u64> {
    let hex = name.strip_prefix("snapshot-")?.strip_suffix(".snap")?;
    u64::from_str_radix(hex, 16).ok().filter(|_| hex.len() == 16)
}

/// Lists the snapshots in the folder, oldest first.
pub(crate) fn list(vfs: &dyn Vfs, folder: &Path) -> Result<Vec<(u64, PathBuf)>, StorageError> {
    let paths = vfs.list(folder).map_err(|cause| StorageError::io("list of", folder, cause))?;
    let snapshot = |path: PathBuf| Some((number(&path.file_name()?.to_string_lossy())?, path));
    let mut found: Vec<_> = paths.into_iter().filter_map(snapshot).collect();
    found.sort();
    Ok(found)
}

/// Collects the records of a snapshot in chunks.
#[derive(Debug)]
pub(crate) struct SnapshotBuilder {
    chunks: Vec<BatchBuilder>,
}

impl SnapshotBuilder {
    pub(crate) fn new() -> SnapshotBuilder {
        SnapshotBuilder { chunks: vec![BatchBuilder::new()] }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.chunks.iter().map(BatchBuilder::file_len).sum()
    }

    pub(crate) fn add(&mut self, fill: impl FnOnce(&mut Vec<u8>)) {
        if self.chunks.last().is_none_or(|chunk| chunk.payload_len() >= CHUNK) {
            self.chunks.push(BatchBuilder::new());
        }
        self.chunks.last_mut().expect("just made sure").add(fill);
    }
}

/// Writes the snapshot that replaces everything up to batch `up_to`.
pub(crate) fn write(at: &LogFolder, up_to: u64, mut content: SnapshotBuilder) -> Result<PathBuf, StorageError> {
    // A snapshot is never searched for batches, so its salt need not be secret. It only has to differ from the salts
    // of other files.
    let salt = at.owner.folder ^ up_to.rotate_left(32);
    let temporary = at.path.join("snapshot.tmp");
    let path = at.path.join(file_name(up_to));
    let header = FileHeader { kind: FileKind::Snapshot, owner: at.owner.clone(), batch: up_to, salt };
    // An empty chunk ends the file: without it, a truncated file could look complete.
    content.chunks.push(BatchBuilder::new());
    let io = |cause| StorageError::io("write of", &path, cause);
    let reach = |point| at.points.reach(point, &path);
    reach(StoragePoint::BeforeSnapshot)?;
    let file = at.vfs.create(&temporary).map_err(io)?;
    reach(StoragePoint::BeforeSnapshotHeader)?;
    file.write_at(&header.encode(), 0).map_err(io)?;
    let mut offset = FILE_HEADER as u64;
    for (seq, chunk) in (1..).zip(&mut content.chunks) {
        reach(StoragePoint::BeforeSnapshotChunk)?;
        let len = chunk.file_len();
        let bytes = chunk.seal(salt, seq);
        file.write_at(bytes, offset).map_err(io)?;
        reach(StoragePoint::MidSnapshotChunk)?;
        file.write_at(&[0; BATCH_ALIGN][..len - bytes.len()], offset + bytes.len() as u64).map_err(io)?;
        offset += len as u64;
    }
    reach(StoragePoint::BeforeSnapshotSync)?;
    file.sync_all().map_err(io)?;
    reach(StoragePoint::BeforeSnapshotRename)?;
    at.vfs.rename(&temporary, &path).map_err(io)?;
    reach(StoragePoint::AfterSnapshotRename)?;
    sync_folder(&*at.vfs, &at.path)?;
    reach(StoragePoint::AfterSnapshot)?;
    Ok(path)
}

/// Reads a snapshot and passes each record to `visit`. Returns the number of records.
pub(crate) fn read(
    at: &LogFolder,
    path: &Path,
    up_to: u64,
    visit: &mut dyn FnMut(&[u8]) -> Result<(), String>,
) -> Result<u64, StorageError> {
    let bytes = at.vfs.read(path).map_err(|cause| StorageError::io("read of", path, cause))?;
    let header = FileHeader::decode(&bytes, FileKind::Snapshot, &at.owner, path)?;
    if header.batch != up_to {
        return Err(StorageError::corrupt(path, 0, format!("it is the snapshot of batch {}", header.batch)));
    }
    let (mut last_chunk, mut seen) = (0, 0);
    let mut count = |chunk: u64, record: &[u8]| {
        (last_chunk, seen) = (chunk, seen + 1);
        visit(record)
    };
    let scan = segment::scan(path, &bytes, header.salt, 1, Position::Earlier, &mut count)?;
    // The empty chunk comes last, right after the last chunk with a record (or second, if there were no records).
    let ended = scan.next_batch == last_chunk.max(1) + 2;
    if !ended || scan.valid_len != bytes.len() as u64 {
        return Err(StorageError::corrupt(path, scan.valid_len, "its end is missing"));
    }
    Ok(seen)
}
