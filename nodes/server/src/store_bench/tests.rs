//! Every candidate keeps its data, and a candidate that does not is detected.

use std::path::Path;

use super::*;
use crate::storage::batch::BatchBuilder;
use crate::testing::TempDir;

fn small(per_batch: usize, batches: usize) -> Workload {
    Workload { keys: 50, ..Workload::new(per_batch, batches) }
}

fn written(candidate: Candidate, workload: &Workload, folder: &Path) -> Written {
    let mut figures = None;
    write(candidate, workload, folder, &mut |written| figures = Some(written.clone())).unwrap();
    figures.expect("it was reported")
}

#[test]
fn each_candidate_recovers_what_was_written() {
    for &candidate in Candidate::ALL {
        for per_batch in [1, 8] {
            let (workload, dir) = (small(per_batch, 40), TempDir::new("store-bench"));
            let figures = written(candidate, &workload, dir.path());
            assert_eq!(figures.records, 40 * per_batch as u64);
            assert!(figures.p50_ns > 0 && figures.p50_ns <= figures.p99_ns && figures.p99_ns <= figures.max_ns, "{figures:?}");
            let expected = expected(&workload).unwrap();
            assert_eq!(expected.keys(), 50);
            let recovery = recover(candidate, dir.path(), &expected).unwrap();
            assert!(recovery.records >= 50, "{recovery:?}");
            // Opening changes no data.
            recover(candidate, dir.path(), &expected).unwrap();
        }
    }
}

#[test]
fn the_log_is_compacted_meanwhile_and_recovers_from_its_snapshot() {
    let (workload, dir) = (Workload { value_bytes: 10_000, ..small(64, 30) }, TempDir::new("store-bench"));
    let figures = written(Candidate::WriteAheadLog, &workload, dir.path());
    assert!(figures.snapshots > 0 && figures.longest_gathering_ns > 0, "{figures:?}");
    recover(Candidate::WriteAheadLog, dir.path(), &expected(&workload).unwrap()).unwrap();
}

/// A store that reports one batch as durable but drops it.
struct Lossy {
    store: Box<dyn Store>,
    /// The number of the lost batch, counting from one.
    lost: u32,
    batches: u32,
}

impl Store for Lossy {
    fn append(&mut self, batch: &mut BatchBuilder) -> Result<(), StorageError> {
        self.batches += 1;
        if self.batches == self.lost { Ok(()) } else { self.store.append(batch) }
    }

    fn seal(&mut self) -> Result<u64, StorageError> {
        self.store.seal()
    }

    fn remove_up_to(&mut self, batch: u64) -> Result<(), StorageError> {
        self.store.remove_up_to(batch)
    }

    fn segments(&self) -> usize {
        self.store.segments()
    }

    fn finish(&mut self) -> Result<(), StorageError> {
        self.store.finish()
    }
}

#[test]
fn a_store_that_loses_a_batch_is_found_out() {
    // The 150 records of the initial writes form one batch.
    for (lost, workload) in [(1 + 40, small(8, 40)), (1 + 40, small(1, 40)), (1, small(8, 4))] {
        let dir = TempDir::new("store-bench");
        let wrap = |store| Box::new(Lossy { store, lost, batches: 0 }) as Box<dyn Store>;
        write_through(Candidate::WriteAheadLog, &workload, dir.path(), wrap, &mut |_| {}).unwrap();
        let error = recover(Candidate::WriteAheadLog, dir.path(), &expected(&workload).unwrap()).unwrap_err();
        assert!(matches!(error, StoreBenchError::Differs { store: "log", differing: 1.., .. }), "{error}");
    }
}

#[test]
fn a_failing_disk_is_reported() {
    struct Failing;
    impl Store for Failing {
        fn append(&mut self, _: &mut BatchBuilder) -> Result<(), StorageError> {
            Err(StorageError::io("write to", Path::new("x"), std::io::Error::other("no")))
        }
        fn seal(&mut self) -> Result<u64, StorageError> {
            Ok(0)
        }
        fn remove_up_to(&mut self, _: u64) -> Result<(), StorageError> {
            Ok(())
        }
        fn segments(&self) -> usize {
            0
        }
        fn finish(&mut self) -> Result<(), StorageError> {
            Ok(())
        }
    }
    let dir = TempDir::new("store-bench");
    let result = write_through(Candidate::WriteAheadLog, &small(1, 1), dir.path(), |_| Box::new(Failing), &mut |_| panic!("no figures"));
    assert!(matches!(result, Err(StoreBenchError::Storage(StorageError::Io { .. }))), "{result:?}");
}

#[test]
fn the_same_workload_is_the_same_and_made_of_what_a_node_writes() {
    let (one, two) = (records::make(&small(8, 40)).unwrap(), records::make(&small(8, 40)).unwrap());
    assert!(one.fill == two.fill && one.measured == two.measured);
    let kinds = |is: fn(&Record) -> bool| one.measured.iter().filter(|record| is(record)).count();
    let promised = kinds(|record| matches!(record, Record::Promised { .. }));
    let accepted = kinds(|record| matches!(record, Record::Accepted { .. }));
    let learned = kinds(|record| matches!(record, Record::Chosen { .. } | Record::Learned { .. }));
    assert_eq!(promised + accepted + learned, 320);
    assert!(promised.abs_diff(accepted) <= 1 && accepted.abs_diff(learned) <= 1, "{promised} {accepted} {learned}");
    let other = records::make(&Workload { seed: 2, ..small(8, 40) }).unwrap();
    assert!(one.measured != other.measured);
}

#[test]
fn a_candidate_is_known_by_its_name() {
    for &candidate in Candidate::ALL {
        assert_eq!(candidate.name().parse(), Ok(candidate));
    }
    assert!("sqlite".parse::<Candidate>().unwrap_err().contains("log"));
}
