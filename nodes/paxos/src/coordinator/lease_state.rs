//! Lease state of one operation, and of one key.

use crate::ballot::Ballot;
use crate::ids::MonoTime;
use crate::lease::LeaseBallot;
use crate::lease::holder::HeldLease;

/// What happened to an operation, at this node or another, before it was queued here.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ForwardHistory {
    /// Time of a ballot lower than any used for the operation.
    pub(crate) born_us: Option<u64>,
    /// Whether an earlier proposal for it may still be chosen.
    pub(crate) open: bool,
    /// Number of times the operation was forwarded. An operation from another node is never forwarded again.
    pub(crate) forwards: u8,
}

impl ForwardHistory {
    /// Maximum number of times an operation is forwarded. Holders do not change more often than that during one
    /// operation.
    const MAX_FORWARDS: u8 = 3;

    /// Whether this node must coordinate the operation, even if another node holds the range.
    pub(crate) fn must_stay(self) -> bool {
        self.forwards >= Self::MAX_FORWARDS
    }

    /// The history of an operation from another node, which may not be forwarded again.
    pub(crate) fn from_other_node(born_us: u64, open: bool) -> Self {
        ForwardHistory { born_us: Some(born_us), open, forwards: u8::MAX }
    }
}

/// Lease state of one operation.
#[derive(Debug, Clone)]
pub(crate) struct LeaseContext {
    /// This node's lease at the time the attempt's last quorum round was sent.
    pub(super) under: Option<HeldLease>,
    /// Whether this node has proposed anything for the operation, including repairs.
    pub(super) proposed: bool,
    /// Ballot of the row on which the outcome is based.
    pub(crate) row: Ballot,
    /// Whether this attempt was refused, and by which lease. `Some(None)`: a grantor is still waiting after its
    /// restart.
    pub(super) busy: Option<Option<LeaseBallot>>,
    /// How long the grantor will keep refusing, in nanoseconds.
    pub(super) remaining_ns: u64,
    /// The holder to forward the operation to, if any.
    pub(crate) forward_to: Option<LeaseBallot>,
    /// What happened to the operation before it was queued here.
    pub(super) history: ForwardHistory,
    /// Ballot of this node's own row when the operation began.
    began: Ballot,
}

/// Evidence that this node's own row for a key stays the newest while a lease runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FreshRow {
    /// The grant. The row must not be read after the grant has ended or the lease has been released.
    pub(super) under: HeldLease,
    /// Ballot of the row.
    pub(super) row: Ballot,
}

impl FreshRow {
    /// Whether the evidence still holds for this row, under the current lease.
    pub(crate) fn is_valid(&self, row: Ballot, running: Option<HeldLease>, now: MonoTime) -> bool {
        // It must be the same lease without a gap: a lease that was released and reacquired rests on different
        // grants.
        self.row == row && now < self.under.until && running.is_some_and(|running| running.from == self.under.from)
    }
}

impl LeaseContext {
    pub(super) fn new(history: ForwardHistory, row: Ballot) -> Self {
        Self { under: None, proposed: false, row: Ballot::ZERO, busy: None, remaining_ns: 0, forward_to: None, history, began: row }
    }

    /// Time of a ballot lower than any that another coordinator used for the operation. `None` if there was no other
    /// coordinator.
    pub(super) fn other_coordinator_us(&self) -> Option<u64> {
        self.history.born_us
    }

    /// The history of the operation when it is forwarded to a holder.
    pub(crate) fn history_at_forward(&self, open: bool) -> ForwardHistory {
        ForwardHistory { born_us: Some(self.history.born_us.unwrap_or(self.began.micros)), open, forwards: self.history.forwards }
    }
}
