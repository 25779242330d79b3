//! Leases: for a bounded time, only one node coordinates a range of keys.
//!
//! `PaxosLease` (Trencseni, Gazsó, Reinhardt 2012): a node asks all members, and holds a range once a quorum has
//! granted it. Grants are not stored on disk. Instead, a restarted grantor refuses all requests for as long as the
//! longest lease it can ever have granted, so any earlier lease has ended before it grants again.
//!
//! **Why no two nodes hold a range at the same time.** Once a grantor has granted a range, it never grants the range
//! to another node until the grant has ended by the grantor's clock or its holder has released it. A holder relies on
//! its lease only once it has a quorum of grants, and only for `T (1 - rho) / (1 + rho)` from *before* the request
//! was sent, so this time lies within every one of those grants as long as no clock's rate is off by more than `rho`.
//! Two quorums share a grantor, which would have to have made two grants at the same time. The first phase (prepare,
//! promise) serves only progress: without it, three nodes could each keep collecting one grant. Safety does not
//! depend on it, so a promise need not survive a restart.
//!
//! Modules in reading order:
//! - [`settings`]: lease duration, clock drift, number of ranges;
//! - [`message`]: messages between nodes about leases;
//! - [`grantor`]: the granting role;
//! - [`holder`]: the holding role: requesting, holding, extending and releasing;
//! - [`Leases`]: both roles of one node for all ranges, and the interface to Paxos.

pub mod grantor;
pub mod holder;
pub mod message;
pub mod settings;
mod table;

pub use message::{LeaseBallot, LeaseBody, LeaseMessage};
pub use settings::{Forward, LeaseLimits, LeaseMode, LeaseSettings};
pub use table::{LeaseAction, Leases, Refusal};

use crate::ids::{Key, MonoTime};

/// Number of a key range, below [`LeaseSettings::ranges`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RangeId(pub u16);

impl RangeId {
    /// The range of a key. It is the same on every node and in every build (FNV-1a): if nodes disagreed, they would
    /// lease different keys under one name.
    #[must_use]
    pub fn of(key: &Key, ranges: u16) -> RangeId {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in key.as_bytes() {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        // Each low bit of this hash depends only on bits of the input bytes at the same position or below, so the
        // high half is folded in.
        let folded = hash ^ (hash >> 32);
        RangeId(u16::try_from(folded % u64::from(ranges.max(1))).expect("below a u16"))
    }
}

/// A change of a lease, reported by its holder. Times are from the node's own monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseEvent {
    /// The kind of change.
    pub what: LeaseChange,
    /// The range.
    pub range: RangeId,
    /// The ballot of the grant.
    pub ballot: LeaseBallot,
    /// Start of the period for which the node has held the range without a gap.
    pub from: MonoTime,
    /// When the lease ends unless it is extended or released. If it has ended: when it ended.
    pub until: MonoTime,
}

/// The changes of a lease, as seen by its holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LeaseChange {
    /// A quorum granted the lease.
    Acquired,
    /// A quorum granted more time before the lease ended.
    Extended,
    /// The lease has ended.
    Ended(EndWhy),
}

/// Why a lease ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndWhy {
    /// The lease ran out.
    Expired,
    /// The lease was released because other nodes were waiting for the range and operations are not forwarded.
    Yielded,
    /// The lease was released because the node is stopping.
    Stopped,
}

impl EndWhy {
    /// Stable name for histories and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            EndWhy::Expired => "expired",
            EndWhy::Yielded => "yielded",
            EndWhy::Stopped => "stopped",
        }
    }
}
