//! The log over an overlay: power fails at every step of a log's life, on real files. Also checks that the overlay
//! does not change the file operations that the storage requests.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::compaction::{Ledger, compact, crash_after, open};
use crate::options::NodeId;
use crate::storage::folder::{Folder, LOCK};
use crate::storage::recovery::recover;
use crate::storage::segment::Owner;
use crate::storage::vfs::overlay::OverlayVfs;
use crate::storage::vfs::real::RealVfs;
use crate::storage::vfs::{Completion, FolderLock, RequestId, Vfs, VfsFile};
use crate::storage::{LogFolder, StorageError, lose_power};
use crate::testing::TempDir;

fn log(vfs: Arc<dyn Vfs>, path: &Path) -> (LogFolder, Folder) {
    let owner = Owner { cluster: "c".to_owned(), node: NodeId::new(1).unwrap(), folder: 6 };
    let folder = Folder::open(Arc::clone(&vfs), path).unwrap();
    (LogFolder { vfs, path: path.to_owned(), owner, points: Arc::default() }, folder)
}

fn start(path: &Path) -> (LogFolder, Folder) {
    log(Arc::new(OverlayVfs::new(path)), path)
}

#[test]
fn nothing_acknowledged_is_lost_at_any_step() {
    let (mut steps, mut unsynced, mut torn) = (0, 0, 0);
    loop {
        let dir = TempDir::new("overlay-log");
        let mut ledger = Ledger::default();
        let (at, folder) = start(dir.path());
        crash_after(&at, Some(steps));
        let ended = compact(&at, &mut ledger);
        drop((at, folder));
        if ended.is_ok() {
            break;
        }
        assert!(matches!(ended, Err(StorageError::Crash { .. })), "{ended:?}");
        let lost = lose_power(dir.path(), u64::from(steps)).unwrap();
        unsynced += lost.unsynced();
        let (at, folder) = start(dir.path());
        torn += recover(&at, &mut |_| Ok(())).unwrap_or_else(|error| panic!("step {steps}: {error}")).torn_bytes;
        compact(&at, &mut ledger).unwrap_or_else(|error| panic!("step {steps}, on: {error}"));
        drop((at, folder));
        lose_power(dir.path(), 1).unwrap();
        let (at, _folder) = start(dir.path());
        let (_, found) = open(&at).unwrap();
        assert!(ledger.agrees(found), "step {steps}: lost after going on");
        steps += 1;
    }
    assert!(steps > 50 && unsynced > 100 && torn > 0, "{steps} steps, {unsynced} changes not synced, {torn} bytes torn");
}

#[test]
fn an_overlay_is_not_ignored() {
    let dir = TempDir::new("overlay-ignored");
    let (at, folder) = start(dir.path());
    compact(&at, &mut Ledger::default()).unwrap();
    drop((at, folder));
    let (at, _folder) = log(Arc::new(RealVfs::default()), dir.path());
    let refused = open(&at).unwrap_err();
    assert!(refused.is_usage() && refused.to_string().contains("--overlay"), "{refused}");
}

/// The file system calls, in order, with file names.
type Calls = Arc<Mutex<Vec<String>>>;

/// Forwards calls and records them. Does all work on one thread, so that all runs have the same order.
#[derive(Debug)]
struct Recording<V> {
    vfs: V,
    calls: Calls,
}

#[derive(Debug)]
struct RecordingFile {
    file: Box<dyn VfsFile>,
    name: String,
    calls: Calls,
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

impl<V: Vfs> Recording<V> {
    fn record(&self, call: &str, path: &Path) {
        self.calls.lock().unwrap().push(format!("{call} {}", name(path)));
    }

    fn file(&self, file: Box<dyn VfsFile>, path: &Path) -> Box<dyn VfsFile> {
        Box::new(RecordingFile { file, name: name(path), calls: Arc::clone(&self.calls) })
    }
}

impl<V: Vfs> Vfs for Recording<V> {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.vfs.create_folder(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn FolderLock>> {
        self.record("lock", path);
        self.vfs.lock(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let mut found = self.vfs.list(folder)?;
        found.retain(|path| name(path) != LOCK);
        found.sort();
        self.calls.lock().unwrap().push(format!("list {:?}", found.iter().map(|path| name(path)).collect::<Vec<_>>()));
        Ok(found)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let bytes = self.vfs.read(path)?;
        self.record(&format!("read {:08x}", crc32fast::hash(&bytes)), path);
        Ok(bytes)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        self.record("create", path);
        Ok(self.file(self.vfs.create(path)?, path))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        self.record("open", path);
        Ok(self.file(self.vfs.open(path)?, path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.record(&format!("rename {} to", name(from)), to);
        self.vfs.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.record("remove", path);
        self.vfs.remove(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.calls.lock().unwrap().push("sync folder".to_owned());
        self.vfs.sync_folder(path)
    }

    fn next_completion(&self) -> Option<Completion> {
        self.vfs.next_completion()
    }

    fn allows_helper_threads(&self) -> bool {
        false
    }
}

impl RecordingFile {
    fn record(&self, call: &str) {
        self.calls.lock().unwrap().push(format!("{call} {}", self.name));
    }
}

impl VfsFile for RecordingFile {
    fn size(&self) -> io::Result<u64> {
        let size = self.file.size()?;
        self.record(&format!("size {size}"));
        Ok(size)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.record(&format!("length {len}"));
        self.file.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        self.record(&format!("allocate {len}"));
        self.file.allocate(len)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.record(&format!("write {} at {offset}", bytes.len()));
        self.file.write_at(bytes, offset)
    }

    fn write_back(&self, offset: u64, len: u64) {
        self.file.write_back(offset, len);
    }

    fn sync_all(&self) -> io::Result<()> {
        self.record("sync all");
        self.file.sync_all()
    }

    fn sync_data(&self) -> io::Result<()> {
        self.record("sync data");
        self.file.sync_data()
    }

    fn begin_sync(&self, id: RequestId) {
        self.record(&format!("begin sync {}", id.0));
        self.file.begin_sync(id);
    }
}

/// The calls of a log over two processes, with a kill between them.
fn calls_of<V: Vfs + 'static>(vfs: impl Fn(&Path) -> V) -> Vec<String> {
    let dir = TempDir::new("overlay-calls");
    let calls = Calls::default();
    let mut ledger = Ledger::default();
    for crash in [Some(60), None] {
        let (at, _folder) = log(Arc::new(Recording { vfs: vfs(dir.path()), calls: Arc::clone(&calls) }), dir.path());
        crash_after(&at, crash);
        let ended = compact(&at, &mut ledger);
        assert_eq!(ended.is_err(), crash.is_some(), "{ended:?}");
        if let Ok((_, found)) = open(&at) {
            assert!(ledger.agrees(found));
        }
        crash_after(&at, None);
    }
    Arc::try_unwrap(calls).unwrap().into_inner().unwrap()
}

#[test]
fn the_storage_makes_the_same_calls_with_and_without_the_overlay() {
    let (real, overlaid) = (calls_of(|_| RealVfs::default()), calls_of(OverlayVfs::new));
    assert!(real.len() > 200 && real.iter().any(|call| call.starts_with("sync folder")), "{} calls", real.len());
    for (number, (real, overlaid)) in real.iter().zip(&overlaid).enumerate() {
        assert_eq!(real, overlaid, "call {number}");
    }
    assert_eq!(real.len(), overlaid.len());
}
