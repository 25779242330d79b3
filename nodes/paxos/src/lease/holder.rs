//! Who asks for a range, holds it, extends it and gives it back: one node, one range.

use super::message::LeaseBallot;
use crate::ids::MonoTime;
use crate::quorum::NodeSet;

/// What a node has and wants of one range.
#[derive(Debug, Clone, Copy, Default)]
pub struct Holder {
    /// The lease it believes in, past its time perhaps.
    pub held: Option<Held>,
    /// The attempt under way.
    pub asking: Option<Asking>,
    /// No attempt before this time: after a refusal, or to let others have their turn.
    pub not_before: MonoTime,
    /// Others wait, so the lease is given back at this time.
    pub yield_at: Option<MonoTime>,
    /// Since when others have been said to wait again and again, and when they last were, while operations are
    /// forwarded.
    pub wanted: Option<(MonoTime, MonoTime)>,
    /// Another node's lease as far as it is known.
    pub seen: Option<Seen>,
}

/// A lease that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The ballot it was granted at last.
    pub ballot: LeaseBallot,
    /// Held without a gap since.
    pub from: MonoTime,
    /// Believed in before this time.
    pub until: MonoTime,
}

/// What is known of another node's lease. A hint: nothing but progress rests on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Its ballot, which names the holder's process.
    pub ballot: LeaseBallot,
    /// About when it ends.
    pub until: MonoTime,
}

/// An attempt to get or extend a lease.
#[derive(Debug, Clone, Copy)]
pub struct Asking {
    /// Its ballot.
    pub ballot: LeaseBallot,
    /// When it began: it is given up after a while.
    pub began: MonoTime,
    /// How far it is.
    pub phase: AskPhase,
    /// Who said yes in this phase.
    pub yes: NodeSet,
    /// Who said no in this phase.
    pub no: NodeSet,
}

/// The phases of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskPhase {
    /// Asking whether the range is free.
    Prepare,
    /// Asking for the grant.
    Propose {
        /// When the request left; the belief counts from here.
        sent: MonoTime,
    },
}

impl Holder {
    /// The lease that may be acted on at `now`.
    #[must_use]
    pub fn holds(&self, now: MonoTime) -> Option<Held> {
        self.held.filter(|held| now < held.until)
    }
}
