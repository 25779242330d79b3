//! A log on a disk: group syncs make appended batches durable, and a crash loses the others.

use crate::config::DiskConfig;
use heckle_paxos::{IoId, Record, Sync};
use rand::{Rng, RngExt};
use std::collections::VecDeque;

/// The kind of crash, which decides what happens to records that were appended but not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// The process died. The page cache survives, so all appended records do too.
    ProcessKilled,
    /// Power was lost. A prefix of the log survives, cut at any position. A torn record is dropped, since its
    /// checksum does not match.
    PowerLost,
}

/// When batches are reported durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DurabilityMode {
    /// Batches are reported durable after a sync.
    Synced,
    /// The planted bug: batches are reported durable immediately, and stay in process memory until the next flush.
    /// Even a killed process loses them.
    AnswerBeforeWrite,
}

/// The log of one node.
#[derive(Debug)]
pub struct Disk {
    config: DiskConfig,
    durability: DurabilityMode,
    durable: Vec<Record>,
    pending: VecDeque<(IoId, Vec<Record>)>,
    /// The newest batch that must be synced.
    wanted: IoId,
    /// The newest batch that the running sync covers.
    syncing: Option<IoId>,
    /// Number of syncs. Comparing it with the number of batches shows that syncs are shared.
    pub syncs: u64,
}

/// Time between the writes of the planted bug, in nanoseconds.
pub const FLUSH_INTERVAL_NS: u64 = 200_000_000;

impl Disk {
    /// Creates an empty log.
    #[must_use]
    pub fn new(config: DiskConfig, durability: DurabilityMode) -> Self {
        Self { config, durability, durable: Vec::new(), pending: VecDeque::new(), wanted: IoId(0), syncing: None, syncs: 0 }
    }

    /// Appends a batch. If that starts a sync, returns when the sync will end.
    pub fn append<R: Rng>(&mut self, io_id: IoId, records: Vec<Record>, sync: Sync, now_ns: u64, rng: &mut R) -> Option<u64> {
        self.pending.push_back((io_id, records));
        if sync == Sync::Required {
            self.wanted = io_id;
        }
        self.start_sync(now_ns, rng)
    }

    /// Ends the running sync. Returns the newest durable batch, the records that became durable, and the end of the
    /// next sync, if one starts.
    pub fn synced<R: Rng>(&mut self, now_ns: u64, rng: &mut R) -> Option<(IoId, Vec<Record>, Option<u64>)> {
        let upto = self.syncing.take()?;
        let mut records = Vec::new();
        while self.pending.front().is_some_and(|(io_id, _)| *io_id <= upto) {
            if let Some((_, batch)) = self.pending.pop_front() {
                records.extend(batch);
            }
        }
        self.durable.extend(records.iter().cloned());
        self.syncs += 1;
        Some((upto, records, self.start_sync(now_ns, rng)))
    }

    /// Whether the log is long enough to be replaced by a snapshot.
    #[must_use]
    pub fn wants_snapshot(&self) -> bool {
        self.durable.len() > self.config.compact_records && self.durability == DurabilityMode::Synced
    }

    /// Replaces the log with a snapshot, atomically. Batches in flight remain in flight, although the snapshot may
    /// already contain them: replaying them again must be harmless.
    pub fn replace(&mut self, snapshot: Vec<Record>) {
        self.durable = snapshot;
        // Otherwise a snapshot as long as this limit would immediately be replaced again.
        self.config.compact_records = self.config.compact_records.max(2 * self.durable.len());
    }

    /// Kills the process or cuts the power. Returns the surviving records that were not previously known to be
    /// durable.
    pub fn crash<R: Rng>(&mut self, crash: Crash, rng: &mut R) -> Vec<Record> {
        self.syncing = None;
        self.wanted = IoId(0);
        let pending = std::mem::take(&mut self.pending);
        let appended: Vec<Record> = pending.into_iter().flat_map(|(_, records)| records).collect();
        let kept = match (self.durability, crash) {
            (DurabilityMode::AnswerBeforeWrite, _) => 0,
            (DurabilityMode::Synced, Crash::ProcessKilled) => appended.len(),
            (DurabilityMode::Synced, Crash::PowerLost) => rng.random_range(0..=appended.len()),
        };
        let survived: Vec<Record> = appended.into_iter().take(kept).collect();
        self.durable.extend(survived.iter().cloned());
        survived
    }

    /// The log as read by a restarted process.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.durable
    }

    fn start_sync<R: Rng>(&mut self, now_ns: u64, rng: &mut R) -> Option<u64> {
        let newest = self.pending.back()?.0;
        if self.syncing.is_some() || self.wanted < self.pending.front()?.0 {
            return None;
        }
        self.syncing = Some(newest);
        if self.durability == DurabilityMode::AnswerBeforeWrite {
            return Some(now_ns / FLUSH_INTERVAL_NS * FLUSH_INTERVAL_NS + FLUSH_INTERVAL_NS);
        }
        let config = &self.config;
        let mut takes_ns = rng.random_range(config.sync_min_ns..=config.sync_max_ns);
        if rng.random_range(0..1_000_000) < config.slow_ppm {
            takes_ns = rng.random_range(config.sync_max_ns..=config.slow_max_ns.max(config.sync_max_ns));
        }
        Some(now_ns + takes_ns)
    }
}
