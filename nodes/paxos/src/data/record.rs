//! State that must survive a crash. Both logs and snapshots are lists of records.

use crate::ballot::Ballot;
use crate::cell::Cell;
use crate::ids::Key;
use crate::lease::LeaseLimits;
use crate::row::{Accepted, Row};

/// One durable change. Replay is monotone: a record older than the current state has no effect, so a snapshot may
/// overlap with the log that follows it, and records may be repeated.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Record {
    /// A process of this node started with this incarnation. Durable before its first message.
    Incarnation {
        /// The incarnation. Higher than all earlier ones.
        incarnation: u32,
    },
    /// A promise was given.
    Promised {
        /// The register.
        key: Key,
        /// Lower ballots are not accepted, and ballots at or below it are not promised.
        ballot: Ballot,
    },
    /// An update was accepted, which also promises its ballot.
    Accepted {
        /// The register.
        key: Key,
        /// The update and its ballot.
        accepted: Accepted,
        /// The lowest ballot still accepted: the update's own, or the coordinator's next one if it was promised together
        /// with the update.
        promised: Ballot,
    },
    /// The update accepted at this ballot was chosen and learned. Written lazily, right after the record of that
    /// update.
    Chosen {
        /// The register.
        key: Key,
        /// The ballot.
        ballot: Ballot,
    },
    /// A chosen row was learned. The row and the learned ballot advance together, any update accepted at or below
    /// that ballot is cleared, and the promise rises to at least that ballot. All this is one record, so that no
    /// crash can separate the changes.
    Learned {
        /// The register.
        key: Key,
        /// The row and the ballot at which it was chosen.
        row: Row,
    },
    /// The longest leases that this node may grant from now on. Durable before the first lease is granted, since a
    /// later process must wait that long.
    LeaseLimits(LeaseLimits),
    /// Every replica has learned a row at this ballot or above, and the accepted copy was dropped.
    Pruned {
        /// The register.
        key: Key,
        /// Updates accepted at or below this ballot are dropped.
        ballot: Ballot,
    },
    /// Every ballot of this time or earlier is rejected, for all keys. Snapshots contain this instead of expired
    /// promises.
    Floor {
        /// The time in microseconds.
        micros: u64,
    },
    /// A put was stored. In a snapshot, it follows the key's state.
    Put {
        /// The register.
        key: Key,
        /// The value and its time.
        cell: Cell,
    },
    /// The whole Paxos state of a key. Snapshots consist of these records.
    State {
        /// The register.
        key: Key,
        /// Highest ballot promised; [`Ballot::ZERO`] if `accepted` or `row` implies it, or if it is below the floor
        /// and has expired.
        promised: Ballot,
        /// The accepted update not yet learned, or the copy of a learned one.
        accepted: Option<Accepted>,
        /// The most recently learned row.
        row: Row,
    },
}

/// Declares each kind of state once, and derives the operations on all of them.
macro_rules! state_bytes {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Size of a node's state in bytes, by kind: the sum of field sizes, which estimates memory use and snapshot
        /// size without container overhead.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct StateBytes {
            /// Number of keys with any state.
            pub keys: u64,
            /// Number of keys with a row.
            pub rows: u64,
            $($(#[$doc])* pub $name: u64,)*
        }

        impl StateBytes {
            /// Sum over all kinds.
            #[must_use]
            pub fn total(&self) -> u64 {
                0 $(+ self.$name)*
            }

            /// Updates the totals for a key that has changed: subtracts `before` and adds `after`.
            pub fn replace(&mut self, before: &StateBytes, after: &StateBytes) {
                self.keys = self.keys + after.keys - before.keys;
                self.rows = self.rows + after.rows - before.rows;
                $(self.$name = self.$name + after.$name - before.$name;)*
            }
        }
    };
}

state_bytes! {
    /// Keys and values.
    data,
    /// Learned ballots, and promised ballots not implied by anything else.
    promise,
    /// Accepted updates: pending ones, and copies not yet pruned or expired.
    accepted,
    /// Tables of operation ids.
    dedupe,
    /// Decisions waiting to be pruned.
    queue,
}
