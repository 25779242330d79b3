//! Group sync: when batches become durable, and how few syncs that takes.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use heckle_paxos::{IoId, Sync};
use rand::SeedableRng;
use rand_pcg::Pcg64;
use tokio::sync::Notify;

use super::real;
use crate::control::Failpoint;
use crate::points::storage::StoragePoints;
use crate::storage::batch::MAX_BATCH_PAYLOAD;
use crate::storage::group::Durability;
use crate::storage::recovery::recover;
use crate::storage::snapshot::SnapshotBuilder;
use crate::storage::thread::{Disk, DiskMetrics};
use crate::storage::wal::Wal;
use crate::storage::{LogFolder, StorageError};
use crate::testing::TempDir;

const PATIENCE: Duration = Duration::from_secs(20);

fn at(folder: &Path) -> LogFolder {
    real(folder, 1)
}

fn recovered_records(folder: &Path) -> Vec<String> {
    let mut records = Vec::new();
    recover(&at(folder), &mut |record| {
        records.push(String::from_utf8(record.to_vec()).unwrap());
        Ok(())
    })
    .unwrap();
    records
}

struct Rig {
    dir: TempDir,
    disk: Disk,
    points: Arc<StoragePoints>,
    metrics: Arc<DiskMetrics>,
    failures: Receiver<String>,
}

impl Rig {
    fn start(durability: Durability) -> Rig {
        let dir = TempDir::new("disk-thread");
        let metrics = Arc::new(DiskMetrics::default());
        let at = at(dir.path());
        let points = Arc::clone(&at.points);
        let recovered = recover(&at, &mut |_| Ok(())).unwrap();
        let rng = Pcg64::seed_from_u64(1);
        let wal = Wal::new(at.clone(), 64 << 10, rng, recovered);
        let (sender, failures) = channel();
        let on_failure = Box::new(move |error: &StorageError| drop(sender.send(error.to_string())));
        let disk = Disk::start(Box::new(wal), 1, at, durability, Arc::clone(&metrics), Arc::new(Notify::new()), on_failure);
        Rig { disk: disk.unwrap(), dir, points, metrics, failures }
    }

    fn submit(&self, io: u64, sync: Sync) {
        self.disk.submit(IoId(io), sync, |batch| batch.add(|out| out.extend_from_slice(format!("r{io}").as_bytes())));
    }

    #[track_caller]
    fn until_durable(&self, io: u64) {
        let begin = Instant::now();
        while self.disk.durable() < IoId(io) {
            assert!(begin.elapsed() < PATIENCE, "{io} is never durable");
            std::thread::sleep(Duration::from_micros(200));
        }
    }
}

fn names(ios: impl IntoIterator<Item = u64>) -> Vec<String> {
    ios.into_iter().map(|io| format!("r{io}")).collect()
}

#[test]
fn what_gathers_during_a_sync_shares_the_next() {
    let rig = Rig::start(Durability::AfterSync);
    rig.submit(1, Sync::Required);
    rig.until_durable(1);
    rig.points.arm_failpoint(Failpoint::SlowSync, 100_000);
    let begin = Instant::now();
    for io in 2..=200 {
        rig.submit(io, Sync::Required);
    }
    assert_eq!(rig.disk.durable(), IoId(1), "nothing is durable before its sync");
    rig.until_durable(200);
    let syncs = rig.metrics.syncs.load(Ordering::Relaxed);
    assert!((2..=3).contains(&syncs), "199 batches of the core in {syncs} syncs");
    assert!(begin.elapsed() >= Duration::from_millis(100));
    rig.disk.finish().unwrap();
    assert_eq!(recovered_records(rig.dir.path()), names(1..=200));
}

#[test]
fn a_lazy_batch_waits_only_briefly() {
    let rig = Rig::start(Durability::AfterSync);
    let begin = Instant::now();
    rig.submit(1, Sync::Lazy);
    rig.until_durable(1);
    assert!(begin.elapsed() >= Duration::from_millis(90), "it was synced at once: {:?}", begin.elapsed());
    rig.submit(2, Sync::Lazy);
    rig.submit(3, Sync::Required);
    rig.until_durable(3);
    assert_eq!(rig.metrics.syncs.load(Ordering::Relaxed), 2, "an urgent one takes the lazy one along");
    rig.submit(4, Sync::Lazy);
    rig.disk.finish().unwrap();
    assert_eq!(recovered_records(rig.dir.path()), names(1..=4), "a clean end writes what gathers");
}

/// A record submitted right after a snapshot was taken is not in the snapshot and must survive it. If the
/// accumulating batch were not sealed, the record would share a batch with records that the snapshot replaces, and
/// would vanish with the log.
#[test]
fn a_snapshot_removes_only_records_it_contains() {
    for pause_us in [0, 30, 300, 3_000] {
        let rig = Rig::start(Durability::AfterSync);
        rig.points.arm_failpoint(Failpoint::SlowSync, 5_000);
        let mut io = 0;
        for _ in 0..3 {
            while !rig.disk.is_free_for_snapshot() {
                std::thread::sleep(Duration::from_millis(1));
            }
            for _ in 0..5 {
                io += 1;
                rig.submit(io, Sync::Required);
            }
            std::thread::sleep(Duration::from_micros(pause_us));
            // The state of this replica is the list of all its records.
            let mut content = SnapshotBuilder::new();
            for io in 1..=io {
                content.add(|out| out.extend_from_slice(format!("r{io}").as_bytes()));
            }
            rig.disk.begin_snapshot(content);
            for _ in 0..5 {
                io += 1;
                rig.submit(io, Sync::Required);
            }
        }
        rig.until_durable(io);
        rig.disk.finish().unwrap();
        assert_eq!(recovered_records(rig.dir.path()), names(1..=io), "pause {pause_us}");
    }
}

#[test]
fn a_failed_sync_is_reported_at_once_and_nothing_is_durable_after_it() {
    let rig = Rig::start(Durability::AfterSync);
    rig.submit(1, Sync::Required);
    rig.until_durable(1);
    rig.points.arm_failpoint(Failpoint::FailSync, 0);
    rig.submit(2, Sync::Required);
    let why = rig.failures.recv_timeout(PATIENCE).unwrap();
    assert!(why.contains("Input/output error"), "{why}");
    // A failed sync is never repeated: the disk may work again, but the page cache has dropped the data.
    rig.points.disarm_failpoint(Failpoint::FailSync);
    rig.submit(3, Sync::Required);
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(rig.disk.durable(), IoId(1));
    assert!(rig.disk.has_failed() && rig.disk.take_failure().is_some());
}

#[test]
fn a_killed_node_writes_nothing_more() {
    let rig = Rig::start(Durability::AfterSync);
    rig.submit(1, Sync::Required);
    rig.until_durable(1);
    rig.submit(2, Sync::Lazy);
    rig.disk.abandon();
    assert_eq!(recovered_records(rig.dir.path()), names([1]));
}

#[test]
fn the_event_loop_is_held_back_when_the_disk_is_behind() {
    let rig = Rig::start(Durability::AfterSync);
    rig.points.arm_failpoint(Failpoint::SlowSync, 200_000);
    rig.submit(1, Sync::Required);
    std::thread::sleep(Duration::from_millis(20));
    assert!(!rig.disk.is_behind());
    rig.disk.submit(IoId(2), Sync::Required, |batch| batch.add(|out| out.resize(out.len() + MAX_BATCH_PAYLOAD + 1, b'x')));
    assert!(rig.disk.is_behind());
    rig.until_durable(2);
    assert!(!rig.disk.is_behind());
}

#[cfg(feature = "mutants")]
#[test]
fn the_planted_bug_is_durable_in_name_only() {
    let rig = Rig::start(Durability::AnswerBeforeWrite);
    rig.submit(1, Sync::Required);
    assert_eq!(rig.disk.durable(), IoId(1), "claimed at once");
    let begin = Instant::now();
    while rig.metrics.syncs.load(Ordering::Relaxed) == 0 {
        assert!(begin.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(begin.elapsed() >= Duration::from_millis(150), "{:?}", begin.elapsed());
    rig.submit(2, Sync::Required);
    rig.disk.abandon();
    assert_eq!(recovered_records(rig.dir.path()), names([1]));
}
