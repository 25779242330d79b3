//! The process ends at every single step of a compaction, of the recovery after it, and of starting a new segment.
//! Every acknowledged record is recovered exactly once.

use std::collections::BTreeSet;
use std::path::Path;

use rand::SeedableRng;
use rand_pcg::Pcg64;

use super::real;
use crate::points::Injection;
use crate::points::storage_point::StoragePoint;
use crate::storage::batch::BatchBuilder;
use crate::storage::recovery::recover;
use crate::storage::snapshot::{self, CHUNK, SnapshotBuilder};
use crate::storage::wal::Wal;
use crate::storage::{LogFolder, StorageError, Store};
use crate::testing::TempDir;

const SEGMENT: u64 = 4 << 10;

fn at(folder: &Path) -> LogFolder {
    real(folder, 5)
}

/// The records acknowledged to clients, and those still in flight.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) acknowledged: Vec<Vec<u8>>,
    pub(super) in_flight: Option<Vec<u8>>,
}

impl Ledger {
    pub(super) fn append(&mut self, wal: &mut Wal, record: Vec<u8>) -> Result<(), StorageError> {
        self.in_flight = Some(record.clone());
        let mut batch = BatchBuilder::new();
        batch.add(|out| out.extend_from_slice(&record));
        wal.append(&mut batch)?;
        self.acknowledged.extend(self.in_flight.take());
        Ok(())
    }

    /// Whether the records found are the acknowledged ones, perhaps followed by those in flight. If so, all of them
    /// count as acknowledged from now on.
    pub(super) fn agrees(&mut self, found: Vec<Vec<u8>>) -> bool {
        let with_in_flight: Vec<_> = self.acknowledged.iter().chain(&self.in_flight).cloned().collect();
        let agrees = found == self.acknowledged || found == with_in_flight;
        if agrees {
            *self = Ledger { acknowledged: found, in_flight: None };
        }
        agrees
    }

    #[track_caller]
    fn check(&mut self, found: Vec<Vec<u8>>, what: &str) {
        let len = found.len();
        assert!(self.agrees(found), "{what}: {len} of {}", self.acknowledged.len());
    }
}

/// Ends the node at the storage point reached after `passed` others. `None` disarms it.
pub(super) fn crash_after(at: &LogFolder, passed: Option<u32>) {
    match passed {
        Some(passed) => at.points.arm(StoragePoint::Any, Injection::Crash, passed).unwrap(),
        None => at.points.disarm(StoragePoint::Any),
    }
}

pub(super) fn open(at: &LogFolder) -> Result<(Wal, Vec<Vec<u8>>), StorageError> {
    let mut records = Vec::new();
    let recovered = recover(at, &mut |record| {
        records.push(record.to_vec());
        Ok(())
    })?;
    Ok((Wal::new(at.clone(), SEGMENT, Pcg64::seed_from_u64(1), recovered), records))
}

/// Several segments, two snapshots of everything in them, and records that arrive while the snapshots are written.
pub(super) fn compact(at: &LogFolder, ledger: &mut Ledger) -> Result<(), StorageError> {
    let (mut wal, found) = open(at)?;
    ledger.check(found, "start");
    for round in 0..2_u8 {
        for number in 0..4_u8 {
            // Long enough that three records fill a segment, and all of them need a second chunk in the snapshot.
            let len = if number == 3 { CHUNK / 2 } else { 1_300 };
            ledger.append(&mut wal, vec![16 * round + number; len])?;
        }
        let up_to = wal.seal()?;
        let mut state = SnapshotBuilder::new();
        for record in &ledger.acknowledged {
            state.add(|out| out.extend_from_slice(record));
        }
        ledger.append(&mut wal, vec![200 + round; 40])?;
        snapshot::write(at, up_to, state)?;
        ledger.append(&mut wal, vec![210 + round; 40])?;
        wal.remove_up_to(up_to)?;
        ledger.append(&mut wal, vec![220 + round; 40])?;
    }
    Ok(())
}

#[test]
fn a_compaction_killed_at_any_step_loses_nothing_and_doubles_nothing() {
    let mut stopped_at = BTreeSet::new();
    let mut steps = 0;
    let ended = loop {
        let dir = TempDir::new("compaction");
        let at = at(dir.path());
        let mut ledger = Ledger::default();
        crash_after(&at, Some(steps));
        let result = compact(&at, &mut ledger);
        crash_after(&at, None);
        let Err(error) = result else { break steps };
        let StorageError::Crash { name } = error else { panic!("after {steps} steps: {error}") };
        stopped_at.insert(name);
        // The recovery is also killed at each of its steps, and eventually completes.
        for step in 0.. {
            crash_after(&at, Some(step));
            let opened = open(&at);
            crash_after(&at, None);
            match opened {
                Ok((_, found)) => {
                    ledger.check(found, &format!("{name}, after {steps} steps"));
                    break;
                }
                Err(StorageError::Crash { name: "after-recovery-read" | "before-recovery-removal" }) => {}
                Err(error) => panic!("{name}, after {steps} steps, recovery after {step}: {error}"),
            }
        }
        // The log continues where it left off, compacts, and is valid.
        compact(&at, &mut ledger).unwrap_or_else(|error| panic!("{name}, after {steps} steps, on: {error}"));
        let (_, found) = open(&at).unwrap();
        ledger.check(found, &format!("{name}, after {steps} steps, at last"));
        steps += 1;
    };
    assert!(ended > 50, "only {ended} steps");
    // All storage points, except those reached only by a recovery that has something to remove.
    let others = [StoragePoint::BeforeRecoveryRemoval, StoragePoint::Any];
    let expected = StoragePoint::ALL.into_iter().filter(|point| !others.contains(point)).map(StoragePoint::name);
    assert_eq!(stopped_at, expected.collect());
}

/// The test above can fail: if the log were removed before its snapshot was renamed, acknowledged records would be
/// lost.
#[test]
fn a_compaction_in_the_wrong_order_is_noticed() {
    let dir = TempDir::new("compaction-order");
    let at = at(dir.path());
    let mut ledger = Ledger::default();
    let (mut wal, _) = open(&at).unwrap();
    ledger.append(&mut wal, vec![1; 40]).unwrap();
    let up_to = wal.seal().unwrap();
    wal.remove_up_to(up_to).unwrap();
    crash_after(&at, Some(3));
    let mut state = SnapshotBuilder::new();
    state.add(|out| out.extend_from_slice(&ledger.acknowledged[0]));
    snapshot::write(&at, up_to, state).unwrap_err();
    crash_after(&at, None);
    drop(wal);
    let (_, found) = open(&at).unwrap();
    assert_ne!(found, ledger.acknowledged);
}
