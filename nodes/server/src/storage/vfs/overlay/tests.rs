//! Tests of what survives a kill, and what survives a power loss.

use std::collections::BTreeSet;

use super::*;
use crate::storage::StorageError;
use crate::storage::folder::LOCK;
use crate::storage::vfs::unsynced::{PowerLoss, SECTOR};
use crate::testing::TempDir;

/// A running process with a data folder. Dropping it acts like a SIGKILL: nothing more is written.
struct Running {
    vfs: OverlayVfs,
    folder: PathBuf,
    _lock: Box<dyn FolderLock>,
}

impl Running {
    fn start(folder: &Path) -> Running {
        let vfs = OverlayVfs::new(folder);
        let lock = vfs.lock(&folder.join(LOCK)).unwrap();
        Running { vfs, folder: folder.to_owned(), _lock: lock }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn create(&self, name: &str) -> Box<dyn VfsFile> {
        self.vfs.create(&self.path(name)).unwrap()
    }

    fn rename(&self, from: &str, to: &str) {
        self.vfs.rename(&self.path(from), &self.path(to)).unwrap();
    }

    fn remove(&self, name: &str) {
        self.vfs.remove(&self.path(name)).unwrap();
    }

    fn sync_folder(&self) {
        self.vfs.sync_folder(&self.folder).unwrap();
    }

    fn read(&self, name: &str) -> Option<Vec<u8>> {
        self.vfs.read(&self.path(name)).ok()
    }

    /// Creates a file with this durable content and a durable name.
    fn durable(&self, name: &str, bytes: &[u8]) -> Box<dyn VfsFile> {
        let file = self.create(name);
        file.write_at(bytes, 0).unwrap();
        file.sync_all().unwrap();
        self.sync_folder();
        file
    }
}

/// The contents of `a` after a power loss, for many seeds. Before the loss, the process is killed and restarted.
fn left_by_power_loss(act: impl Fn(&Running)) -> BTreeSet<Option<Vec<u8>>> {
    let left = (0..80).map(|seed| {
        let dir = TempDir::new("overlay");
        let running = Running::start(dir.path());
        act(&running);
        let before = running.read("a");
        drop(running);
        let again = Running::start(dir.path());
        assert_eq!(again.read("a"), before, "a kill loses nothing");
        drop(again);
        lose_power(dir.path(), seed).unwrap();
        let left = std::fs::read(dir.path().join("a")).ok();
        assert_eq!(Running::start(dir.path()).read("a"), left, "what is left is in the file itself");
        left
    });
    left.collect()
}

fn bytes(text: &[u8]) -> Option<Vec<u8>> {
    Some(text.to_vec())
}

#[test]
fn what_was_synced_under_a_synced_name_survives_always() {
    assert_eq!(left_by_power_loss(|on| drop(on.durable("a", b"safe"))), BTreeSet::from([bytes(b"safe")]));
}

#[test]
fn writes_without_sync_are_dropped_kept_and_torn_by_sector() {
    let (old, new) = (vec![1; 2 * SECTOR as usize], vec![2; 2 * SECTOR as usize]);
    let left = left_by_power_loss(|on| on.durable("a", &old).write_at(&new, 0).unwrap());
    let halves = |first: u8, second: u8| Some([[first; SECTOR as usize], [second; SECTOR as usize]].concat());
    for expected in [halves(1, 1), halves(2, 2), halves(1, 2), halves(2, 1)] {
        assert!(left.contains(&expected));
    }
    assert!(left.len() > 4, "some are torn inside a sector");
}

#[test]
fn a_sync_covers_what_was_written_before_it_and_nothing_after_it() {
    let left = left_by_power_loss(|on| {
        let file = on.durable("a", b"..");
        file.write_at(b"1", 0).unwrap();
        file.begin_sync(RequestId(7));
        assert_eq!(on.vfs.next_completion().unwrap().id, RequestId(7));
        file.write_at(b"2", 1).unwrap();
    });
    assert_eq!(left, BTreeSet::from([bytes(b"1."), bytes(b"12")]));
}

#[test]
fn a_length_without_sync_may_vanish() {
    let left = left_by_power_loss(|on| on.durable("a", b"long").set_len(1).unwrap());
    assert_eq!(left, BTreeSet::from([bytes(b"long"), bytes(b"l")]));
}

#[test]
fn a_rename_without_folder_sync_may_vanish_and_one_with_it_may_not() {
    let rename = |on: &Running| {
        drop((on.durable("new", b"b"), on.durable("a", b"a")));
        on.rename("new", "a");
    };
    assert_eq!(left_by_power_loss(rename), BTreeSet::from([bytes(b"a"), bytes(b"b")]));
    let synced = |on: &Running| {
        rename(on);
        on.sync_folder();
        assert!(on.read("new").is_none());
    };
    assert_eq!(left_by_power_loss(synced), BTreeSet::from([bytes(b"b")]));
}

#[test]
fn a_new_file_and_a_removal_without_folder_sync_may_vanish() {
    let create = |on: &Running| on.create("a").sync_all().unwrap();
    assert_eq!(left_by_power_loss(create), BTreeSet::from([None, bytes(b"")]));
    let remove = |on: &Running| {
        drop(on.durable("a", b"a"));
        on.remove("a");
    };
    assert_eq!(left_by_power_loss(remove), BTreeSet::from([None, bytes(b"a")]));
    // The new name may survive without the content, as POSIX allows.
    let replaced = |on: &Running| {
        drop(on.durable("a", b"old"));
        on.create("tmp").write_at(b"new", 0).unwrap();
        on.rename("tmp", "a");
        on.sync_folder();
    };
    assert!(left_by_power_loss(replaced).is_superset(&BTreeSet::from([bytes(b"new"), bytes(b"")])));
}

/// A process may end during a sync of names. The next one finishes it.
#[test]
fn a_sync_of_names_that_was_cut_short_is_finished() {
    let all = ["a", "b", "c", "d", "e"];
    let act = |on: &Running| {
        drop((on.durable("a", b"a"), on.durable("b", b"b")));
        drop(on.durable("d", b"d"));
        on.create("c").write_at(b"c", 0).unwrap();
        on.rename("c", "a");
        on.rename("b", "c");
        on.create("b").write_at(b"new", 0).unwrap();
        on.remove("d");
        on.rename("a", "e");
    };
    let seen = |on: &Running| all.map(|name| on.read(name));
    let want = [None, bytes(b"new"), bytes(b"b"), None, bytes(b"c")];
    for cut in 0..=6 {
        let dir = TempDir::new("overlay-names");
        let running = Running::start(dir.path());
        act(&running);
        assert_eq!(seen(&running), want);
        running.vfs.with(|state| state.begin_sync_names_until(cut)).unwrap();
        drop(running);
        assert_eq!(seen(&Running::start(dir.path())), want, "cut after {cut}");
        let loss = lose_power(dir.path(), 1).unwrap();
        assert_eq!((loss.names_kept, loss.names_lost), (0, 0), "cut after {cut}: they are durable");
    }
}

#[test]
fn the_same_seed_loses_the_same_and_counts_it() {
    let lose = |seed| {
        let dir = TempDir::new("overlay-seed");
        let running = Running::start(dir.path());
        running.durable("a", &[0; 4_096]).write_at(&[1; 4_096], 0).unwrap();
        drop(running.create("b"));
        drop(running);
        let loss = lose_power(dir.path(), seed).unwrap();
        (loss, std::fs::read(dir.path().join("a")).unwrap(), dir.path().join("b").exists())
    };
    assert_eq!(lose(1), lose(1));
    assert_ne!(lose(1).1, lose(2).1);
    let (loss, left, _) = lose(3);
    assert_eq!(
        (loss.sectors_kept + loss.sectors_lost, loss.bytes_kept + loss.bytes_lost, loss.names_kept + loss.names_lost),
        (8, 4_096, 1)
    );
    assert_eq!(left.iter().filter(|byte| **byte == 1).count() as u64, loss.bytes_kept);
    assert_eq!(loss.unsynced(), 9);
}

#[test]
fn writes_that_no_sync_has_covered_are_counted_without_touching_them() {
    let dir = TempDir::new("overlay-count");
    assert_eq!(unsynced_writes(dir.path()).unwrap(), None);
    let running = Running::start(dir.path());
    let count = || unsynced_writes(dir.path()).unwrap();
    let file = running.create("a");
    file.allocate(4).unwrap();
    file.write_at(&[0; 9], 0).unwrap();
    assert_eq!(count(), Some(0), "a length and zeroes");
    running.sync_folder();
    assert_eq!(count(), Some(0), "the same after the journal was rewritten");
    file.write_at(b"xy", 0).unwrap();
    file.write_at(b"z", 2).unwrap();
    assert_eq!(count(), Some(2));
    file.sync_data().unwrap();
    assert_eq!(count(), Some(0));
    file.write_at(b"z", 3).unwrap();
    assert_eq!(count(), Some(1));
    running.sync_folder();
    assert_eq!((count(), running.read("a").unwrap()), (Some(1), b"xyzz\0\0\0\0\0".to_vec()));
}

#[test]
fn a_second_power_loss_finds_nothing_to_lose() {
    let dir = TempDir::new("overlay-twice");
    Running::start(dir.path()).create("a").write_at(b"x", 0).unwrap();
    assert!(lose_power(dir.path(), 1).unwrap().unsynced() > 0);
    assert_eq!(lose_power(dir.path(), 2).unwrap(), PowerLoss::default());
}

#[test]
fn a_folder_in_use_one_without_overlay_and_one_changed_by_hand_are_refused() {
    let dir = TempDir::new("overlay-refused");
    let refused = lose_power(dir.path(), 1).unwrap_err();
    assert!(refused.to_string().contains("it has no overlay"), "{refused}");
    let running = Running::start(dir.path());
    drop(running.durable("a", b"a"));
    running.vfs.open(&running.path("a")).unwrap().write_at(b"b", 0).unwrap();
    assert!(matches!(lose_power(dir.path(), 1).unwrap_err(), StorageError::Locked { .. }));
    assert_eq!(std::fs::read(dir.path().join("a")).unwrap(), b"a", "what is not synced is not in the file");
    drop(running);
    std::fs::rename(dir.path().join("a"), dir.path().join("elsewhere")).unwrap();
    let refused = lose_power(dir.path(), 1).unwrap_err();
    assert!(refused.to_string().contains("changed by hand"), "{refused}");
}

#[test]
fn only_files_of_the_folder_have_an_overlay() {
    let dir = TempDir::new("overlay-outside");
    let running = Running::start(dir.path());
    for path in [dir.path().join("sub/a"), dir.path().join(".."), PathBuf::from("/tmp/a")] {
        assert_eq!(running.vfs.create(&path).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
    let unlocked = OverlayVfs::new(dir.path());
    unlocked.create(&dir.path().join("a")).unwrap_err();
}

/// With syncs, the journal stays short however much is written.
#[test]
fn the_journal_is_rewritten_when_it_grows() {
    let dir = TempDir::new("overlay-journal");
    let running = Running::start(dir.path());
    let file = running.create("a");
    let part = vec![7; 1 << 20];
    for round in 0..40 {
        file.write_at(&part, (round % 2) << 20).unwrap();
        file.sync_data().unwrap();
    }
    file.write_at(b"left", 0).unwrap();
    let len = std::fs::metadata(dir.path().join(OVERLAY).join("journal")).unwrap().len();
    assert!(len < 4 << 20, "{len} bytes");
    drop((file, running));
    let again = Running::start(dir.path()).read("a").unwrap();
    assert_eq!((again.len(), &again[..4], again[4]), (2 << 20, &b"left"[..], 7));
}
