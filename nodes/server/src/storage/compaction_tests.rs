//! The process ends at every single step of a compaction, of the recovery after it, and of a new segment: whatever was
//! acknowledged is there afterwards, once.

use std::collections::BTreeSet;
use std::path::Path;

use rand::SeedableRng;
use rand_pcg::Pcg64;

use super::batch::BatchBuilder;
use super::recovery::recover;
use super::segment::Owner;
use super::snapshot::{self, CHUNK, SnapshotBuilder};
use super::steps::stop_after;
use super::wal::Wal;
use super::{StorageError, Store};
use crate::options::NodeId;
use crate::testing::TempDir;

const SEGMENT: u64 = 4 << 10;

fn owner() -> Owner {
    Owner { cluster: "c".to_owned(), node: NodeId::new(1).unwrap(), folder: 5 }
}

/// What clients were told, and what they wait for.
#[derive(Default)]
struct Told {
    acknowledged: Vec<Vec<u8>>,
    in_flight: Option<Vec<u8>>,
}

impl Told {
    fn append(&mut self, wal: &mut Wal, record: Vec<u8>) -> Result<(), StorageError> {
        self.in_flight = Some(record.clone());
        let mut batch = BatchBuilder::new();
        batch.add(|out| out.extend_from_slice(&record));
        wal.append(&mut batch)?;
        self.acknowledged.extend(self.in_flight.take());
        Ok(())
    }

    /// What is in the folder is what was acknowledged, and perhaps what was in flight.
    #[track_caller]
    fn check(&mut self, found: Vec<Vec<u8>>, what: &str) {
        let with_in_flight: Vec<_> = self.acknowledged.iter().chain(&self.in_flight).cloned().collect();
        assert!(found == self.acknowledged || found == with_in_flight, "{what}: {} of {}", found.len(), self.acknowledged.len());
        *self = Told { acknowledged: found, in_flight: None };
    }
}

fn open(folder: &Path) -> Result<(Wal, Vec<Vec<u8>>), StorageError> {
    let mut records = Vec::new();
    let recovered = recover(folder, &owner(), &mut |record| {
        records.push(record.to_vec());
        Ok(())
    })?;
    Ok((Wal::new(folder, owner(), SEGMENT, std::sync::Arc::default(), Pcg64::seed_from_u64(1), recovered), records))
}

/// Several segments, twice a snapshot of all that is in them, and records that come while it is written.
fn compact(folder: &Path, told: &mut Told) -> Result<(), StorageError> {
    let (mut wal, found) = open(folder)?;
    told.check(found, "start");
    for round in 0..2_u8 {
        for number in 0..4_u8 {
            // Long enough that three of them fill a segment, and all of them a second chunk of the snapshot.
            let len = if number == 3 { CHUNK / 2 } else { 1_300 };
            told.append(&mut wal, vec![16 * round + number; len])?;
        }
        let up_to = wal.seal()?;
        let mut state = SnapshotBuilder::new();
        for record in &told.acknowledged {
            state.add(|out| out.extend_from_slice(record));
        }
        told.append(&mut wal, vec![200 + round; 40])?;
        snapshot::write(folder, &owner(), up_to, state)?;
        told.append(&mut wal, vec![210 + round; 40])?;
        wal.forget_up_to(up_to)?;
        told.append(&mut wal, vec![220 + round; 40])?;
    }
    Ok(())
}

#[test]
fn a_compaction_killed_at_any_step_loses_nothing_and_doubles_nothing() {
    let mut stopped_at = BTreeSet::new();
    let mut steps = 0;
    let ended = loop {
        let dir = TempDir::new("compaction");
        let mut told = Told::default();
        stop_after(Some(steps));
        let result = compact(dir.path(), &mut told);
        stop_after(None);
        let Err(error) = result else { break steps };
        let StorageError::Crash { name } = error else { panic!("after {steps} steps: {error}") };
        stopped_at.insert(name);
        // The recovery is killed as well, at each of its own steps, and then gets through.
        for step in 0.. {
            stop_after(Some(step));
            let opened = open(dir.path());
            stop_after(None);
            match opened {
                Ok((_, found)) => {
                    told.check(found, &format!("{name}, after {steps} steps"));
                    break;
                }
                Err(StorageError::Crash { name: "recovery read" | "left-over not removed" }) => {}
                Err(error) => panic!("{name}, after {steps} steps, recovery after {step}: {error}"),
            }
        }
        // It goes on where it was, compacts, and is sound.
        compact(dir.path(), &mut told).unwrap_or_else(|error| panic!("{name}, after {steps} steps, on: {error}"));
        let (_, found) = open(dir.path()).unwrap();
        told.check(found, &format!("{name}, after {steps} steps, at last"));
        steps += 1;
    };
    assert!(ended > 50, "only {ended} steps");
    let expected = [
        "recovery read",
        "replaced file not removed",
        "replaced files removed",
        "segment filled",
        "segment headed",
        "segment renamed",
        "segment synced",
        "snapshot begun",
        "snapshot chunk begun",
        "snapshot chunk not padded",
        "snapshot made",
        "snapshot renamed",
        "snapshot synced",
        "snapshot written",
    ];
    assert_eq!(stopped_at.into_iter().collect::<Vec<_>>(), expected);
}

/// The test above can fail: were the log removed before its snapshot had its name, acknowledged records would be gone.
#[test]
fn a_compaction_in_the_wrong_order_is_noticed() {
    let dir = TempDir::new("compaction-order");
    let mut told = Told::default();
    let (mut wal, _) = open(dir.path()).unwrap();
    told.append(&mut wal, vec![1; 40]).unwrap();
    let up_to = wal.seal().unwrap();
    wal.forget_up_to(up_to).unwrap();
    stop_after(Some(3));
    let mut state = SnapshotBuilder::new();
    state.add(|out| out.extend_from_slice(&told.acknowledged[0]));
    snapshot::write(dir.path(), &owner(), up_to, state).unwrap_err();
    stop_after(None);
    drop(wal);
    let (_, found) = open(dir.path()).unwrap();
    assert_ne!(found, told.acknowledged);
}
