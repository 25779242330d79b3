//! How many bytes a node needs, before there is one: the formula behind `heckle capacity`.
//!
//! Every node holds every key, so the figures are those of each node. State is counted as the nodes count it
//! ([`heckle_paxos::StateBytes`]: sizes of fields, without the overhead of containers); the disk by the layout of its
//! files. `nodes/server/tests/capacity.rs` holds the formula to what running nodes report and to the sizes of their files.

use std::time::Duration;

use heckle_paxos::{Ballot, DedupeEntry, PRUNE_SLOT_BYTES, StateBytes};

use crate::options::{Prune, Rounds, StorageOptions};
use crate::storage::batch::{BATCH_ALIGN, BATCH_HEADER};
use crate::storage::segment::FILE_HEADER;
use crate::storage::snapshot::CHUNK;

/// Most ids of clients that a key remembers.
pub const CLIENTS_REMEMBERED: u64 = 64;
/// How long a decision waits to be pruned: the key's rest, in seconds.
const PRUNE_AFTER_S: f64 = 0.020;
/// Decisions that one coordinator keeps for pruning.
const PRUNE_SLOTS: f64 = 4_096.0;
/// A ballot in a file: eight bytes of time, one of node, five of nonce (numbers take seven bits a byte).
const BALLOT_FILED: f64 = 14.0;
/// A ballot of zeroes in a file.
const NO_BALLOT_FILED: f64 = 3.0;
/// An id of an operation in a file: client and number (10), hash (9.5 on average), time (8), fate (1).
const ENTRY_FILED: f64 = 28.5;
/// A time in a file.
const TIME_FILED: f64 = 8.0;

/// What a node is to hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Demand {
    /// Keys.
    pub keys: u64,
    /// New keys a second, each written once and then at rest. They are among `keys`.
    pub new_keys_per_s: f64,
    /// Keys written all the time: they never rest. They are among `keys`.
    pub hot_keys: u64,
    /// Bytes of a key.
    pub key_bytes: u64,
    /// Bytes of a value.
    pub value_bytes: u64,
    /// Clients that write one key; a key remembers the last operation of each, [`CLIENTS_REMEMBERED`] at most.
    pub clients_per_key: u64,
    /// After what time Paxos state expires, if ever.
    pub ttl: Option<Duration>,
    /// Whether accepted copies go when all have learned.
    pub prune: Prune,
    /// `fast` keeps a promise for the next ballot.
    pub rounds: Rounds,
    /// Nodes in the cluster.
    pub nodes: u64,
    /// The log.
    pub storage: StorageOptions,
}

/// What that takes, of each node.
#[derive(Debug, Clone, PartialEq)]
pub struct Capacity {
    /// Keys whose promises, copies and ids have not expired.
    pub live_keys: u64,
    /// Keys with an accepted copy.
    pub copies: u64,
    /// Bytes of state by kind.
    pub state: StateBytes,
    /// Bytes of a snapshot of it.
    pub snapshot: u64,
    /// Bytes of the log right after a compaction: the open segment and the next one, prepared.
    pub log_least: u64,
    /// Bytes of the log right before the end of one.
    pub log_most: u64,
}

impl Capacity {
    /// Bytes of the data folder right after a compaction.
    #[must_use]
    pub fn disk_least(&self) -> u64 {
        self.snapshot + self.log_least
    }

    /// Bytes of the data folder at the end of a compaction: the old snapshot is there, and the new one.
    #[must_use]
    pub fn disk_most(&self) -> u64 {
        2 * self.snapshot + self.log_most
    }
}

impl Demand {
    /// The formula.
    #[must_use]
    pub fn capacity(&self) -> Capacity {
        let keys = self.keys as f64;
        let live = match self.ttl {
            None => keys,
            Some(ttl) => (self.new_keys_per_s * (ttl.as_secs_f64() + self.late_s(ttl)) + self.hot_keys as f64).min(keys),
        };
        let waiting = (self.new_keys_per_s * PRUNE_AFTER_S + self.hot_keys as f64).min(PRUNE_SLOTS * self.nodes as f64).min(keys);
        let copies = match self.prune {
            Prune::Off => live,
            Prune::On => waiting,
        };
        let ids = self.clients_per_key.min(CLIENTS_REMEMBERED) as f64;
        let ahead = if self.promises_ahead() { live } else { 0.0 };
        let (ballot, table) = (size_of::<Ballot>() as f64, ids * size_of::<DedupeEntry>() as f64);
        let bytes = |amount: f64| amount.round() as u64;
        let state = StateBytes {
            keys: self.keys,
            rows: self.keys,
            data: self.keys * (self.key_bytes + self.value_bytes),
            promise: bytes((keys + ahead) * ballot),
            accepted: bytes(copies * (ballot + self.value_bytes as f64 + table)),
            // What has expired leaves one time, below which nothing is known.
            dedupe: bytes(live * table + (keys - live) * size_of::<u64>() as f64),
            queue: match self.prune {
                Prune::Off => 0,
                Prune::On => bytes(waiting / self.nodes as f64 * (PRUNE_SLOT_BYTES as u64 + self.key_bytes) as f64),
            },
        };
        let segment = self.storage.segment_bytes;
        Capacity {
            live_keys: bytes(live),
            copies: bytes(copies),
            state,
            snapshot: self.snapshot(live, copies, ids),
            log_least: 2 * segment,
            log_most: (self.storage.segments_before_snapshot as u64 + 2) * segment,
        }
    }

    /// How long state outlives its time on average. A sweep takes what was old enough as it began, so an expired key waits
    /// for half a sweep, and then for its turn. Turns come in the order in which keys were first written, so the keys that
    /// have just expired come up as late as there are older ones.
    fn late_s(&self, ttl: Duration) -> f64 {
        let ttl_us = u64::try_from(ttl.as_micros()).unwrap_or(u64::MAX);
        let sweep_s = heckle_paxos::sweep_ns(self.keys, ttl_us) as f64 / 1e9;
        let young = self.new_keys_per_s * ttl.as_secs_f64();
        let older = 1.0 - (young / self.keys.max(1) as f64).min(1.0);
        sweep_s * (0.5 + older)
    }

    fn promises_ahead(&self) -> bool {
        match self.rounds {
            Rounds::Classic | Rounds::Merged | Rounds::AsyncLearn => false,
            Rounds::Fast => true,
        }
    }

    /// Each key is one record: its length, its kind, the key, a promise, perhaps an accepted update, the row.
    fn snapshot(&self, live: f64, copies: f64, ids: f64) -> u64 {
        let sized = |bytes: u64| (bytes + varint_len(bytes)) as f64;
        // A version, a value that is there, the number of ids, both times below which nothing is known (zero).
        let content = |ids: f64| 1.0 + 1.0 + sized(self.value_bytes) + 1.0 + ids * ENTRY_FILED + 2.0;
        let promise = if self.promises_ahead() { BALLOT_FILED } else { NO_BALLOT_FILED };
        let key = 4.0 + 1.0 + sized(self.key_bytes) + 1.0 + BALLOT_FILED;
        let rested = self.keys as f64 - live;
        let payload = live * (key + promise + content(ids))
            + rested * (key + NO_BALLOT_FILED + content(0.0) + TIME_FILED - 1.0)
            + copies * (BALLOT_FILED + 1.0 + content(ids));
        let chunks = (payload / CHUNK as f64).ceil() + 1.0;
        (payload + FILE_HEADER as f64 + chunks * (BATCH_HEADER + BATCH_ALIGN / 2) as f64).round() as u64
    }
}

/// Bytes that a number takes in a file, seven bits each.
fn varint_len(number: u64) -> u64 {
    u64::from(64 - (number | 1).leading_zeros()).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand() -> Demand {
        Demand {
            keys: 1_000,
            new_keys_per_s: 0.0,
            hot_keys: 0,
            key_bytes: 10,
            value_bytes: 100,
            clients_per_key: 1,
            ttl: None,
            prune: Prune::On,
            rounds: Rounds::Classic,
            nodes: 3,
            storage: StorageOptions::default(),
        }
    }

    #[test]
    fn each_remedy_takes_what_it_is_for() {
        let base = demand().capacity();
        assert_eq!((base.state.data, base.state.promise, base.state.accepted, base.state.dedupe), (110_000, 24_000, 0, 40_000));
        let kept = Demand { prune: Prune::Off, ..demand() }.capacity();
        assert_eq!(kept.state.accepted, 1_000 * (24 + 100 + 40));
        assert!(kept.snapshot > base.snapshot + 100_000);
        let expired = Demand { ttl: Some(Duration::from_secs(1)), new_keys_per_s: 80.0, prune: Prune::Off, ..demand() }.capacity();
        // 80 a second for 1 s, half a sweep of 12 turns of 20 ms, and 92 % of one.
        assert_eq!((expired.live_keys, expired.copies), (107, 107));
        assert_eq!((expired.state.accepted, expired.state.dedupe), (17_591, 11_432));
        let fast = Demand { rounds: Rounds::Fast, ..demand() }.capacity();
        assert_eq!(fast.state.promise, 48_000);
        let crowd = Demand { clients_per_key: 1_000, ..demand() }.capacity();
        assert_eq!(crowd.state.dedupe, 1_000 * 64 * 40);
    }

    #[test]
    fn a_table_never_holds_more_keys_than_there_are() {
        let flood = Demand { new_keys_per_s: 1e9, ttl: Some(Duration::from_secs(60)), ..demand() }.capacity();
        assert_eq!((flood.live_keys, flood.copies), (1_000, 1_000));
        let none = Demand { keys: 0, ..demand() }.capacity();
        assert_eq!(none.state.total(), 0);
    }

    #[test]
    fn numbers_take_seven_bits_a_byte() {
        let lens: Vec<u64> = [0, 127, 128, 16_383, 16_384, u64::MAX].into_iter().map(varint_len).collect();
        assert_eq!(lens, [1, 1, 2, 2, 3, 10]);
    }
}
