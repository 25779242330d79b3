//! What one operation, and one key, know of leases.

use crate::ballot::Ballot;
use crate::ids::MonoTime;
use crate::lease::LeaseBallot;
use crate::lease::holder::Held;

/// What happened to an operation before it came to wait here: it comes from another node, or was there.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Past {
    /// Time of a ballot below every one used for it.
    pub(crate) born_us: Option<u64>,
    /// Something proposed for it here may still be chosen.
    pub(crate) open: bool,
    /// How often it was handed over. One that came from another node counts as handed over for good.
    pub(crate) handed: u8,
}

impl Past {
    /// An operation is handed over at most this often: holders change, but not as fast as that.
    const MOST: u8 = 3;

    /// Whether it is coordinated here regardless of the range's holder.
    pub(crate) fn stays(self) -> bool {
        self.handed >= Self::MOST
    }

    /// As it comes from another node: one hop at most.
    pub(crate) fn foreign(born_us: u64, open: bool) -> Self {
        Past { born_us: Some(born_us), open, handed: u8::MAX }
    }
}

/// What an operation knows of leases.
#[derive(Debug, Clone)]
pub(crate) struct Leased {
    /// The own lease that ran when the last quorum round of the running attempt was sent.
    pub(super) under: Option<Held>,
    /// Something was proposed for it here, its own or not.
    pub(super) proposed: bool,
    /// Ballot of the row that the outcome rests on.
    pub(crate) row: Ballot,
    /// Whether this attempt was turned away, and by whose lease: `Some(None)` is a grantor's wait after its restart.
    pub(super) busy: Option<Option<LeaseBallot>>,
    /// How long the one that turned it away will do so.
    pub(super) remaining_ns: u64,
    /// It is to be handed to this holder.
    pub(crate) leaves: Option<LeaseBallot>,
    /// As it came here.
    pub(super) past: Past,
    /// Ballot of the own row when it began.
    began: Ballot,
}

/// A key whose own row is known to be the newest while a lease runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fresh {
    /// The grant: nothing is read later than its end, nor if the lease was given back since.
    pub(super) under: Held,
    /// Ballot of the row.
    pub(super) row: Ballot,
}

impl Fresh {
    /// Whether it still says something about this row, under the lease that runs now.
    pub(crate) fn holds(&self, row: Ballot, running: Option<Held>, now: MonoTime) -> bool {
        // The same lease without a gap: one that was given back and got again has other grants.
        self.row == row && now < self.under.until && running.is_some_and(|running| running.from == self.under.from)
    }
}

impl Leased {
    pub(super) fn new(past: Past, row: Ballot) -> Self {
        Self { under: None, proposed: false, row: Ballot::ZERO, busy: None, remaining_ns: 0, leaves: None, past, began: row }
    }

    /// Time of a ballot below every one that another coordinator can have used for the operation; `None` if there was
    /// no other.
    pub(super) fn foreign_us(&self) -> Option<u64> {
        self.past.born_us
    }

    /// As it leaves for a holder.
    pub(crate) fn leaving(&self, open: bool) -> Past {
        Past { born_us: Some(self.past.born_us.unwrap_or(self.began.micros)), open, handed: self.past.handed }
    }
}
