//! Operations that this node has forwarded to the holder of a lease.

use super::env::Env;
use super::lease_state::ForwardHistory;
use super::state::{Coordination, Waiting};
use crate::forward::{Forward, Forwarded, Origin, tag};
use crate::ids::{MonoTime, NodeId, OpId, TimerId};
use crate::lease::LeaseBallot;
use crate::message::Body;
use crate::request::{Call, Diagnostics, NotAppliedWhy, Outcome, Phase, UnknownWhy};
use rand::Rng;

/// An operation forwarded to the holder. It does not block the key at this node, so others may follow it.
#[derive(Debug, Clone)]
pub(crate) struct ForwardedOp {
    pub(crate) waiting: Waiting,
    serial: u64,
    to: NodeId,
    /// Diagnostics collected before the operation was forwarded.
    diagnostics: Box<Diagnostics>,
}

impl ForwardedOp {
    /// Forwards a request to the holder named by `lease`.
    pub(crate) fn send<R: Rng + ?Sized>(
        mut waiting: Waiting,
        diagnostics: Box<Diagnostics>,
        lease: LeaseBallot,
        env: &mut Env<'_, R>,
    ) -> ForwardedOp {
        waiting.history.forwards += 1;
        waiting.armed = waiting.deadline;
        env.timer(waiting.timer, waiting.deadline);
        env.shared.forwards += 1;
        env.shared.counters.forwards_sent += 1;
        let serial = env.shared.forwards;
        let request = &waiting.request;
        let forward = Forward {
            serial,
            lease,
            call: request.call.clone(),
            // Less than the remaining time, so that a "not applied" reply arrives in time and the holder does not
            // count as silent.
            timeout_ns: waiting.deadline.since_ns(env.now) / 8 * 7,
            provenance: request.provenance,
            born_us: waiting.history.born_us.unwrap_or(0),
            open: waiting.history.open,
        };
        let (key, tag) = (request.key.clone(), tag(request.op, &env.shared.clock, env.shared.config.node));
        env.send_to(lease.node, &key, tag, Body::Forward(Box::new(forward)));
        env.shared.reply_tracker.note_forward(lease.node, env.now);
        ForwardedOp { waiting, serial, to: lease.node, diagnostics }
    }

    pub(crate) fn is(&self, op: OpId, serial: u64) -> bool {
        self.serial == serial && self.waiting.request.op == op
    }

    pub(crate) fn timer(&self) -> TimerId {
        self.waiting.timer
    }

    pub(crate) fn is_over(&self, now: MonoTime) -> bool {
        now >= self.waiting.deadline
    }

    /// Combines the holder's reply with the diagnostics of this node.
    pub(crate) fn on_reply(self, result: Forwarded) -> (Origin, Outcome, Box<Diagnostics>) {
        let ForwardedOp { waiting, to, diagnostics: here, .. } = self;
        let mut diagnostics = result.diagnostics;
        diagnostics.op = waiting.request.op;
        diagnostics.rounds = diagnostics.rounds.saturating_add(here.rounds);
        diagnostics.round_trips = diagnostics.round_trips.saturating_add(here.round_trips);
        diagnostics.preempted = diagnostics.preempted.saturating_add(here.preempted);
        diagnostics.repairs = diagnostics.repairs.saturating_add(here.repairs);
        diagnostics.backoff_ns = diagnostics.backoff_ns.saturating_add(here.backoff_ns);
        diagnostics.max_seen_ballot = diagnostics.max_seen_ballot.max(here.max_seen_ballot);
        diagnostics.forwarded_to = Some(to);
        (waiting.origin, result.outcome, diagnostics)
    }

    /// The outcome when no reply arrived in time.
    pub(crate) fn on_no_reply(self) -> (Origin, Outcome, Box<Diagnostics>) {
        let ForwardedOp { waiting, to, mut diagnostics, .. } = self;
        diagnostics.phase = Phase::Forwarded;
        diagnostics.forwarded_to = Some(to);
        let outcome = match waiting.request.call {
            // A read cannot take effect later.
            Call::Read => Outcome::NotApplied { why: NotAppliedWhy::TimeoutBeforePropose },
            Call::Write { .. } | Call::Cas { .. } | Call::Fate { .. } => Outcome::Unknown { why: UnknownWhy::Forwarded },
        };
        (waiting.origin, outcome, diagnostics)
    }

    /// The holder has refused the operation and will never accept it, so it is coordinated here.
    pub(crate) fn into_waiting(self) -> Waiting {
        let ForwardHistory { born_us, open, forwards } = self.waiting.history;
        // Only this node can have proposed anything for the operation.
        let history = ForwardHistory { born_us: born_us.filter(|_| open), open, forwards };
        Waiting { history, ..self.waiting }
    }
}

impl Coordination {
    /// Converts an operation held off by another node's lease into a forwarded one.
    pub(crate) fn forward<R: Rng + ?Sized>(self, lease: LeaseBallot, env: &mut Env<'_, R>) -> ForwardedOp {
        let open = self.proposals.is_open(env.shared.disproof());
        let Coordination { origin, request, deadline, began, timer, armed, diagnostics, leased, .. } = self;
        let history = leased.history_at_forward(open);
        ForwardedOp::send(Waiting { origin, request, deadline, arrived: began, timer, armed, history }, diagnostics, lease, env)
    }
}
