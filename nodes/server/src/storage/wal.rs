//! The write-ahead log: a [`Store`] of zero-filled segments.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::Rng;
use rand_pcg::Pcg64;

use crate::storage::batch::BatchBuilder;
use crate::storage::failpoints::{Failpoints, SeamFile};
use crate::storage::recovery::{ClosedSegment, Recovered, segment_name};
use crate::storage::segment::{FILE_HEADER, FileHeader, FileKind, Owner};
use crate::storage::spare::SpareMaker;
use crate::storage::steps::step;
use crate::storage::{StorageError, Store, snapshot, sync_folder};

/// The log of one data folder.
#[derive(Debug)]
pub(crate) struct Wal {
    folder: PathBuf,
    owner: Owner,
    failpoints: Arc<Failpoints>,
    /// Draws the salts of new segments.
    rng: Pcg64,
    spares: SpareMaker,
    next_batch: u64,
    open: Option<OpenSegment>,
    closed: Vec<ClosedSegment>,
}

#[derive(Debug)]
struct OpenSegment {
    file: SeamFile,
    first_batch: u64,
    salt: u64,
    offset: u64,
    len: u64,
}

impl Wal {
    /// Goes on after recovery, with a new segment.
    pub(crate) fn new(
        folder: &Path,
        owner: Owner,
        segment_bytes: u64,
        failpoints: Arc<Failpoints>,
        rng: Pcg64,
        recovered: Recovered,
    ) -> Wal {
        Wal {
            folder: folder.to_owned(),
            owner,
            failpoints,
            rng,
            spares: SpareMaker::new(folder, segment_bytes),
            next_batch: recovered.next_batch,
            open: None,
            closed: recovered.closed,
        }
    }

    /// The open segment, with room for `len` bytes.
    fn segment_for(&mut self, len: u64) -> Result<&mut OpenSegment, StorageError> {
        if self.open.as_ref().is_none_or(|open| open.offset + len > open.len) {
            self.close();
            self.open = Some(self.begin_segment(FILE_HEADER as u64 + len)?);
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

    /// Makes a segment durable under its name before the first batch is written to it, so that recovery may take
    /// any segment with a bad header for corruption.
    fn begin_segment(&mut self, min_len: u64) -> Result<OpenSegment, StorageError> {
        let spare = self.spares.take(min_len)?;
        let (first_batch, salt) = (self.next_batch, self.rng.next_u64());
        let path = self.folder.join(segment_name(first_batch));
        let file = SeamFile::new(spare.file, path, Arc::clone(&self.failpoints));
        let header = FileHeader { kind: FileKind::Segment, owner: self.owner.clone(), batch: first_batch, salt };
        step("segment filled")?;
        file.write_all_at(&header.encode(), 0)?;
        step("segment headed")?;
        file.sync_data()?;
        step("segment synced")?;
        std::fs::rename(&spare.path, file.path()).map_err(|cause| StorageError::io("rename to", file.path(), cause))?;
        step("segment renamed")?;
        sync_folder(&self.folder)?;
        self.spares.begin()?;
        Ok(OpenSegment { file, first_batch, salt, offset: FILE_HEADER as u64, len: spare.len })
    }
}

impl Store for Wal {
    fn append(&mut self, batch: &mut BatchBuilder) -> Result<(), StorageError> {
        let len = batch.file_len() as u64;
        let seq = self.next_batch;
        let open = self.segment_for(len)?;
        open.file.write_all_at(batch.seal(open.salt, seq), open.offset)?;
        open.file.sync_data()?;
        open.offset += len;
        self.next_batch += 1;
        Ok(())
    }

    fn seal(&mut self) -> Result<u64, StorageError> {
        self.close();
        Ok(self.next_batch - 1)
    }

    fn forget_up_to(&mut self, batch: u64) -> Result<(), StorageError> {
        let remove = |path: &Path| {
            step("replaced file not removed")?;
            std::fs::remove_file(path).map_err(|cause| StorageError::io("removal of", path, cause))
        };
        let (old, kept): (Vec<_>, Vec<_>) = self.closed.drain(..).partition(|segment| segment.last_batch <= batch);
        self.closed = kept;
        // Oldest first, so that a crash in between leaves no gap in the log.
        for segment in &old {
            remove(&segment.path)?;
        }
        for (_, path) in snapshot::list(&self.folder)?.into_iter().filter(|(up_to, _)| *up_to < batch) {
            remove(&path)?;
        }
        step("replaced files removed")
    }

    fn segments(&self) -> usize {
        self.closed.len() + usize::from(self.open.is_some())
    }

    fn finish(&mut self) -> Result<(), StorageError> {
        self.append(&mut BatchBuilder::new())
    }
}
