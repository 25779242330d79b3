//! Which store a node should write to, by measurement: the write-ahead log of `storage` beside stores of others, where
//! the cargo feature `stores` compiles them in. Behind `heckle bench store`; a node never uses any of this.
//!
//! Each candidate stands behind the trait that the node's storage thread drives, and is driven by that very thread:
//! records of a real replica, in batches, the next one when the one before is durable. So they differ in nothing but the
//! store:
//! - the **log** appends the records of a batch, and replaces segments by a snapshot as a node does;
//! - an **index** (`Candidate::Fjall`, `Candidate::Redb`) holds for each key the record that a snapshot would hold,
//!   and replaces those of a batch's keys in one durable transaction.
//!
//! What is recovered after the process was killed is compared with a replica that was shown every record.
//!
//! In reading order: `records`, the workload; `open`, each candidate as it is opened; `indexed`, `fjall`, `redb`, those
//! that have an index; here, writing and recovering.

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

/// After how many bytes the candidates put their state in order: segments before a snapshot, and their length.
///
/// A node's segments are sixteen times as long. These let a short measurement see several compactions, and an index that
/// gathers writes in memory (`Candidate::Fjall`) is given the same number of bytes for it.
pub const SEGMENT_BYTES: u64 = 1 << 20;
/// As in a node.
pub const SEGMENTS_BEFORE_SNAPSHOT: usize = 4;
/// Records of a batch while the keys are written for the first time, which is not measured.
const FILL_BATCH: usize = 256;
/// No batch takes this long: a store whose thread has died would otherwise be waited for without end.
const STUCK_AFTER: Duration = Duration::from_secs(60);

/// A store that could hold what a node must not forget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Candidate {
    /// The node's own: `storage::wal`.
    WriteAheadLog,
    /// A log-structured merge tree: each batch synced to its journal.
    #[cfg(feature = "stores")]
    Fjall,
    /// A copy-on-write B-tree: each batch a transaction with `Durability::Immediate`.
    #[cfg(feature = "stores")]
    Redb,
}

impl Candidate {
    /// Those that are compiled in, the node's own first.
    pub const ALL: &[Candidate] = &[
        Candidate::WriteAheadLog,
        #[cfg(feature = "stores")]
        Candidate::Fjall,
        #[cfg(feature = "stores")]
        Candidate::Redb,
    ];

    /// Its name, as it is shown and parsed.
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

/// What is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// Seed of the draws: keys and values.
    pub seed: u64,
    /// Keys. Each is written once before anything is measured.
    pub keys: u32,
    /// Bytes of a value.
    pub value_bytes: usize,
    /// Clients in turn; a row remembers the last operation of each that wrote it.
    pub clients: u64,
    /// Records in a batch.
    pub per_batch: usize,
    /// Batches that are measured.
    pub batches: usize,
}

impl Workload {
    /// 10,000 keys with values of 100 bytes, 50 clients.
    #[must_use]
    pub fn new(per_batch: usize, batches: usize) -> Workload {
        Workload { seed: 1, keys: 10_000, value_bytes: 100, clients: 50, per_batch, batches }
    }
}

/// What writing took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Written {
    /// Records of the measured batches.
    pub records: u64,
    /// Bytes of these records.
    pub record_bytes: u64,
    /// Median of a batch until it was durable, nanoseconds.
    pub p50_ns: u64,
    /// 99 % of batches were durable within this time.
    pub p99_ns: u64,
    /// The longest.
    pub max_ns: u64,
    /// Bytes that the disk under the folder wrote meanwhile, for whomever, if the system tells. Not what the process caused
    /// by `/proc/self/io`: there a sync of one page counts as all of the folio around it, which may be hundreds of pages.
    pub disk_wrote: Option<u64>,
    /// Snapshots that replaced log segments.
    pub snapshots: u64,
    /// The longest time that gathering a snapshot took. A node's event loop stands meanwhile.
    pub longest_gathering_ns: u64,
}

/// What recovery took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    /// Records read.
    pub records: u64,
    /// From opening the folder to a replica that holds all state.
    pub took: Duration,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum StoreBenchError {
    /// A store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The core refuses its settings.
    #[error("the core refuses its settings: {0}")]
    Core(#[from] ConfigError),
    /// A batch did not become durable.
    #[error("the store took a batch and was not done with it after {} s", STUCK_AFTER.as_secs())]
    Stuck,
    /// The replicas that make the records did not do as they should.
    #[error("write {op} of the workload came to {outcome}, though nothing disturbs it")]
    Workload {
        /// Its number.
        op: u64,
        /// What it came to.
        outcome: String,
    },
    /// What was recovered is not what was written.
    #[error("{store} lost or changed state: {differing} of {keys} keys are not as they were written durably, first {first:?}")]
    Differs {
        /// The store.
        store: &'static str,
        /// Keys whose state differs, those that are only on one side included.
        differing: usize,
        /// Keys written.
        keys: usize,
        /// The first of them.
        first: String,
    },
}

/// All state that a replica must have after a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Key, and its record in a snapshot.
    keys: std::collections::BTreeMap<Vec<u8>, Vec<u8>>,
}

impl State {
    /// Bytes of the records of a snapshot: what no store can do without.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.keys.values().map(|record| record.len() as u64).sum()
    }

    /// Keys.
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

/// What a replica knows that was shown every record of the workload, without any store.
///
/// # Errors
/// If the workload cannot be made.
pub fn expected(workload: &Workload) -> Result<State, StoreBenchError> {
    let records = records::make(workload)?;
    let mut replica = records::replica()?;
    records.fill.into_iter().chain(records.measured).for_each(|record| replica.recover(record));
    Ok(State::of(&replica))
}

/// Writes a workload into an empty folder. `at_end` is shown the figures while the store stands open: a caller who ends
/// the process there leaves the folder as a crash does.
///
/// # Errors
/// If the store fails, or the workload cannot be made.
pub fn write(candidate: Candidate, workload: &Workload, folder: &Path, at_end: &mut dyn FnMut(&Written)) -> Result<(), StoreBenchError> {
    write_through(candidate, workload, folder, |store| store, at_end)
}

/// Recovers all state from a folder into a replica, as a node does at its start, and compares it with what must be there.
///
/// # Errors
/// If the store cannot be read, or what it holds is not what was written.
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

/// How long each durable batch took.
#[derive(Debug, Clone, Default)]
struct Times(Arc<Mutex<Vec<u64>>>);

impl Times {
    fn lock(&self) -> MutexGuard<'_, Vec<u64>> {
        self.0.lock().expect("no thread panics while holding it")
    }

    fn of<T>(&self, work: impl FnOnce() -> T) -> T {
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
    driver.come_to_rest()?;
    times.lock().clear();
    let (snapshots, wrote) = (driver.snapshots(), disk_wrote(folder));
    driver.longest_gathering = Duration::ZERO;
    for batch in records.measured.chunks(workload.per_batch) {
        driver.write(batch)?;
    }
    driver.come_to_rest()?;
    let mut took = std::mem::take(&mut *times.lock());
    took.sort_unstable();
    // The smallest time within which this share of batches was durable.
    let within = |share: f64| took.get(((took.len() as f64 * share).ceil() as usize).saturating_sub(1)).copied().unwrap_or(0);
    at_end(&Written {
        records: records.measured.len() as u64,
        record_bytes: records::bytes(&records.measured),
        p50_ns: within(0.5),
        p99_ns: within(0.99),
        max_ns: within(1.0),
        disk_wrote: wrote.zip(disk_wrote(folder)).map(|(before, after)| after - before),
        snapshots: driver.snapshots() - snapshots,
        longest_gathering_ns: u64::try_from(driver.longest_gathering.as_nanos()).unwrap_or(u64::MAX),
    });
    Ok(())
}

/// Stands in for the event loop: submits a batch, waits until it is durable, and asks for a snapshot when one is due.
struct Driver {
    disk: Disk,
    metrics: Arc<DiskMetrics>,
    durable: Arc<Notify>,
    runtime: tokio::runtime::Runtime,
    /// Holds what was submitted, for snapshots. It is shown records late, when a snapshot is due.
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
            at,
            Durability::AfterSync,
            Arc::clone(&metrics),
            Arc::clone(&durable),
            // The driver takes the failure while it waits for the batch.
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

    /// Waits for a snapshot that is being written.
    fn come_to_rest(&self) -> Result<(), StoreBenchError> {
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
                tokio::time::timeout(STUCK_AFTER, self.durable.notified()).await.map_err(|_| StoreBenchError::Stuck)?;
            }
        })
    }

    fn snapshots(&self) -> u64 {
        self.metrics.snapshots.load(Ordering::Relaxed)
    }
}

/// Bytes that the disk under this folder has written since the machine started. File systems without one have none.
fn disk_wrote(folder: &Path) -> Option<u64> {
    /// Field of the statistics (`Documentation/block/stat.rst`), and its unit, whatever the disk's own blocks are.
    const WRITE_SECTORS: usize = 6;
    const SECTOR: u64 = 512;
    let open = std::fs::File::open(folder).ok()?;
    // What is written but not yet at the disk belongs to what came before.
    // SAFETY: the descriptor is owned by `open`, and no memory is passed.
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
