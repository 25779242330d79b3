//! Files of a storage that forgets one kind of sync.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::storage::vfs::memory::MemoryVfs;
use crate::storage::vfs::{Completion, FolderLock, RequestId, Vfs, VfsFile};

/// The sync that is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SkippedSync {
    /// A batch is acknowledged without a sync.
    Batch,
    /// After a rename.
    Folder,
    /// Before a snapshot is renamed.
    Snapshot,
}

#[derive(Debug)]
pub(super) struct Careless {
    memory: MemoryVfs,
    skipped: SkippedSync,
    completions: Arc<Mutex<VecDeque<Completion>>>,
}

impl Careless {
    pub(super) fn new(memory: MemoryVfs, skipped: SkippedSync) -> Careless {
        Careless { memory, skipped, completions: Arc::default() }
    }
}

#[derive(Debug)]
struct CarelessFile {
    file: Box<dyn VfsFile>,
    skipped: SkippedSync,
    is_snapshot: bool,
    completions: Arc<Mutex<VecDeque<Completion>>>,
}

impl Vfs for Careless {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.memory.create_folder(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn FolderLock>> {
        self.memory.lock(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        self.memory.list(folder)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.memory.read(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        let is_snapshot = path.ends_with("snapshot.tmp");
        let (file, completions) = (self.memory.create(path)?, Arc::clone(&self.completions));
        Ok(Box::new(CarelessFile { file, skipped: self.skipped, is_snapshot, completions }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        self.memory.open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.memory.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.memory.remove(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        if self.skipped == SkippedSync::Folder { Ok(()) } else { self.memory.sync_folder(path) }
    }

    fn next_completion(&self) -> Option<Completion> {
        self.completions.lock().unwrap().pop_front().or_else(|| self.memory.next_completion())
    }

    fn allows_helper_threads(&self) -> bool {
        false
    }
}

impl VfsFile for CarelessFile {
    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.file.allocate(len)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)
    }

    fn write_back(&self, offset: u64, len: u64) {
        self.file.write_back(offset, len);
    }

    fn sync_all(&self) -> io::Result<()> {
        if self.skipped == SkippedSync::Snapshot && self.is_snapshot { Ok(()) } else { self.file.sync_all() }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn begin_sync(&self, id: RequestId) {
        if self.skipped == SkippedSync::Batch {
            self.completions.lock().unwrap().push_back(Completion { id, result: Ok(()) });
        } else {
            self.file.begin_sync(id);
        }
    }
}
