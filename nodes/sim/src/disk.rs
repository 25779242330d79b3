//! A log on a disk: appended batches become durable by group syncs; a crash takes the rest.

use crate::config::DiskConfig;
use heckle_paxos::{IoId, Record, Sync};
use rand::{Rng, RngExt};
use std::collections::VecDeque;

/// What a crash does to records that were appended and not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// The process died; the page cache survives it, so everything appended is there.
    ProcessKilled,
    /// Power was lost: a prefix survives, cut anywhere, a torn record included (it is dropped, as
    /// its checksum would not match).
    PowerLost,
}

/// When appended records really reach the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discipline {
    /// Batches are reported durable after a sync.
    Synced,
    /// The planted bug: batches are reported durable at once and sit in process memory until the
    /// next flush. Even a killed process loses them.
    AnswerBeforeWrite,
}

/// One node's log.
#[derive(Debug)]
pub struct Disk {
    config: DiskConfig,
    discipline: Discipline,
    durable: Vec<Record>,
    pending: VecDeque<(IoId, Vec<Record>)>,
    /// The newest batch that must be synced.
    wanted: IoId,
    /// The newest batch that the running sync covers.
    syncing: Option<IoId>,
    /// Batches synced, and syncs: their ratio shows that syncs are shared.
    pub syncs: u64,
}

/// The planted bug writes this often.
pub const FLUSH_EVERY_NS: u64 = 200_000_000;

impl Disk {
    /// An empty log.
    #[must_use]
    pub fn new(config: DiskConfig, discipline: Discipline) -> Self {
        Self { config, discipline, durable: Vec::new(), pending: VecDeque::new(), wanted: IoId(0), syncing: None, syncs: 0 }
    }

    /// Appends a batch. Returns when the sync that it starts is over, if it starts one.
    pub fn append<R: Rng>(&mut self, io_id: IoId, records: Vec<Record>, sync: Sync, now_ns: u64, rng: &mut R) -> Option<u64> {
        self.pending.push_back((io_id, records));
        if sync == Sync::Required {
            self.wanted = io_id;
        }
        self.start_sync(now_ns, rng)
    }

    /// The running sync is over. Returns the newest durable batch, the records that became
    /// durable, and when the next sync is over, if one starts.
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
        self.durable.len() > self.config.compact_records && self.discipline == Discipline::Synced
    }

    /// Replaces the log by a snapshot, atomically. Batches still on their way stay on their way,
    /// though the snapshot may contain them already: replaying them twice must be harmless.
    pub fn replace(&mut self, snapshot: Vec<Record>) {
        self.durable = snapshot;
        // A snapshot as long as the log allows would be taken again at once.
        self.config.compact_records = self.config.compact_records.max(2 * self.durable.len());
    }

    /// The process or the power is gone. Returns what survives, with the records that were not
    /// known to be durable before.
    pub fn crash<R: Rng>(&mut self, crash: Crash, rng: &mut R) -> Vec<Record> {
        self.syncing = None;
        self.wanted = IoId(0);
        let pending = std::mem::take(&mut self.pending);
        let appended: Vec<Record> = pending.into_iter().flat_map(|(_, records)| records).collect();
        let kept = match (self.discipline, crash) {
            (Discipline::AnswerBeforeWrite, _) => 0,
            (Discipline::Synced, Crash::ProcessKilled) => appended.len(),
            (Discipline::Synced, Crash::PowerLost) => rng.random_range(0..=appended.len()),
        };
        let survived: Vec<Record> = appended.into_iter().take(kept).collect();
        self.durable.extend(survived.iter().cloned());
        survived
    }

    /// The log as a restarted process reads it.
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
        if self.discipline == Discipline::AnswerBeforeWrite {
            return Some(now_ns / FLUSH_EVERY_NS * FLUSH_EVERY_NS + FLUSH_EVERY_NS);
        }
        let config = &self.config;
        let mut takes_ns = rng.random_range(config.sync_min_ns..=config.sync_max_ns);
        if rng.random_range(0..1_000_000) < config.slow_ppm {
            takes_ns = rng.random_range(config.sync_max_ns..=config.slow_max_ns.max(config.sync_max_ns));
        }
        Some(now_ns + takes_ns)
    }
}
