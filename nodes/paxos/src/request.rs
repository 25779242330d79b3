//! Client requests, and outcomes that state exactly what is known.

use crate::ballot::Ballot;
use crate::ids::{Key, NodeId, OpId, Value};

/// A client request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientRequest {
    /// The operation's id.
    pub op: OpId,
    /// The register.
    pub key: Key,
    /// The operation.
    pub call: Call,
    /// Time limit within which the coordinator always replies, in nanoseconds.
    pub timeout_ns: u64,
    /// Whether this operation may have been sent before.
    pub provenance: Provenance,
}

/// An operation on a register. All of them go through Paxos.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Call {
    /// A linearizable read.
    Read,
    /// An unconditional write.
    Write {
        /// The new value.
        new: Value,
    },
    /// A compare-and-set.
    Cas {
        /// The value that the register must have. `None` if it must never have been written.
        expected: Option<Value>,
        /// The new value.
        new: Value,
    },
    /// A fate query for an earlier write or CAS on this key. If the row does not contain it, it is declared aborted
    /// and will never be applied. The query has its own id.
    Fate {
        /// The queried operation.
        of: OpId,
        /// The birth ballot in the requests of that operation, from [`Provenance::FirstAfter`] or
        /// [`Provenance::Resent`]. [`Ballot::ZERO`] if they were [`Provenance::First`].
        born: Ballot,
    },
}

impl Call {
    /// Whether the operation changes the value.
    #[must_use]
    pub fn is_update(&self) -> bool {
        match self {
            Call::Write { .. } | Call::Cas { .. } => true,
            Call::Read | Call::Fate { .. } => false,
        }
    }
}

/// Whether another request of the same operation may have an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Provenance {
    /// The operation's first request. The client resends the operation only after this request has been answered, its
    /// time limit has certainly passed, or the node's process has ended. A client that cannot wait that long uses
    /// [`Provenance::Resent`] from the start.
    First,
    /// The first request, with a birth: a ballot that the client had seen before. The newer, the better: a row that
    /// has forgotten aborted ids refuses any operation that may be among them, and an operation without a birth
    /// always may be.
    FirstAfter {
        /// The birth. The fate query must use the same one. All ballots of the operation are above the birth.
        born: Ballot,
    },
    /// Another request of the same operation was sent before, with an unknown outcome, or may be sent while this one
    /// runs. The operation still happens at most once. The outcome is never "not applied" or "condition not met",
    /// since the other request may still apply it.
    Resent {
        /// The birth, the same in all requests of the operation: a ballot lower than any that its first coordinator could have used for it.
        /// A ballot received from that coordinator's process before the operation was sent is suitable, since the ballots of a process only
        /// rise. [`Ballot::ZERO`] if none is known: a row that has forgotten ids then refuses the retry.
        ///
        /// All coordinators of the operation use ballots above the birth, so the row remembers enough iff its memory
        /// reaches back to the birth.
        born: Ballot,
    },
}

impl Provenance {
    /// The birth ballot of the operation. [`Ballot::ZERO`] if there is none.
    #[must_use]
    pub fn born(self) -> Ballot {
        match self {
            Provenance::First => Ballot::ZERO,
            Provenance::FirstAfter { born } | Provenance::Resent { born } => born,
        }
    }
}

/// The outcome of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The write or CAS happened, exactly once.
    Applied,
    /// The read happened and saw this value. `None` if the register has never been written.
    Read {
        /// The value seen.
        current: Option<Value>,
    },
    /// The CAS did not happen and never will: the register held another value.
    ConditionNotMet {
        /// The value seen.
        current: Option<Value>,
    },
    /// The result of a fate query.
    Fate {
        /// The fate.
        fate: Fate,
    },
    /// The operation is proved not to have happened, and never will through this request.
    NotApplied {
        /// The reason.
        why: NotAppliedWhy,
    },
    /// The operation may have happened, and may still happen.
    Unknown {
        /// The reason.
        why: UnknownWhy,
    },
    /// The request is invalid, and did not happen.
    Invalid {
        /// The reason.
        why: InvalidWhy,
    },
}

/// The fate of an operation, according to its key's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// The operation took effect.
    Applied,
    /// The operation did not take effect, and never will.
    NotApplied,
    /// The operation is older than any that the row remembers.
    Evicted,
    /// A later operation of the same client is in the row, so any entry of this one is gone.
    Superseded,
}

/// Why a request was not applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotAppliedWhy {
    /// The key's queue at this node is full.
    Busy,
    /// Time ran out while waiting behind other operations on the key.
    TimeoutInQueue,
    /// Time ran out before the operation's own update was proposed to any node.
    TimeoutBeforePropose,
    /// A later operation of the same client is already in the row.
    Superseded,
    /// A fate query declared the id aborted.
    Aborted,
    /// The operation may have been declared aborted and then forgotten: it is older than aborted ids that the row has
    /// forgotten.
    TooOld,
    /// The operation was outbid for longer than the contention timeout, and nothing was proposed for it.
    Contention,
}

impl NotAppliedWhy {
    /// Stable name for histories and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            NotAppliedWhy::Busy => "busy",
            NotAppliedWhy::TimeoutInQueue => "timeout_in_queue",
            NotAppliedWhy::TimeoutBeforePropose => "no_quorum_before_propose",
            NotAppliedWhy::Superseded => "superseded",
            NotAppliedWhy::Aborted => "aborted",
            NotAppliedWhy::TooOld => "too_old",
            NotAppliedWhy::Contention => "contention",
        }
    }
}

/// Why an outcome is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnknownWhy {
    /// Time ran out after the operation's own update was proposed.
    Timeout,
    /// The operation was proposed, and a later operation of the same client is already in the row.
    Superseded,
    /// The operation was proposed long ago, and the row no longer remembers ids of that age.
    Evicted,
    /// An earlier request of the same operation may still be running at another node.
    ResentElsewhere,
    /// A fate query found the key's queue full, or timed out in the queue.
    Busy,
    /// The operation was proposed, and may have been declared aborted since. The row no longer remembers aborts of
    /// that age.
    TooOld,
    /// The operation was proposed, and then outbid for longer than the contention timeout.
    Contention,
    /// The operation was forwarded to the holder of a lease, and no reply arrived.
    Forwarded,
}

impl UnknownWhy {
    /// Stable name for histories and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            UnknownWhy::Timeout => "timeout",
            UnknownWhy::Superseded => "superseded",
            UnknownWhy::Evicted => "evicted",
            UnknownWhy::ResentElsewhere => "resent_elsewhere",
            UnknownWhy::Busy => "busy",
            UnknownWhy::TooOld => "too_old",
            UnknownWhy::Contention => "contention",
            UnknownWhy::Forwarded => "forwarded",
        }
    }
}

/// Why a request is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InvalidWhy {
    /// The key is empty or longer than the limit.
    KeySize,
    /// A value is longer than the limit.
    ValueSize,
    /// The id was already used for a different request.
    IdReused,
    /// The birth ballot is more than a day ahead of this node's clock.
    BornAhead,
}

impl InvalidWhy {
    /// Stable name for histories and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            InvalidWhy::KeySize => "key_size",
            InvalidWhy::ValueSize => "value_size",
            InvalidWhy::IdReused => "id_reused",
            InvalidWhy::BornAhead => "born_ahead",
        }
    }
}

/// The phase that an operation has reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Waiting behind other operations on the key.
    Queued,
    /// Waiting for promises.
    Prepare,
    /// Waiting for rows.
    Read,
    /// Bringing lagging replicas up to date.
    Refresh,
    /// Proposing an unfinished earlier update again.
    RepairPropose,
    /// Sending learn messages for an earlier update that was just finished.
    RepairLearn,
    /// Proposing an empty update, after a read or a refused CAS.
    Fence,
    /// Proposing its own update.
    Propose,
    /// Its own update is chosen, and the coordinator is sending learn messages.
    Learn,
    /// Waiting a random time after being outbid.
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
    /// Stable name for histories and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
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

/// How an outcome came about. Every reply includes it, so diagnosis needs no logs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Diagnostics {
    /// The operation.
    pub op: OpId,
    /// The phase of the operation when it was answered.
    pub phase: Phase,
    /// The last ballot used, or [`Ballot::ZERO`] if none.
    pub ballot: Ballot,
    /// Promises received at that ballot.
    pub promises: u32,
    /// Accepts received in the last propose round (of its own update, a fence or a repair).
    pub accepts: u32,
    /// Rejects received in the last round.
    pub rejects: u32,
    /// Number of replies in a quorum.
    pub needed: u32,
    /// Highest ballot seen while coordinating.
    pub max_seen_ballot: Ballot,
    /// The operation whose update was most recently repaired, if any.
    pub repaired_op: Option<OpId>,
    /// Number of attempts. Each has its own ballot.
    pub rounds: u32,
    /// Message round trips begun. Prepare, read, refresh, propose and learn each count as one.
    pub round_trips: u32,
    /// Attempts that were outbid.
    pub preempted: u32,
    /// Unfinished updates (of other operations, or earlier ones of this one) that the coordinator finished.
    pub repairs: u32,
    /// Time spent in backoff, in nanoseconds.
    pub backoff_ns: u64,
    /// Number of replicas known to have learned the operation's own update.
    pub learned_by: u32,
    /// The lease holder to which the operation was forwarded, if any.
    pub forwarded_to: Option<NodeId>,
}

impl Diagnostics {
    /// Diagnostics of an operation that has not started.
    #[must_use]
    pub fn new(op: OpId, needed: u32) -> Self {
        Self {
            op,
            phase: Phase::Queued,
            ballot: Ballot::ZERO,
            promises: 0,
            accepts: 0,
            rejects: 0,
            needed,
            max_seen_ballot: Ballot::ZERO,
            repaired_op: None,
            rounds: 0,
            round_trips: 0,
            preempted: 0,
            repairs: 0,
            backoff_ns: 0,
            learned_by: 0,
            forwarded_to: None,
        }
    }
}
