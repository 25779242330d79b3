//! Tests of what survives a power loss and a kill.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::*;
use crate::storage::vfs::unsynced::SECTOR;

fn path(name: &str) -> PathBuf {
    Path::new("/data").join(name)
}

/// Creates a file with this durable content and a durable name.
fn durable(vfs: &MemoryVfs, name: &str, bytes: &[u8]) -> Box<dyn VfsFile> {
    let file = vfs.create(&path(name)).unwrap();
    file.write_at(bytes, 0).unwrap();
    file.sync_all().unwrap();
    vfs.sync_folder(Path::new("/data")).unwrap();
    file
}

/// The contents of `name` after a power loss, for many seeds.
fn left_by_power_loss(name: &str, act: impl Fn(&MemoryVfs)) -> BTreeSet<Option<Vec<u8>>> {
    let left = (0..200).map(|seed| {
        let vfs = MemoryVfs::new(SyncMode::Immediate);
        act(&vfs);
        vfs.power_loss(seed);
        vfs.read(&path(name)).ok()
    });
    left.collect()
}

#[test]
fn what_was_synced_under_a_synced_name_survives_always() {
    let left = left_by_power_loss("a", |vfs| drop(durable(vfs, "a", b"safe")));
    assert_eq!(left, BTreeSet::from([Some(b"safe".to_vec())]));
}

#[test]
fn writes_without_sync_are_dropped_kept_and_torn_by_sector() {
    let (old, new) = (vec![1; 2 * SECTOR as usize], vec![2; 2 * SECTOR as usize]);
    let left = left_by_power_loss("a", |vfs| durable(vfs, "a", &old).write_at(&new, 0).unwrap());
    let halves = |first: u8, second: u8| Some([[first; SECTOR as usize], [second; SECTOR as usize]].concat());
    for expected in [halves(1, 1), halves(2, 2), halves(1, 2), halves(2, 1)] {
        assert!(left.contains(&expected));
    }
    assert!(left.len() > 4, "some are torn inside a sector");
}

#[test]
fn a_length_without_sync_may_vanish() {
    let left = left_by_power_loss("a", |vfs| durable(vfs, "a", b"long").set_len(1).unwrap());
    assert_eq!(left, BTreeSet::from([Some(b"long".to_vec()), Some(b"l".to_vec())]));
}

#[test]
fn a_rename_without_folder_sync_may_vanish_and_one_with_it_may_not() {
    let rename = |vfs: &MemoryVfs| {
        drop(durable(vfs, "new", b"b"));
        drop(durable(vfs, "a", b"a"));
        vfs.rename(&path("new"), &path("a")).unwrap();
    };
    assert_eq!(left_by_power_loss("a", rename), BTreeSet::from([Some(b"a".to_vec()), Some(b"b".to_vec())]));
    let synced = |vfs: &MemoryVfs| {
        rename(vfs);
        vfs.sync_folder(Path::new("/data")).unwrap();
    };
    assert_eq!(left_by_power_loss("a", synced), BTreeSet::from([Some(b"b".to_vec())]));
    assert_eq!(left_by_power_loss("new", synced), BTreeSet::from([None]));
}

#[test]
fn a_new_file_and_a_removal_without_folder_sync_may_vanish() {
    let create = |vfs: &MemoryVfs| vfs.create(&path("a")).unwrap().sync_all().unwrap();
    assert_eq!(left_by_power_loss("a", create), BTreeSet::from([None, Some(vec![])]));
    let remove = |vfs: &MemoryVfs| {
        drop(durable(vfs, "a", b"a"));
        vfs.remove(&path("a")).unwrap();
    };
    assert_eq!(left_by_power_loss("a", remove), BTreeSet::from([None, Some(b"a".to_vec())]));
}

#[test]
fn a_sync_in_flight_covers_what_was_written_before_it() {
    let vfs = MemoryVfs::new(SyncMode::InFlight);
    let file = durable(&vfs, "a", b"..");
    file.write_at(b"1", 0).unwrap();
    file.begin_sync(RequestId(7));
    file.write_at(b"2", 1).unwrap();
    assert!(vfs.next_completion().is_none(), "it is in flight");
    assert!(vfs.end_sync() && !vfs.end_sync());
    assert_eq!(vfs.next_completion().unwrap().id, RequestId(7));
    let both = b"12".to_vec();
    assert_eq!(vfs.read(&path("a")).unwrap(), both, "a running process reads all that was written");
    let mut seeds = 0..;
    while vfs.power_loss(seeds.next().unwrap()).sectors_lost == 0 {
        file.write_at(b"2", 1).unwrap_err();
        vfs.open(&path("a")).unwrap().write_at(b"2", 1).unwrap();
    }
    assert_eq!(vfs.read(&path("a")).unwrap()[0], b'1');
}

#[test]
fn a_killed_process_loses_its_locks_and_handles_and_no_byte() {
    let vfs = MemoryVfs::new(SyncMode::Immediate);
    let lock = vfs.lock(&path("lock")).unwrap();
    assert_eq!(vfs.lock(&path("lock")).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    let file = vfs.create(&path("a")).unwrap();
    file.write_at(b"x", 0).unwrap();
    vfs.kill();
    file.write_at(b"y", 0).unwrap_err();
    let again = vfs.lock(&path("lock")).unwrap();
    drop(lock);
    assert!(vfs.lock(&path("lock")).is_err(), "the lock of an earlier process releases nothing");
    drop(again);
    vfs.lock(&path("lock")).unwrap();
    assert_eq!(vfs.read(&path("a")).unwrap(), b"x");
}

#[test]
fn the_same_seed_loses_the_same() {
    let lose = |seed| {
        let vfs = MemoryVfs::new(SyncMode::Immediate);
        durable(&vfs, "a", &[0; 4_096]).write_at(&[1; 4_096], 0).unwrap();
        drop(vfs.create(&path("b")).unwrap());
        (vfs.power_loss(seed), vfs.read(&path("a")).unwrap(), vfs.read(&path("b")).ok())
    };
    assert_eq!(lose(1), lose(1));
    assert_ne!(lose(1).1, lose(2).1);
    assert_eq!(lose(3).0.sectors_kept + lose(3).0.sectors_lost, 8);
}
