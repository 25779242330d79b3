//! The disk space and memory that a node needs: the formula behind `heckle capacity`.
//!
//! Every node holds every key, so the figures apply to each node. State is counted as the nodes count it
//! ([`heckle_paxos::StateBytes`]: field sizes, without container overhead), and disk space follows from the file
//! layouts. `nodes/server/tests/capacity.rs` compares the formula with the figures reported by running nodes and with
//! the sizes of their files.

use std::time::Duration;

use heckle_paxos::{Ballot, DedupeEntry, PRUNE_SLOT_BYTES, StateBytes};

use crate::options::{Prune, Rounds, StorageOptions};
use crate::storage::batch::{BATCH_ALIGN, BATCH_HEADER};
use crate::storage::segment::FILE_HEADER;
use crate::storage::snapshot::CHUNK;

/// Maximum number of client ids that a key remembers.
pub const CLIENTS_REMEMBERED: u64 = 64;
/// How long a decision waits to be pruned, in seconds: the time for which its key must be idle.
const PRUNE_AFTER_S: f64 = 0.020;
/// Maximum number of decisions that a coordinator keeps for pruning.
const PRUNE_SLOTS: f64 = 4_096.0;
/// Bytes of a ballot in a file: eight for the time, one for the node, five for the nonce (numbers are encoded with
/// seven bits per byte).
const BALLOT_FILE_BYTES: f64 = 14.0;
/// Bytes of an all-zero ballot in a file.
const ZERO_BALLOT_FILE_BYTES: f64 = 3.0;
/// Bytes of an operation id in a file: client and number (10), hash (9.5 on average), time (8), fate (1).
const ENTRY_FILE_BYTES: f64 = 28.5;
/// Bytes of a time in a file.
const TIME_FILE_BYTES: f64 = 8.0;

/// The load that a node must handle.
#[derive(Debug, Clone, PartialEq)]
pub struct Demand {
    /// Number of keys.
    pub keys: u64,
    /// New keys per second. Each is written once and then stays idle. They are included in `keys`.
    pub new_keys_per_s: f64,
    /// Number of keys that are written continuously and never idle. They are included in `keys`.
    pub hot_keys: u64,
    /// Size of a key in bytes.
    pub key_bytes: u64,
    /// Size of a value in bytes.
    pub value_bytes: u64,
    /// Number of clients that write each key. A key remembers the last operation of each client, up to
    /// [`CLIENTS_REMEMBERED`].
    pub clients_per_key: u64,
    /// Age at which Paxos state expires. `None`: never.
    pub ttl: Option<Duration>,
    /// Whether accepted copies are dropped once all replicas have learned.
    pub prune: Prune,
    /// Which rounds an operation goes through. With `fast`, a key keeps a promise for the next ballot.
    pub rounds: Rounds,
    /// Number of nodes in the cluster.
    pub nodes: u64,
    /// Settings of the log.
    pub storage: StorageOptions,
}

/// The space that each node needs for a [`Demand`].
#[derive(Debug, Clone, PartialEq)]
pub struct Capacity {
    /// Number of keys with promises, copies and ids that have not expired.
    pub live_keys: u64,
    /// Number of keys with an accepted copy.
    pub copies: u64,
    /// Bytes of state by kind.
    pub state: StateBytes,
    /// Size of a snapshot of that state, in bytes.
    pub snapshot: u64,
    /// Size of the log right after a compaction, in bytes: the open segment and the next one, prepared.
    pub log_least: u64,
    /// Size of the log right before the end of a compaction, in bytes.
    pub log_most: u64,
}

impl Capacity {
    /// Size of the data folder right after a compaction, in bytes.
    #[must_use]
    pub fn disk_least(&self) -> u64 {
        self.snapshot + self.log_least
    }

    /// Size of the data folder at the end of a compaction, in bytes. At that point, the old and the new snapshot both
    /// exist.
    #[must_use]
    pub fn disk_most(&self) -> u64 {
        2 * self.snapshot + self.log_most
    }
}

impl Demand {
    /// Computes the space that this load needs.
    #[must_use]
    pub fn capacity(&self) -> Capacity {
        let keys = self.keys as f64;
        let live = match self.ttl {
            None => keys,
            Some(ttl) => (self.new_keys_per_s * (ttl.as_secs_f64() + self.expiry_delay_s(ttl)) + self.hot_keys as f64).min(keys),
        };
        let waiting = (self.new_keys_per_s * PRUNE_AFTER_S + self.hot_keys as f64).min(PRUNE_SLOTS * self.nodes as f64).min(keys);
        let copies = match self.prune {
            Prune::Off => live,
            Prune::On => waiting,
        };
        let ids = self.clients_per_key.min(CLIENTS_REMEMBERED) as f64;
        let ahead = if self.prepares_next_ballot() { live } else { 0.0 };
        let (ballot, table) = (size_of::<Ballot>() as f64, ids * size_of::<DedupeEntry>() as f64);
        let bytes = |amount: f64| amount.round() as u64;
        let state = StateBytes {
            keys: self.keys,
            rows: self.keys,
            data: self.keys * (self.key_bytes + self.value_bytes),
            promise: bytes((keys + ahead) * ballot),
            accepted: bytes(copies * (ballot + self.value_bytes as f64 + table)),
            // An expired table leaves only its watermark, the time below which ids are unknown.
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

    /// How long state outlives its expiry on average, in seconds. A sweep handles only keys that were old enough when
    /// it began, so an expired key waits half a sweep on average, and then for its turn. Keys are swept in the order
    /// of their first write, so the more older keys there are, the later a sweep reaches the keys that have just
    /// expired.
    fn expiry_delay_s(&self, ttl: Duration) -> f64 {
        let ttl_us = u64::try_from(ttl.as_micros()).unwrap_or(u64::MAX);
        let sweep_s = heckle_paxos::sweep_ns(self.keys, ttl_us) as f64 / 1e9;
        let young = self.new_keys_per_s * ttl.as_secs_f64();
        let older = 1.0 - (young / self.keys.max(1) as f64).min(1.0);
        sweep_s * (0.5 + older)
    }

    fn prepares_next_ballot(&self) -> bool {
        match self.rounds {
            Rounds::Classic | Rounds::Merged | Rounds::AsyncLearn => false,
            Rounds::Fast => true,
        }
    }

    /// Size of a snapshot in bytes. Each key is one record: its length, its kind, the key, a promise, possibly an
    /// accepted update, and the row.
    fn snapshot(&self, live: f64, copies: f64, ids: f64) -> u64 {
        let sized = |bytes: u64| (bytes + varint_len(bytes)) as f64;
        // A version, a value that is present, the number of ids, and the two watermarks of the table (both zero).
        let content = |ids: f64| 1.0 + 1.0 + sized(self.value_bytes) + 1.0 + ids * ENTRY_FILE_BYTES + 2.0;
        let promise = if self.prepares_next_ballot() { BALLOT_FILE_BYTES } else { ZERO_BALLOT_FILE_BYTES };
        let key = 4.0 + 1.0 + sized(self.key_bytes) + 1.0 + BALLOT_FILE_BYTES;
        let rested = self.keys as f64 - live;
        let payload = live * (key + promise + content(ids))
            + rested * (key + ZERO_BALLOT_FILE_BYTES + content(0.0) + TIME_FILE_BYTES - 1.0)
            + copies * (BALLOT_FILE_BYTES + 1.0 + content(ids));
        let chunks = (payload / CHUNK as f64).ceil() + 1.0;
        (payload + FILE_HEADER as f64 + chunks * (BATCH_HEADER + BATCH_ALIGN / 2) as f64).round() as u64
    }
}

/// Bytes of a number in a file, at seven bits per byte.
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
    fn each_setting_reduces_its_state() {
        let base = demand().capacity();
        assert_eq!((base.state.data, base.state.promise, base.state.accepted, base.state.dedupe), (110_000, 24_000, 0, 40_000));
        let kept = Demand { prune: Prune::Off, ..demand() }.capacity();
        assert_eq!(kept.state.accepted, 1_000 * (24 + 100 + 40));
        assert!(kept.snapshot > base.snapshot + 100_000);
        let expired = Demand { ttl: Some(Duration::from_secs(1)), new_keys_per_s: 80.0, prune: Prune::Off, ..demand() }.capacity();
        // 80 keys per second for 1 s, plus half a sweep of 12 turns of 20 ms, plus 92 % of a sweep.
        assert_eq!((expired.live_keys, expired.copies), (107, 107));
        assert_eq!((expired.state.accepted, expired.state.dedupe), (17_591, 11_432));
        let fast = Demand { rounds: Rounds::Fast, ..demand() }.capacity();
        assert_eq!(fast.state.promise, 48_000);
        let crowd = Demand { clients_per_key: 1_000, ..demand() }.capacity();
        assert_eq!(crowd.state.dedupe, 1_000 * 64 * 40);
    }

    #[test]
    fn copies_never_exceed_keys() {
        let flood = Demand { new_keys_per_s: 1e9, ttl: Some(Duration::from_secs(60)), ..demand() }.capacity();
        assert_eq!((flood.live_keys, flood.copies), (1_000, 1_000));
        let none = Demand { keys: 0, ..demand() }.capacity();
        assert_eq!(none.state.total(), 0);
    }

    #[test]
    fn varints_take_seven_bits_per_byte() {
        let lens: Vec<u64> = [0, 127, 128, 16_383, 16_384, u64::MAX].into_iter().map(varint_len).collect();
        assert_eq!(lens, [1, 1, 2, 2, 3, 10]);
    }
}
