//! Group sync: a thread writes and syncs one batch while the next one accumulates.
//!
//! The event loop appends records to the current batch, under a short lock, and never waits for the disk. The thread
//! takes the accumulated records, writes them as one batch, syncs, and takes the next. So a sync is shared by all
//! operations that arrived during the previous one (Hagmann, *Reimplementing the Cedar File System Using Logging and
//! Group Commit*, SOSP 1987), and a lone operation does not wait for others.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Instant;

use heckle_paxos::{IoId, Sync};
use tokio::sync::Notify;

use crate::metrics::LatencyHistogram;
use crate::storage::batch::BatchBuilder;
use crate::storage::group::{Durability, GroupSync, Next, Stop, Wake, Work};
use crate::storage::snapshot::{self, SnapshotBuilder};
use crate::storage::{LogFolder, StorageError, Store};

/// Figures of the storage, updated by the storage threads and read by status reports.
#[derive(Debug, Default)]
pub(crate) struct DiskMetrics {
    pub(crate) syncs: AtomicU64,
    pub(crate) sync_latency: LatencyHistogram,
    pub(crate) records: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) snapshots: AtomicU64,
    pub(crate) segments: AtomicU64,
}

/// The event loop's handle on the storage thread.
#[derive(Debug)]
pub(crate) struct Disk {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    durability: Durability,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Wakes the thread.
    work: Condvar,
    /// Wakes the event loop.
    done: Arc<Notify>,
    /// The newest core batch that is durable.
    durable: AtomicU64,
    /// The newest synced batch of the log that contains a record of the core. Stored before `durable`.
    synced: AtomicU64,
    /// The batch that marks a clean end of the log. 0 if there is none.
    end: AtomicU64,
    failed: AtomicBool,
    metrics: Arc<DiskMetrics>,
    /// Times in [`GroupSync`] are relative to this moment.
    started: Instant,
}

#[derive(Debug)]
struct State {
    group: GroupSync,
    failure: Option<StorageError>,
}

/// Called by the thread when the disk has failed, before the failure is reported anywhere else.
pub(crate) type OnFailure = Box<dyn Fn(&StorageError) + Send>;

impl Disk {
    /// Starts the storage thread. `next_batch` is the number of the first batch that it writes.
    pub(crate) fn start(
        store: Box<dyn Store>,
        next_batch: u64,
        at: LogFolder,
        durability: Durability,
        metrics: Arc<DiskMetrics>,
        done: Arc<Notify>,
        on_failure: OnFailure,
    ) -> std::io::Result<Disk> {
        metrics.segments.store(store.segments() as u64, Ordering::Relaxed);
        let shared = Arc::new(Shared {
            state: Mutex::new(State { group: GroupSync::new(durability), failure: None }),
            work: Condvar::new(),
            done,
            durable: AtomicU64::new(0),
            synced: AtomicU64::new(0),
            end: AtomicU64::new(0),
            failed: AtomicBool::new(false),
            metrics,
            started: Instant::now(),
        });
        let mut worker = Worker { shared: Arc::clone(&shared), store, next_batch, newest: IoId(0), at, spare: BatchBuilder::new() };
        let run = move || worker.run(&on_failure);
        let thread = std::thread::Builder::new().name("disk".to_owned()).spawn(run)?;
        Ok(Disk { shared, thread: Mutex::new(Some(thread)), durability })
    }

    /// Adds the records of one core batch to the current batch.
    pub(crate) fn submit(&self, io: IoId, sync: Sync, fill: impl FnOnce(&mut BatchBuilder)) {
        let wake = self.shared.lock().group.submit(|| self.shared.started.elapsed(), io, sync, fill);
        if wake == Wake::Yes {
            self.shared.work.notify_one();
        }
        match self.durability {
            Durability::AfterSync => {}
            #[cfg(feature = "mutants")]
            Durability::AnswerBeforeWrite => {
                self.shared.durable.store(io.0, Ordering::Release);
                self.shared.done.notify_one();
            }
        }
    }

    /// Adds records on which nothing relies, to be written with the next batch or soon.
    pub(crate) fn note(&self, fill: impl FnOnce(&mut BatchBuilder)) {
        let wake = self.shared.lock().group.note(self.shared.started.elapsed(), fill);
        if wake == Wake::Yes {
            self.shared.work.notify_one();
        }
    }

    /// The newest synced batch of the log that contains a record of the core. Everything that may leave the node relies on
    /// this batch or earlier ones.
    pub(crate) fn synced(&self) -> u64 {
        self.shared.synced.load(Ordering::Acquire)
    }

    /// The newest core batch that is durable along with all earlier ones.
    pub(crate) fn durable(&self) -> IoId {
        IoId(self.shared.durable.load(Ordering::Acquire))
    }

    /// Whether the current batch is so large that the event loop takes no new events.
    pub(crate) fn is_behind(&self) -> bool {
        self.shared.lock().group.is_behind()
    }

    /// Whether the thread has failed. Nothing more becomes durable after that.
    pub(crate) fn has_failed(&self) -> bool {
        self.shared.failed.load(Ordering::Acquire)
    }

    /// Returns why the thread has failed. Only the first call returns it.
    pub(crate) fn take_failure(&self) -> Option<StorageError> {
        self.shared.lock().failure.take()
    }

    /// Whether a snapshot is worthwhile and none is currently being written.
    pub(crate) fn wants_snapshot(&self, segments: usize) -> bool {
        self.shared.metrics.segments.load(Ordering::Relaxed) > segments as u64 && self.is_free_for_snapshot()
    }

    /// Whether no snapshot is being written.
    pub(crate) fn is_free_for_snapshot(&self) -> bool {
        self.shared.lock().group.is_free_for_snapshot()
    }

    /// Replaces the log so far with this snapshot, which must hold the state right after the last
    /// [`submit`](Disk::submit).
    pub(crate) fn begin_snapshot(&self, content: SnapshotBuilder) {
        self.shared.lock().group.begin_snapshot(content);
        self.shared.work.notify_one();
    }

    /// Makes everything durable, marks a clean end, and waits for completion. Returns the batch that marks the end.
    pub(crate) fn finish(&self) -> Result<u64, StorageError> {
        self.end(Stop::Finish);
        self.take_failure().map_or_else(|| Ok(self.shared.end.load(Ordering::Acquire)), Err)
    }

    /// Ends the thread without writing the current batch.
    pub(crate) fn abandon(&self) {
        self.end(Stop::Abandon);
    }

    fn end(&self, stop: Stop) {
        self.shared.lock().group.stop(stop);
        self.shared.work.notify_one();
        let thread = self.thread.lock().expect("no thread panics while holding it").take();
        if let Some(thread) = thread {
            thread.join().expect("the disk thread does not panic");
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.end(Stop::Abandon);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics while holding it")
    }
}

struct Worker {
    shared: Arc<Shared>,
    store: Box<dyn Store>,
    /// Number of the next batch of the log.
    next_batch: u64,
    /// The newest core batch that was written.
    newest: IoId,
    at: LogFolder,
    /// The batch being written, swapped with the accumulating one.
    spare: BatchBuilder,
}

impl Worker {
    fn run(&mut self, on_failure: &OnFailure) {
        let mut writer: Option<JoinHandle<()>> = None;
        let result = loop {
            let result = match self.next_work() {
                Work::Batch { newest } => self.write_batch(newest),
                Work::Snapshot(content) => self.begin_snapshot(content).map(|thread| writer = Some(thread)),
                Work::Remove(batch) => self.store.remove_up_to(batch),
                Work::Failed(error) => Err(error),
                Work::Abandon => break Ok(()),
                Work::Finish => break self.store.finish().inspect(|()| self.shared.end.store(self.next_batch, Ordering::Release)),
            };
            self.shared.metrics.segments.store(self.store.segments() as u64, Ordering::Relaxed);
            if result.is_err() {
                break result;
            }
        };
        if let Err(error) = result {
            on_failure(&error);
            self.shared.lock().failure = Some(error);
            self.shared.failed.store(true, Ordering::Release);
            self.shared.done.notify_one();
        }
        // The folder's lock may be released after this thread has ended, so wait for the snapshot thread here.
        if let Some(thread) = writer {
            thread.join().expect("the snapshot thread does not panic");
        }
    }

    /// Waits for the next piece of work.
    fn next_work(&mut self) -> Work {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        loop {
            state = match state.group.next(shared.started.elapsed(), &mut self.spare) {
                Next::Work(work) => return work,
                Next::WaitFor(wait) => shared.work.wait_timeout(state, wait).expect("no thread panics while holding it").0,
                Next::Wait => shared.work.wait(state).expect("no thread panics while holding it"),
            };
        }
    }

    fn write_batch(&mut self, newest: IoId) -> Result<(), StorageError> {
        let (records, bytes) = (u64::from(self.spare.count()), self.spare.file_len() as u64);
        let begin = Instant::now();
        self.store.append(&mut self.spare)?;
        let metrics = &self.shared.metrics;
        metrics.sync_latency.record(begin.elapsed());
        metrics.syncs.fetch_add(1, Ordering::Relaxed);
        metrics.records.fetch_add(records, Ordering::Relaxed);
        metrics.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.spare.clear();
        if newest > self.newest {
            self.newest = newest;
            self.shared.synced.store(self.next_batch, Ordering::Release);
        }
        self.next_batch += 1;
        // Only now, after the sync, may messages that rely on these records leave the node.
        self.shared.durable.fetch_max(newest.0, Ordering::Release);
        self.shared.done.notify_one();
        Ok(())
    }

    /// Writes the snapshot in a separate thread: it may be large, and the log must not wait for it.
    fn begin_snapshot(&mut self, content: SnapshotBuilder) -> Result<JoinHandle<()>, StorageError> {
        let up_to = self.store.seal()?;
        let (shared, at) = (Arc::clone(&self.shared), self.at.clone());
        let write = move || {
            let written = snapshot::write(&at, up_to, content).map(|_| up_to);
            if written.is_ok() {
                shared.metrics.snapshots.fetch_add(1, Ordering::Relaxed);
            }
            shared.lock().group.snapshot_ended(written);
            shared.work.notify_one();
        };
        let thread = std::thread::Builder::new().name("snapshot".to_owned()).spawn(write);
        thread.map_err(|cause| StorageError::io("thread for a snapshot in", &self.at.path, cause))
    }
}
