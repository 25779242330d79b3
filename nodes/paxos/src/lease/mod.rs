//! Leases: for a bounded time one node alone coordinates a range of keys.
//!
//! `PaxosLease` (Trencseni, Gazsó, Reinhardt 2012): a node asks all others, and who is granted a range by a quorum holds
//! it. Nothing of it touches the disk, since a lease is over before a restarted grantor grants anything: after a
//! restart it refuses for the longest lease it can ever have granted.
//!
//! **Why no two nodes hold a range at one time.** A grantor's grant to one node is never given to another before it ran
//! out by the grantor's clock, or was given back by the very node. A holder believes in its lease only from a quorum
//! of grants on, and only for `T (1 - rho) / (1 + rho)` from *before* the request left, so its belief lies within
//! each of these grants as long as no clock is off by more than `rho`. Two quorums share a grantor, and that one would
//! have had two grants at a time. The first phase (prepare, promise) is for progress only: without it three nodes
//! could each collect one grant for ever. Safety does not rest on it, which is why a promise need not survive.
//!
//! Modules in reading order:
//! - [`settings`]: how long, how exact the clocks are, how many ranges;
//! - [`message`]: what nodes say to each other about leases;
//! - [`grantor`]: who grants;
//! - [`holder`]: who asks, holds, extends and gives back;
//! - [`Leases`]: both roles of one node for all ranges, and what Paxos asks them.

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
    /// The range that a key falls into: the same on every node and in every build (FNV-1a), since nodes that
    /// disagreed would lease different things under one name.
    #[must_use]
    pub fn of(key: &Key, ranges: u16) -> RangeId {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in key.as_bytes() {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        // The low bits of FNV change most; the high ones are folded in.
        let folded = hash ^ (hash >> 32);
        RangeId(u16::try_from(folded % u64::from(ranges.max(1))).expect("below a u16"))
    }
}

/// What a holder can report of its leases. Times are the node's own monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseEvent {
    /// What happened.
    pub what: LeaseChange,
    /// To which range.
    pub range: RangeId,
    /// The ballot it was granted at.
    pub ballot: LeaseBallot,
    /// Since when the node has held the range without a gap.
    pub from: MonoTime,
    /// Until when it believes in it, if it is not extended or given back; for an end, when it ended.
    pub until: MonoTime,
}

/// The changes of a lease, as its holder sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LeaseChange {
    /// A quorum granted it.
    Acquired,
    /// A quorum granted more time before it ran out.
    Extended,
    /// It is over.
    Ended(EndWhy),
}

/// Why a lease ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndWhy {
    /// Its time ran out.
    Expired,
    /// Given back because others wait for the range and nothing is forwarded.
    Yielded,
    /// Given back because the node stops.
    Stopped,
}

impl EndWhy {
    /// A stable name for histories and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            EndWhy::Expired => "expired",
            EndWhy::Yielded => "yielded",
            EndWhy::Stopped => "stopped",
        }
    }
}
