//! What nodes say to each other about leases. Plain data: the shell owns the wire form.

use super::RangeId;
use super::settings::LeaseMode;
use crate::ids::NodeId;
use std::fmt;

/// Orders the attempts to get a lease, and names its holder. No two attempts share one: a process counts `run` up, two
/// processes of a node differ in `restarts`, two nodes in `node`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseBallot {
    /// Counts attempts; raised past every one seen.
    pub run: u64,
    /// Incarnation of the asking process.
    pub restarts: u32,
    /// Who asks.
    pub node: NodeId,
}

impl LeaseBallot {
    /// Below every ballot that is asked with.
    pub const ZERO: LeaseBallot = LeaseBallot { run: 0, restarts: 0, node: NodeId(0) };
    /// Highest run that is believed: above it a message is garbage, and the count could be pushed to its end.
    pub const MAX_RUN: u64 = 1 << 62;
}

impl fmt::Display for LeaseBallot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.run, self.restarts, self.node)
    }
}

/// One message between two nodes about one range. Answers echo the request's ballot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseMessage {
    /// The range.
    pub range: RangeId,
    /// Which attempt this belongs to. For [`LeaseBody::Wanted`], the ballot of the grant.
    pub ballot: LeaseBallot,
    /// What is asked or answered.
    pub body: LeaseBody,
}

/// Requests, answers and two notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseBody {
    /// Is the range free? Nothing below this ballot is to be granted any more.
    Prepare,
    /// The promise, and the grant that runs, if any.
    Promise {
        /// Ballot of the running grant and how long it lasts, nanoseconds.
        granted: Option<(LeaseBallot, u64)>,
    },
    /// Grant the range to the ballot's node.
    Propose {
        /// For how long from receipt, nanoseconds.
        time_ns: u64,
        /// What the holder will do under it.
        mode: LeaseMode,
    },
    /// Granted.
    Granted,
    /// Not promised or not granted: a higher ballot was promised, another node's grant runs, or the grantor waits
    /// after its restart.
    Refused {
        /// Highest ballot promised.
        seen: LeaseBallot,
        /// Ballot of the running grant and how long it lasts, nanoseconds.
        granted: Option<(LeaseBallot, u64)>,
    },
    /// The holder has stepped down and gives back what was granted at this ballot.
    Release,
    /// To the holder: others were turned away because of this grant.
    Wanted,
}
