//! An in-memory file system that can lose power.
//!
//! Each file consists of its durable content and, separately, the changes that no sync has covered. The same applies
//! to names. A running program sees the two combined. [`MemoryVfs::power_loss`] keeps a random part of the un-synced
//! changes and drops the rest: see [`super::unsynced`].

mod content;
mod disk;
mod sync_mode;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use self::content::Content;
use self::disk::{Disk, InFlight};
pub(crate) use self::sync_mode::SyncMode;
use super::unsynced::{Change, NameChange, PowerLoss};
use super::{Completion, FolderLock, RequestId, Vfs, VfsFile};

/// An in-memory file system. Clones refer to the same file system.
#[derive(Debug, Clone)]
pub(crate) struct MemoryVfs(Arc<Mutex<Disk>>);

impl MemoryVfs {
    pub(crate) fn new(mode: SyncMode) -> MemoryVfs {
        MemoryVfs(Arc::new(Mutex::new(Disk::new(mode))))
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().expect("no thread panics while holding it")
    }

    fn handle(&self, disk: &mut Disk, file: u64) -> Box<dyn VfsFile> {
        disk.files.get_mut(&file).expect("it has a name").open += 1;
        Box::new(MemoryFile { vfs: self.clone(), file, process: disk.process })
    }

    /// Ends the oldest sync in flight. Returns whether there was one.
    pub(crate) fn end_sync(&self) -> bool {
        self.disk().end_sync()
    }

    /// Ends the process: open files are closed, locks are released, and syncs in flight are dropped. All written data
    /// survives.
    pub(crate) fn kill(&self) {
        self.disk().kill();
    }

    /// Ends the process with a power loss. Of the un-synced changes, only a part drawn from `seed` survives.
    pub(crate) fn power_loss(&self, seed: u64) -> PowerLoss {
        self.disk().power_loss(seed)
    }
}

#[derive(Debug)]
struct MemoryFile {
    vfs: MemoryVfs,
    file: u64,
    process: u64,
}

impl MemoryFile {
    fn with<T>(&self, act: impl FnOnce(&mut Content) -> T) -> io::Result<T> {
        let mut disk = self.vfs.disk();
        if disk.process != self.process {
            return Err(io::Error::other("the process that opened this file has ended"));
        }
        // A removed file remains usable while it is open.
        Ok(act(disk.files.get_mut(&self.file).expect("it is open")))
    }
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        // A file of an earlier process is already closed.
        let _ = self.with(|content| content.open -= 1);
    }
}

#[derive(Debug)]
struct MemoryLock {
    vfs: MemoryVfs,
    path: PathBuf,
    process: u64,
}

impl FolderLock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        let mut disk = self.vfs.disk();
        if disk.process == self.process {
            disk.locks.remove(&self.path);
        }
    }
}

impl Vfs for MemoryVfs {
    fn create_folder(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn FolderLock>> {
        let mut disk = self.disk();
        if !disk.locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(MemoryLock { vfs: self.clone(), path: path.to_owned(), process: disk.process }))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(self.disk().names.keys().filter(|path| path.parent() == Some(folder)).cloned().collect())
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let disk = self.disk();
        Ok(disk.files[&disk.file(path)?].now.clone())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        let mut disk = self.disk();
        let file = match disk.file(path) {
            Ok(file) => {
                disk.files.get_mut(&file).expect("it has a name").change(Change::Length(0));
                file
            }
            Err(_) => {
                let file = disk.next_file;
                disk.next_file += 1;
                disk.files.insert(file, Content::default());
                disk.change_name(NameChange::Create { path: path.to_owned(), file });
                file
            }
        };
        Ok(self.handle(&mut disk, file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        let mut disk = self.disk();
        let file = disk.file(path)?;
        Ok(self.handle(&mut disk, file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        let file = disk.file(from)?;
        disk.change_name(NameChange::Rename { from: from.to_owned(), to: to.to_owned(), file });
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        let file = disk.file(path)?;
        disk.change_name(NameChange::Remove { path: path.to_owned(), file });
        Ok(())
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.disk().sync_folder(path);
        Ok(())
    }

    fn next_completion(&self) -> Option<Completion> {
        self.disk().completions.pop_front()
    }

    fn allows_helper_threads(&self) -> bool {
        false
    }
}

impl VfsFile for MemoryFile {
    fn size(&self) -> io::Result<u64> {
        self.with(|content| content.now.len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(|content| content.change(Change::Length(len)))
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.with(|content| {
            if (content.now.len() as u64) < len {
                content.change(Change::Length(len));
            }
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.with(|content| content.change(Change::Write { offset, bytes: bytes.to_owned() }))
    }

    fn write_back(&self, _offset: u64, _len: u64) {}

    fn sync_all(&self) -> io::Result<()> {
        self.with(|content| content.sync(content.changes()))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync_all()
    }

    fn begin_sync(&self, id: RequestId) {
        let up_to = self.with(|content| content.changes());
        let mut disk = self.vfs.disk();
        match up_to {
            Ok(up_to) => disk.in_flight.push_back(InFlight { id, file: self.file, up_to }),
            Err(cause) => disk.completions.push_back(Completion { id, result: Err(cause) }),
        }
        if disk.mode == SyncMode::Immediate {
            disk.end_sync();
        }
    }
}
