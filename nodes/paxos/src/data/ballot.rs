//! Ballots: the total order of attempts, and the clock that makes them.

use crate::ids::{NodeId, WallTime};
use rand::Rng;
use std::fmt;

/// Orders the attempts on one key. No two attempts share a ballot.
///
/// Written `<us>.<node>.<nonce in hex>`, for example `1795400000088000.n2.15f`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ballot {
    /// Hybrid logical clock, microseconds. Field order is the ordering: time decides first.
    pub micros: u64,
    /// The coordinator; breaks ties between nodes.
    pub node: NodeId,
    /// Incarnation of the coordinator's process (high 32 bits) and random bits (low 32): tells
    /// apart two processes of one node whose clocks gave the same time.
    pub nonce: u64,
}

impl Ballot {
    /// Below every ballot that a coordinator makes: nothing promised, nothing learned.
    pub const ZERO: Ballot = Ballot { micros: 0, node: NodeId(0), nonce: 0 };

    /// Highest time that is believed. Above it a message is garbage: the clock could otherwise be
    /// pushed to its end, where no higher ballot exists.
    pub const MAX_MICROS: u64 = 1 << 62;

    /// Whether this is [`Ballot::ZERO`].
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Ballot::ZERO
    }
}

impl fmt::Display for Ballot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{:x}", self.micros, self.node, self.nonce)
    }
}

/// Makes ballots: a hybrid logical clock (Kulkarni et al. 2014) that follows the wall clock while
/// it can, and counts up while the wall clock stands, goes back, or lags behind ballots seen.
#[derive(Debug, Clone)]
pub struct BallotClock {
    node: NodeId,
    /// Counts the starts of this node's process; durable before the first ballot leaves.
    incarnation: u32,
    last_micros: u64,
}

impl BallotClock {
    /// A clock of `node` that has seen nothing.
    #[must_use]
    pub fn new(node: NodeId) -> Self {
        Self { node, incarnation: 0, last_micros: 0 }
    }

    /// Makes later ballots higher than `seen`. Were the floor not raised by rejects, a node with a
    /// slow clock would be outbid by everybody for as long as it lags (Jain index 0.20 against
    /// 0.99 measured; `ScyllaDB` and CASSANDRA-5667 know the same starvation).
    pub fn observe(&mut self, seen: Ballot) {
        self.last_micros = self.last_micros.max(seen.micros);
    }

    /// The next ballot: higher than all that this clock made or saw.
    ///
    /// Uniqueness does not rest on the wall clock. Within a process time strictly rises; between
    /// processes of a node the incarnation differs, which is durable before a ballot leaves; the
    /// random bits only help a node that was started on an old copy of its disk.
    pub fn next<R: Rng + ?Sized>(&mut self, wall: WallTime, rng: &mut R) -> Ballot {
        self.last_micros = wall.0.min(Ballot::MAX_MICROS / 2).max(self.last_micros + 1);
        let nonce = (u64::from(self.incarnation) << 32) | u64::from(rng.next_u32());
        Ballot { micros: self.last_micros, node: self.node, nonce }
    }

    /// Time of the newest ballot made or seen.
    pub(crate) fn last_micros(&self) -> u64 {
        self.last_micros
    }

    /// The number of this process among those of the node.
    #[must_use]
    pub fn incarnation(&self) -> u32 {
        self.incarnation
    }

    /// Remembers a number used by an earlier process.
    pub fn recover_incarnation(&mut self, used: u32) {
        self.incarnation = self.incarnation.max(used);
    }

    /// Takes a number that no earlier process used. It must be durable before a ballot leaves.
    pub fn begin_incarnation(&mut self) -> u32 {
        self.incarnation = self.incarnation.checked_add(1).expect("a node starts less than 2^32 times");
        self.incarnation
    }
}
