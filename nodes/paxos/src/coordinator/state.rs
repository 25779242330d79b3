//! What a coordinator remembers about its running operation.

use super::lease_state::{Leased, Past};
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

/// A request that waits for its key.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    pub(crate) origin: Origin,
    pub(crate) request: ClientRequest,
    pub(crate) deadline: MonoTime,
    /// When it came here, and its timer.
    pub(crate) arrived: MonoTime,
    pub(crate) timer: TimerId,
    /// When the timer goes off; the end of time if none is set.
    pub(crate) armed: MonoTime,
    pub(crate) past: Past,
}

/// One operation being coordinated.
#[derive(Debug, Clone)]
pub(crate) struct Coordination {
    pub(crate) origin: Origin,
    pub(crate) request: ClientRequest,
    pub(crate) request_hash: u64,
    pub(crate) timer: TimerId,
    pub(crate) deadline: MonoTime,
    /// The earliest timer asked for and not yet gone off.
    pub(crate) armed: MonoTime,
    /// When it began, and its running round.
    pub(crate) began: MonoTime,
    pub(crate) round_began: MonoTime,
    /// When the running round is to be sent again, or the backoff ends.
    pub(crate) wake: MonoTime,
    /// How long the first try of a round is waited for. Doubles when an attempt fails for want of
    /// answers: on a link slower than this, every answer would otherwise come too late for ever.
    pub(crate) patience_ns: u64,
    /// Ballot of this node's own row, as of the event being handled.
    pub(crate) have: Ballot,
    /// The put that this node's own replica has and that is newer than its row, as of the same event.
    pub(crate) cell: Option<Cell>,
    /// A promised ballot that is left over when the operation ends.
    pub(crate) prepared: Option<Prepared>,
    /// The running attempt.
    pub(crate) tag: Tag,
    pub(crate) state: State,
    pub(crate) answers: Answers,
    pub(crate) proposals: Proposals,
    pub(crate) diagnostics: Box<Diagnostics>,
    pub(crate) leased: Leased,
    /// What the outcome will rest on, as far as that is known.
    pub(crate) basis: Option<Basis>,
}

/// A row that is the newest at some moment after `since`, once the operation that rests on it is answered.
#[derive(Debug, Clone)]
pub(crate) struct Basis {
    pub(crate) row: Arc<RowData>,
    pub(crate) since: MonoTime,
}

/// Where an attempt stands.
#[derive(Debug, Clone, Hash)]
pub(crate) enum State {
    /// Round 1, collecting promises.
    Prepare(Promises),
    /// Round 2, collecting rows. `base` is the newest row that a promise reported; the members in
    /// `behind` promised without having it.
    Read { base: Ballot, behind: NodeSet, newest: Row },
    /// Bringing the members `behind` up to `row`.
    Refresh { row: Row, behind: NodeSet },
    /// Round 3. A replica that accepts promises `next` as well.
    Propose { aim: Aim, update: Update, next: Option<Ballot> },
    /// Round 4.
    Learn { aim: LearnAim, row: Row },
    /// Outbid, waiting; or waiting for its turn after a proposal that it shared has failed.
    Backoff,
    /// Round 3 at a ballot promised before, together with others: see `fast`.
    Batched { decision: Decision },
}

/// What a shared proposal means for one operation, once it is chosen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Decision {
    /// Its own update is in it.
    Own,
    /// A read, or a CAS refused where it stands among the others: this is what it is shown.
    Shown { current: Option<Value> },
    /// The row answers it already.
    Known(Outcome),
}

/// What a propose is for.
#[derive(Debug, Clone, Hash)]
pub(crate) enum Aim {
    /// To finish an unfinished update.
    Repair(Arc<RowData>),
    /// To make sure that no older update comes after the answer, which is `current`. The update is
    /// empty, or the current row once more.
    Fence { current: Option<Value>, update: Update },
    /// The operation's own update.
    Own(Arc<RowData>),
}

impl Aim {
    /// The row that is chosen if the proposal is; none if it is empty.
    pub(crate) fn row(&self) -> Option<Arc<RowData>> {
        match self {
            Aim::Repair(data) | Aim::Own(data) | Aim::Fence { update: Update::Row(data), .. } => Some(data.clone()),
            Aim::Fence { update: Update::Empty, .. } => None,
        }
    }
}

/// What a learn is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum LearnAim {
    /// Teaching a repaired update of another operation.
    Repair,
    /// Teaching the own update.
    Own,
}

/// The promises of one attempt.
#[derive(Debug, Clone, Hash)]
pub(crate) struct Promises {
    /// Newest row that any of them reported.
    pub(crate) learned: Ballot,
    /// The accepted update with the highest ballot, empty ones included.
    pub(crate) accepted: Option<Accepted>,
    /// Who reported which row.
    pub(crate) reported: Vec<(u32, Ballot)>,
    /// The newest row that came with them, if the prepare asked for it.
    pub(crate) newest: Option<Row>,
}

impl Default for Promises {
    fn default() -> Self {
        Self { learned: Ballot::ZERO, accepted: None, reported: Vec::with_capacity(4), newest: None }
    }
}

/// Whether a promise reported an empty update above the newest row, which may hide an unfinished
/// update below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hidden {
    Nothing,
    Possible,
}

/// The answers to the running round.
#[derive(Debug, Clone, Default, Hash)]
pub(crate) struct Answers {
    /// Who answered with yes.
    pub(crate) yes: NodeSet,
    /// How many did. Equal to the size of `yes`, but for one mutant.
    pub(crate) count: u32,
    /// Who rejected.
    pub(crate) no: NodeSet,
    /// How often the round was sent again.
    pub(crate) resends: u32,
}

impl Answers {
    /// Counts a yes; says whether it was new.
    pub(crate) fn yes(&mut self, place: u32, mutants: Mutants) -> bool {
        let new = self.yes.insert(place);
        if new || mutants.has(Mutant::CountDuplicateAnswers) {
            self.count += 1;
            return true;
        }
        false
    }
}

/// The operation's own proposals, over all attempts: what decides between "not applied" and
/// "unknown".
#[derive(Debug, Clone, Default)]
pub(crate) struct Proposals {
    /// Stamp of the first own update that was proposed, see [`crate::DedupeEntry`].
    pub(crate) first_us: Option<u64>,
    /// Some proposal before the last may still be repaired into history.
    pub(crate) earlier_open: bool,
    /// The last one.
    pub(crate) last: Option<Proposal>,
}

/// One own proposal.
#[derive(Debug, Clone, Hash)]
pub(crate) struct Proposal {
    pub(crate) tag: Tag,
    pub(crate) accepted: NodeSet,
    pub(crate) rejected: NodeSet,
    pub(crate) sent: Sent,
}

/// How often a proposal was sent to a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Sent {
    Once,
    MoreThanOnce,
}

impl Proposals {
    /// An own update is about to be proposed.
    pub(crate) fn begin(&mut self, tag: Tag, stamp_us: u64, disproof: Disproof) {
        self.earlier_open = self.is_open(disproof);
        self.first_us.get_or_insert(stamp_us);
        self.last = Some(Proposal { tag, accepted: NodeSet::EMPTY, rejected: NodeSet::EMPTY, sent: Sent::Once });
    }

    /// An own update is part of a shared proposal. Its rejects are not tracked, so from here on it
    /// counts as open.
    pub(crate) fn join(&mut self, stamp_us: u64) {
        self.earlier_open = true;
        self.first_us.get_or_insert(stamp_us);
    }

    /// Whether a replica may have accepted an own proposal. One accept is enough for a
    /// later coordinator to repair it into history.
    pub(crate) fn is_open(&self, disproof: Disproof) -> bool {
        self.earlier_open || self.last.as_ref().is_some_and(|last| !disproof.disproved(last))
    }
}

/// When rejects prove that no replica accepted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Disproof {
    pub(crate) members: u32,
    pub(crate) links: Links,
    pub(crate) mutants: Mutants,
}

impl Disproof {
    fn disproved(self, proposal: &Proposal) -> bool {
        if proposal.accepted.count() > 0 || proposal.rejected.count() < self.members {
            return false;
        }
        // All rejected. That is a proof only if each got one copy: of two copies the first can have
        // been accepted, its answer lost, and the second rejected after a higher promise.
        self.mutants.has(Mutant::NackAllIsFail) || (self.links == Links::NeverDuplicate && proposal.sent == Sent::Once)
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
            State::Propose { aim: Aim::Repair(_), .. } => Phase::RepairPropose,
            State::Propose { aim: Aim::Fence { .. }, .. } => Phase::Fence,
            State::Propose { aim: Aim::Own(_), .. } | State::Batched { decision: Decision::Own } => Phase::Propose,
            State::Batched { decision: Decision::Shown { .. } } => Phase::Fence,
            State::Batched { decision: Decision::Known(_) } => Phase::Done,
            State::Learn { aim: LearnAim::Repair, .. } => Phase::RepairLearn,
            State::Learn { aim: LearnAim::Own, .. } => Phase::Learn,
            State::Backoff => Phase::Backoff,
        }
    }

    /// The answer when the operation ends without being applied or refused, by what is known:
    /// "not applied" only with proof.
    pub(crate) fn unfinished(&self, disproof: Disproof, why: NotAppliedWhy, unknown: UnknownWhy) -> Outcome {
        match self.request.call {
            // A read has no effect that could come later.
            Call::Read => return Outcome::NotApplied { why },
            // The question is open, whatever became of its own proposals.
            Call::Fate { .. } => return Outcome::Unknown { why: unknown },
            Call::Write { .. } | Call::Cas { .. } => {}
        }
        if self.proposals.is_open(disproof) {
            return Outcome::Unknown { why: unknown };
        }
        self.request.unserved(why)
    }

    /// Completes the diagnostics for the answer.
    pub(crate) fn finish_diagnostics(&mut self, outcome: &Outcome) {
        let phase = self.phase();
        let decided = matches!(outcome, Outcome::Applied | Outcome::Read { .. } | Outcome::ConditionNotMet { .. } | Outcome::Fate { .. });
        let by_round = match phase {
            Phase::Learn | Phase::Fence => true,
            // Chosen, and answered before it is learned.
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
            | Phase::Plain => false,
        };
        let diagnostics = &mut self.diagnostics;
        diagnostics.phase = if decided && !by_round { Phase::Done } else { phase };
        diagnostics.max_seen_ballot = diagnostics.max_seen_ballot.max(self.tag.ballot);
    }
}

impl ClientRequest {
    /// The answer to a request that had no effect of its own.
    pub(crate) fn unserved(&self, why: NotAppliedWhy) -> Outcome {
        match (&self.call, self.provenance) {
            // A read has no effect that could come later.
            (Call::Read, _) => Outcome::NotApplied { why },
            // "Not applied" would be taken for an answer about the operation asked about.
            (Call::Fate { .. }, _) => Outcome::Unknown { why: UnknownWhy::Busy },
            (_, Provenance::First | Provenance::FirstAfter { .. }) => Outcome::NotApplied { why },
            // This request did nothing, but the earlier one may still do something.
            (Call::Write { .. } | Call::Cas { .. }, Provenance::Resent { .. }) => Outcome::Unknown { why: UnknownWhy::ResentElsewhere },
        }
    }
}
