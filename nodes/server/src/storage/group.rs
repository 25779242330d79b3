//! Group sync as decisions: what gathers, which work comes next, and what is durable after it.
//!
//! No thread, clock or file in here: time is an argument, and work is carried out by the caller (by [`super::thread`] in a
//! node). Batches, the snapshot and the removal of what it replaced come in the one order that loses nothing:
//! records gathered before a request for a snapshot are written before it, and later ones after it.

use std::time::Duration;

use heckle_paxos::{IoId, Sync};

use crate::storage::StorageError;
use crate::storage::batch::{BatchBuilder, MAX_GATHERED};
use crate::storage::snapshot::SnapshotBuilder;

/// A lazy batch is written after this time at the latest, so that records without a waiting operation are not lost for long.
const LAZY_FOR: Duration = Duration::from_millis(100);
/// How often the planted bug `answer-before-write` writes.
#[cfg(feature = "mutants")]
const MUTANT_WRITES_EVERY: Duration = Duration::from_millis(200);

/// When records count as durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// When the sync of their batch has returned.
    AfterSync,
    /// At once: the planted bug `answer-before-write`. Records sit in process memory and are written now and then.
    #[cfg(feature = "mutants")]
    AnswerBeforeWrite,
}

/// How the storage ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    No,
    /// Make everything durable first.
    Finish,
    /// Write nothing more, as if killed.
    Abandon,
}

/// Whether the thread that does the work must be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    Yes,
    No,
}

/// What to do now.
#[derive(Debug)]
pub(crate) enum Work {
    /// Make the batch durable that was swapped into the caller's builder; then everything up to `newest` is.
    Batch {
        newest: IoId,
    },
    /// Write this snapshot, which replaces every batch written so far.
    Snapshot(SnapshotBuilder),
    /// Remove what the durable snapshot up to this batch has replaced.
    Forget(u64),
    /// A snapshot could not be written.
    Failed(StorageError),
    /// Mark a clean end.
    Finish,
    Abandon,
}

/// Work, or how long there will be none.
#[derive(Debug)]
pub(crate) enum Next {
    Work(Work),
    /// Nothing for this long, unless something is submitted.
    WaitFor(Duration),
    /// Nothing until something is submitted.
    Wait,
}

#[derive(Debug, Clone, Copy)]
enum Urgency {
    Idle,
    /// Since when something lazy gathers.
    Lazy(Duration),
    Required,
}

/// The state of group sync. Times are since any fixed moment.
#[derive(Debug)]
pub(crate) struct GroupSync {
    durability: Durability,
    gathering: BatchBuilder,
    /// The newest batch of the core in `gathering`.
    newest: IoId,
    urgency: Urgency,
    /// Sealed by a request for a snapshot: must not grow any more. At most one batch and one snapshot.
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
            gathering: BatchBuilder::new(),
            newest: IoId(0),
            urgency: Urgency::Idle,
            sealed: None,
            snapshot: None,
            snapshot_written: None,
            snapshot_running: false,
            stop: Stop::No,
        }
    }

    /// Adds the records of one batch of the core to what gathers. `now` is asked only for the first lazy one.
    pub(crate) fn submit(&mut self, now: impl FnOnce() -> Duration, io: IoId, sync: Sync, fill: impl FnOnce(&mut BatchBuilder)) -> Wake {
        fill(&mut self.gathering);
        self.newest = io;
        // Work that is urgent already need not be announced again.
        let (urgency, wake) = match (self.urgency, sync) {
            (Urgency::Required, Sync::Required | Sync::Lazy) => (Urgency::Required, Wake::No),
            (Urgency::Idle | Urgency::Lazy(_), Sync::Required) => (Urgency::Required, Wake::Yes),
            (Urgency::Lazy(since), Sync::Lazy) => (Urgency::Lazy(since), Wake::No),
            (Urgency::Idle, Sync::Lazy) => (Urgency::Lazy(now()), Wake::Yes),
        };
        self.urgency = urgency;
        wake
    }

    /// Whether so much gathers that no new events should be taken.
    pub(crate) fn is_behind(&self) -> bool {
        self.gathering.payload_len() > MAX_GATHERED
    }

    /// Whether no snapshot is being written.
    pub(crate) fn is_free_for_snapshot(&self) -> bool {
        !self.snapshot_running
    }

    /// Replaces the log so far by this snapshot, which must be of the state right after the last
    /// [`submit`](GroupSync::submit).
    pub(crate) fn begin_snapshot(&mut self, content: SnapshotBuilder) {
        assert!(!self.snapshot_running, "one snapshot at a time");
        self.snapshot_running = true;
        self.snapshot = Some(content);
        // What gathers from here on is not part of the snapshot, so it must not be in a batch that the snapshot
        // replaces: the batch is sealed here.
        let gathered = std::mem::replace(&mut self.gathering, BatchBuilder::new());
        self.sealed = Some((gathered, self.newest));
        self.urgency = Urgency::Idle;
    }

    /// The snapshot that was begun is durable, up to this batch of the log, or could not be written.
    pub(crate) fn snapshot_ended(&mut self, written: Result<u64, StorageError>) {
        self.snapshot_written = Some(written);
    }

    pub(crate) fn stop(&mut self, stop: Stop) {
        self.stop = stop;
    }

    /// What to do at `now`. What was gathered before a request comes before it. `spare` must be empty; a batch to write is
    /// swapped into it.
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
                return Next::Work(Work::Forget(batch));
            }
            Some(Err(error)) => return Next::Work(Work::Failed(error)),
            None => {}
        }
        match self.wait(now) {
            None if self.stop == Stop::No => Next::Wait,
            None => Next::Work(Work::Finish),
            Some(Duration::ZERO) => {
                std::mem::swap(&mut self.gathering, spare);
                self.urgency = Urgency::Idle;
                Next::Work(Work::Batch { newest: self.newest })
            }
            Some(wait) => Next::WaitFor(wait),
        }
    }

    /// How long what gathers may wait, if anything gathers.
    fn wait(&mut self, now: Duration) -> Option<Duration> {
        let left_of = |time: Duration, since: Duration| time.saturating_sub(now.saturating_sub(since));
        match (self.durability, self.urgency, self.stop != Stop::No) {
            (_, Urgency::Idle, _) => None,
            (_, Urgency::Required | Urgency::Lazy(_), true) | (Durability::AfterSync, Urgency::Required, false) => Some(Duration::ZERO),
            (Durability::AfterSync, Urgency::Lazy(since), false) => Some(left_of(LAZY_FOR, since)),
            #[cfg(feature = "mutants")]
            (Durability::AnswerBeforeWrite, Urgency::Required, false) => {
                // The age of what gathers is counted from here on, as for lazy records.
                self.urgency = Urgency::Lazy(now);
                Some(MUTANT_WRITES_EVERY)
            }
            #[cfg(feature = "mutants")]
            (Durability::AnswerBeforeWrite, Urgency::Lazy(since), false) => Some(left_of(MUTANT_WRITES_EVERY, since)),
        }
    }
}
