//! The decisions of group sync: which records accumulate, which work is next, and what is durable afterwards.
//!
//! This module uses no thread, clock or file: time is an argument, and the caller carries out the work (in a node,
//! [`super::thread`]). Batches, snapshots and the removal of replaced files are ordered so that nothing is lost:
//! records added before a snapshot was requested are written before the snapshot, and later records after it.

use std::time::Duration;

use heckle_paxos::{IoId, Sync};

use crate::storage::StorageError;
use crate::storage::batch::{BatchBuilder, MAX_BATCH_PAYLOAD};
use crate::storage::snapshot::SnapshotBuilder;

/// Maximum time before a lazy batch is written, so that records on which no operation waits are not at risk for long.
const MAX_LAZY_DELAY: Duration = Duration::from_millis(100);
/// Time between the writes of the planted bug `answer-before-write`.
#[cfg(feature = "mutants")]
const MUTANT_WRITE_INTERVAL: Duration = Duration::from_millis(200);

/// When records count as durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// After the sync of their batch.
    AfterSync,
    /// Immediately: the planted bug `answer-before-write`. Records stay in process memory and are written only
    /// periodically.
    #[cfg(feature = "mutants")]
    AnswerBeforeWrite,
}

/// How the storage stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    No,
    /// Makes everything durable first.
    Finish,
    /// Writes nothing more, as if killed.
    Abandon,
}

/// Whether the storage thread must be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    Yes,
    No,
}

/// The next piece of work.
#[derive(Debug)]
pub(crate) enum Work {
    /// Make the batch that was swapped into the caller's builder durable. Everything up to `newest` is durable
    /// afterwards.
    Batch {
        newest: IoId,
    },
    /// Write this snapshot, which replaces all batches written so far.
    Snapshot(SnapshotBuilder),
    /// Remove the files replaced by the durable snapshot up to this batch.
    Remove(u64),
    /// Report that a snapshot could not be written.
    Failed(StorageError),
    /// Mark a clean end of the log.
    Finish,
    Abandon,
}

/// The next piece of work, or how long to wait for it.
#[derive(Debug)]
pub(crate) enum Next {
    Work(Work),
    /// There is no work for this long unless something is submitted.
    WaitFor(Duration),
    /// There is no work until something is submitted.
    Wait,
}

#[derive(Debug, Clone, Copy)]
enum Urgency {
    Idle,
    /// Only lazy records are waiting, the oldest since this time.
    Lazy(Duration),
    Required,
}

/// The state of group sync. Times are durations since a fixed moment.
#[derive(Debug)]
pub(crate) struct GroupSync {
    durability: Durability,
    current: BatchBuilder,
    /// The newest core batch in `current`.
    newest: IoId,
    urgency: Urgency,
    /// A batch sealed by a request for a snapshot: no more records may be added.
    sealed: Option<(BatchBuilder, IoId)>,
    snapshot: Option<SnapshotBuilder>,
    snapshot_written: Option<Result<u64, StorageError>>,
    snapshot_running: bool,
    stop: Stop,
}

impl GroupSync {
    pub(crate) fn new(durability: Durability) -> GroupSync {
        GroupSync {
            durability,
            current: BatchBuilder::new(),
            newest: IoId(0),
            urgency: Urgency::Idle,
            sealed: None,
            snapshot: None,
            snapshot_written: None,
            snapshot_running: false,
            stop: Stop::No,
        }
    }

    /// Adds the records of one core batch to the current batch. `now` is called only for the first lazy record.
    pub(crate) fn submit(&mut self, now: impl FnOnce() -> Duration, io: IoId, sync: Sync, fill: impl FnOnce(&mut BatchBuilder)) -> Wake {
        fill(&mut self.current);
        self.newest = io;
        // Work already marked urgent needs no second wake-up.
        let (urgency, wake) = match (self.urgency, sync) {
            (Urgency::Required, Sync::Required | Sync::Lazy) => (Urgency::Required, Wake::No),
            (Urgency::Idle | Urgency::Lazy(_), Sync::Required) => (Urgency::Required, Wake::Yes),
            (Urgency::Lazy(since), Sync::Lazy) => (Urgency::Lazy(since), Wake::No),
            (Urgency::Idle, Sync::Lazy) => (Urgency::Lazy(now()), Wake::Yes),
        };
        self.urgency = urgency;
        wake
    }

    /// Adds records on which nothing relies. They are written with the next batch, or soon after `now`.
    pub(crate) fn note(&mut self, now: Duration, fill: impl FnOnce(&mut BatchBuilder)) -> Wake {
        fill(&mut self.current);
        match self.urgency {
            Urgency::Idle => {
                self.urgency = Urgency::Lazy(now);
                Wake::Yes
            }
            Urgency::Lazy(_) | Urgency::Required => Wake::No,
        }
    }

    /// Whether the current batch is so large that no new events should be taken.
    pub(crate) fn is_behind(&self) -> bool {
        self.current.payload_len() > MAX_BATCH_PAYLOAD
    }

    /// Whether no snapshot is being written.
    pub(crate) fn is_free_for_snapshot(&self) -> bool {
        !self.snapshot_running
    }

    /// Replaces the log so far with this snapshot, which must hold the state right after the last
    /// [`submit`](GroupSync::submit).
    pub(crate) fn begin_snapshot(&mut self, content: SnapshotBuilder) {
        assert!(!self.snapshot_running, "one snapshot at a time");
        self.snapshot_running = true;
        self.snapshot = Some(content);
        // Records added from here on are not part of the snapshot, so they must not be in a batch that the snapshot
        // replaces. So the current batch is sealed here.
        let gathered = std::mem::replace(&mut self.current, BatchBuilder::new());
        self.sealed = Some((gathered, self.newest));
        self.urgency = Urgency::Idle;
    }

    /// Records that the snapshot is durable, up to this batch of the log, or that it could not be written.
    pub(crate) fn snapshot_ended(&mut self, written: Result<u64, StorageError>) {
        self.snapshot_written = Some(written);
    }

    pub(crate) fn stop(&mut self, stop: Stop) {
        self.stop = stop;
    }

    /// Returns the work to do at `now`. Records added before a snapshot request are written before the snapshot.
    /// `spare` must be empty: a batch to write is swapped into it.
    pub(crate) fn next(&mut self, now: Duration, spare: &mut BatchBuilder) -> Next {
        if self.stop == Stop::Abandon {
            return Next::Work(Work::Abandon);
        }
        if let Some((batch, newest)) = self.sealed.take()
            && batch.count() > 0
        {
            *spare = batch;
            return Next::Work(Work::Batch { newest });
        }
        if let Some(content) = self.snapshot.take() {
            return Next::Work(Work::Snapshot(content));
        }
        match self.snapshot_written.take() {
            Some(Ok(batch)) => {
                self.snapshot_running = false;
                return Next::Work(Work::Remove(batch));
            }
            Some(Err(error)) => return Next::Work(Work::Failed(error)),
            None => {}
        }
        match self.wait(now) {
            None if self.stop == Stop::No => Next::Wait,
            None => Next::Work(Work::Finish),
            Some(Duration::ZERO) => {
                std::mem::swap(&mut self.current, spare);
                self.urgency = Urgency::Idle;
                Next::Work(Work::Batch { newest: self.newest })
            }
            Some(wait) => Next::WaitFor(wait),
        }
    }

    /// How long the current batch may wait. `None` if it has no records.
    fn wait(&mut self, now: Duration) -> Option<Duration> {
        let left_of = |time: Duration, since: Duration| time.saturating_sub(now.saturating_sub(since));
        match (self.durability, self.urgency, self.stop != Stop::No) {
            (_, Urgency::Idle, _) => None,
            (_, Urgency::Required | Urgency::Lazy(_), true) | (Durability::AfterSync, Urgency::Required, false) => Some(Duration::ZERO),
            (Durability::AfterSync, Urgency::Lazy(since), false) => Some(left_of(MAX_LAZY_DELAY, since)),
            #[cfg(feature = "mutants")]
            (Durability::AnswerBeforeWrite, Urgency::Required, false) => {
                // The age of the current batch is counted from now on, as for lazy records.
                self.urgency = Urgency::Lazy(now);
                Some(MUTANT_WRITE_INTERVAL)
            }
            #[cfg(feature = "mutants")]
            (Durability::AnswerBeforeWrite, Urgency::Lazy(since), false) => Some(left_of(MUTANT_WRITE_INTERVAL, since)),
        }
    }
}
