//! Replies to clients: the outcome of an operation, and diagnostics.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::OpId;

/// The reply to one [`Request`](super::Request).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// The operation that is answered.
    pub op: OpId,
    /// The outcome of the operation.
    pub outcome: Outcome,
    /// How far the operation got, with counts.
    pub diagnostics: Diagnostics,
}

/// The outcome of an operation. The node never claims more than it knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The write or CAS took effect.
    Applied,
    /// The CAS had no effect because the value differed from the expected one.
    ConditionNotMet {
        /// The value found. `None` if the key has never been written.
        current: Option<Vec<u8>>,
    },
    /// The result of a read.
    Value {
        /// The value. `None` if the key has never been written.
        value: Option<Vec<u8>>,
    },
    /// The operation had no effect and never will through this request.
    NotApplied {
        /// Why it was not applied.
        why: Reason,
    },
    /// The operation may have taken effect, and may still take effect at any later time.
    Unknown {
        /// Why the outcome is unknown.
        why: Reason,
    },
    /// The request was malformed or broke a rule, and had no effect.
    Invalid {
        /// The reason, and what to change.
        why: String,
    },
    /// The result of a fate query.
    Fate {
        /// The fate of the queried operation.
        fate: Fate,
    },
}

/// The fate of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Fate {
    /// The operation took effect, once.
    Applied,
    /// The operation had no effect and never will, even if some of its messages are still in flight.
    NotApplied,
    /// The operation is older than any that the key's row remembers.
    Evicted,
    /// A later operation of the same client has replaced its entry.
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

/// What the coordinator was doing when it replied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Phase {
    /// Not started: refused, or waiting behind other operations on the key.
    #[default]
    Queued,
    /// Waiting for promises.
    Prepare,
    /// Waiting for rows.
    Read,
    /// Bringing lagging replicas up to date.
    Refresh,
    /// Proposing an unfinished earlier update again.
    RepairPropose,
    /// Sending learn messages for an earlier update that it has just finished.
    RepairLearn,
    /// Proposing an empty update, after a read or a refused CAS.
    Fence,
    /// Proposing its own update.
    Propose,
    /// Its own update is chosen, and the coordinator is sending learn messages.
    Learn,
    /// Waiting after being outbid.
    Backoff,
    /// Finished without its own update, or found to be already applied.
    Done,
    /// Forwarded to the holder of a lease.
    Forwarded,
    /// Read from the node's own row under a read lease.
    LocalRead,
    /// Put or get on the last-write-wins path, without Paxos.
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

/// Why an operation was not applied, or why its outcome is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// The key's queue is full.
    Busy,
    /// Too many operations are open on this connection.
    TooManyInFlight,
    /// Time ran out while waiting behind other operations on the key.
    TimeoutInQueue,
    /// Time ran out before the operation's own update was proposed to any node.
    NoQuorumBeforePropose,
    /// Time ran out after the operation's own update was proposed.
    Timeout,
    /// A later operation of the same client is already in the row.
    Superseded,
    /// An earlier fate query declared the id aborted.
    Aborted,
    /// The operation was proposed long ago, and the row no longer remembers ids of that age.
    Evicted,
    /// An earlier request of the same operation may still be running at another node.
    ResentElsewhere,
    /// The node is stopping.
    Stopping,
    /// The operation may have been declared aborted and then forgotten: it is older than aborted ids that the row has
    /// forgotten.
    TooOld,
    /// The operation was forwarded to the holder of a lease, and no reply arrived.
    Forwarded,
    /// Other coordinators outbid the operation for longer than the contention timeout.
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

/// A ballot as seen by clients: `<us>.<node>.<nonce in hex>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BallotTag {
    /// Hybrid logical time in microseconds.
    pub us: u64,
    /// Number of the node that created the ballot.
    pub node: u16,
    /// Distinguishes ballots of the same node and time.
    pub nonce: u64,
}

impl fmt::Display for BallotTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.n{}.{:x}", self.us, self.node, self.nonce)
    }
}

impl std::str::FromStr for BallotTag {
    type Err = String;

    /// Parses the format written by [`fmt::Display`]: `300.n2.5`.
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

/// How far an operation got. Fields are zero for steps that it did not reach.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Diagnostics {
    /// What the coordinator was doing when it replied.
    pub phase: Phase,
    /// The last ballot used.
    pub ballot: Option<BallotTag>,
    /// Promises received at that ballot.
    pub promises: u32,
    /// Accepts received at that ballot.
    pub accepts: u32,
    /// Rejects received at that ballot.
    pub rejects: u32,
    /// Size of a quorum.
    pub needed: u32,
    /// Highest ballot in any message received on behalf of the operation.
    pub max_seen_ballot: Option<BallotTag>,
    /// The last unfinished earlier update that the coordinator finished.
    pub repaired_op: Option<OpId>,
    /// Number of unfinished earlier updates that the coordinator finished.
    pub repairs: u32,
    /// Number of attempts. Each has its own ballot.
    pub rounds: u32,
    /// Number of attempts that were outbid.
    pub preempted: u32,
    /// Number of round trips to a quorum.
    pub round_trips: u32,
    /// Time spent waiting after being outbid, in nanoseconds.
    pub backoff_ns: u64,
    /// Number of replicas known to have learned the update.
    pub learned_by: u32,
    /// Number of the lease holder to which the operation was forwarded, if any.
    pub forwarded_to: Option<u16>,
}
