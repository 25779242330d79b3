//! Operations that were handed to the holder of a lease, at the node that handed them over.

use super::env::Env;
use super::lease_state::Past;
use super::state::{Coordination, Waiting};
use crate::forward::{Forward, Forwarded, Origin, tag};
use crate::ids::{MonoTime, NodeId, OpId, TimerId};
use crate::lease::LeaseBallot;
use crate::message::Body;
use crate::request::{Call, Diagnostics, NotAppliedWhy, Outcome, Phase, UnknownWhy};
use rand::Rng;

/// One operation at the holder. It does not take the key here: others may follow it.
#[derive(Debug, Clone)]
pub(crate) struct ForwardedOp {
    pub(crate) waiting: Waiting,
    serial: u64,
    to: NodeId,
    /// What had happened here before.
    diagnostics: Box<Diagnostics>,
}

impl ForwardedOp {
    /// Hands a request to the holder named by `lease`.
    pub(crate) fn send<R: Rng + ?Sized>(
        mut waiting: Waiting,
        diagnostics: Box<Diagnostics>,
        lease: LeaseBallot,
        env: &mut Env<'_, R>,
    ) -> ForwardedOp {
        waiting.past.handed += 1;
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
            // Less than what is left, so that "not applied" comes back in time and is not taken for silence.
            timeout_ns: waiting.deadline.since_ns(env.now) / 8 * 7,
            provenance: request.provenance,
            born_us: waiting.past.born_us.unwrap_or(0),
            open: waiting.past.open,
        };
        let (key, tag) = (request.key.clone(), tag(request.op, &env.shared.clock, env.shared.config.node));
        env.send_to(lease.node, &key, tag, Body::Forward(Box::new(forward)));
        env.shared.heard.asked(lease.node, env.now);
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

    /// The answer of the holder, completed by what had happened here.
    pub(crate) fn answered(self, answer: Forwarded) -> (Origin, Outcome, Box<Diagnostics>) {
        let ForwardedOp { waiting, to, diagnostics: here, .. } = self;
        let mut diagnostics = answer.diagnostics;
        diagnostics.op = waiting.request.op;
        diagnostics.rounds += here.rounds;
        diagnostics.round_trips += here.round_trips;
        diagnostics.preempted += here.preempted;
        diagnostics.repairs += here.repairs;
        diagnostics.backoff_ns += here.backoff_ns;
        diagnostics.max_seen_ballot = diagnostics.max_seen_ballot.max(here.max_seen_ballot);
        diagnostics.forwarded_to = Some(to);
        (waiting.origin, answer.outcome, diagnostics)
    }

    /// No answer came in time.
    pub(crate) fn lost(self) -> (Origin, Outcome, Box<Diagnostics>) {
        let ForwardedOp { waiting, to, mut diagnostics, .. } = self;
        diagnostics.phase = Phase::Forwarded;
        diagnostics.forwarded_to = Some(to);
        let outcome = match waiting.request.call {
            // A read has no effect that could come later.
            Call::Read => Outcome::NotApplied { why: NotAppliedWhy::TimeoutBeforePropose },
            Call::Write { .. } | Call::Cas { .. } | Call::Fate { .. } => Outcome::Unknown { why: UnknownWhy::Forwarded },
        };
        (waiting.origin, outcome, diagnostics)
    }

    /// The holder has not taken it and never will: it is coordinated here.
    pub(crate) fn back(self) -> Waiting {
        let Past { born_us, open, handed } = self.waiting.past;
        // Nothing was proposed for it unless it was here.
        let past = Past { born_us: born_us.filter(|_| open), open, handed };
        Waiting { past, ..self.waiting }
    }
}

impl Coordination {
    /// Turns an operation that is held off here into one at the holder.
    pub(crate) fn leave<R: Rng + ?Sized>(self, lease: LeaseBallot, env: &mut Env<'_, R>) -> ForwardedOp {
        let open = self.proposals.is_open(env.shared.disproof());
        let Coordination { origin, request, deadline, began, timer, armed, diagnostics, leased, .. } = self;
        let past = leased.leaving(open);
        ForwardedOp::send(Waiting { origin, request, deadline, arrived: began, timer, armed, past }, diagnostics, lease, env)
    }
}
