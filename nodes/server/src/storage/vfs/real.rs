//! The operating system's file system.
//!
//! Folders and files are accessible only to the node's own user, since they contain the values of all clients. The
//! mode is set when a file is created, not afterwards, so there is no moment at which another user could open it. If
//! a file from an earlier version has a wider mode, the mode is narrowed before anything is written to the file.

use std::collections::VecDeque;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::resources::descriptors::is_exhausted;

use super::{Completion, FolderLock, RequestId, Vfs, VfsFile};

const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// The permission bits of group and others.
const OTHERS_MODE_MASK: u32 = 0o077;
/// Maximum wait for a free descriptor, and the pause between attempts.
const DESCRIPTOR_TIMEOUT: Duration = Duration::from_secs(2);
const DESCRIPTOR_PAUSE: Duration = Duration::from_millis(5);

/// The real file system. Clones share their completions.
#[derive(Debug, Clone, Default)]
pub(crate) struct RealVfs {
    completions: Arc<Completions>,
}

#[derive(Debug, Default)]
struct Completions(Mutex<VecDeque<Completion>>);

impl Completions {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Completion>> {
        self.0.lock().expect("no thread panics while holding it")
    }
}

#[derive(Debug)]
struct RealFile {
    file: File,
    completions: Arc<Completions>,
}

#[derive(Debug)]
struct RealLock {
    _file: File,
}

impl FolderLock for RealLock {}

impl RealVfs {
    fn file(&self, file: File) -> Box<dyn VfsFile> {
        Box::new(RealFile { file, completions: Arc::clone(&self.completions) })
    }
}

impl Vfs for RealVfs {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn FolderLock>> {
        let file = open_private(path, false)?;
        // SAFETY: flock gets a descriptor that this function owns, and no memory.
        let status = unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) };
        if status == 0 { Ok(Box::new(RealLock { _file: file })) } else { Err(io::Error::last_os_error()) }
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        when_descriptors_are_free(|| std::fs::read(path))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        Ok(self.file(open_private(path, true)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        Ok(self.file(when_descriptors_are_free(|| OpenOptions::new().write(true).open(path))?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        when_descriptors_are_free(|| File::open(path))?.sync_all()
    }

    fn next_completion(&self) -> Option<Completion> {
        self.completions.lock().pop_front()
    }

    fn allows_helper_threads(&self) -> bool {
        true
    }
}

impl VfsFile for RealFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        // SAFETY: the descriptor is owned by `file`, and no memory is passed.
        let status = unsafe { libc::fallocate(self.file.as_raw_fd(), 0, 0, len as libc::off_t) };
        if status == 0 {
            return Ok(());
        }
        let cause = io::Error::last_os_error();
        if cause.raw_os_error() == Some(libc::EOPNOTSUPP) { Ok(()) } else { Err(cause) }
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    /// Does not commit the file system's journal, since every sync of the log would have to wait for that.
    fn write_back(&self, offset: u64, len: u64) {
        const FLAGS: libc::c_uint = libc::SYNC_FILE_RANGE_WAIT_BEFORE | libc::SYNC_FILE_RANGE_WRITE | libc::SYNC_FILE_RANGE_WAIT_AFTER;
        // SAFETY: the descriptor is owned by `file`, and no memory is passed.
        unsafe { libc::sync_file_range(self.file.as_raw_fd(), offset as libc::off64_t, len as libc::off64_t, FLAGS) };
    }

    fn sync_all(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Syncs on the calling thread.
    fn begin_sync(&self, id: RequestId) {
        let result = self.sync_data();
        self.completions.lock().push_back(Completion { id, result });
    }
}

/// Retries while the process or the machine cannot open more files, since closing connections free descriptors. The
/// node sets descriptors aside for its log, so this matters only if the machine or a library has used them up.
fn when_descriptors_are_free<T>(open: impl Fn() -> io::Result<T>) -> io::Result<T> {
    let deadline = Instant::now() + DESCRIPTOR_TIMEOUT;
    loop {
        match open() {
            Err(cause) if is_exhausted(&cause) && Instant::now() < deadline => std::thread::sleep(DESCRIPTOR_PAUSE),
            result => return result,
        }
    }
}

fn open_private(path: &Path, truncate: bool) -> io::Result<File> {
    let open = || OpenOptions::new().create(true).truncate(truncate).read(true).write(true).mode(FILE_MODE).open(path);
    let file = when_descriptors_are_free(open)?;
    // The mode above applies only to new files.
    if file.metadata()?.permissions().mode() & OTHERS_MODE_MASK != 0 {
        file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;

    #[track_caller]
    fn check_mode(path: &Path, expected: u32) {
        let mode = std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, expected, "{} is {mode:o}", path.display());
    }

    #[test]
    fn a_lack_of_descriptors_is_waited_out() {
        let left = std::cell::Cell::new(3);
        let open = || match left.replace(left.get() - 1) {
            0 => Ok(7),
            _ => Err(io::Error::from_raw_os_error(libc::EMFILE)),
        };
        assert_eq!(when_descriptors_are_free(open).unwrap(), 7);
        let calls = std::cell::Cell::new(0);
        let broken = || -> io::Result<()> {
            calls.set(calls.get() + 1);
            Err(io::Error::from_raw_os_error(libc::EIO))
        };
        assert_eq!(when_descriptors_are_free(broken).unwrap_err().raw_os_error(), Some(libc::EIO));
        assert_eq!(calls.get(), 1, "no other error is tried again");
    }

    #[test]
    fn new_and_existing_files_are_private() {
        let dir = TempDir::new("private");
        let folder = dir.path().join("a/b");
        let vfs = RealVfs::default();
        vfs.create_folder(&folder).unwrap();
        check_mode(&folder, 0o700);
        check_mode(&dir.path().join("a"), 0o700);
        let create = |path: &Path| drop(vfs.create(path).unwrap());
        let lock = |path: &Path| drop(vfs.lock(path).unwrap());
        for (name, make) in [("new", &create as &dyn Fn(&Path)), ("lock", &lock)] {
            let path = folder.join(name);
            make(&path);
            check_mode(&path, 0o600);
            std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
            make(&path);
            check_mode(&path, 0o600);
        }
    }
}
