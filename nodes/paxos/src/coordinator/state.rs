//! The state of a running operation at its coordinator.

use super::lease_state::{ForwardHistory, LeaseContext};
use super::prepared::Prepared;
use crate::ballot::Ballot;
use crate::cell::Cell;
use crate::config::Links;
use crate::forward::Origin;
use crate::ids::{MonoTime, OpId, TimerId, Value};
use crate::message::Tag;
use crate::mutants::{Mutant, Mutants};
use crate::quorum::NodeSet;
use crate::request::{Call, ClientRequest, Diagnostics, NotAppliedWhy, Outcome, Phase, Provenance, UnknownWhy};
use crate::row::{Accepted, Row, RowData, Update};
use std::sync::Arc;

/// A request queued for its key.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    pub(crate) origin: Origin,
    pub(crate) request: ClientRequest,
    pub(crate) deadline: MonoTime,
    /// When the request arrived at this node, and the request's timer.
    pub(crate) arrived: MonoTime,
    pub(crate) timer: TimerId,
    /// When the timer expires. `MonoTime(u64::MAX)` if none is set.
    pub(crate) armed: MonoTime,
    pub(crate) history: ForwardHistory,
}

/// An operation being coordinated.
#[derive(Debug, Clone)]
pub(crate) struct Coordination {
    pub(crate) origin: Origin,
    pub(crate) request: ClientRequest,
    pub(crate) request_hash: u64,
    pub(crate) timer: TimerId,
    pub(crate) deadline: MonoTime,
    /// The earliest timer that is set and has not expired yet.
    pub(crate) armed: MonoTime,
    /// When the operation began, and when its current round began.
    pub(crate) began: MonoTime,
    pub(crate) round_began: MonoTime,
    /// When the current round must be resent, or the backoff ends.
    pub(crate) wake: MonoTime,
    /// How long a round waits for replies before it is first resent, in nanoseconds. Doubles when an attempt fails
    /// for lack of replies: on a slower link, every reply would otherwise arrive too late.
    pub(crate) patience_ns: u64,
    /// Ballot of this node's own row at the time of the event being handled.
    pub(crate) have: Ballot,
    /// The put stored by this node's own replica at that time, if it is newer than the replica's row.
    pub(crate) cell: Option<Cell>,
    /// A promised ballot to keep when the operation ends.
    pub(crate) prepared: Option<Prepared>,
    /// The tag of the current attempt.
    pub(crate) tag: Tag,
    pub(crate) state: State,
    pub(crate) answers: Answers,
    pub(crate) proposals: Proposals,
    pub(crate) diagnostics: Box<Diagnostics>,
    pub(crate) leased: LeaseContext,
    /// The row on which the outcome will be based, once known.
    pub(crate) basis: Option<Basis>,
}

/// The row on which an outcome is based. Once the operation is answered, the row is known to have been the newest at
/// some moment after `since`.
#[derive(Debug, Clone)]
pub(crate) struct Basis {
    pub(crate) row: Arc<RowData>,
    pub(crate) since: MonoTime,
}

/// The state of an attempt.
#[derive(Debug, Clone, Hash)]
pub(crate) enum State {
    /// Round 1, collecting promises.
    Prepare(Promises),
    /// Round 2, collecting rows. `base` is the newest row reported by any promise. The members in `behind` did not
    /// have it when they promised.
    Read { base: Ballot, behind: NodeSet, newest: Row },
    /// Bringing the members in `behind` up to `row`.
    Refresh { row: Row, behind: NodeSet },
    /// Round 3. Replicas that accept also promise `next`.
    Propose { goal: ProposeGoal, update: Update, next: Option<Ballot> },
    /// Round 4.
    Learn { goal: LearnGoal, row: Row },
    /// Waiting after being outbid, or waiting for its turn after a shared proposal has failed.
    Backoff,
    /// Round 3 at a ballot promised in advance, together with other operations: see `fast`.
    Batched { decision: Decision },
}

/// The effect of a shared proposal on one operation, once the proposal is chosen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Decision {
    /// The operation's own update is in the proposal.
    Own,
    /// A read, or a CAS whose condition was not met at its position in the batch. `current` is the value to return.
    Shown { current: Option<Value> },
    /// The row already determines the outcome.
    Decided(Outcome),
}

/// The purpose of a propose.
#[derive(Debug, Clone, Hash)]
pub(crate) enum ProposeGoal {
    /// Finish an unfinished update.
    Repair(Arc<RowData>),
    /// Ensure that no older update is chosen after the reply, which contains `current`. The update is empty, or
    /// repeats the current row.
    Fence { current: Option<Value>, update: Update },
    /// The operation's own update.
    Own(Arc<RowData>),
}

impl ProposeGoal {
    /// The row that this proposal would choose. `None` if the update is empty.
    pub(crate) fn row(&self) -> Option<Arc<RowData>> {
        match self {
            ProposeGoal::Repair(data) | ProposeGoal::Own(data) | ProposeGoal::Fence { update: Update::Row(data), .. } => Some(data.clone()),
            ProposeGoal::Fence { update: Update::Empty, .. } => None,
        }
    }
}

/// The purpose of a learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum LearnGoal {
    /// Send learn messages for the repaired update of another operation.
    Repair,
    /// Send learn messages for the operation's own update.
    Own,
}

/// The promises of one attempt.
#[derive(Debug, Clone, Hash)]
pub(crate) struct Promises {
    /// The newest row that any of them reported.
    pub(crate) learned: Ballot,
    /// The accepted update with the highest ballot, including empty ones.
    pub(crate) accepted: Option<Accepted>,
    /// The members that promised, with the ballot of the row that each reported.
    pub(crate) reported: Vec<(u32, Ballot)>,
    /// The newest row sent with them, if the prepare requested it.
    pub(crate) newest: Option<Row>,
}

impl Default for Promises {
    fn default() -> Self {
        Self { learned: Ballot::ZERO, accepted: None, reported: Vec::with_capacity(4), newest: None }
    }
}

/// Whether a promise reported an empty update above the newest row, which may hide an unfinished update below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hidden {
    Nothing,
    Possible,
}

/// The replies to the current round.
#[derive(Debug, Clone, Default, Hash)]
pub(crate) struct Answers {
    /// The members that replied positively.
    pub(crate) yes: NodeSet,
    /// Number of positive replies. Equal to the size of `yes`, except for one mutant.
    pub(crate) count: u32,
    /// The members that rejected.
    pub(crate) no: NodeSet,
    /// Number of times the round was resent.
    pub(crate) resends: u32,
}

impl Answers {
    /// Counts a positive reply. Returns whether it is new.
    pub(crate) fn yes(&mut self, place: u32, mutants: Mutants) -> bool {
        let new = self.yes.insert(place);
        if new || mutants.has(Mutant::CountDuplicateAnswers) {
            self.count += 1;
            return true;
        }
        false
    }
}

/// The operation's own proposals, over all attempts. They decide between "not applied" and "unknown".
#[derive(Debug, Clone, Default)]
pub(crate) struct Proposals {
    /// Stamp of the first proposed update of the operation itself: see [`crate::DedupeEntry`].
    pub(crate) first_us: Option<u64>,
    /// Whether some proposal before the last one may still be repaired and so take effect.
    pub(crate) earlier_open: bool,
    /// The last proposal.
    pub(crate) last: Option<Proposal>,
}

/// A proposal of the operation's own update.
#[derive(Debug, Clone, Hash)]
pub(crate) struct Proposal {
    pub(crate) tag: Tag,
    pub(crate) accepted: NodeSet,
    pub(crate) rejected: NodeSet,
    pub(crate) sent: SendCount,
}

/// Whether a proposal was sent to a member once or several times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum SendCount {
    Once,
    MoreThanOnce,
}

impl Proposals {
    /// Records a new proposal of the operation's own update.
    pub(crate) fn begin(&mut self, tag: Tag, stamp_us: u64, disproof: Disproof) {
        self.earlier_open = self.is_open(disproof);
        self.first_us.get_or_insert(stamp_us);
        self.last = Some(Proposal { tag, accepted: NodeSet::EMPTY, rejected: NodeSet::EMPTY, sent: SendCount::Once });
    }

    /// Records that the operation's own update is part of a shared proposal. The rejects of that proposal are not
    /// tracked per operation, so from now on it counts as open.
    pub(crate) fn join(&mut self, stamp_us: u64) {
        self.earlier_open = true;
        self.first_us.get_or_insert(stamp_us);
    }

    /// Whether some replica may have accepted one of the operation's own proposals. One accept is enough for a later
    /// coordinator to repair it.
    pub(crate) fn is_open(&self, disproof: Disproof) -> bool {
        self.earlier_open || self.last.as_ref().is_some_and(|last| !disproof.is_disproved(last))
    }
}

/// Decides when rejects prove that no replica accepted a proposal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Disproof {
    pub(crate) members: u32,
    pub(crate) links: Links,
    pub(crate) mutants: Mutants,
}

impl Disproof {
    fn is_disproved(self, proposal: &Proposal) -> bool {
        if proposal.accepted.count() > 0 || proposal.rejected.count() < self.members {
            return false;
        }
        // All members rejected. That is proof only if each member received a single copy. With two copies, the first
        // may have been accepted and its reply lost, and the second rejected because of a higher promise.
        self.mutants.has(Mutant::NackAllIsFail) || (self.links == Links::NeverDuplicate && proposal.sent == SendCount::Once)
    }
}

impl Coordination {
    pub(crate) fn op(&self) -> OpId {
        self.request.op
    }

    pub(crate) fn phase(&self) -> Phase {
        match &self.state {
            State::Prepare(_) => Phase::Prepare,
            State::Read { .. } => Phase::Read,
            State::Refresh { .. } => Phase::Refresh,
            State::Propose { goal: ProposeGoal::Repair(_), .. } => Phase::RepairPropose,
            State::Propose { goal: ProposeGoal::Fence { .. }, .. } => Phase::Fence,
            State::Propose { goal: ProposeGoal::Own(_), .. } | State::Batched { decision: Decision::Own } => Phase::Propose,
            State::Batched { decision: Decision::Shown { .. } } => Phase::Fence,
            State::Batched { decision: Decision::Decided(_) } => Phase::Done,
            State::Learn { goal: LearnGoal::Repair, .. } => Phase::RepairLearn,
            State::Learn { goal: LearnGoal::Own, .. } => Phase::Learn,
            State::Backoff => Phase::Backoff,
        }
    }

    /// The outcome, given what is known, of an operation that ends without being applied or refused. "Not applied"
    /// requires proof.
    pub(crate) fn interrupted_outcome(&self, disproof: Disproof, why: NotAppliedWhy, unknown: UnknownWhy) -> Outcome {
        match self.request.call {
            // A read cannot take effect later.
            Call::Read => return Outcome::NotApplied { why },
            // The fate remains open, whatever the query itself has proposed.
            Call::Fate { .. } => return Outcome::Unknown { why: unknown },
            Call::Write { .. } | Call::Cas { .. } => {}
        }
        if self.proposals.is_open(disproof) {
            return Outcome::Unknown { why: unknown };
        }
        self.request.unserved_outcome(why)
    }

    /// Completes the diagnostics for the reply.
    pub(crate) fn finish_diagnostics(&mut self, outcome: &Outcome) {
        let phase = self.phase();
        let answered = matches!(outcome, Outcome::Applied | Outcome::Read { .. } | Outcome::ConditionNotMet { .. } | Outcome::Fate { .. });
        let by_round = match phase {
            Phase::Learn | Phase::Fence => true,
            // The update is chosen, and the reply is sent before the update is learned.
            Phase::Propose => matches!(outcome, Outcome::Applied | Outcome::Fate { .. }),
            Phase::Queued
            | Phase::Prepare
            | Phase::Read
            | Phase::Refresh
            | Phase::RepairPropose
            | Phase::RepairLearn
            | Phase::Backoff
            | Phase::Done
            | Phase::Forwarded
            | Phase::LocalRead
            | Phase::Cheap => false,
        };
        let diagnostics = &mut self.diagnostics;
        diagnostics.phase = if answered && !by_round { Phase::Done } else { phase };
        diagnostics.max_seen_ballot = diagnostics.max_seen_ballot.max(self.tag.ballot);
    }
}

impl ClientRequest {
    /// The outcome of a request that itself had no effect.
    pub(crate) fn unserved_outcome(&self, why: NotAppliedWhy) -> Outcome {
        match (&self.call, self.provenance) {
            // A read cannot take effect later.
            (Call::Read, _) => Outcome::NotApplied { why },
            // "Not applied" would be misread as a statement about the queried operation.
            (Call::Fate { .. }, _) => Outcome::Unknown { why: UnknownWhy::Busy },
            (_, Provenance::First | Provenance::FirstAfter { .. }) => Outcome::NotApplied { why },
            // This request did nothing, but the earlier one may still take effect.
            (Call::Write { .. } | Call::Cas { .. }, Provenance::Resent { .. }) => Outcome::Unknown { why: UnknownWhy::ResentElsewhere },
        }
    }
}
