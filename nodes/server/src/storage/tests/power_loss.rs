//! Power fails at every step of a log's life, over files in memory: no acknowledged record is lost, torn data is cut
//! off, and a storage that forgets one sync is detected.

mod careless;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use heckle_paxos::{IoId, Sync};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use self::careless::{Careless, SkippedSync};
use super::compaction::{Ledger, compact, crash_after, open};
use crate::options::NodeId;
use crate::points::Failpoint;
use crate::storage::batch::BatchBuilder;
use crate::storage::folder::{Folder, KnownPeer, write_identity};
use crate::storage::group::{Durability, GroupSync, Next, Work};
use crate::storage::recovery::{self, recover};
use crate::storage::segment::Owner;
use crate::storage::snapshot::{self, SnapshotBuilder};
use crate::storage::vfs::Vfs;
use crate::storage::vfs::memory::{MemoryVfs, SyncMode};
use crate::storage::wal::Wal;
use crate::storage::{LogFolder, StorageError, Store};

const FOLDER: &str = "/data";

fn log(vfs: impl Vfs + 'static) -> LogFolder {
    let owner = Owner { cluster: "c".to_owned(), node: NodeId::new(1).unwrap(), folder: 6 };
    LogFolder { vfs: Arc::new(vfs), path: FOLDER.into(), owner, points: Arc::default() }
}

/// Observations accumulated over many power losses.
#[derive(Debug, Default)]
struct Seen {
    torn_tails: u64,
    sectors_lost: u64,
    names_lost: u64,
}

/// How a process ends before the power fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    PowerLoss,
    /// A kill. The next process finds un-synced data that is not yet durable.
    Kill,
}

/// Runs a log until `step`, where it is killed or loses power. The log then recovers (losing power again at a step
/// drawn from `seed`) and continues. `None` if there are fewer steps.
fn lose_power_at(step: u32, seed: u64, first: First, skipped: Option<SkippedSync>, seen: &mut Seen) -> Option<Result<(), String>> {
    let memory = MemoryVfs::new(SyncMode::Immediate);
    let at = match skipped {
        Some(skipped) => log(Careless::new(memory.clone(), skipped)),
        None => log(memory.clone()),
    };
    let mut rng = Pcg64::seed_from_u64(seed);
    let mut lose_power = |rng: &mut Pcg64| {
        let loss = memory.power_loss(rng.random());
        seen.sectors_lost += loss.sectors_lost;
        seen.names_lost += loss.names_lost;
    };
    let mut ledger = Ledger::default();
    crash_after(&at, Some(step));
    let ended = compact(&at, &mut ledger);
    crash_after(&at, None);
    let Err(StorageError::Crash { .. }) = ended else { return None };
    match first {
        First::PowerLoss => lose_power(&mut rng),
        First::Kill => memory.kill(),
    }
    let before = |error: StorageError| format!("step {step}, seed {seed}: {error}");
    crash_after(&at, Some(rng.random_range(0..4)));
    let opened = open(&at);
    crash_after(&at, None);
    match opened {
        Ok(_) | Err(StorageError::Crash { .. }) => {}
        Err(error) => return Some(Err(before(error))),
    }
    drop(opened);
    lose_power(&mut rng);
    let again = (|| {
        let torn = recover(&at, &mut |_| Ok(())).map_err(before)?.torn_bytes;
        seen.torn_tails += u64::from(torn > 0);
        let (_, found) = open(&at).map_err(before)?;
        let (len, known) = (found.len(), ledger.acknowledged.len());
        if !ledger.agrees(found) {
            return Err(format!("step {step}, seed {seed}: {len} records, {known} acknowledged"));
        }
        // The log continues where it left off, and the records it adds are also safe.
        compact(&at, &mut ledger).map_err(before)?;
        lose_power(&mut rng);
        let (_, found) = open(&at).map_err(before)?;
        if ledger.agrees(found) { Ok(()) } else { Err(format!("step {step}, seed {seed}: lost after going on")) }
    })();
    Some(again)
}

#[test]
fn nothing_acknowledged_is_lost_at_any_step_and_torn_tails_are_cut() {
    let mut seen = Seen::default();
    let mut steps = 0;
    while let Some(first) = lose_power_at(steps, 0, First::PowerLoss, None, &mut seen) {
        first.unwrap();
        for seed in 1..6 {
            lose_power_at(steps, seed, First::PowerLoss, None, &mut seen).expect("as many steps").unwrap();
        }
        steps += 1;
    }
    assert!(steps > 120, "only {steps} steps");
    assert!(seen.torn_tails > 5 && seen.sectors_lost > 50 && seen.names_lost > 50, "{seen:?}");
}

/// A process may read a batch that a killed process had not synced, and record that it exists. So no power loss may undo
/// the batch after [`recovery::sync`].
#[test]
fn recovered_batches_survive_power_loss() {
    let mut taken_back = 0;
    for (seed, synced) in (0..40).flat_map(|seed| [(seed, true), (seed, false)]) {
        let memory = MemoryVfs::new(SyncMode::Immediate);
        let at = log(memory.clone());
        let mut wal = open(&at).unwrap().0;
        let mut append = |record: &[u8]| {
            let mut batch = BatchBuilder::new();
            batch.add(|out| out.extend_from_slice(record));
            wal.append(&mut batch)
        };
        append(b"synced").unwrap();
        at.points.arm_failpoint(Failpoint::CrashBeforeSync, 0);
        append(b"not synced").unwrap_err();
        at.points.disarm_failpoint(Failpoint::CrashBeforeSync);
        drop(wal);
        memory.kill();
        let found = recovery::read(&at, &mut |_| Ok(())).unwrap();
        assert_eq!(found.next_batch, 3, "a kill loses nothing");
        if synced {
            recovery::sync(&at, &found).unwrap();
        }
        memory.power_loss(seed);
        let left = recovery::read(&at, &mut |_| Ok(())).unwrap().next_batch;
        assert!(left == 3 || !synced, "seed {seed}: the log ends with batch {}", left - 1);
        taken_back += u32::from(left < 3);
    }
    assert!(taken_back > 0, "without a sync it is taken back now and then");
}

/// The next process reads data that a killed process had not synced, and must not rely on it before it is durable.
#[test]
fn nothing_acknowledged_is_lost_when_power_fails_after_a_kill_and_a_recovery() {
    let mut seen = Seen::default();
    let mut steps = 0;
    while let Some(first) = lose_power_at(steps, 0, First::Kill, None, &mut seen) {
        first.unwrap();
        for seed in 1..12 {
            lose_power_at(steps, seed, First::Kill, None, &mut seen).expect("as many steps").unwrap();
        }
        steps += 1;
    }
    assert!(steps > 120, "only {steps} steps");
    assert!(seen.sectors_lost > 10 && seen.names_lost > 10, "{seen:?}");
}

#[test]
fn a_forgotten_sync_is_found_out() {
    for skipped in [SkippedSync::Batch, SkippedSync::Folder, SkippedSync::Snapshot] {
        let mut tries = (0..200).flat_map(|step| (0..6).map(move |seed| (step, seed)));
        let found = tries.find_map(|(step, seed)| lose_power_at(step, seed, First::PowerLoss, Some(skipped), &mut Seen::default())?.err());
        assert!(found.is_some(), "{skipped:?} passes every check");
    }
}

/// Whenever power fails, the identity on disk is a complete one that was written.
fn identity_after(seed: u64, skipped: Option<SkippedSync>) -> Result<(), String> {
    let memory = MemoryVfs::new(SyncMode::Immediate);
    let vfs: Arc<dyn Vfs> = match skipped {
        Some(skipped) => Arc::new(Careless::new(memory.clone(), skipped)),
        None => Arc::new(memory.clone()),
    };
    let path = Path::new(FOLDER);
    let node = NodeId::new(1).unwrap();
    let read = || Folder::open(Arc::clone(&vfs), path).and_then(|folder| folder.identity("c", node, &[node], 7 + seed));
    let mut identity = read().map_err(|error| error.to_string())?;
    for incarnation in 1..4 {
        identity.peers.insert(NodeId::new(2).unwrap(), KnownPeer { folder: 1, incarnation });
        write_identity(&*vfs, path, &identity).map_err(|error| error.to_string())?;
        memory.power_loss(seed);
        let found = read().map_err(|error| error.to_string())?;
        if found != identity {
            return Err(format!("{found:?} instead of {identity:?}"));
        }
    }
    Ok(())
}

#[test]
fn an_identity_survives_power_loss_and_its_rename_needs_the_folder_sync() {
    for seed in 0..50 {
        identity_after(seed, None).unwrap();
    }
    assert!((0..50).any(|seed| identity_after(seed, Some(SkippedSync::Folder)).is_err()));
}

#[test]
fn a_batch_in_flight_may_be_lost_and_one_whose_sync_ended_may_not() {
    let (mut kept, mut lost) = (0, 0);
    for seed in 0..40 {
        let memory = MemoryVfs::new(SyncMode::InFlight);
        let at = log(memory.clone());
        let (mut wal, _) = open(&at).unwrap();
        let batch = |record: u8| {
            let mut batch = BatchBuilder::new();
            batch.add(|out| out.extend_from_slice(&[record; 1_500]));
            batch
        };
        let id = wal.begin_append(&mut batch(1)).unwrap();
        assert!(memory.next_completion().is_none() && memory.end_sync());
        let ended = memory.next_completion().unwrap();
        assert_eq!(ended.id, id);
        wal.end_append(ended).unwrap();
        wal.begin_append(&mut batch(2)).unwrap();
        memory.power_loss(seed);
        let (_, found) = open(&at).unwrap();
        match &found[..] {
            [first] if first[..] == [1; 1_500] => lost += 1,
            [first, second] if first[..] == [1; 1_500] && second[..] == [2; 1_500] => kept += 1,
            other => panic!("seed {seed}: {} records", other.len()),
        }
    }
    assert!(kept > 0 && lost > 0, "{kept} kept, {lost} lost");
}

/// When a record counts as durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answers {
    AfterSync,
    /// One batch before its sync: a planted mistake.
    OneBatchEarly,
}

/// A node's storage without threads or clock: group sync and log, over files whose syncs take a time drawn from
/// `seed`. Ends with a power loss. Returns an error if a durable record is gone.
fn simulate(seed: u64, answers: Answers) -> Result<(), String> {
    let memory = MemoryVfs::new(SyncMode::InFlight);
    let at = log(memory.clone());
    let mut rng = Pcg64::seed_from_u64(seed);
    let (mut wal, _) = open(&at).unwrap();
    let mut group = GroupSync::new(Durability::AfterSync);
    let (mut spare, mut running) = (BatchBuilder::new(), None);
    let (mut submitted, mut durable, mut now) = (0_u64, IoId(0), Duration::ZERO);
    for _ in 0..rng.random_range(1..120) {
        now += Duration::from_millis(rng.random_range(0..60));
        if rng.random_range(0..2) == 0 {
            submitted += 1;
            let sync = if rng.random_range(0..3) == 0 { Sync::Lazy } else { Sync::Required };
            let fill = |batch: &mut BatchBuilder| batch.add(|out| out.extend_from_slice(&submitted.to_le_bytes().repeat(20)));
            let _ = group.submit(|| now, IoId(submitted), sync, fill);
        }
        if submitted > 0 && rng.random_range(0..12) == 0 && group.is_free_for_snapshot() {
            let mut content = SnapshotBuilder::new();
            (1..=submitted).for_each(|io| content.add(|out| out.extend_from_slice(&io.to_le_bytes().repeat(20))));
            group.begin_snapshot(content);
        }
        if running.is_some() && rng.random_range(0..3) == 0 {
            assert!(memory.end_sync());
            wal.end_append(memory.next_completion().unwrap()).unwrap();
            durable = running.take().unwrap();
        }
        if running.is_none() {
            running = begin_work(group.next(now, &mut spare), &mut group, &mut wal, &at, &mut spare);
        }
        if answers == Answers::OneBatchEarly {
            durable = durable.max(running.unwrap_or(durable));
        }
    }
    memory.power_loss(rng.random());
    let (_, found) = open(&at).map_err(|error| error.to_string())?;
    let found: Vec<u64> = found.iter().map(|record| u64::from_le_bytes(record[..8].try_into().unwrap())).collect();
    let in_order = found.iter().copied().eq(1..=found.len() as u64);
    let enough = found.len() as u64 >= durable.0;
    if in_order && enough { Ok(()) } else { Err(format!("seed {seed}: {} of {} durable records", found.len(), durable.0)) }
}

fn begin_work(next: Next, group: &mut GroupSync, wal: &mut Wal, at: &LogFolder, batch: &mut BatchBuilder) -> Option<IoId> {
    match next {
        Next::Work(Work::Batch { newest }) => {
            wal.begin_append(batch).unwrap();
            batch.clear();
            Some(newest)
        }
        Next::Work(Work::Snapshot(content)) => {
            let up_to = wal.seal().unwrap();
            group.snapshot_ended(snapshot::write(at, up_to, content).map(|_| up_to));
            None
        }
        Next::Work(Work::Remove(batch)) => {
            wal.remove_up_to(batch).unwrap();
            None
        }
        Next::Work(other) => panic!("{other:?}"),
        Next::Wait | Next::WaitFor(_) => None,
    }
}

#[test]
fn the_storage_without_threads_loses_nothing_durable_and_an_early_answer_is_found_out() {
    for seed in 0..400 {
        simulate(seed, Answers::AfterSync).unwrap();
    }
    assert!((0..400).any(|seed| simulate(seed, Answers::OneBatchEarly).is_err()));
}
