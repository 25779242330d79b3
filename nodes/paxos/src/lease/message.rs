//! Messages between nodes about leases. Plain data: the shell defines the wire format.

use super::RangeId;
use super::settings::LeaseMode;
use crate::ids::NodeId;
use std::fmt;

/// Orders the attempts to get a lease, and names the holder. No two attempts share a ballot: each process increments
/// `run`, two processes of a node differ in `restarts`, and two nodes differ in `node`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseBallot {
    /// Number of the attempt. Raised above every run seen.
    pub run: u64,
    /// Incarnation of the requesting process.
    pub restarts: u32,
    /// The requesting node.
    pub node: NodeId,
}

impl LeaseBallot {
    /// Below the ballot of every attempt.
    pub const ZERO: LeaseBallot = LeaseBallot { run: 0, restarts: 0, node: NodeId(0) };
    /// Highest run accepted. A message with a higher one is invalid, since it could push the counter to its maximum.
    pub const MAX_RUN: u64 = 1 << 62;
}

impl fmt::Display for LeaseBallot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.run, self.restarts, self.node)
    }
}

/// A message between two nodes about one range. Replies echo the request's ballot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseMessage {
    /// The range.
    pub range: RangeId,
    /// The attempt to which this belongs. For [`LeaseBody::Wanted`], the ballot of the grant.
    pub ballot: LeaseBallot,
    /// The request or reply.
    pub body: LeaseBody,
}

/// Requests, replies and two notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseBody {
    /// Asks whether the range is free, and requests a promise to grant nothing below this ballot.
    Prepare,
    /// The promise, with the running grant, if any.
    Promise {
        /// Ballot of the running grant, and its remaining time in nanoseconds.
        granted: Option<(LeaseBallot, u64)>,
    },
    /// Requests a grant of the range to the ballot's node.
    Propose {
        /// Duration of the lease from receipt, in nanoseconds.
        time_ns: u64,
        /// What the holder may do under the lease.
        mode: LeaseMode,
    },
    /// The range is granted.
    Granted,
    /// The request is refused: a higher ballot was promised, another node's grant is running, or the grantor is still
    /// waiting after its restart.
    Refused {
        /// Highest ballot promised.
        seen: LeaseBallot,
        /// Ballot of the running grant, and its remaining time in nanoseconds.
        granted: Option<(LeaseBallot, u64)>,
    },
    /// The holder no longer uses the lease, and releases the grant at this ballot.
    Release,
    /// Notice to the holder: other nodes' requests have been refused because of this grant.
    Wanted,
}
