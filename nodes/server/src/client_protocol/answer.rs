//! Answers: what is known about an operation, and how far it got.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::OpId;

/// The answer to one [`Request`](super::Request).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// The operation that is answered.
    pub op: OpId,
    /// What is known about it.
    pub outcome: Outcome,
    /// How far it got.
    pub diagnostics: Diagnostics,
}

/// What is known about an operation. The node never claims more than it knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The write or CAS took effect.
    Applied,
    /// The CAS took no effect: another value was there.
    ConditionNotMet {
        /// The value that was there; `None` if the key was never written.
        current: Option<Vec<u8>>,
    },
    /// Answer of a read.
    Value {
        /// The value; `None` if the key was never written.
        value: Option<Vec<u8>>,
    },
    /// It took no effect and never will on behalf of this request.
    NotApplied {
        /// Why not.
        why: Reason,
    },
    /// It may have taken effect, and may yet take effect at any later time.
    Unknown {
        /// What stopped the node from finding out.
        why: Reason,
    },
    /// The request was malformed or broke a rule; it had no effect.
    Invalid {
        /// What to mend, in words.
        why: String,
    },
    /// Answer of a question for a fate.
    Fate {
        /// What became of the operation asked about.
        fate: Fate,
    },
}

/// What became of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Fate {
    /// It took effect, once.
    Applied,
    /// It took no effect and never will, whatever still travels.
    NotApplied,
    /// It is older than what the key's row remembers.
    Evicted,
    /// A later operation of the same client took the place of its entry.
    Superseded,
}

impl Fate {
    /// The name used in histories.
    pub fn as_str(self) -> &'static str {
        match self {
            Fate::Applied => "applied",
            Fate::NotApplied => "not_applied",
            Fate::Evicted => "evicted",
            Fate::Superseded => "superseded",
        }
    }
}

/// Where a coordinator stood when it answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Phase {
    /// Not begun: refused, or waiting behind other operations on the key.
    #[default]
    Queued,
    /// Waiting for promises.
    Prepare,
    /// Waiting for rows.
    Read,
    /// Bringing lagging replicas up to date.
    Refresh,
    /// Proposing an earlier, unfinished update again.
    RepairPropose,
    /// Teaching an earlier update that was just finished.
    RepairLearn,
    /// Proposing the empty update, after a read or a refused CAS.
    Fence,
    /// Proposing its own update.
    Propose,
    /// Its own update is chosen; the replicas learn it.
    Learn,
    /// Waiting after being outbid.
    Backoff,
    /// Done without an update of its own, or found done.
    Done,
    /// Handed to the holder of a lease.
    Forwarded,
    /// Read from the node's own row under a read lease.
    LocalRead,
    /// Put or got on the cheap path, without Paxos.
    Cheap,
}

impl Phase {
    /// The name used in histories.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Queued => "queued",
            Phase::Prepare => "prepare",
            Phase::Read => "read",
            Phase::Refresh => "refresh",
            Phase::RepairPropose => "repair_propose",
            Phase::RepairLearn => "repair_learn",
            Phase::Fence => "fence",
            Phase::Propose => "propose",
            Phase::Learn => "learn",
            Phase::Backoff => "backoff",
            Phase::Done => "done",
            Phase::Forwarded => "forwarded",
            Phase::LocalRead => "local_read",
            Phase::Cheap => "cheap",
        }
    }
}

/// Why an operation was not applied, or why that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// The key's queue is full.
    Busy,
    /// Too many operations are open on this connection.
    TooManyInFlight,
    /// Time ran out while waiting behind other operations on the key.
    TimeoutInQueue,
    /// Time ran out before its own update was proposed to any replica.
    NoQuorumBeforePropose,
    /// Time ran out after its own update was proposed.
    Timeout,
    /// A later operation of the same client is already in the row.
    Superseded,
    /// The id was declared aborted by an earlier question for its fate.
    Aborted,
    /// It was proposed long ago, and the row no longer remembers ids of that age.
    Evicted,
    /// An earlier request of the same operation may still be running at another node.
    ResentElsewhere,
    /// The node is stopping.
    Stopping,
    /// It was born before ids that were declared aborted and are forgotten: it may be one of them.
    TooOld,
    /// It was handed to the holder of a lease, and no answer came.
    Forwarded,
    /// It was outbid by other coordinators for as long as it may be.
    Contention,
}

impl Reason {
    /// The name used in histories.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Busy => "busy",
            Reason::TooManyInFlight => "too_many_in_flight",
            Reason::TimeoutInQueue => "timeout_in_queue",
            Reason::NoQuorumBeforePropose => "no_quorum_before_propose",
            Reason::Timeout => "timeout",
            Reason::Superseded => "superseded",
            Reason::Aborted => "aborted",
            Reason::Evicted => "evicted",
            Reason::ResentElsewhere => "resent_elsewhere",
            Reason::Stopping => "stopping",
            Reason::TooOld => "too_old",
            Reason::Forwarded => "forwarded",
            Reason::Contention => "contention",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A ballot, as clients see it: `<us>.<node>.<nonce in hex>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BallotTag {
    /// Hybrid logical time in microseconds.
    pub us: u64,
    /// Number of the node that made it.
    pub node: u16,
    /// Tells apart ballots of one node and time.
    pub nonce: u64,
}

impl fmt::Display for BallotTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.n{}.{:x}", self.us, self.node, self.nonce)
    }
}

impl std::str::FromStr for BallotTag {
    type Err = String;

    /// Reads what [`fmt::Display`] writes: `300.n2.5`.
    fn from_str(text: &str) -> Result<BallotTag, String> {
        let mut parts = text.splitn(3, '.');
        let mut next = || parts.next().unwrap_or_default();
        let (us, node, nonce) = (next().parse(), next().strip_prefix('n').map(str::parse), u64::from_str_radix(next(), 16));
        match (us, node, nonce) {
            (Ok(us), Some(Ok(node)), Ok(nonce)) => Ok(BallotTag { us, node, nonce }),
            _ => Err(format!("`{text}` is not a ballot, such as 300.n2.5")),
        }
    }
}

/// How far an operation got. Zeroes where it did not get far enough.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Diagnostics {
    /// Where the coordinator stood.
    pub phase: Phase,
    /// The last ballot it used.
    pub ballot: Option<BallotTag>,
    /// Promises at that ballot.
    pub promises: u32,
    /// Accepts at that ballot.
    pub accepts: u32,
    /// Rejects at that ballot.
    pub rejects: u32,
    /// Size of a quorum.
    pub needed: u32,
    /// Highest ballot seen in any answer.
    pub max_seen_ballot: Option<BallotTag>,
    /// The last earlier update that was finished on the way.
    pub repaired_op: Option<OpId>,
    /// Earlier updates that were finished on the way.
    pub repairs: u32,
    /// Attempts, each with a ballot of its own.
    pub rounds: u32,
    /// Attempts that were outbid.
    pub preempted: u32,
    /// Round trips to a quorum.
    pub round_trips: u32,
    /// Time spent waiting after preemptions, in nanoseconds.
    pub backoff_ns: u64,
    /// Replicas known to have learned the update.
    pub learned_by: u32,
    /// Number of the node that it was handed to, the holder of a lease, if it was.
    pub forwarded_to: Option<u16>,
}
