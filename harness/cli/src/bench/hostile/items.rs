//! The attacks of `heckle bench hostile`, as data.

use super::Scale;
use super::attacks::{self, Attack};

/// Handling of the nodes' standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stderr {
    /// Standard error is read.
    Read,
    /// Standard error is a pipe that is never read.
    Unread,
}

/// One attack.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) name: &'static str,
    /// Description of the data sent, with `{n}` for the amount.
    sends: &'static str,
    /// Amount at full and at short scale.
    amounts: (usize, usize),
    pub(super) attack: Attack,
    /// Hard limit on open files for each node. `None` means the limit of this process.
    pub(super) node_open_files: Option<u64>,
    /// Whether all nodes but the first are stopped during the attack.
    pub(super) without_quorum: bool,
    /// Whether the nodes must not have more keys after the attack than before.
    pub(super) leaves_no_keys: bool,
    pub(super) stderr: Stderr,
}

impl Item {
    pub(super) fn amount(&self, scale: Scale) -> usize {
        match scale {
            Scale::Full => self.amounts.0,
            Scale::Short => self.amounts.1,
        }
    }

    pub(super) fn sends(&self, scale: Scale) -> String {
        self.sends.replace("{n}", &self.amount(scale).to_string())
    }

    /// Returns an upper bound on the open files of this program during the attack.
    pub(super) fn descriptors(&self, scale: Scale) -> u64 {
        4 * self.amount(scale).min(1_024) as u64 + 64
    }
}

const DEFAULT: Item = Item {
    name: "",
    sends: "",
    amounts: (0, 0),
    attack: attacks::idle,
    node_open_files: None,
    without_quorum: false,
    leaves_no_keys: true,
    stderr: Stderr::Read,
};

pub(super) const ITEMS: &[Item] = &[
    Item { name: "idle", sends: "{n} idle connections to each port of each node", amounts: (200, 20), attack: attacks::idle, ..DEFAULT },
    Item {
        name: "slow-senders",
        sends: "{n} clients that send a request a byte at a time",
        amounts: (100, 20),
        attack: attacks::slow_senders,
        ..DEFAULT
    },
    Item {
        name: "half-frames",
        sends: "all but one byte of a frame of 8 MiB, {n} times",
        amounts: (100, 10),
        attack: attacks::half_frames,
        ..DEFAULT
    },
    Item {
        name: "half-requests",
        sends: "all but one byte of a request of 2 MiB, {n} times",
        amounts: (100, 30),
        attack: attacks::half_requests,
        ..DEFAULT
    },
    Item {
        name: "absent-keys",
        sends: "{n} reads of keys that were never written",
        amounts: (240_000, 2_000),
        attack: attacks::absent_keys,
        ..DEFAULT
    },
    Item {
        name: "no-quorum",
        sends: "{n} writes of 1 MiB with an hour's time, two of three nodes stopped",
        amounts: (400, 100),
        attack: attacks::writes_without_quorum,
        without_quorum: true,
        // Once the write of a key has begun, its promise must be kept.
        leaves_no_keys: false,
        ..DEFAULT
    },
    Item {
        name: "unread-replies",
        sends: "{n} clients that each read 1 MiB 64 times and take no reply",
        amounts: (100, 10),
        attack: attacks::unread_replies,
        leaves_no_keys: false,
        ..DEFAULT
    },
    Item {
        name: "many-connections",
        sends: "{n} connections to each node, which may open 1,024 files",
        amounts: (1_023, 1_023),
        attack: attacks::many_connections,
        node_open_files: Some(1_024),
        ..DEFAULT
    },
    Item {
        name: "garbage",
        sends: "{n} connections with random bytes to each port of each node",
        amounts: (300, 30),
        attack: attacks::garbage,
        ..DEFAULT
    },
    Item {
        name: "http-post",
        sends: "{n} HTTP POST requests to each port of each node",
        amounts: (10, 2),
        attack: attacks::http_posts,
        ..DEFAULT
    },
    Item {
        name: "unread-log",
        sends: "{n} bad connections to each node, whose standard error is not read",
        amounts: (5_000, 600),
        attack: attacks::bad_connections,
        stderr: Stderr::Unread,
        ..DEFAULT
    },
];
