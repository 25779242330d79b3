//! The cheap path: `put` and `get`, without Paxos. Last write wins.
//!
//! As in Cassandra, a plain write and a conditional one share a key, and at each replica by itself the one with the
//! newer time stamp stays: a put has the wall clock of its coordinator, a row the time of the ballot at which it was
//! chosen. So a put can hide an acknowledged conditional write, be hidden by one that never saw it, and be read here
//! and not there. That is what plain writes are, and why mixing them with conditional ones on one key is an error: the
//! workload `mixed` exists to have it caught.
//!
//! What the two paths know of each other:
//! - a replica keeps the newest put as a [`Cell`] beside its row, for as long as it is newer than the row;
//! - an operation of Paxos is judged on its coordinator's newest row with the cell of the coordinator's *own* replica
//!   laid over it, and the row it proposes contains what it saw. No message of Paxos carries a cell: another replica's
//!   are not looked at;
//! - a node that has a put makes ballots above it, so whatever saw a put is newer than it;
//! - what is repaired, refreshed or learned is the row as it was proposed, without the cell.
//!
//! **Without puts nothing changes.** A cell comes into being by a put only. Where there is none, every answer of a
//! replica and every step of a coordinator is what it would be without this module. And a put touches neither promise
//! nor accepted update nor learned ballot, so what Paxos says about its own operations stays true in any case.
//!
//! **What happens to a cell.** It goes when a newer put or a newer row takes its place, and at no other time: pruning
//! and expiry are about Paxos state, and a cell is the value of the key. It is not brought to a replica that missed it,
//! neither by a get nor in the background; a Paxos write that has seen it brings it along.

use crate::coordinator::Env;
use crate::ids::{ClientToken, Key, MonoTime, NodeId, OpId, TimerId, Value};
use crate::message::{Body, Tag};
use crate::quorum::NodeSet;
use crate::request::{Diagnostics, NotAppliedWhy, Outcome, Phase, UnknownWhy};
use crate::row::{Row, RowData};
use rand::Rng;
use std::sync::Arc;

/// A value with the time that decides which of two stays.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell {
    /// Wall clock of the put's coordinator, microseconds. Field order is the ordering.
    pub us: u64,
    /// The coordinator; breaks ties between nodes.
    pub node: NodeId,
    /// The value; breaks ties within a node.
    pub value: Value,
}

impl Cell {
    /// Whether it hides a row that was chosen at a ballot of this time. At one instant the row wins.
    #[must_use]
    pub fn hides(&self, learned_us: u64) -> bool {
        self.us > learned_us
    }

    /// Bytes of its fields.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        (size_of::<u64>() + size_of::<NodeId>() + self.value.len()) as u64
    }
}

/// What a get is told by a replica with this row and cell: the newer of the two.
pub(crate) fn seen(row: &Row, cell: Option<&Cell>) -> Option<Cell> {
    match cell.filter(|cell| cell.hides(row.learned.micros)) {
        Some(cell) => Some(cell.clone()),
        None => row.data.value.clone().map(|value| Cell { us: row.learned.micros, node: row.learned.node, value }),
    }
}

/// A row's content with a put's value in place of its own, if that is newer than the row of `learned_us`: what an
/// operation of Paxos is judged on, and what the next row is built from.
pub(crate) fn overlaid(data: &Arc<RowData>, learned_us: u64, cell: Option<&Cell>) -> Arc<RowData> {
    match cell.filter(|cell| cell.hides(learned_us)) {
        Some(cell) => Arc::new(RowData { value: Some(cell.value.clone()), ..(**data).clone() }),
        None => data.clone(),
    }
}

/// A request of the cheap path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheapRequest {
    /// Names it in the answer; no row remembers it.
    pub op: OpId,
    /// The register.
    pub key: Key,
    /// What to do.
    pub call: CheapCall,
    /// How many replicas must have taken part.
    pub level: Level,
    /// The coordinator answers within this time, whatever happens.
    pub timeout_ns: u64,
}

/// What the cheap path can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheapCall {
    /// Write, whatever was there.
    Put {
        /// The new value.
        new: Value,
    },
    /// Read.
    Get,
}

/// How many replicas must have answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Level {
    /// One. A put is sent to all and answered when the first has it durably; a get asks the coordinator's own replica.
    One,
    /// A quorum.
    Quorum,
}

/// A put or get under way.
#[derive(Debug, Clone)]
pub(crate) struct Cheap {
    pub(crate) token: ClientToken,
    tag: Tag,
    kind: Kind,
    needed: u32,
    answered: NodeSet,
    pub(crate) timer: TimerId,
    deadline: MonoTime,
}

#[derive(Debug, Clone)]
enum Kind {
    Put,
    Get { newest: Option<Cell> },
}

impl Cheap {
    /// Sends it to whom it concerns.
    pub(crate) fn begin<R: Rng + ?Sized>(token: ClientToken, request: CheapRequest, timer: TimerId, env: &mut Env<'_, R>) -> Cheap {
        let CheapRequest { op, key, call, level, timeout_ns } = request;
        let tag = Tag { op, attempt: 1, incarnation: env.shared.clock.incarnation(), ballot: crate::Ballot::ZERO };
        let deadline = env.now.after_ns(timeout_ns);
        env.timer(timer, deadline);
        env.shared.counters.round_trips += 1;
        let needed = match level {
            Level::One => 1,
            Level::Quorum => env.quorum(),
        };
        let kind = match call {
            CheapCall::Put { new } => {
                env.shared.counters.puts += 1;
                let cell = Cell { us: env.wall.0, node: env.shared.config.node, value: new };
                env.broadcast(&key, tag, &Body::Put { cell }, NodeSet::EMPTY, None, None);
                Kind::Put
            }
            CheapCall::Get => {
                env.shared.counters.gets += 1;
                match level {
                    Level::One => env.send(env.shared.me, &key, tag, Body::Get),
                    Level::Quorum => env.broadcast(&key, tag, &Body::Get, NodeSet::EMPTY, None, None),
                }
                Kind::Get { newest: None }
            }
        };
        Cheap { token, tag, kind, needed, answered: NodeSet::EMPTY, timer, deadline }
    }

    pub(crate) fn is(&self, tag: Tag) -> bool {
        self.tag == tag
    }

    /// Takes a replica's answer; gives the outcome once enough have come.
    pub(crate) fn answer(&mut self, place: u32, got: Option<Option<Cell>>) -> Option<Outcome> {
        match (&mut self.kind, got) {
            (Kind::Put, None) => {}
            (Kind::Get { newest }, Some(cell)) => *newest = cell.max(newest.take()),
            // An answer of the other kind is nobody's.
            (Kind::Put, Some(_)) | (Kind::Get { .. }, None) => return None,
        }
        self.answered.insert(place);
        (self.answered.count() >= self.needed).then(|| match &mut self.kind {
            Kind::Put => Outcome::Applied,
            Kind::Get { newest } => Outcome::Read { current: newest.take().map(|cell| cell.value) },
        })
    }

    /// The answer when time is up. A put may be anywhere by now; a get has no effect that could come later.
    pub(crate) fn late(&self, now: MonoTime) -> Option<Outcome> {
        (now >= self.deadline).then_some(match self.kind {
            Kind::Put => Outcome::Unknown { why: UnknownWhy::Timeout },
            Kind::Get { .. } => Outcome::NotApplied { why: NotAppliedWhy::TimeoutBeforePropose },
        })
    }

    /// How it went: a put counts the replicas that have it as accepts, a get those that answered as promises.
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
