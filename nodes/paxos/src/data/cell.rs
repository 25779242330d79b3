//! The last-write-wins path: `put` and `get`, without Paxos. Last write wins.
//!
//! As in Cassandra, a plain write and a conditional one share a key, and at each replica by itself the one with the
//! newer time stamp stays: a put has the wall clock of its coordinator, a row the time of the ballot at which it was
//! chosen. So a put can hide an acknowledged conditional write, be hidden by one that never saw it, and be read here
//! and not there. That is what plain writes are, and why mixing them with conditional ones on one key is an error: the
//! workload `mixed` exists to have it caught.
//!
//! What the two paths know of each other:
//! - a replica keeps the newest put as a [`Cell`] beside its row, for as long as it is newer than the row;
//! - an operation of Paxos is judged on its coordinator's newest row with the cell of the coordinator's *own* replica
//!   laid over it, and the row it proposes contains what it saw. No message of Paxos carries a cell: another replica's
//!   are not looked at;
//! - a node that has a put makes ballots above it, so whatever saw a put is newer than it;
//! - what is repaired, refreshed or learned is the row as it was proposed, without the cell.
//!
//! **Without puts nothing changes.** A cell comes into being by a put only. Where there is none, every answer of a
//! replica and every step of a coordinator is what it would be without this module. And a put touches neither promise
//! nor accepted update nor learned ballot, so what Paxos says about its own operations stays true in any case.
//!
//! **What happens to a cell.** It goes when a newer put or a newer row takes its place, and at no other time: pruning
//! and expiry are about Paxos state, and a cell is the value of the key. It is not brought to a replica that missed it,
//! neither by a get nor in the background; a Paxos write that has seen it brings it along.

use crate::ids::{Key, NodeId, OpId, Value};
use crate::row::{Row, RowData};
use std::sync::Arc;

/// A value with the time that decides which of two stays.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell {
    /// Wall clock of the put's coordinator, microseconds. Field order is the ordering.
    pub us: u64,
    /// The coordinator; breaks ties between nodes.
    pub node: NodeId,
    /// The value; breaks ties within a node.
    pub value: Value,
}

impl Cell {
    /// Whether it hides a row that was chosen at a ballot of this time. At one instant the row wins.
    #[must_use]
    pub fn hides(&self, learned_us: u64) -> bool {
        self.us > learned_us
    }

    /// Bytes of its fields.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        (size_of::<u64>() + size_of::<NodeId>() + self.value.len()) as u64
    }
}

/// What a replica with this row and cell answers to a get: the newer of the two.
pub(crate) fn seen(row: &Row, cell: Option<&Cell>) -> Option<Cell> {
    match cell.filter(|cell| cell.hides(row.learned.micros)) {
        Some(cell) => Some(cell.clone()),
        None => row.data.value.clone().map(|value| Cell { us: row.learned.micros, node: row.learned.node, value }),
    }
}

/// A row's content with a put's value in place of its own, if that is newer than the row of `learned_us`: what an
/// operation of Paxos is judged on, and what the next row is built from.
pub(crate) fn overlaid(data: &Arc<RowData>, learned_us: u64, cell: Option<&Cell>) -> Arc<RowData> {
    match cell.filter(|cell| cell.hides(learned_us)) {
        Some(cell) => Arc::new(RowData { value: Some(cell.value.clone()), ..(**data).clone() }),
        None => data.clone(),
    }
}

/// A request of the last-write-wins path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainRequest {
    /// Names it in the answer; no row remembers it.
    pub op: OpId,
    /// The register.
    pub key: Key,
    /// What to do.
    pub call: PlainCall,
    /// How many replicas must have taken part.
    pub level: Level,
    /// The coordinator answers within this time, whatever happens.
    pub timeout_ns: u64,
}

/// What the last-write-wins path can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlainCall {
    /// Write, whatever was there.
    Put {
        /// The new value.
        new: Value,
    },
    /// Read.
    Get,
}

/// How many replicas must have answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Level {
    /// One. A put is sent to all and answered when the first has it durably; a get asks the coordinator's own replica.
    One,
    /// A quorum.
    Quorum,
}
