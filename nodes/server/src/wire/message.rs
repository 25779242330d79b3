//! Wire form of the core's messages between nodes.

use heckle_paxos as core;
use serde::{Deserialize, Serialize};

use super::lease::{Forward, Forwarded, LeaseBallot};
use super::row::{Accepted, Ballot, Cell, OpId, Row, Update};
use super::{Sink, WireError, decode, encode, key};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    key: &'a [u8],
    op: OpId,
    attempt: u32,
    incarnation: u32,
    ballot: Ballot,
    body: Body<'a>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Body<'a> {
    Prepare,
    Promise {
        old_promise: Ballot,
        #[serde(borrow)]
        accepted: Option<Accepted<'a>>,
        learned: Ballot,
    },
    Read {
        have: Ballot,
    },
    RowRead {
        learned: Ballot,
        #[serde(borrow)]
        newer: Option<Row<'a>>,
    },
    Propose {
        #[serde(borrow)]
        update: Update<'a>,
    },
    Accepted,
    Learn {
        #[serde(borrow)]
        row: Row<'a>,
    },
    Learned {
        learned: Ballot,
    },
    Reject {
        request: RequestKind,
        seen: Ballot,
    },
    Busy {
        request: RequestKind,
        holder: Option<LeaseBallot>,
        remaining_ns: u64,
    },
    Forward(Box<Forward>),
    Forwarded(Box<Forwarded>),
    NotHolder {
        serial: u64,
    },
    // The following variants were added in version 4 of the messages between nodes.
    /// A prepare that requests the row.
    PrepareReading {
        have: Ballot,
    },
    /// A promise that carries the row.
    PromiseWithRow {
        old_promise: Ballot,
        #[serde(borrow)]
        accepted: Option<Accepted<'a>>,
        #[serde(borrow)]
        row: Row<'a>,
    },
    /// A propose that requests the promise of the next ballot.
    ProposeNext {
        #[serde(borrow)]
        update: Update<'a>,
        next: Ballot,
    },
    Chosen,
    Prune {
        ballot: Ballot,
    },
    Pruned {
        pruned: Ballot,
    },
    // The following variants were added in version 5.
    Put {
        #[serde(borrow)]
        cell: Cell<'a>,
    },
    PutDone,
    Get,
    Got {
        #[serde(borrow)]
        cell: Option<Cell<'a>>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum RequestKind {
    Prepare,
    Read,
    Propose,
}

/// Appends the encoding of a message.
pub(crate) fn encode_message(message: &core::Message, out: &mut impl Sink) {
    encode(Message::from(message), out);
}

/// Decodes a message.
pub(crate) fn decode_message(bytes: &[u8]) -> Result<core::Message, WireError> {
    decode::<Message<'_>>("peer message", bytes)?.try_into()
}

impl<'a> From<&'a core::Message> for Message<'a> {
    fn from(message: &'a core::Message) -> Message<'a> {
        Message {
            key: message.key.as_bytes(),
            op: message.tag.op.into(),
            attempt: message.tag.attempt,
            incarnation: message.tag.incarnation,
            ballot: message.tag.ballot.into(),
            body: Body::from(&message.body),
        }
    }
}

impl TryFrom<Message<'_>> for core::Message {
    type Error = WireError;

    fn try_from(message: Message<'_>) -> Result<core::Message, WireError> {
        Ok(core::Message {
            key: key(message.key)?,
            tag: core::Tag {
                op: message.op.into(),
                attempt: message.attempt,
                incarnation: message.incarnation,
                ballot: message.ballot.into(),
            },
            body: core_body(message.body, message.op.into())?,
        })
    }
}

impl<'a> From<&'a core::Body> for Body<'a> {
    fn from(body: &'a core::Body) -> Body<'a> {
        match body {
            core::Body::Prepare { have: None } => Body::Prepare,
            core::Body::Prepare { have: Some(have) } => Body::PrepareReading { have: (*have).into() },
            core::Body::Promise { old_promise, accepted, learned: _, newer: Some(row) } => Body::PromiseWithRow {
                old_promise: (*old_promise).into(),
                accepted: accepted.as_ref().map(Accepted::from),
                row: Row::from(row),
            },
            core::Body::Promise { old_promise, accepted, learned, newer: None } => Body::Promise {
                old_promise: (*old_promise).into(),
                accepted: accepted.as_ref().map(Accepted::from),
                learned: (*learned).into(),
            },
            core::Body::Read { have } => Body::Read { have: (*have).into() },
            core::Body::RowRead { learned, newer } => Body::RowRead { learned: (*learned).into(), newer: newer.as_ref().map(Row::from) },
            core::Body::Propose { update, next: None } => Body::Propose { update: Update::from(update) },
            core::Body::Propose { update, next: Some(next) } => Body::ProposeNext { update: Update::from(update), next: (*next).into() },
            core::Body::Accepted => Body::Accepted,
            core::Body::Learn { row } => Body::Learn { row: Row::from(row) },
            core::Body::Chosen => Body::Chosen,
            core::Body::Learned { learned } => Body::Learned { learned: (*learned).into() },
            core::Body::Reject { request, seen } => Body::Reject { request: (*request).into(), seen: (*seen).into() },
            core::Body::Busy { request, holder, remaining_ns } => {
                Body::Busy { request: (*request).into(), holder: holder.map(LeaseBallot::from), remaining_ns: *remaining_ns }
            }
            core::Body::Forward(forward) => Body::Forward(Box::new((&**forward).into())),
            core::Body::Forwarded(result) => Body::Forwarded(Box::new((&**result).into())),
            core::Body::NotHolder { serial } => Body::NotHolder { serial: *serial },
            core::Body::Prune { ballot } => Body::Prune { ballot: (*ballot).into() },
            core::Body::Pruned { pruned } => Body::Pruned { pruned: (*pruned).into() },
            core::Body::Put { cell } => Body::Put { cell: Cell::from(cell) },
            core::Body::PutDone => Body::PutDone,
            core::Body::Get => Body::Get,
            core::Body::Got { cell } => Body::Got { cell: cell.as_ref().map(Cell::from) },
        }
    }
}

fn core_body(body: Body<'_>, op: core::OpId) -> Result<core::Body, WireError> {
    Ok(match body {
        Body::Prepare => core::Body::Prepare { have: None },
        Body::PrepareReading { have } => core::Body::Prepare { have: Some(have.into()) },
        Body::Promise { old_promise, accepted, learned } => core::Body::Promise {
            old_promise: old_promise.into(),
            accepted: accepted.map(core::Accepted::try_from).transpose()?,
            learned: learned.into(),
            newer: None,
        },
        Body::PromiseWithRow { old_promise, accepted, row } => {
            let row: core::Row = row.try_into()?;
            core::Body::Promise {
                old_promise: old_promise.into(),
                accepted: accepted.map(core::Accepted::try_from).transpose()?,
                learned: row.learned,
                newer: Some(row),
            }
        }
        Body::Read { have } => core::Body::Read { have: have.into() },
        Body::RowRead { learned, newer } => {
            core::Body::RowRead { learned: learned.into(), newer: newer.map(core::Row::try_from).transpose()? }
        }
        Body::Propose { update } => core::Body::Propose { update: update.try_into()?, next: None },
        Body::ProposeNext { update, next } => core::Body::Propose { update: update.try_into()?, next: Some(next.into()) },
        Body::Chosen => core::Body::Chosen,
        Body::Accepted => core::Body::Accepted,
        Body::Learn { row } => core::Body::Learn { row: row.try_into()? },
        Body::Learned { learned } => core::Body::Learned { learned: learned.into() },
        Body::Reject { request, seen } => core::Body::Reject { request: request.into(), seen: seen.into() },
        Body::Busy { request, holder, remaining_ns } => {
            core::Body::Busy { request: request.into(), holder: holder.map(core::lease::LeaseBallot::from), remaining_ns }
        }
        Body::Forward(forward) => core::Body::Forward(Box::new((*forward).try_into()?)),
        Body::Forwarded(result) => core::Body::Forwarded(Box::new(result.into_core(op)?)),
        Body::NotHolder { serial } => core::Body::NotHolder { serial },
        Body::Prune { ballot } => core::Body::Prune { ballot: ballot.into() },
        Body::Pruned { pruned } => core::Body::Pruned { pruned: pruned.into() },
        Body::Put { cell } => core::Body::Put { cell: cell.try_into()? },
        Body::PutDone => core::Body::PutDone,
        Body::Get => core::Body::Get,
        Body::Got { cell } => core::Body::Got { cell: cell.map(core::Cell::try_from).transpose()? },
    })
}

impl From<core::RequestKind> for RequestKind {
    fn from(kind: core::RequestKind) -> RequestKind {
        match kind {
            core::RequestKind::Prepare => RequestKind::Prepare,
            core::RequestKind::Read => RequestKind::Read,
            core::RequestKind::Propose => RequestKind::Propose,
        }
    }
}

impl From<RequestKind> for core::RequestKind {
    fn from(kind: RequestKind) -> core::RequestKind {
        match kind {
            RequestKind::Prepare => core::RequestKind::Prepare,
            RequestKind::Read => core::RequestKind::Read,
            RequestKind::Propose => core::RequestKind::Propose,
        }
    }
}
