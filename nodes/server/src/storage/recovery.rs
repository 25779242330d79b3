//! Reads a data folder after a crash. Everything is verified first, and nothing is changed unless all of it is valid.

use std::io;
use std::path::{Path, PathBuf};

use crate::points::storage_point::StoragePoint;
use crate::storage::segment::{self, FileHeader, FileKind, Position};
use crate::storage::vfs::Vfs;
use crate::storage::vfs::overlay::OVERLAY;
use crate::storage::{LogFolder, StorageError, snapshot, sync_folder};

/// A segment that will only be read, and eventually deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClosedSegment {
    pub(crate) path: PathBuf,
    pub(crate) last_batch: u64,
}

/// The result of recovery.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    /// Sequence number of the next batch to write.
    pub(crate) next_batch: u64,
    /// Number of records recovered, including those of the snapshot.
    pub(crate) records: u64,
    /// Number of bytes cut off as a torn tail.
    pub(crate) torn_bytes: u64,
    /// Whether the end of the log looks damaged: a batch was torn, or the file was truncated.
    pub(crate) is_cut: bool,
    /// The last batch, if it marks a clean stop.
    pub(crate) clean_end: Option<u64>,
    /// Segments that contain batches.
    pub(crate) closed: Vec<ClosedSegment>,
    /// The changes still to be made in the folder: see [`sync`] and [`tidy`].
    pub(crate) untidy: Untidy,
}

/// Changes that recovery makes once everything has proved valid.
#[derive(Debug, Default)]
pub(crate) struct Untidy {
    /// A file, and the length to which it must be truncated.
    cut: Option<(PathBuf, u64)>,
    /// Files that are not needed.
    superfluous: Vec<PathBuf>,
}

pub(crate) fn segment_name(first_batch: u64) -> String {
    format!("log-{first_batch:016x}.wal")
}

/// Recovers a folder: passes every durable record to `visit`, oldest first, and then cuts off a torn tail.
///
/// A record that `visit` refuses counts as corruption.
pub(crate) fn recover(at: &LogFolder, visit: &mut dyn FnMut(&[u8]) -> Result<(), String>) -> Result<Recovered, StorageError> {
    let recovered = read(at, visit)?;
    sync(at, &recovered)?;
    tidy(at, &recovered)?;
    Ok(recovered)
}

/// Makes everything that was read durable. A killed process may have left names and bytes that no sync has covered. Without
/// these syncs, a power loss could undo a snapshot after the files it replaces were removed, or a batch after something
/// relied on it.
pub(crate) fn sync(at: &LogFolder, recovered: &Recovered) -> Result<(), StorageError> {
    at.points.reach(StoragePoint::AfterRecoveryRead, &at.path)?;
    sync_folder(&*at.vfs, &at.path)?;
    let Some((path, _)) = &recovered.untidy.cut else { return Ok(()) };
    let synced = at.vfs.open(path).and_then(|file| file.sync_all());
    synced.map_err(|cause| StorageError::io("sync of", path, cause))
}

/// Cuts off a torn tail and removes superfluous files. Must follow [`sync`].
pub(crate) fn tidy(at: &LogFolder, recovered: &Recovered) -> Result<(), StorageError> {
    if let Some((path, valid_len)) = &recovered.untidy.cut {
        cut_file(&*at.vfs, path, *valid_len)?;
    }
    for path in &recovered.untidy.superfluous {
        at.points.reach(StoragePoint::BeforeRecoveryRemoval, path)?;
        match at.vfs.remove(path) {
            // The temporary file of an identity: the identity has been rewritten since.
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            removed => removed.map_err(|cause| StorageError::io("removal of", path, cause))?,
        }
    }
    Ok(())
}

/// Reads and verifies everything without changing the folder.
pub(crate) fn read(at: &LogFolder, visit: &mut dyn FnMut(&[u8]) -> Result<(), String>) -> Result<Recovered, StorageError> {
    let files = list(at)?;
    let mut result = Recovered { next_batch: 1, ..Recovered::default() };
    let mut snapshot_up_to = 0;
    if let Some((up_to, path)) = files.snapshots.last() {
        result.records += snapshot::read(at, path, *up_to, visit)?;
        result.next_batch = up_to + 1;
        snapshot_up_to = *up_to;
    }
    for (index, (first, path)) in files.segments.iter().enumerate() {
        let position = if index + 1 == files.segments.len() { Position::Last } else { Position::Earlier };
        let bytes = at.vfs.read(path).map_err(|cause| StorageError::io("read of", path, cause))?;
        let header = FileHeader::decode(&bytes, FileKind::Segment, &at.owner, path)?;
        if header.batch != *first {
            return Err(StorageError::corrupt(path, 0, format!("its first batch is {}", header.batch)));
        }
        // Removals may reach the disk in any order, so any of the segments replaced by a snapshot may still exist,
        // and a gap below the snapshot is not a loss. After the snapshot, each segment starts where the previous one
        // ended.
        let follows = if index == 0 { *first <= result.next_batch } else { *first == result.next_batch };
        if !follows && (*first < result.next_batch || *first > snapshot_up_to + 1) {
            let why = format!("it begins at batch {first}, but batch {} is in no file", result.next_batch);
            return Err(StorageError::corrupt(path, 0, why));
        }
        let mut records = 0;
        let mut newer = |batch: u64, record: &[u8]| {
            if batch <= snapshot_up_to {
                return Ok(());
            }
            records += 1;
            visit(record)
        };
        let scan = segment::scan(path, &bytes, header.salt, *first, position, &mut newer)?;
        result.records += records;
        result.next_batch = scan.next_batch;
        if scan.next_batch > *first {
            result.closed.push(ClosedSegment { path: path.clone(), last_batch: scan.next_batch - 1 });
        }
        if let Some(ends_clean) = scan.ends_clean {
            result.clean_end = ends_clean.then(|| scan.next_batch - 1);
        }
        if position == Position::Last {
            result.torn_bytes = scan.torn_bytes;
            result.is_cut = scan.torn_bytes > 0 || (scan.is_short && result.clean_end.is_none());
            result.untidy.cut = Some((path.clone(), scan.valid_len));
        }
    }
    // All remaining segments are older than the snapshot.
    result.next_batch = result.next_batch.max(snapshot_up_to + 1);
    let replaced = files.snapshots.into_iter().rev().skip(1).map(|(_, path)| path);
    result.untidy.superfluous = files.temporary.into_iter().chain(replaced).collect();
    Ok(result)
}

/// Truncates a file to `len` bytes and makes it durable. The file is never written again, so this also drops the zeroes
/// at its end.
fn cut_file(vfs: &dyn Vfs, path: &Path, len: u64) -> Result<(), StorageError> {
    let cut = || {
        let file = vfs.open(path)?;
        if file.size()? > len {
            file.set_len(len)?;
        }
        file.sync_all()
    };
    cut().map_err(|cause| StorageError::io("cutting of", path, cause))
}

#[derive(Debug, Default)]
struct Files {
    segments: Vec<(u64, PathBuf)>,
    snapshots: Vec<(u64, PathBuf)>,
    temporary: Vec<PathBuf>,
}

fn list(at: &LogFolder) -> Result<Files, StorageError> {
    let mut files = Files { snapshots: snapshot::list(&*at.vfs, &at.path)?, ..Files::default() };
    for path in at.vfs.list(&at.path).map_err(|cause| StorageError::io("list of", &at.path, cause))? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let number = || {
            let hex = name.strip_prefix("log-")?.strip_suffix(".wal")?;
            u64::from_str_radix(hex, 16).ok().filter(|_| hex.len() == 16)
        };
        if let Some(first) = number() {
            files.segments.push((first, path));
        } else if name.ends_with(".tmp") {
            files.temporary.push(path);
        } else if name == OVERLAY {
            let cause = io::Error::other("it has an overlay with un-synced data: start this node with --overlay");
            return Err(StorageError::Unusable { path: at.path.clone(), cause });
        } else if name.ends_with(".wal") {
            return Err(StorageError::corrupt(&path, 0, "no such file is ever written here"));
        }
    }
    files.segments.sort();
    Ok(files)
}
