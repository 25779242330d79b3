//! Disk form of the core's durable records.

use heckle_paxos as core;
use serde::{Deserialize, Serialize};

use super::row::{Accepted, Ballot, Cell, Row};
use super::{WireError, decode, encode, key, node_id};
use crate::amnesia::Seen;
use crate::options::NodeId;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Record<'a> {
    Incarnation {
        incarnation: u32,
    },
    Promised {
        #[serde(borrow)]
        key: &'a [u8],
        ballot: Ballot,
    },
    Accepted {
        #[serde(borrow)]
        key: &'a [u8],
        #[serde(borrow)]
        accepted: Accepted<'a>,
    },
    Learned {
        #[serde(borrow)]
        key: &'a [u8],
        #[serde(borrow)]
        row: Row<'a>,
    },
    State {
        #[serde(borrow)]
        key: &'a [u8],
        promised: Ballot,
        #[serde(borrow)]
        accepted: Option<Accepted<'a>>,
        #[serde(borrow)]
        row: Row<'a>,
    },
    LeaseLimits {
        longest_ns: u64,
        longest_read_ns: u64,
    },
    /// An accepted update, together with the promise of a higher ballot.
    AcceptedNext {
        #[serde(borrow)]
        key: &'a [u8],
        #[serde(borrow)]
        accepted: Accepted<'a>,
        promised: Ballot,
    },
    Chosen {
        #[serde(borrow)]
        key: &'a [u8],
        ballot: Ballot,
    },
    Pruned {
        #[serde(borrow)]
        key: &'a [u8],
        ballot: Ballot,
    },
    Floor {
        micros: u64,
    },
    /// Added in format 3 of the data folder.
    Put {
        #[serde(borrow)]
        key: &'a [u8],
        #[serde(borrow)]
        cell: Cell<'a>,
    },
    /// The positions seen of another node. Added in format 4 of the data folder.
    Seen {
        node: u16,
        seen: Seen,
    },
}

/// A record of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LogRecord {
    /// A record of the core.
    Core(core::Record),
    /// The positions seen of another node.
    Seen(NodeId, Box<Seen>),
}

/// Appends the encoding of a record.
pub(crate) fn encode_record(record: &core::Record, out: &mut Vec<u8>) {
    encode(Record::from(record), out);
}

/// Appends the encoding of the positions seen of a node.
pub(crate) fn encode_seen(node: NodeId, seen: Seen, out: &mut Vec<u8>) {
    encode(Record::Seen { node: node.number(), seen }, out);
}

/// Decodes a record of the core.
pub(crate) fn decode_record(bytes: &[u8]) -> Result<core::Record, WireError> {
    decode::<Record<'_>>("record", bytes)?.try_into()
}

/// Decodes any record of the log.
pub(crate) fn decode_log_record(bytes: &[u8]) -> Result<LogRecord, WireError> {
    match decode::<Record<'_>>("record", bytes)? {
        Record::Seen { node, seen } => Ok(LogRecord::Seen(node_id(node)?, Box::new(seen))),
        record => record.try_into().map(LogRecord::Core),
    }
}

impl<'a> From<&'a core::Record> for Record<'a> {
    fn from(record: &'a core::Record) -> Record<'a> {
        match record {
            core::Record::Incarnation { incarnation } => Record::Incarnation { incarnation: *incarnation },
            core::Record::LeaseLimits(limits) => {
                Record::LeaseLimits { longest_ns: limits.longest_ns, longest_read_ns: limits.longest_read_ns }
            }
            core::Record::Promised { key, ballot } => Record::Promised { key: key.as_bytes(), ballot: (*ballot).into() },
            core::Record::Accepted { key, accepted, promised } if *promised == accepted.ballot => {
                Record::Accepted { key: key.as_bytes(), accepted: Accepted::from(accepted) }
            }
            core::Record::Accepted { key, accepted, promised } => {
                Record::AcceptedNext { key: key.as_bytes(), accepted: Accepted::from(accepted), promised: (*promised).into() }
            }
            core::Record::Chosen { key, ballot } => Record::Chosen { key: key.as_bytes(), ballot: (*ballot).into() },
            core::Record::Learned { key, row } => Record::Learned { key: key.as_bytes(), row: Row::from(row) },
            core::Record::State { key, promised, accepted, row } => Record::State {
                key: key.as_bytes(),
                promised: (*promised).into(),
                accepted: accepted.as_ref().map(Accepted::from),
                row: Row::from(row),
            },
            core::Record::Pruned { key, ballot } => Record::Pruned { key: key.as_bytes(), ballot: (*ballot).into() },
            core::Record::Floor { micros } => Record::Floor { micros: *micros },
            core::Record::Put { key, cell } => Record::Put { key: key.as_bytes(), cell: Cell::from(cell) },
        }
    }
}

impl TryFrom<Record<'_>> for core::Record {
    type Error = WireError;

    fn try_from(record: Record<'_>) -> Result<core::Record, WireError> {
        Ok(match record {
            Record::Incarnation { incarnation } => core::Record::Incarnation { incarnation },
            Record::LeaseLimits { longest_ns, longest_read_ns } => {
                core::Record::LeaseLimits(core::lease::LeaseLimits { longest_ns, longest_read_ns })
            }
            Record::Promised { key: k, ballot } => core::Record::Promised { key: key(k)?, ballot: ballot.into() },
            Record::Accepted { key: k, accepted } => {
                let accepted: core::Accepted = accepted.try_into()?;
                core::Record::Accepted { key: key(k)?, promised: accepted.ballot, accepted }
            }
            Record::AcceptedNext { key: k, accepted, promised } => {
                core::Record::Accepted { key: key(k)?, accepted: accepted.try_into()?, promised: promised.into() }
            }
            Record::Chosen { key: k, ballot } => core::Record::Chosen { key: key(k)?, ballot: ballot.into() },
            Record::Learned { key: k, row } => core::Record::Learned { key: key(k)?, row: row.try_into()? },
            Record::State { key: k, promised, accepted, row } => core::Record::State {
                key: key(k)?,
                promised: promised.into(),
                accepted: accepted.map(core::Accepted::try_from).transpose()?,
                row: row.try_into()?,
            },
            Record::Pruned { key: k, ballot } => core::Record::Pruned { key: key(k)?, ballot: ballot.into() },
            Record::Floor { micros } => core::Record::Floor { micros },
            Record::Put { key: k, cell } => core::Record::Put { key: key(k)?, cell: cell.try_into()? },
            Record::Seen { .. } => return Err(WireError::Unexpected { what: "record of the core" }),
        })
    }
}
