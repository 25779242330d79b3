//! Coordinates one put or get: a single round trip, without Paxos. See [`crate::cell`].

use super::env::Env;
use crate::cell::{Cell, Level, PlainCall, PlainRequest};
use crate::ids::{ClientToken, MonoTime, TimerId};
use crate::message::{Body, Tag};
use crate::quorum::NodeSet;
use crate::request::{Diagnostics, NotAppliedWhy, Outcome, Phase, UnknownWhy};
use rand::Rng;

/// A put or get in progress.
#[derive(Debug, Clone)]
pub(crate) struct PlainOp {
    pub(crate) token: ClientToken,
    tag: Tag,
    kind: Kind,
    needed: u32,
    answered: NodeSet,
    pub(crate) timer: TimerId,
    pub(crate) deadline: MonoTime,
}

#[derive(Debug, Clone)]
enum Kind {
    Put,
    Get { newest: Option<Cell> },
}

impl PlainOp {
    /// Sends the request to the participating replicas. Replies are matched by operation id and `attempt`.
    pub(crate) fn begin<R: Rng + ?Sized>(
        token: ClientToken,
        request: PlainRequest,
        attempt: u32,
        timer: TimerId,
        env: &mut Env<'_, R>,
    ) -> PlainOp {
        let PlainRequest { op, key, call, level, timeout_ns } = request;
        let tag = Tag { op, attempt, incarnation: env.shared.clock.incarnation(), ballot: crate::Ballot::ZERO };
        let deadline = env.now.after_ns(timeout_ns);
        env.timer(timer, deadline);
        env.shared.counters.round_trips += 1;
        let needed = match level {
            Level::One => 1,
            Level::Quorum => env.quorum(),
        };
        let kind = match call {
            PlainCall::Put { new } => {
                env.shared.counters.puts += 1;
                let cell = Cell { us: env.wall.0, node: env.shared.config.node, value: new };
                env.broadcast(&key, tag, &Body::Put { cell }, NodeSet::EMPTY, None, None);
                Kind::Put
            }
            PlainCall::Get => {
                env.shared.counters.gets += 1;
                match level {
                    Level::One => env.send(env.shared.me, &key, tag, Body::Get),
                    Level::Quorum => env.broadcast(&key, tag, &Body::Get, NodeSet::EMPTY, None, None),
                }
                Kind::Get { newest: None }
            }
        };
        PlainOp { token, tag, kind, needed, answered: NodeSet::EMPTY, timer, deadline }
    }

    pub(crate) fn is(&self, tag: Tag) -> bool {
        self.tag == tag
    }

    /// Handles a replica's reply. Returns the outcome once there are enough replies.
    pub(crate) fn answer(&mut self, place: u32, got: Option<Option<Cell>>) -> Option<Outcome> {
        match (&mut self.kind, got) {
            (Kind::Put, None) => {}
            (Kind::Get { newest }, Some(cell)) => *newest = cell.max(newest.take()),
            // A reply of the wrong kind does not belong to this request.
            (Kind::Put, Some(_)) | (Kind::Get { .. }, None) => return None,
        }
        self.answered.insert(place);
        (self.answered.count() >= self.needed).then(|| match &mut self.kind {
            Kind::Put => Outcome::Applied,
            Kind::Get { newest } => Outcome::Read { current: newest.take().map(|cell| cell.value) },
        })
    }

    /// The outcome when time is up. A put may still reach replicas, but a get cannot take effect later.
    pub(crate) fn late(&self, now: MonoTime) -> Option<Outcome> {
        (now >= self.deadline).then_some(match self.kind {
            Kind::Put => Outcome::Unknown { why: UnknownWhy::Timeout },
            Kind::Get { .. } => Outcome::NotApplied { why: NotAppliedWhy::TimeoutBeforePropose },
        })
    }

    /// The diagnostics: for a put, replicas that have stored it count as accepts; for a get, replicas that have
    /// replied count as promises.
    pub(crate) fn diagnostics(&self) -> Box<Diagnostics> {
        let mut diagnostics = Box::new(Diagnostics::new(self.tag.op, self.needed));
        (diagnostics.phase, diagnostics.round_trips) = (Phase::Cheap, 1);
        let answered = self.answered.count();
        match self.kind {
            Kind::Put => diagnostics.accepts = answered,
            Kind::Get { .. } => diagnostics.promises = answered,
        }
        diagnostics
    }
}
