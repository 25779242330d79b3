//! What must survive a crash. A log is a list of records, and so is a snapshot.

use crate::ballot::Ballot;
use crate::cell::Cell;
use crate::ids::Key;
use crate::lease::LeaseLimits;
use crate::row::{Accepted, Row};

/// One durable change. Replaying is monotone: a record that is older than what is known changes
/// nothing, so a snapshot may overlap the log that follows it, and records may come twice.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Record {
    /// A process of this node started and took this number. Durable before its first message.
    Incarnation {
        /// The number; higher than all earlier ones.
        incarnation: u32,
    },
    /// A promise was given.
    Promised {
        /// The register.
        key: Key,
        /// Nothing below this is accepted, nothing at or below it is promised.
        ballot: Ballot,
    },
    /// An update was accepted, which also promises its ballot.
    Accepted {
        /// The register.
        key: Key,
        /// The update and its ballot.
        accepted: Accepted,
        /// Nothing below this is accepted any more: the update's own ballot, or the coordinator's
        /// next one if it was promised along with it.
        promised: Ballot,
    },
    /// What is accepted at this ballot is chosen, and learned. Written lazily, right after the record
    /// that it names.
    Chosen {
        /// The register.
        key: Key,
        /// The ballot.
        ballot: Ballot,
    },
    /// A chosen row was learned. Row and learned ballot rise together, what was accepted at or
    /// below is cleared, and the promise rises to at least the learned ballot: one record, so no
    /// crash can come between.
    Learned {
        /// The register.
        key: Key,
        /// The row and the ballot at which it was chosen.
        row: Row,
    },
    /// The longest leases that this node may grant from now on. Durable before the first one is granted: it is what a
    /// later process waits for.
    LeaseLimits(LeaseLimits),
    /// Every replica has learned a row at this ballot or above, and the accepted copy went.
    Pruned {
        /// The register.
        key: Key,
        /// What was accepted at or below it is dropped.
        ballot: Ballot,
    },
    /// Every ballot of this time or an earlier one is rejected, for all keys: what a snapshot has
    /// in place of expired promises.
    Floor {
        /// The time, microseconds.
        micros: u64,
    },
    /// A put of the last-write-wins path was taken. In a snapshot it follows the key's state.
    Put {
        /// The register.
        key: Key,
        /// The value and its time.
        cell: Cell,
    },
    /// All that Paxos knows about a key. Snapshots are made of these.
    State {
        /// The register.
        key: Key,
        /// Highest ballot promised; [`Ballot::ZERO`] if `accepted` or `row` imply it, or if it
        /// has expired below the floor.
        promised: Ballot,
        /// What is accepted and not yet learned, or the copy of what was.
        accepted: Option<Accepted>,
        /// The row learned last.
        row: Row,
    },
}

/// Declares the kinds of state once, with what is done to all of them.
macro_rules! state_bytes {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Bytes of state that a node holds, by kind, counted as the sum of the fields' sizes (an
        /// estimate of the memory and of the snapshot, without container overhead).
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct StateBytes {
            /// Number of keys for which anything is stored.
            pub keys: u64,
            /// Number of keys that have a row.
            pub rows: u64,
            $($(#[$doc])* pub $name: u64,)*
        }

        impl StateBytes {
            /// All kinds together.
            #[must_use]
            pub fn total(&self) -> u64 {
                0 $(+ self.$name)*
            }

            /// Takes `before` out and puts `after` in: a key has changed.
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
    /// Learned ballots, and promised ones that nothing else implies.
    promise,
    /// Accepted updates: pending ones, and copies that are neither pruned nor expired.
    accepted,
    /// Tables of operation ids.
    dedupe,
    /// Decisions that wait to be pruned.
    queue,
}
