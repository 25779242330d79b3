//! Real files, with un-synced changes kept separately, so that a harness can take them away.
//!
//! After a SIGKILL, the operating system still has everything that a process wrote, synced or not. So a kill can never
//! reveal a missing sync. Here, un-synced bytes and names are not in the real files but in an overlay, a subfolder of
//! the data folder, which outlives the process as the page cache does. A sync moves them into the real files, and syncs
//! those. After all processes have been stopped and killed, [`lose_power`] keeps a random part of the overlay's changes
//! and drops the rest.
//!
//! A process that starts without a power loss finds all data that was written, synced or not, and un-synced data remains
//! un-synced. The overlay covers only the files of one data folder, except for the lock.

mod journal;
mod power_loss;
mod state;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

pub use self::power_loss::{lose_power, unsynced_writes};
pub(crate) use self::state::OVERLAY;
use self::state::State;
use super::real::RealVfs;
use super::unsynced::Change;
use super::{Completion, FolderLock, RequestId, Vfs, VfsFile};

/// Minimum size in bytes of a write that belongs to a series preparing a file.
const LONG_WRITE: usize = 64 << 10;

/// The file system of one data folder, with an overlay. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct OverlayVfs(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    real: RealVfs,
    /// Loaded once the folder is locked.
    state: Mutex<Option<State>>,
    completions: Mutex<VecDeque<Completion>>,
}

impl OverlayVfs {
    /// The overlay of this data folder.
    pub(crate) fn new(folder: &Path) -> OverlayVfs {
        OverlayVfs(Arc::new(Shared {
            folder: folder.to_owned(),
            real: RealVfs::default(),
            state: Mutex::default(),
            completions: Mutex::default(),
        }))
    }

    fn locked(&self) -> MutexGuard<'_, Option<State>> {
        self.0.state.lock().expect("no thread panics while holding it")
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        act(self.locked().as_mut().ok_or_else(|| io::Error::other("the data folder is not locked"))?)
    }

    /// The name of a file, which must be directly in the data folder.
    fn name<'a>(&self, path: &'a Path) -> io::Result<&'a Path> {
        let name = path.file_name().filter(|_| path.parent() == Some(&*self.0.folder)).map(Path::new);
        name.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "only files of the data folder have an overlay"))
    }

    fn handle(&self, file: u64, real: Box<dyn VfsFile>) -> Box<dyn VfsFile> {
        Box::new(OverlayFile { vfs: self.clone(), file, real, syncing: Mutex::default() })
    }
}

/// An open file. Its changes go to the overlay, and a sync moves them to the real file.
#[derive(Debug)]
struct OverlayFile {
    vfs: OverlayVfs,
    file: u64,
    real: Box<dyn VfsFile>,
    /// Held during a sync: two syncs must not cover the same changes.
    syncing: Mutex<()>,
}

impl OverlayFile {
    /// Moves the changes made so far to the real file, syncs it with `sync`, and drops them from the overlay. If the
    /// process ends in between, the same changes are made again, which has no further effect.
    fn merge(&self, sync: impl FnOnce(&dyn VfsFile) -> io::Result<()>) -> io::Result<()> {
        let _alone = self.syncing.lock().expect("no thread panics while holding it");
        let changes: Vec<Change> = self.vfs.with(|state| Ok(state.files[&self.file].unsynced.iter().cloned().collect()))?;
        for change in &changes {
            match change {
                Change::Write { offset, bytes } => {
                    self.real.write_at(bytes, *offset)?;
                    // Step by step, as these bytes were written: other syncs must not wait behind a long one.
                    if bytes.len() >= LONG_WRITE {
                        self.real.write_back(*offset, bytes.len() as u64);
                    }
                }
                Change::Length(len) => self.real.set_len(*len)?,
            }
        }
        sync(&*self.real)?;
        if changes.is_empty() { Ok(()) } else { self.vfs.with(|state| state.synced(self.file, changes.len())) }
    }
}

impl Vfs for OverlayVfs {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.0.real.create_folder(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn FolderLock>> {
        let lock = self.0.real.lock(path)?;
        *self.locked() = Some(State::load(&self.0.folder)?);
        Ok(lock)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        self.with(|state| Ok(state.names.keys().map(|name| folder.join(name)).collect()))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let name = self.name(path)?;
        self.with(|state| {
            let file = state.file(name)?;
            let place = state.place(file).ok_or(io::ErrorKind::NotFound)?;
            let mut content = self.0.real.read(&place)?;
            state.files[&file].unsynced.iter().for_each(|change| change.apply(&mut content));
            Ok(content)
        })
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        let name = self.name(path)?;
        let (file, real) = self.with(|state| match state.file(name) {
            Ok(file) => {
                let place = state.place(file).ok_or(io::ErrorKind::NotFound)?;
                state.change(file, Change::Length(0))?;
                Ok((file, self.0.real.open(&place)?))
            }
            Err(_) => {
                let real = self.0.real.create(&state.unnamed_place(state.next_file()))?;
                Ok((state.create(name)?, real))
            }
        })?;
        Ok(self.handle(file, real))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        let name = self.name(path)?;
        let (file, real) = self.with(|state| {
            let file = state.file(name)?;
            let place = state.place(file).ok_or(io::ErrorKind::NotFound)?;
            Ok((file, self.0.real.open(&place)?))
        })?;
        Ok(self.handle(file, real))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (self.name(from)?, self.name(to)?);
        self.with(|state| state.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let name = self.name(path)?;
        self.with(|state| state.remove(name))
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.with(|state| {
            state.begin_sync_names()?;
            self.0.real.sync_folder(path)?;
            state.names_synced()
        })
    }

    fn next_completion(&self) -> Option<Completion> {
        self.0.completions.lock().expect("no thread panics while holding it").pop_front()
    }

    fn allows_helper_threads(&self) -> bool {
        true
    }
}

impl VfsFile for OverlayFile {
    fn size(&self) -> io::Result<u64> {
        self.vfs.with(|state| Ok(state.files[&self.file].len))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.vfs.with(|state| state.change(self.file, Change::Length(len)))
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.vfs.with(|state| if state.files[&self.file].len < len { state.change(self.file, Change::Length(len)) } else { Ok(()) })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.vfs.with(|state| state.change(self.file, Change::Write { offset, bytes: bytes.to_owned() }))
    }

    fn write_back(&self, _offset: u64, _len: u64) {}

    fn sync_all(&self) -> io::Result<()> {
        self.merge(|real| real.sync_all())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.merge(|real| real.sync_data())
    }

    /// Syncs on the calling thread.
    fn begin_sync(&self, id: RequestId) {
        let result = self.sync_data();
        self.vfs.0.completions.lock().expect("no thread panics while holding it").push_back(Completion { id, result });
    }
}
