//! The messages between nodes. Plain data: the shell defines the wire format.

pub(crate) mod possible;
pub(crate) mod tag;

use crate::ballot::Ballot;
use crate::cell::Cell;
use crate::forward::{Forward, Forwarded};
use crate::ids::Key;
use crate::lease::LeaseBallot;
use crate::row::{Accepted, Row, Update};

pub use tag::Tag;

/// A message between two nodes about one key. Coordinators send requests, and each reply echoes its request's tag.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Message {
    /// The register.
    pub key: Key,
    /// The attempt and operation to which this belongs.
    pub tag: Tag,
    /// The request or reply.
    pub body: Body,
}

/// Requests and replies. Each request variant is followed by its reply variants.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Body {
    /// Round 1: promise to accept nothing below the tag's ballot.
    Prepare {
        /// `Some`: the promise carries the replica's row if it is newer than the coordinator's, whose ballot this is,
        /// and no read round follows. `None`: the row is read in a separate round.
        have: Option<Ballot>,
    },
    /// The promise is durable. The fields describe the replica's state when it promised.
    Promise {
        /// The ballot promised before. [`Ballot::ZERO`] if there was none.
        old_promise: Ballot,
        /// The last accepted update, if it is not yet learned.
        accepted: Option<Accepted>,
        /// Ballot of the last learned row. [`Ballot::ZERO`] if there is none.
        learned: Ballot,
        /// The row itself, if the prepare requested it and it is newer than the coordinator's row.
        newer: Option<Row>,
    },
    /// Round 2: read the row.
    Read {
        /// Ballot of the coordinator's row. The reply omits the replica's row if it is not newer.
        have: Ballot,
    },
    /// Reply to a read.
    RowRead {
        /// Ballot of the last learned row.
        learned: Ballot,
        /// The row itself, if it is newer than the coordinator's row.
        newer: Option<Row>,
    },
    /// Round 3: accept this update at the tag's ballot.
    Propose {
        /// The update. An empty one is a fence.
        update: Update,
        /// A ballot of the same coordinator above the tag's. A replica that accepts also promises this ballot in the
        /// same durable step, which saves the coordinator the prepare of its next proposal.
        next: Option<Ballot>,
    },
    /// The update is durably accepted, and the next ballot is durably promised.
    Accepted,
    /// Round 4, and the refresh of a lagging replica: store this chosen row if it is newer.
    Learn {
        /// The chosen row with the ballot at which it was chosen.
        row: Row,
    },
    /// Round 4 without a reply: the update accepted at the tag's ballot is chosen. A replica that has accepted a
    /// different update, or none, is brought up to date by a later update.
    Chosen,
    /// A row at least as new as the one sent is durable.
    Learned {
        /// Ballot of the row that was sent.
        learned: Ballot,
    },
    /// Off the critical path: every replica has durably learned a row at this ballot or above, so the accepted copy
    /// can be dropped.
    Prune {
        /// The ballot.
        ballot: Ballot,
    },
    /// The accepted copy at or below that ballot has been dropped.
    Pruned {
        /// The ballot that was sent.
        pruned: Ballot,
    },
    /// A higher ballot had already been promised. For [`RequestKind::Prepare`], an equal ballot is also rejected.
    Reject {
        /// The kind of the rejected request.
        request: RequestKind,
        /// Highest ballot this replica has seen for the key.
        seen: Ballot,
    },
    /// The request is refused, whatever its ballot: another node holds a lease on the key's range, or the replica is
    /// still waiting after its restart. Nothing was promised or accepted.
    Busy {
        /// The kind of the refused request.
        request: RequestKind,
        /// The conflicting lease. `None` if the replica refuses because it recently restarted.
        holder: Option<LeaseBallot>,
        /// Remaining time in nanoseconds.
        remaining_ns: u64,
    },
    /// Request to the holder of a lease: coordinate this operation.
    Forward(Box<Forward>),
    /// The result of a forwarded operation.
    Forwarded(Box<Forwarded>),
    /// The forward was refused and will never be accepted: the receiver does not hold the range.
    NotHolder {
        /// Sequence number of the forward.
        serial: u64,
    },
    /// The last-write-wins path: store this value if it is newer than the current one. The tag has no ballot.
    Put {
        /// The value and its time.
        cell: Cell,
    },
    /// The value of the put is durable, or a newer one existed.
    PutDone,
    /// The last-write-wins path: read the current value.
    Get,
    /// Reply to a get: the newer of row and cell.
    Got {
        /// The value and its time. `None` if the key has never been written.
        cell: Option<Cell>,
    },
}

/// The kinds of request that can be rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestKind {
    /// [`Body::Prepare`].
    Prepare,
    /// [`Body::Read`].
    Read,
    /// [`Body::Propose`].
    Propose,
}
