//! A log that syncs a batch only when a test allows it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use heckle_paxos::Record;

use crate::storage::batch::{Batch, BatchBuilder};
use crate::storage::wal::Wal;
use crate::storage::{StorageError, Store};
use crate::wire::record::{LogRecord, decode_log_record};

pub(super) const TEST_TIMEOUT: Duration = Duration::from_secs(20);

/// Controls when the log may sync a batch.
#[derive(Default)]
pub(super) struct DiskGate {
    state: Mutex<Held>,
    changed: Condvar,
}

#[derive(Default)]
pub(super) struct Held {
    /// Whether batches are synced immediately.
    pub(super) free: bool,
    /// Number of batches appended, allowed to be synced, and synced.
    pub(super) come: u64,
    pub(super) allowed: u64,
    pub(super) done: u64,
    pub(super) synced: Vec<Record>,
}

impl DiskGate {
    pub(super) fn lock(&self) -> MutexGuard<'_, Held> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Held)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    #[track_caller]
    pub(super) fn until(&self, what: &str, holds: impl Fn(&Held) -> bool) {
        let (_held, late) = self.changed.wait_timeout_while(self.lock(), TEST_TIMEOUT, |held| !holds(held)).unwrap();
        assert!(!late.timed_out(), "waited in vain: {what}");
    }
}

pub(super) struct HeldStore {
    pub(super) wal: Wal,
    pub(super) hold: Arc<DiskGate>,
}

impl Store for HeldStore {
    fn append(&mut self, batch: &mut BatchBuilder) -> Result<(), StorageError> {
        let bytes = batch.seal(1, 1).to_vec();
        let records = Batch::parse(&bytes, 1).expect("just sealed");
        let records: Vec<Record> = records
            .records()
            .filter_map(|record| match decode_log_record(record).expect("of this program") {
                LogRecord::Core(record) => Some(record),
                LogRecord::Seen(..) => None,
            })
            .collect();
        self.hold.change(|held| held.come += 1);
        drop(self.hold.changed.wait_while(self.hold.lock(), |held| !held.free && held.allowed < held.come));
        self.wal.append(batch)?;
        self.hold.change(|held| {
            held.done += 1;
            held.synced.extend(records);
        });
        Ok(())
    }

    fn seal(&mut self) -> Result<u64, StorageError> {
        self.wal.seal()
    }

    fn remove_up_to(&mut self, batch: u64) -> Result<(), StorageError> {
        self.wal.remove_up_to(batch)
    }

    fn segments(&self) -> usize {
        self.wal.segments()
    }

    fn finish(&mut self) -> Result<(), StorageError> {
        self.wal.finish()
    }
}
