//! Tests with a crash at every byte, and with damage at every byte.

use std::collections::BTreeMap;
use std::path::Path;

use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64;

use super::real;
use crate::control::Failpoint;
use crate::options::NodeId;
use crate::storage::batch::{Batch, BatchBuilder};
use crate::storage::recovery::{self, Recovered, recover, segment_name};
use crate::storage::segment::{FILE_HEADER, Owner};
use crate::storage::snapshot::{self, SnapshotBuilder};
use crate::storage::wal::Wal;
use crate::storage::{LogFolder, StorageError, Store};
use crate::testing::TempDir;

const SEGMENT: u64 = 4 << 10;
const SECTOR: usize = 512;

fn at(folder: &Path) -> LogFolder {
    real(folder, 77)
}

type Records = Vec<Vec<u8>>;

fn recover_all(folder: &Path) -> Result<(Recovered, Records), StorageError> {
    let mut records = Vec::new();
    let recovered = recover(&at(folder), &mut |record| {
        records.push(record.to_vec());
        Ok(())
    })?;
    Ok((recovered, records))
}

fn open(folder: &Path, recovered: Recovered, seed: u64) -> Wal {
    Wal::new(at(folder), SEGMENT, Pcg64::seed_from_u64(seed), recovered)
}

fn batch(records: &[Vec<u8>]) -> BatchBuilder {
    let mut builder = BatchBuilder::new();
    for record in records {
        builder.add(|out| out.extend_from_slice(record));
    }
    builder
}

fn draw_batch(rng: &mut Pcg64) -> Records {
    let record = |rng: &mut Pcg64| {
        let mut bytes = vec![0; rng.random_range(0..300)];
        rng.fill_bytes(&mut bytes);
        bytes
    };
    (0..rng.random_range(1..4)).map(|_| record(rng)).collect()
}

/// Writes a log of this many batches to a folder, ended by a crash.
fn write_log(folder: &Path, batches: usize, seed: u64) -> Vec<Records> {
    let mut rng = Pcg64::seed_from_u64(seed);
    let (recovered, _) = recover_all(folder).unwrap();
    let mut wal = open(folder, recovered, seed);
    let drawn: Vec<Records> = (0..batches).map(|_| draw_batch(&mut rng)).collect();
    for records in &drawn {
        wal.append(&mut batch(records)).unwrap();
    }
    drawn
}

/// The content of all relevant files.
fn content(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let entries = entries.map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()));
    entries.filter(|(name, _)| name.ends_with(".wal") || name.ends_with(".snap")).collect()
}

fn restore(folder: &Path, files: &BTreeMap<String, Vec<u8>>) {
    for name in content(folder).into_keys() {
        std::fs::remove_file(folder.join(name)).unwrap();
    }
    for (name, bytes) in files {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
}

fn last_segment(files: &BTreeMap<String, Vec<u8>>) -> (String, usize) {
    let (name, bytes) = files.iter().rfind(|(name, _)| name.ends_with(".wal")).unwrap();
    (name.clone(), bytes.iter().rposition(|&byte| byte != 0).unwrap() + 1)
}

#[track_caller]
fn check_corrupt(folder: &Path, what: &str) {
    let before = content(folder);
    match recover_all(folder).map(|(recovered, _)| recovered) {
        Err(error @ StorageError::Corrupt { .. }) => {
            assert!(!error.is_usage());
            assert_eq!(content(folder), before, "{what}: the folder was changed although it was refused");
        }
        other => panic!("{what}: {other:?}"),
    }
}

#[test]
fn what_was_appended_is_recovered_over_many_restarts() {
    let dir = TempDir::new("wal-restarts");
    let mut expected = Vec::new();
    for seed in 0..6 {
        let (recovered, records) = recover_all(dir.path()).unwrap();
        assert_eq!((records, recovered.torn_bytes), (expected.clone(), 0));
        expected.extend(write_log(dir.path(), 7, seed).into_iter().flatten());
    }
    assert!(content(dir.path()).len() >= 6, "each start begins a segment");
}

#[test]
fn a_crash_at_any_byte_of_the_last_batch_loses_nothing_durable() {
    let dir = TempDir::new("wal-crash");
    let durable = write_log(dir.path(), 9, 1);
    let before = content(dir.path());
    // The complete next batch provides the bytes of which a crash may leave a part.
    let mut rng = Pcg64::seed_from_u64(2);
    let last: Records = vec![vec![3; 900], draw_batch(&mut rng).remove(0)];
    let mut after = before.clone();
    let (name, end) = last_segment(&before);
    let start = end.next_multiple_of(8);
    let mut whole = batch(&last);
    let salt = u64::from_le_bytes(before[&name][40..48].try_into().unwrap());
    let bytes = whole.seal(salt, durable.len() as u64 + 1).to_vec();
    after.get_mut(&name).unwrap()[start..start + bytes.len()].copy_from_slice(&bytes);

    let durable: Records = durable.into_iter().flatten().collect();
    let check = |files: &BTreeMap<String, Vec<u8>>, what: &str| {
        restore(dir.path(), files);
        let (recovered, mut records) = recover_all(dir.path()).unwrap_or_else(|error| panic!("{what}: {error}"));
        let whole = *files == after;
        let expected: Records = durable.iter().chain(last.iter().filter(|_| whole)).cloned().collect();
        assert_eq!(records, expected, "{what}");
        assert!(whole || files == &before || recovered.torn_bytes > 0, "{what}: a torn tail must be counted");
        // The node continues, and no part of the torn batch reappears at the next start.
        let mut wal = open(dir.path(), recovered, 3);
        records.push(b"later".to_vec());
        wal.append(&mut batch(&[b"later".to_vec()])).unwrap();
        drop(wal);
        let (recovered, again) = recover_all(dir.path()).unwrap_or_else(|error| panic!("{what}, again: {error}"));
        assert_eq!((again, recovered.torn_bytes), (records, 0), "{what}, again");
    };
    check(&before, "nothing written");
    check(&after, "all written");
    let cuts = (1..40).chain((40..bytes.len()).step_by(61)).chain(bytes.len() - 20..bytes.len() - 1);
    for cut in cuts {
        let mut files = before.clone();
        files.get_mut(&name).unwrap()[start..start + cut].copy_from_slice(&bytes[..cut]);
        check(&files, &format!("cut after {cut} bytes"));
    }
    // Power loss: any subset of the batch's sectors is written, and the others are zero or garbage.
    for round in 0..40 {
        let mut files = after.clone();
        let file = files.get_mut(&name).unwrap();
        let range = start..start + bytes.len();
        let sectors = (range.start / SECTOR..=(range.end - 1) / SECTOR).collect::<Vec<_>>();
        for sector in sectors {
            if rng.random_range(0..2) == 0 {
                let from = (sector * SECTOR).max(range.start);
                let to = ((sector + 1) * SECTOR).min(range.end);
                if round % 2 == 0 { file[from..to].fill(0) } else { rng.fill_bytes(&mut file[from..to]) }
            }
        }
        check(&files, &format!("power loss {round}"));
    }
}

#[test]
fn damage_before_a_later_batch_is_refused_at_every_byte() {
    let dir = TempDir::new("wal-damage");
    write_log(dir.path(), 16, 4);
    let files = content(dir.path());
    assert!(files.len() >= 2, "earlier and last segment are both tried");
    let (last, _) = last_segment(&files);
    for (name, bytes) in &files {
        // Damage everything but the last batch in the last segment, and the whole file in earlier ones.
        let end = if *name == last { start_of_last_batch(bytes) } else { bytes.len() };
        for at in (0..end).filter(|at| *at < FILE_HEADER || at % 5 == 0) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            std::fs::write(dir.path().join(name), &damaged).unwrap();
            match recover_all(dir.path()).map(|(recovered, _)| recovered) {
                Err(StorageError::Corrupt { .. }) => {}
                // Damage to the magic may look like a different version, which is also refused.
                Err(StorageError::OtherFormat { .. }) if at < 16 => {}
                other => panic!("{name}, byte {at}: {other:?}"),
            }
        }
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    recover_all(dir.path()).unwrap();
}

fn start_of_last_batch(bytes: &[u8]) -> usize {
    let salt = u64::from_le_bytes(bytes[40..48].try_into().unwrap());
    let mut at = FILE_HEADER;
    loop {
        let next = at + Batch::parse(&bytes[at..], salt).unwrap().file_len();
        if Batch::parse(&bytes[next..], salt).is_none() {
            return at;
        }
        at = next;
    }
}

#[test]
fn after_a_clean_stop_damage_of_the_last_batch_is_corruption_too() {
    let dir = TempDir::new("wal-clean");
    let (recovered, _) = recover_all(dir.path()).unwrap();
    let mut wal = open(dir.path(), recovered, 5);
    wal.append(&mut batch(&[vec![9; 64]])).unwrap();
    wal.finish().unwrap();
    drop(wal);
    let files = content(dir.path());
    let (name, _) = last_segment(&files);
    let mut damaged = files.clone();
    damaged.get_mut(&name).unwrap()[FILE_HEADER + 40] ^= 1;
    restore(dir.path(), &damaged);
    check_corrupt(dir.path(), "the last batch before a clean end");
    restore(dir.path(), &files);
    assert_eq!(recover_all(dir.path()).unwrap().1, [vec![9; 64]]);
}

#[test]
fn missing_and_foreign_files_are_refused() {
    let dir = TempDir::new("wal-missing");
    write_log(dir.path(), 30, 6);
    let files = content(dir.path());
    assert!(files.len() >= 3);
    let names: Vec<_> = files.keys().cloned().collect();
    for name in &names[..names.len() - 1] {
        restore(dir.path(), &files.iter().filter(|(n, _)| *n != name).map(|(n, b)| (n.clone(), b.clone())).collect());
        check_corrupt(dir.path(), &format!("{name} is missing"));
    }
    restore(dir.path(), &files);
    std::fs::write(dir.path().join("log-7.wal"), "").unwrap();
    check_corrupt(dir.path(), "a file of no such name");
    std::fs::remove_file(dir.path().join("log-7.wal")).unwrap();

    let sound = at(dir.path());
    let other = Owner { node: NodeId::new(2).unwrap(), ..sound.owner.clone() };
    let error = recover(&LogFolder { owner: other, ..sound.clone() }, &mut |_| Ok(())).unwrap_err();
    assert!(matches!(error, StorageError::OtherOwner { .. }) && error.is_usage(), "{error}");
    let error = recover(&sound, &mut |_| Err("odd".to_owned())).unwrap_err();
    assert!(matches!(&error, StorageError::Corrupt { why, .. } if why.contains("odd")), "{error}");
}

#[test]
fn a_snapshot_replaces_the_log_and_a_crash_in_between_is_harmless() {
    let dir = TempDir::new("wal-snapshot");
    write_log(dir.path(), 20, 7);
    let (recovered, _) = recover_all(dir.path()).unwrap();
    let mut wal = open(dir.path(), recovered, 8);
    let state: Records = (0..3_000_u32).map(|i| i.to_le_bytes().repeat(30)).collect();
    let up_to = wal.seal().unwrap();
    let mut builder = SnapshotBuilder::new();
    for record in &state {
        builder.add(|out| out.extend_from_slice(record));
    }
    wal.append(&mut batch(&[b"after".to_vec()])).unwrap();
    snapshot::write(&at(dir.path()), up_to, builder).unwrap();
    let with_old_log = content(dir.path());
    wal.remove_up_to(up_to).unwrap();
    wal.append(&mut batch(&[b"last".to_vec()])).unwrap();
    drop(wal);
    let expected: Records = state.iter().cloned().chain([b"after".to_vec(), b"last".to_vec()]).collect();
    let files = content(dir.path());
    assert_eq!(recover_all(dir.path()).unwrap().1, expected);
    let segments = files.keys().filter(|name| name.ends_with(".wal")).count();
    assert_eq!(segments, 1, "{:?}", files.keys());
    // The crash came before the old log was removed, or during its removal.
    let old: Vec<_> = with_old_log.keys().filter(|name| name.ends_with(".wal")).cloned().collect();
    for removed in 0..old.len() - 1 {
        let mut left = with_old_log.clone();
        left.retain(|name, _| !old[..removed].contains(name));
        restore(dir.path(), &left);
        assert_eq!(recover_all(dir.path()).unwrap().1, expected[..expected.len() - 1], "{removed} removed");
    }
    // Power failed when only the removal of one segment had reached the disk: the snapshot covers the gap.
    for removed in &old[..old.len() - 1] {
        let mut left = with_old_log.clone();
        left.remove(removed);
        restore(dir.path(), &left);
        assert_eq!(recover_all(dir.path()).unwrap().1, expected[..expected.len() - 1], "only {removed} removed");
    }
    // The records after the snapshot are in no other file.
    restore(dir.path(), &files);
    let (recovered, _) = recover_all(dir.path()).unwrap();
    open(dir.path(), recovered, 9).append(&mut batch(&[b"later".to_vec()])).unwrap();
    let mut left = content(dir.path());
    let newer = left.keys().find(|name| name.ends_with(".wal")).unwrap().clone();
    left.remove(&newer);
    restore(dir.path(), &left);
    check_corrupt(dir.path(), "the first segment after the snapshot is missing");
    // Damaged and truncated snapshots.
    restore(dir.path(), &files);
    let name = snapshot::file_name(up_to);
    let whole = &files[&name];
    for at in (0..whole.len()).step_by(1_009) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        std::fs::write(dir.path().join(&name), damaged).unwrap();
        assert!(recover_all(dir.path()).is_err(), "byte {at} of the snapshot");
    }
    for cut in [whole.len() - 1, whole.len() - 24, whole.len() - 25, whole.len() / 2, FILE_HEADER, 10, 0] {
        std::fs::write(dir.path().join(&name), &whole[..cut]).unwrap();
        check_corrupt(dir.path(), &format!("the snapshot ends at byte {cut}"));
    }
}

#[test]
fn a_batch_longer_than_a_segment_gets_one_of_its_own() {
    let dir = TempDir::new("wal-long");
    let (recovered, _) = recover_all(dir.path()).unwrap();
    let mut wal = open(dir.path(), recovered, 9);
    let records = [vec![1; 10], vec![2; 3 * SEGMENT as usize], vec![3; 10]];
    for record in &records {
        wal.append(&mut batch(std::slice::from_ref(record))).unwrap();
    }
    assert_eq!(wal.segments(), 3);
    drop(wal);
    assert_eq!(recover_all(dir.path()).unwrap().1, records);
}

/// A segment without zeroes after its last batch looks as if it had been truncated.
#[test]
fn a_kill_after_a_batch_that_fills_its_segment_does_not_look_like_damage() {
    let header = FILE_HEADER + batch(&[vec![]]).file_len();
    // The second batch ends just before, at or just after the end of the segment. The third gets a segment of its own length.
    for second in (SEGMENT as usize - header - 200)..(SEGMENT as usize - header) {
        let dir = TempDir::new("wal-full");
        let mut wal = open(dir.path(), recover_all(dir.path()).unwrap().0, 9);
        for len in [100, second, 3 * SEGMENT as usize] {
            wal.append(&mut batch(&[vec![1; len]])).unwrap();
            assert!(!recovery::read(&at(dir.path()), &mut |_| Ok(())).unwrap().is_cut, "{len} bytes");
        }
    }
}

/// Data left by a failed disk can be recovered after a restart with a working disk.
#[track_caller]
fn check_failpoint(point: Failpoint, error_says: &str, survives: &[&[u8]]) {
    let dir = TempDir::new("wal-failpoint");
    let at = at(dir.path());
    let (recovered, _) = recover_all(dir.path()).unwrap();
    let mut wal = Wal::new(at.clone(), SEGMENT, Pcg64::seed_from_u64(10), recovered);
    wal.append(&mut batch(&[b"durable".to_vec()])).unwrap();
    at.points.arm_failpoint(point, 0);
    let error = wal.append(&mut batch(&[b"doubtful".to_vec()])).unwrap_err();
    assert!(error.to_string().contains(error_says), "{error}");
    assert_eq!(at.points.fired_failpoints(), [(point, 1)]);
    drop(wal);
    assert_eq!(recover_all(dir.path()).unwrap().1, survives);
}

#[test]
fn failpoints_fail() {
    // A batch whose sync failed may or may not survive. Here its write had reached the file.
    check_failpoint(Failpoint::FailWrite, "Input/output error", &[b"durable"]);
    check_failpoint(Failpoint::FailSync, "Input/output error", &[b"durable", b"doubtful"]);
    check_failpoint(Failpoint::DiskFull, "No space left", &[b"durable"]);
    check_failpoint(Failpoint::CrashMidWrite, "mid-write", &[b"durable"]);
    check_failpoint(Failpoint::CrashBeforeSync, "before-sync", &[b"durable", b"doubtful"]);
    check_failpoint(Failpoint::CrashAfterSync, "after-sync", &[b"durable", b"doubtful"]);
}

#[test]
fn segments_are_named_in_order() {
    assert!(segment_name(9) < segment_name(10) && segment_name(u64::MAX) > segment_name(1 << 40));
}
