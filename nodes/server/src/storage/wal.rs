//! The write-ahead log: a [`Store`] of zero-filled segments.

use std::path::Path;
use std::sync::Arc;

use rand::Rng;
use rand_pcg::Pcg64;

use crate::points::storage_point::StoragePoint;
use crate::storage::batch::{BATCH_ALIGN, BatchBuilder};
use crate::storage::log_file::LogFile;
use crate::storage::recovery::{ClosedSegment, Recovered, segment_name};
use crate::storage::segment::{FILE_HEADER, FileHeader, FileKind};
use crate::storage::spare::SpareMaker;
use crate::storage::vfs::{Completion, RequestId};
use crate::storage::{LogFolder, StorageError, Store, snapshot, sync_folder};

/// The log of one data folder.
#[derive(Debug)]
pub(crate) struct Wal {
    at: LogFolder,
    /// Draws the salts of new segments.
    rng: Pcg64,
    spares: SpareMaker,
    next_batch: u64,
    /// Size in bytes of the batch whose sync is in flight. The id of the sync is the batch number.
    in_flight: Option<u64>,
    open: Option<OpenSegment>,
    closed: Vec<ClosedSegment>,
}

#[derive(Debug)]
struct OpenSegment {
    file: LogFile,
    first_batch: u64,
    salt: u64,
    offset: u64,
    len: u64,
}

impl Wal {
    /// Continues the log after recovery, with a new segment.
    pub(crate) fn new(at: LogFolder, segment_bytes: u64, rng: Pcg64, recovered: Recovered) -> Wal {
        Wal {
            spares: SpareMaker::new(Arc::clone(&at.vfs), &at.path, segment_bytes),
            at,
            rng,
            next_batch: recovered.next_batch,
            in_flight: None,
            open: None,
            closed: recovered.closed,
        }
    }

    /// Returns the open segment, after making room for `len` bytes. Some zeroes are left after the last batch: a segment
    /// without them looks as if it had been truncated.
    fn segment_for(&mut self, len: u64) -> Result<&mut OpenSegment, StorageError> {
        if self.open.as_ref().is_none_or(|open| open.offset + len >= open.len) {
            self.close();
            self.open = Some(self.begin_segment(FILE_HEADER as u64 + len + BATCH_ALIGN as u64)?);
        }
        Ok(self.open.as_mut().expect("just made sure"))
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take()
            && open.first_batch < self.next_batch
        {
            let path = open.file.path().to_owned();
            self.closed.push(ClosedSegment { path, last_batch: self.next_batch - 1 });
        }
    }

    /// Writes a batch and starts its sync. The sync's completion carries the returned id. Only one batch may be in
    /// flight: recovery can distinguish a torn tail from corruption only if the previous batch is durable.
    pub(crate) fn begin_append(&mut self, batch: &mut BatchBuilder) -> Result<RequestId, StorageError> {
        assert!(self.in_flight.is_none(), "batch n+1 is written after the sync of batch n");
        let len = batch.file_len() as u64;
        let seq = self.next_batch;
        let open = self.segment_for(len)?;
        open.file.write_at(batch.seal(open.salt, seq), open.offset)?;
        open.file.begin_sync(RequestId(seq))?;
        self.in_flight = Some(len);
        Ok(RequestId(seq))
    }

    /// Handles the completion of the sync in flight. The batch is durable unless this returns an error.
    pub(crate) fn end_append(&mut self, synced: Completion) -> Result<(), StorageError> {
        assert_eq!(synced.id, RequestId(self.next_batch), "the completion of another request");
        let (len, open) = self.in_flight.take().zip(self.open.as_mut()).expect("a batch is in flight");
        open.file.end_sync(synced.result)?;
        open.offset += len;
        self.next_batch += 1;
        Ok(())
    }

    /// Makes a segment durable under its name before the first batch is written to it, so that recovery can treat any
    /// segment with an invalid header as corrupt.
    fn begin_segment(&mut self, min_len: u64) -> Result<OpenSegment, StorageError> {
        let spare = self.spares.take(min_len)?;
        let (first_batch, salt) = (self.next_batch, self.rng.next_u64());
        let path = self.at.path.join(segment_name(first_batch));
        let file = LogFile::new(spare.file, path, Arc::clone(&self.at.points));
        let header = FileHeader { kind: FileKind::Segment, owner: self.at.owner.clone(), batch: first_batch, salt };
        self.at.points.reach(StoragePoint::BeforeSegmentHeader, file.path())?;
        file.write_at(&header.encode(), 0)?;
        file.sync_data()?;
        self.at.points.reach(StoragePoint::BeforeSegmentRename, file.path())?;
        self.at.vfs.rename(&spare.path, file.path()).map_err(|cause| StorageError::io("rename to", file.path(), cause))?;
        self.at.points.reach(StoragePoint::AfterSegmentRename, file.path())?;
        sync_folder(&*self.at.vfs, &self.at.path)?;
        self.spares.begin()?;
        Ok(OpenSegment { file, first_batch, salt, offset: FILE_HEADER as u64, len: spare.len })
    }
}

impl Store for Wal {
    /// Works only with files that sync on the calling thread.
    fn append(&mut self, batch: &mut BatchBuilder) -> Result<(), StorageError> {
        self.begin_append(batch)?;
        let synced = self.at.vfs.next_completion().expect("the sync ended before `begin_sync` returned");
        self.end_append(synced)
    }

    fn seal(&mut self) -> Result<u64, StorageError> {
        self.close();
        Ok(self.next_batch - 1)
    }

    fn remove_up_to(&mut self, batch: u64) -> Result<(), StorageError> {
        let remove = |path: &Path| {
            self.at.points.reach(StoragePoint::BeforeRemoval, path)?;
            self.at.vfs.remove(path).map_err(|cause| StorageError::io("removal of", path, cause))
        };
        let (old, kept): (Vec<_>, Vec<_>) = self.closed.drain(..).partition(|segment| segment.last_batch <= batch);
        self.closed = kept;
        // Remove the oldest first, so that a crash in between leaves no gap in the log.
        for segment in &old {
            remove(&segment.path)?;
        }
        for (_, path) in snapshot::list(&*self.at.vfs, &self.at.path)?.into_iter().filter(|(up_to, _)| *up_to < batch) {
            remove(&path)?;
        }
        self.at.points.reach(StoragePoint::AfterRemovals, &self.at.path)
    }

    fn segments(&self) -> usize {
        self.closed.len() + usize::from(self.open.is_some())
    }

    fn finish(&mut self) -> Result<(), StorageError> {
        self.append(&mut BatchBuilder::new())
    }
}
