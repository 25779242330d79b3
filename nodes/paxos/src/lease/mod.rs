//! Leases: for a bounded time, only one node coordinates a range of keys.
//!
//! `PaxosLease` (Trencseni, Gazsó, Reinhardt 2012): a node asks all members, and holds a range once a quorum has
//! granted it. Grants are not stored on disk, since a lease is over before a restarted grantor grants anything: after
//! a restart, a grantor refuses for as long as the longest lease that it can ever have granted.
//!
//! **Why no two nodes hold a range at the same time.** A grantor never gives a range that it has granted to another
//! node before the grant has ended by the grantor's clock, or its holder has released it. A holder relies on its
//! lease only once it has a quorum of grants, and only for `T (1 - rho) / (1 + rho)` from *before* the request was
//! sent, so this time is within each of the grants as long as no clock is off by more than `rho`. Two quorums share a
//! grantor, which would have had two grants at the same time. The first phase (prepare, promise) is only for
//! progress: without it, three nodes could each keep collecting one grant. Safety does not depend on it, so a promise
//! need not survive a restart.
//!
//! Modules in reading order:
//! - [`settings`]: duration of leases, drift of clocks, number of ranges;
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

/// A range of keys: its number, below [`LeaseSettings::ranges`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RangeId(pub u16);

impl RangeId {
    /// The range of a key. It is the same on every node and in every build (FNV-1a), since nodes that disagreed would
    /// lease different keys under one name.
    #[must_use]
    pub fn of(key: &Key, ranges: u16) -> RangeId {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in key.as_bytes() {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        // A low bit of this hash depends only on the same and lower bits of the bytes, so the high half is folded in.
        let folded = hash ^ (hash >> 32);
        RangeId(u16::try_from(folded % u64::from(ranges.max(1))).expect("below a u16"))
    }
}

/// A change of a lease, reported by its holder. Times are those of the node's own monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseEvent {
    /// The kind of change.
    pub what: LeaseChange,
    /// The range.
    pub range: RangeId,
    /// The ballot of the grant.
    pub ballot: LeaseBallot,
    /// Start of the time during which the node has held the range without a gap.
    pub from: MonoTime,
    /// When the lease ends unless it is extended or released. For an end: when it ended.
    pub until: MonoTime,
}

/// The changes of a lease, as its holder sees them.
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
    /// The time of the lease was over.
    Expired,
    /// The lease was released because other nodes wait for the range and operations are not forwarded.
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
