//! The holding role, for one range at one node: requesting, holding, extending and releasing a lease.

use super::message::LeaseBallot;
use crate::ids::MonoTime;
use crate::quorum::NodeSet;

/// The state of a (possible) holder for one range.
#[derive(Debug, Clone, Copy, Default)]
pub struct Holder {
    /// The lease held by this node. It may have expired.
    pub held: Option<HeldLease>,
    /// The current attempt to get or extend the lease.
    pub attempt: Option<LeaseAttempt>,
    /// Earliest time of the next attempt. Delayed after a refusal, and to give other nodes a turn.
    pub not_before: MonoTime,
    /// Time at which the lease is released because other nodes are waiting for it.
    pub yield_at: Option<MonoTime>,
    /// While operations are forwarded: the start of the current series of
    /// [`LeaseBody::Wanted`](super::message::LeaseBody::Wanted) notices, and the time of the last one.
    pub wanted: Option<(MonoTime, MonoTime)>,
    /// The last known lease of another node.
    pub seen: Option<OtherLease>,
}

/// A lease that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldLease {
    /// The ballot of the newest grant.
    pub ballot: LeaseBallot,
    /// Start of the period for which the lease has been held without a gap.
    pub from: MonoTime,
    /// End of the lease, by the holder's clock.
    pub until: MonoTime,
}

/// What is known about another node's lease. This is only a hint: safety does not depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtherLease {
    /// Ballot of the lease, which names the holder's process.
    pub ballot: LeaseBallot,
    /// Approximate end of the lease.
    pub until: MonoTime,
}

/// An attempt to get or extend a lease.
#[derive(Debug, Clone, Copy)]
pub struct LeaseAttempt {
    /// Ballot of the attempt.
    pub ballot: LeaseBallot,
    /// When the attempt began. An attempt that takes too long is given up.
    pub began: MonoTime,
    /// Phase of the attempt.
    pub phase: AttemptPhase,
    /// Members that have agreed in this phase.
    pub yes: NodeSet,
    /// Members that have refused in this phase.
    pub no: NodeSet,
}

/// The phases of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptPhase {
    /// Asks whether the range is free.
    Prepare,
    /// Asks for the grant.
    Propose {
        /// When the request was sent. The holder measures its term from this moment.
        sent: MonoTime,
    },
}

impl Holder {
    /// The lease on which the node may rely at `now`, if any.
    #[must_use]
    pub fn holds(&self, now: MonoTime) -> Option<HeldLease> {
        self.held.filter(|held| now < held.until)
    }
}
