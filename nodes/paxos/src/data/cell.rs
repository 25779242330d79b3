//! The last-write-wins path: `put` and `get`, without Paxos.
//!
//! As in Cassandra, a plain write and a conditional one share a key, and each replica independently keeps the one
//! with the newer time stamp: a put is stamped with its coordinator's wall clock, and a row with the time of the
//! ballot at which it was chosen. So a put can hide an acknowledged conditional write, be hidden by one that never
//! saw it, and be visible at only some replicas. These properties are inherent in plain writes, so mixing them with
//! conditional ones on one key is an error. The `mixed` workload shows that checkers catch this error.
//!
//! How the two paths interact:
//! - a replica keeps the newest put as a [`Cell`] alongside its row, as long as the put is newer than the row;
//! - a Paxos operation is evaluated on its coordinator's newest row, overlaid with the cell of the coordinator's
//!   *own* replica, and the row it proposes contains that value. Paxos messages carry no cells, so the cells of other
//!   replicas are not considered;
//! - a node that has stored a put generates ballots above it, so any operation that saw the put is newer than the
//!   put;
//! - repair, refresh and learn use the proposed row, without any cell.
//!
//! **Without puts nothing changes.** Only a put creates a cell. Without a cell, all replies of replicas and all steps
//! of coordinators are the same as without this module. And since a put changes neither the promise nor the accepted
//! update nor the learned ballot, the guarantees of Paxos for its own operations always hold.
//!
//! **Lifetime of a cell.** Only a newer put or a newer row replaces a cell: pruning and expiry apply to Paxos state,
//! whereas a cell is the value of the key. Neither gets nor background work copies it to a replica that missed it. A
//! Paxos write that has seen the cell spreads its value as part of the row.

use crate::ids::{Key, NodeId, OpId, Value};
use crate::row::{Row, RowData};
use std::sync::Arc;

/// A value and the timestamp that decides which of two cells wins.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell {
    /// Wall clock of the put's coordinator in microseconds. Field order is the ordering.
    pub us: u64,
    /// The coordinator; breaks ties between nodes.
    pub node: NodeId,
    /// The value; breaks ties within a node.
    pub value: Value,
}

impl Cell {
    /// Whether the cell hides a row chosen at a ballot of this time. If the times are equal, the row wins.
    #[must_use]
    pub fn hides(&self, learned_us: u64) -> bool {
        self.us > learned_us
    }

    /// Size of the fields in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        (size_of::<u64>() + size_of::<NodeId>() + self.value.len()) as u64
    }
}

/// The reply to a get from a replica with this row and cell: the newer of the two.
pub(crate) fn newest_cell(row: &Row, cell: Option<&Cell>) -> Option<Cell> {
    match cell.filter(|cell| cell.hides(row.learned.micros)) {
        Some(cell) => Some(cell.clone()),
        None => row.data.value.clone().map(|value| Cell { us: row.learned.micros, node: row.learned.node, value }),
    }
}

/// The content of a row, with its value replaced by that of a put if the put is newer than `learned_us`. Paxos
/// operations are evaluated on it, and the next row is built from it.
pub(crate) fn overlay(data: &Arc<RowData>, learned_us: u64, cell: Option<&Cell>) -> Arc<RowData> {
    match cell.filter(|cell| cell.hides(learned_us)) {
        Some(cell) => Arc::new(RowData { value: Some(cell.value.clone()), ..(**data).clone() }),
        None => data.clone(),
    }
}

/// A request on the last-write-wins path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainRequest {
    /// Identifies the request in the reply. Rows do not record it.
    pub op: OpId,
    /// The register.
    pub key: Key,
    /// The operation.
    pub call: PlainCall,
    /// Number of replicas that must reply.
    pub level: Level,
    /// Time limit within which the coordinator always replies, in nanoseconds.
    pub timeout_ns: u64,
}

/// The operations of the last-write-wins path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlainCall {
    /// Sets the value, whatever the current one is.
    Put {
        /// The new value.
        new: Value,
    },
    /// Reads the value.
    Get,
}

/// The number of replicas that must reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Level {
    /// One replica. A put is sent to all and answered once the first has stored it durably. A get reads from the
    /// coordinator's own replica.
    One,
    /// A quorum of replicas.
    Quorum,
}
