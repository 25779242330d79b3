//! What nodes say to each other. Plain data: the shell owns the wire form.

pub(crate) mod tag;

use crate::ballot::Ballot;
use crate::cell::Cell;
use crate::forward::{Forward, Forwarded};
use crate::ids::Key;
use crate::lease::LeaseBallot;
use crate::row::{Accepted, Row, Update};

pub use tag::Tag;

/// One message between two nodes about one key. Requests come from coordinators; answers echo the
/// request's tag.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Message {
    /// The register.
    pub key: Key,
    /// Which attempt of which operation this belongs to.
    pub tag: Tag,
    /// What is asked or answered.
    pub body: Body,
}

/// Requests and answers. Each request has its answer right below it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Body {
    /// Round 1: promise to accept nothing below the tag's ballot.
    Prepare {
        /// `Some`: the promise carries the replica's row if it is newer than this one of the
        /// coordinator's, and no read round follows. `None`: the row is read in a round of its own.
        have: Option<Ballot>,
    },
    /// The promise is durable; this is what the replica knew when it gave it.
    Promise {
        /// What was promised before; [`Ballot::ZERO`] if nothing.
        old_promise: Ballot,
        /// The update accepted last and not yet learned, if any.
        accepted: Option<Accepted>,
        /// Ballot of the row learned last; [`Ballot::ZERO`] if none.
        learned: Ballot,
        /// That row, if the prepare asked for it and it is newer than what the coordinator has.
        newer: Option<Row>,
    },
    /// Round 2: read the row.
    Read {
        /// Ballot of the row that the coordinator has at hand: the answer leaves out that row and
        /// older ones.
        have: Ballot,
    },
    /// The replica's row.
    RowRead {
        /// Ballot of the row learned last.
        learned: Ballot,
        /// The row itself if it is newer than what the reader has.
        newer: Option<Row>,
    },
    /// Round 3: accept this update at the tag's ballot.
    Propose {
        /// The update; an empty one is a fence.
        update: Update,
        /// A ballot of the same coordinator above the tag's. A replica that accepts promises it in the same
        /// durable step, and so saves the coordinator the prepare of its next proposal.
        next: Option<Ballot>,
    },
    /// The update is accepted and the next ballot promised, durably.
    Accepted,
    /// Round 4, and the refresh of a lagging replica: take this chosen row if it is newer.
    Learn {
        /// The chosen row with the ballot at which it was chosen.
        row: Row,
    },
    /// Round 4 without an answer: what was accepted at the tag's ballot is chosen. A replica that holds
    /// something else there, or nothing, is brought up to date by a later update.
    Chosen,
    /// A row at least as new as the one sent is durable.
    Learned {
        /// Ballot of the row that was sent.
        learned: Ballot,
    },
    /// Off the hot path: every replica has durably learned a row at this ballot or above.
    Prune {
        /// The ballot.
        ballot: Ballot,
    },
    /// The accepted copy at or below that ballot is gone.
    Pruned {
        /// The ballot that was sent.
        pruned: Ballot,
    },
    /// The request came too late: a higher ballot was promised. For [`RequestKind::Prepare`] an
    /// equal one counts as too late as well.
    Reject {
        /// What kind of request is refused.
        request: RequestKind,
        /// Highest ballot this replica has seen for the key.
        seen: Ballot,
    },
    /// The request is turned away, whatever its ballot: another node holds a lease on the key's range, or the replica
    /// waits after its restart. Nothing was promised or accepted.
    Busy {
        /// What kind of request is turned away.
        request: RequestKind,
        /// Whose lease it is; `None` for the wait after a restart.
        holder: Option<LeaseBallot>,
        /// For how long yet.
        remaining_ns: u64,
    },
    /// To the holder of a lease: coordinate this operation.
    Forward(Box<Forward>),
    /// What became of it.
    Forwarded(Box<Forwarded>),
    /// It was not taken and never will be: the receiver does not hold the range.
    NotHolder {
        /// The number of the forward.
        serial: u64,
    },
    /// The last-write-wins path: keep this if it is newer than what is there. Its tag has no ballot.
    Put {
        /// The value and its time.
        cell: Cell,
    },
    /// It is durable, or something newer was there.
    PutDone,
    /// The last-write-wins path: tell what is there.
    Get,
    /// The newer of row and cell.
    Got {
        /// It, with its time; none if the key was never written.
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
