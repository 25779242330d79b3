//! A benchmark for choosing a node's store: it compares the write-ahead log in `storage` with third-party stores,
//! which are compiled in with the cargo feature `stores`. It runs as `heckle bench store`, and nodes never use it.
//!
//! Each candidate implements the trait that the node's storage thread drives, and the same thread drives it here with
//! records of a real replica, in batches, each sent when the previous one is durable. So the runs differ only in the
//! store:
//! - the **log** appends the records of a batch, and replaces segments with a snapshot as a node does;
//! - an **index** (`Candidate::Fjall`, `Candidate::Redb`) holds, for each key, the record that a snapshot would hold,
//!   and replaces the records of a batch's keys in one durable transaction.
//!
//! After the process has been killed, the recovered state is compared with a replica that received every record.
//!
//! In reading order: `records`, the workload; `open`, which opens each candidate; `indexed`, `fjall`, `redb`, the
//! candidates with an index; and this file, which writes and recovers.

mod open;
mod records;

#[cfg(feature = "stores")]
mod fjall;
#[cfg(feature = "stores")]
mod indexed;
#[cfg(feature = "stores")]
mod redb;

use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::str::FromStr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use heckle_paxos::{ConfigError, IoId, Record, Replica, Sync};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::storage::group::Durability;
use crate::storage::snapshot::SnapshotBuilder;
use crate::storage::thread::{Disk, DiskMetrics};
use crate::storage::{LogFolder, StorageError, Store};
use crate::wire::record::encode_record;
use open::open;

/// Size in bytes of a log segment in this benchmark. With [`SEGMENTS_BEFORE_SNAPSHOT`] it sets how often candidates
/// compact.
///
/// A node's segments are sixteen times as long. With the shorter ones, even a short measurement includes several
/// compactions. An index that buffers writes in memory (`Candidate::Fjall`) may buffer the same number of bytes as
/// the log.
pub const SEGMENT_BYTES: u64 = 1 << 20;
/// Number of segments before a snapshot, as in a node.
pub const SEGMENTS_BEFORE_SNAPSHOT: usize = 4;
/// Records per batch during the initial write of the keys, which is not measured.
const FILL_BATCH: usize = 256;
/// Time limit of a batch. Without it, the benchmark would wait forever for a store whose thread has died.
const BATCH_TIMEOUT: Duration = Duration::from_secs(60);

/// A store that could hold a node's durable state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Candidate {
    /// The node's write-ahead log: `storage::wal`.
    WriteAheadLog,
    /// A log-structured merge tree. Each batch is synced to its journal.
    #[cfg(feature = "stores")]
    Fjall,
    /// A copy-on-write B-tree. Each batch is a transaction with `Durability::Immediate`.
    #[cfg(feature = "stores")]
    Redb,
}

impl Candidate {
    /// The candidates compiled in, beginning with the node's own store.
    pub const ALL: &[Candidate] = &[
        Candidate::WriteAheadLog,
        #[cfg(feature = "stores")]
        Candidate::Fjall,
        #[cfg(feature = "stores")]
        Candidate::Redb,
    ];

    /// Name of the candidate in flags and output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Candidate::WriteAheadLog => "log",
            #[cfg(feature = "stores")]
            Candidate::Fjall => "fjall",
            #[cfg(feature = "stores")]
            Candidate::Redb => "redb",
        }
    }
}

impl FromStr for Candidate {
    type Err = String;

    fn from_str(name: &str) -> Result<Candidate, String> {
        let known = || Candidate::ALL.iter().map(|candidate| candidate.name()).collect::<Vec<_>>().join(", ");
        Candidate::ALL
            .iter()
            .copied()
            .find(|c| c.name() == name)
            .ok_or_else(|| format!("no store is named {name:?}: there are {}", known()))
    }
}

/// The writes of a benchmark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// Seed of the random keys and values.
    pub seed: u64,
    /// Number of keys. Each is written once before the measurement.
    pub keys: u32,
    /// Size of a value in bytes.
    pub value_bytes: usize,
    /// Number of clients, which take turns. A row remembers the last operation of each client that wrote it.
    pub clients: u64,
    /// Number of records per batch.
    pub per_batch: usize,
    /// Number of measured batches.
    pub batches: usize,
}

impl Workload {
    /// Creates a workload with 10,000 keys, values of 100 bytes, and 50 clients.
    #[must_use]
    pub fn new(per_batch: usize, batches: usize) -> Workload {
        Workload { seed: 1, keys: 10_000, value_bytes: 100, clients: 50, per_batch, batches }
    }
}

/// Figures of the write phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Written {
    /// Number of records in the measured batches.
    pub records: u64,
    /// Size of these records in bytes.
    pub record_bytes: u64,
    /// Median time until a batch was durable, in nanoseconds.
    pub p50_ns: u64,
    /// Time within which 99 % of the batches were durable, in nanoseconds.
    pub p99_ns: u64,
    /// Longest time until a batch was durable, in nanoseconds.
    pub max_ns: u64,
    /// Bytes written during that time, by any process, to the disk that holds the folder, if the system reports it.
    /// `/proc/self/io` is not used, since it counts the sync of one page as the whole folio around it, which may be
    /// hundreds of pages.
    pub disk_wrote: Option<u64>,
    /// Snapshots that replaced log segments.
    pub snapshots: u64,
    /// Longest time to collect a snapshot, in nanoseconds. A node's event loop would be blocked for that long.
    pub longest_gathering_ns: u64,
}

/// Figures of the recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    /// Number of records read.
    pub records: u64,
    /// Time from opening the folder until a replica holds all state.
    pub took: Duration,
}

/// Why the benchmark failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreBenchError {
    /// A store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The core refused its settings.
    #[error("the core refuses its settings: {0}")]
    Core(#[from] ConfigError),
    /// A batch did not become durable in time.
    #[error("the store took a batch and was not done with it after {} s", BATCH_TIMEOUT.as_secs())]
    Stuck,
    /// A write of the workload did not have the expected outcome.
    #[error("write {op} of the workload ended as {outcome}, without any fault")]
    Workload {
        /// Number of the write.
        op: u64,
        /// Its outcome.
        outcome: String,
    },
    /// The recovered state differs from the written one.
    #[error("{store} lost or changed state: {differing} of {keys} keys are not as they were written durably, first {first:?}")]
    Differs {
        /// The store.
        store: &'static str,
        /// Number of keys whose state differs, including keys that exist on only one side.
        differing: usize,
        /// Number of keys written.
        keys: usize,
        /// The first of the differing keys.
        first: String,
    },
}

/// All state that a replica must have after a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// For each key, its record in a snapshot.
    keys: std::collections::BTreeMap<Vec<u8>, Vec<u8>>,
}

impl State {
    /// Size in bytes of the records of a snapshot: the minimum that any store must hold.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.keys.values().map(|record| record.len() as u64).sum()
    }

    /// Number of keys.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.keys.len()
    }

    fn of(replica: &Replica) -> State {
        let entry = |record: Record| {
            let mut bytes = Vec::new();
            encode_record(&record, &mut bytes);
            records::key_of(&record).map(|key| (key.as_bytes().to_vec(), bytes))
        };
        State { keys: replica.snapshot().filter_map(entry).collect() }
    }

    fn check(&self, recovered: &State, store: &'static str) -> Result<(), StoreBenchError> {
        let names: std::collections::BTreeSet<_> = self.keys.keys().chain(recovered.keys.keys()).collect();
        let mut differing = names.into_iter().filter(|key| self.keys.get(*key) != recovered.keys.get(*key));
        let Some(first) = differing.next() else { return Ok(()) };
        let first = String::from_utf8_lossy(first).into_owned();
        Err(StoreBenchError::Differs { store, differing: 1 + differing.count(), keys: self.keys.len(), first })
    }
}

/// Returns the state of a replica that received every record of the workload, without any store.
///
/// # Errors
/// Fails if the workload cannot be generated.
pub fn expected(workload: &Workload) -> Result<State, StoreBenchError> {
    let records = records::make(workload)?;
    let mut replica = records::replica()?;
    records.fill.into_iter().chain(records.measured).for_each(|record| replica.recover(record));
    Ok(State::of(&replica))
}

/// Writes a workload into an empty folder. `at_end` receives the figures while the store is still open: a caller that
/// ends the process there leaves the folder as a crash would.
///
/// # Errors
/// Fails if the store fails, or the workload cannot be generated.
pub fn write(candidate: Candidate, workload: &Workload, folder: &Path, at_end: &mut dyn FnMut(&Written)) -> Result<(), StoreBenchError> {
    write_through(candidate, workload, folder, |store| store, at_end)
}

/// Recovers all state from a folder into a replica, as a starting node does, and compares it with the expected state.
///
/// # Errors
/// Fails if the store cannot be read, or its content differs from the expected state.
pub fn recover(candidate: Candidate, folder: &Path, expected: &State) -> Result<Recovery, StoreBenchError> {
    let began = Instant::now();
    let mut replica = records::replica()?;
    let mut records = 0;
    let opened = open(candidate, folder, &Times::default(), &mut |bytes| {
        records += 1;
        replica.recover(crate::wire::record::decode_record(bytes).map_err(|error| error.to_string())?);
        Ok(())
    })?;
    let took = began.elapsed();
    expected.check(&State::of(&replica), candidate.name())?;
    drop(opened);
    Ok(Recovery { records, took })
}

/// The time taken by each durable batch, in nanoseconds.
#[derive(Debug, Clone, Default)]
struct Times(Arc<Mutex<Vec<u64>>>);

impl Times {
    fn lock(&self) -> MutexGuard<'_, Vec<u64>> {
        self.0.lock().expect("no thread panics while holding it")
    }

    fn measure<T>(&self, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let done = work();
        self.lock().push(u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX));
        done
    }
}

fn write_through(
    candidate: Candidate,
    workload: &Workload,
    folder: &Path,
    wrap: impl FnOnce(Box<dyn Store>) -> Box<dyn Store>,
    at_end: &mut dyn FnMut(&Written),
) -> Result<(), StoreBenchError> {
    let records = records::make(workload)?;
    let times = Times::default();
    let opened = open(candidate, folder, &times, &mut |_| Ok(()))?;
    let mut driver = Driver::start(wrap(opened.store), opened.at)?;
    for batch in records.fill.chunks(FILL_BATCH) {
        driver.write(batch)?;
    }
    driver.wait_for_snapshot()?;
    times.lock().clear();
    let (snapshots, wrote) = (driver.snapshots(), bytes_written_to_disk(folder));
    driver.longest_gathering = Duration::ZERO;
    for batch in records.measured.chunks(workload.per_batch) {
        driver.write(batch)?;
    }
    driver.wait_for_snapshot()?;
    let mut took = std::mem::take(&mut *times.lock());
    took.sort_unstable();
    // The shortest time within which this share of the batches was durable.
    let within = |share: f64| took.get(((took.len() as f64 * share).ceil() as usize).saturating_sub(1)).copied().unwrap_or(0);
    at_end(&Written {
        records: records.measured.len() as u64,
        record_bytes: records::bytes(&records.measured),
        p50_ns: within(0.5),
        p99_ns: within(0.99),
        max_ns: within(1.0),
        disk_wrote: wrote.zip(bytes_written_to_disk(folder)).map(|(before, after)| after - before),
        snapshots: driver.snapshots() - snapshots,
        longest_gathering_ns: u64::try_from(driver.longest_gathering.as_nanos()).unwrap_or(u64::MAX),
    });
    Ok(())
}

/// Takes the place of the event loop: submits a batch, waits until it is durable, and requests a snapshot when one is
/// due.
struct Driver {
    disk: Disk,
    metrics: Arc<DiskMetrics>,
    durable: Arc<Notify>,
    runtime: tokio::runtime::Runtime,
    /// Holds the submitted records, for snapshots. It applies them only when a snapshot is due.
    replica: Replica,
    late: Vec<Record>,
    next: IoId,
    longest_gathering: Duration,
}

impl Driver {
    fn start(store: Box<dyn Store>, at: LogFolder) -> Result<Driver, StoreBenchError> {
        let path = at.path.clone();
        let io = |cause| StorageError::io("thread for", &path, cause);
        let (metrics, durable) = (Arc::new(DiskMetrics::default()), Arc::new(Notify::new()));
        let disk = Disk::start(
            store,
            1,
            at,
            Durability::AfterSync,
            Arc::clone(&metrics),
            Arc::clone(&durable),
            // The code that waits for the batch handles the failure.
            Box::new(|_| {}),
        );
        Ok(Driver {
            disk: disk.map_err(io)?,
            metrics,
            durable,
            runtime: tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(io)?,
            replica: records::replica()?,
            late: Vec::new(),
            next: IoId(1),
            longest_gathering: Duration::ZERO,
        })
    }

    fn write(&mut self, batch: &[Record]) -> Result<(), StoreBenchError> {
        let io = self.next;
        self.next = IoId(io.0 + 1);
        self.disk.submit(io, Sync::Required, |gathering| {
            for record in batch {
                gathering.add(|out| encode_record(record, out));
            }
        });
        self.late.extend_from_slice(batch);
        self.wait(|disk| disk.durable() >= io)?;
        if self.disk.wants_snapshot(SEGMENTS_BEFORE_SNAPSHOT) {
            self.late.drain(..).for_each(|record| self.replica.recover(record));
            let began = Instant::now();
            let mut content = SnapshotBuilder::new();
            for record in self.replica.snapshot() {
                content.add(|out| encode_record(&record, out));
            }
            self.longest_gathering = self.longest_gathering.max(began.elapsed());
            self.disk.begin_snapshot(content);
        }
        Ok(())
    }

    /// Waits until no snapshot is being written.
    fn wait_for_snapshot(&self) -> Result<(), StoreBenchError> {
        while !self.disk.is_free_for_snapshot() {
            if let Some(error) = self.disk.take_failure() {
                return Err(error.into());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn wait(&self, until: impl Fn(&Disk) -> bool) -> Result<(), StoreBenchError> {
        self.runtime.block_on(async {
            loop {
                if until(&self.disk) {
                    return Ok(());
                }
                if let Some(error) = self.disk.take_failure() {
                    return Err(error.into());
                }
                tokio::time::timeout(BATCH_TIMEOUT, self.durable.notified()).await.map_err(|_| StoreBenchError::Stuck)?;
            }
        })
    }

    fn snapshots(&self) -> u64 {
        self.metrics.snapshots.load(Ordering::Relaxed)
    }
}

/// Bytes written since boot to the disk that holds this folder. `None` for file systems without a disk.
fn bytes_written_to_disk(folder: &Path) -> Option<u64> {
    /// Index of the field in the statistics (`Documentation/block/stat.rst`). Its unit is 512 bytes, whatever the
    /// disk's own blocks are.
    const WRITE_SECTORS: usize = 6;
    const SECTOR: u64 = 512;
    let open = std::fs::File::open(folder).ok()?;
    // Earlier writes that have not reached the disk yet must not be counted in the measurement that follows. SAFETY:
    // the descriptor is owned by `open`, and no memory is passed.
    if unsafe { libc::syncfs(open.as_raw_fd()) } != 0 {
        return None;
    }
    let device = open.metadata().ok()?.dev();
    let (major, minor) = (libc::major(device), libc::minor(device));
    let stat = std::fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat")).ok()?;
    Some(stat.split_whitespace().nth(WRITE_SECTORS)?.parse::<u64>().ok()? * SECTOR)
}

#[cfg(test)]
mod tests;
