//! Wire forms of ballots, ids, rows and updates, which are parts of messages and records.

use std::sync::Arc;

use heckle_paxos as core;
use serde::{Deserialize, Serialize};

use super::{MAX_DEDUPE, WireError};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ballot {
    micros: u64,
    node: u16,
    nonce: u64,
}

impl From<core::Ballot> for Ballot {
    fn from(ballot: core::Ballot) -> Ballot {
        Ballot { micros: ballot.micros, node: ballot.node.0, nonce: ballot.nonce }
    }
}

impl From<Ballot> for core::Ballot {
    fn from(ballot: Ballot) -> core::Ballot {
        core::Ballot { micros: ballot.micros, node: core::NodeId(ballot.node), nonce: ballot.nonce }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OpId {
    client: u64,
    seq: u64,
}

impl From<core::OpId> for OpId {
    fn from(op: core::OpId) -> OpId {
        OpId { client: op.client, seq: op.seq }
    }
}

impl From<OpId> for core::OpId {
    fn from(op: OpId) -> core::OpId {
        core::OpId { client: op.client, seq: op.seq }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum OpFate {
    Applied,
    Aborted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct DedupeEntry {
    op: OpId,
    request_hash: u64,
    proposed_us: u64,
    fate: OpFate,
}

impl From<&core::DedupeEntry> for DedupeEntry {
    fn from(entry: &core::DedupeEntry) -> DedupeEntry {
        DedupeEntry {
            op: entry.op.into(),
            request_hash: entry.request_hash,
            proposed_us: entry.proposed_us,
            fate: match entry.fate {
                core::OpFate::Applied => OpFate::Applied,
                core::OpFate::Aborted => OpFate::Aborted,
            },
        }
    }
}

impl From<DedupeEntry> for core::DedupeEntry {
    fn from(entry: DedupeEntry) -> core::DedupeEntry {
        core::DedupeEntry {
            op: entry.op.into(),
            request_hash: entry.request_hash,
            proposed_us: entry.proposed_us,
            fate: match entry.fate {
                OpFate::Applied => core::OpFate::Applied,
                OpFate::Aborted => core::OpFate::Aborted,
            },
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RowData<'a> {
    version: u64,
    #[serde(borrow)]
    value: Option<&'a [u8]>,
    entries: Vec<DedupeEntry>,
    watermark_us: u64,
    aborted_watermark_us: u64,
}

impl<'a> From<&'a core::RowData> for RowData<'a> {
    fn from(data: &'a core::RowData) -> RowData<'a> {
        RowData {
            version: data.version,
            value: data.value.as_ref().map(core::Value::as_bytes),
            entries: data.dedupe.entries.iter().map(DedupeEntry::from).collect(),
            watermark_us: data.dedupe.watermark_us,
            aborted_watermark_us: data.dedupe.aborted_watermark_us,
        }
    }
}

impl TryFrom<RowData<'_>> for Arc<core::RowData> {
    type Error = WireError;

    fn try_from(data: RowData<'_>) -> Result<Arc<core::RowData>, WireError> {
        let len = data.entries.len();
        if len > MAX_DEDUPE {
            return Err(WireError::TooLong { what: "dedupe table", len, limit: MAX_DEDUPE });
        }
        let entries = data.entries.into_iter().map(core::DedupeEntry::from).collect();
        let dedupe = core::Dedupe { entries, watermark_us: data.watermark_us, aborted_watermark_us: data.aborted_watermark_us };
        let value = data.value.map(super::value).transpose()?;
        Ok(Arc::new(core::RowData { version: data.version, value, dedupe }))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Row<'a> {
    learned: Ballot,
    #[serde(borrow)]
    data: RowData<'a>,
}

impl<'a> From<&'a core::Row> for Row<'a> {
    fn from(row: &'a core::Row) -> Row<'a> {
        Row { learned: row.learned.into(), data: RowData::from(&*row.data) }
    }
}

impl TryFrom<Row<'_>> for core::Row {
    type Error = WireError;

    fn try_from(row: Row<'_>) -> Result<core::Row, WireError> {
        Ok(core::Row { learned: row.learned.into(), data: row.data.try_into()? })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Update<'a> {
    Empty,
    #[serde(borrow)]
    Row(RowData<'a>),
}

impl<'a> From<&'a core::Update> for Update<'a> {
    fn from(update: &'a core::Update) -> Update<'a> {
        match update {
            core::Update::Empty => Update::Empty,
            core::Update::Row(data) => Update::Row(RowData::from(&**data)),
        }
    }
}

impl TryFrom<Update<'_>> for core::Update {
    type Error = WireError;

    fn try_from(update: Update<'_>) -> Result<core::Update, WireError> {
        Ok(match update {
            Update::Empty => core::Update::Empty,
            Update::Row(data) => core::Update::Row(data.try_into()?),
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Accepted<'a> {
    ballot: Ballot,
    #[serde(borrow)]
    update: Update<'a>,
}

impl<'a> From<&'a core::Accepted> for Accepted<'a> {
    fn from(accepted: &'a core::Accepted) -> Accepted<'a> {
        Accepted { ballot: accepted.ballot.into(), update: Update::from(&accepted.update) }
    }
}

impl TryFrom<Accepted<'_>> for core::Accepted {
    type Error = WireError;

    fn try_from(accepted: Accepted<'_>) -> Result<core::Accepted, WireError> {
        Ok(core::Accepted { ballot: accepted.ballot.into(), update: accepted.update.try_into()? })
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cell<'a> {
    us: u64,
    node: u16,
    #[serde(borrow)]
    value: &'a [u8],
}

impl<'a> From<&'a core::Cell> for Cell<'a> {
    fn from(cell: &'a core::Cell) -> Cell<'a> {
        Cell { us: cell.us, node: cell.node.0, value: cell.value.as_bytes() }
    }
}

impl TryFrom<Cell<'_>> for core::Cell {
    type Error = WireError;

    fn try_from(cell: Cell<'_>) -> Result<core::Cell, WireError> {
        Ok(core::Cell { us: cell.us, node: core::NodeId(cell.node), value: super::value(cell.value)? })
    }
}
