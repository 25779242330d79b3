//! What clients ask, and answers that say exactly what is known.

use crate::ballot::Ballot;
use crate::ids::{Key, NodeId, OpId, Value};

/// One request of a client.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientRequest {
    /// The operation's id.
    pub op: OpId,
    /// The register.
    pub key: Key,
    /// What to do with it.
    pub call: Call,
    /// The coordinator answers within this time, whatever happens.
    pub timeout_ns: u64,
    /// Whether this operation may have been sent before.
    pub provenance: Provenance,
}

/// What can be asked of a register, all of it through Paxos.
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
        /// What the register must hold; `None` for a register that was never written.
        expected: Option<Value>,
        /// The new value.
        new: Value,
    },
    /// What became of an earlier write or CAS on this key. If it is not in the row it is declared
    /// aborted, and will never be applied. The request has an id of its own.
    Fate {
        /// The operation asked about.
        of: OpId,
        /// What the requests of that operation said: the ballot of [`Provenance::FirstAfter`] or
        /// [`Provenance::Resent`]; [`Ballot::ZERO`] if they were [`Provenance::First`].
        born: Ballot,
    },
}

impl Call {
    /// Whether it changes the value.
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
    /// This is the operation's first request. The client sends the operation again only after this
    /// request was answered, or its time limit has certainly passed, or the node's process is gone.
    /// A client that does not want to wait so long says [`Provenance::Resent`] from the start.
    First,
    /// The same, and the operation says when it was born: a ballot that its client had seen before,
    /// the newer the better. A row that has forgotten aborted ids refuses operations that may be
    /// among them, and those without a birth always may.
    FirstAfter {
        /// The same in the question for its fate. All ballots of the operation are above it.
        born: Ballot,
    },
    /// Another request of the same operation was sent before, with an unknown outcome, or may be
    /// sent while this one runs. The operation still happens at most once. The answer is never "not
    /// applied" or "condition not met", since the other request may yet do what this one did not.
    Resent {
        /// The same in all requests of the operation: a ballot below every one that its first
        /// coordinator can have used for it. A ballot serves that came, before the operation was
        /// sent, from that coordinator's process (a process's ballots only rise).
        /// [`Ballot::ZERO`] if none is known: then a row that has forgotten ids refuses the retry.
        ///
        /// All coordinators of the operation use ballots above it, so the row's memory reaches back
        /// far enough iff it reaches back to here.
        born: Ballot,
    },
}

impl Provenance {
    /// The ballot that the operation was born at; [`Ballot::ZERO`] if it does not say.
    #[must_use]
    pub fn born(self) -> Ballot {
        match self {
            Provenance::First => Ballot::ZERO,
            Provenance::FirstAfter { born } | Provenance::Resent { born } => born,
        }
    }
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The write or CAS happened, exactly once.
    Applied,
    /// The read happened and saw this; `None` for a register that was never written.
    Read {
        /// The value seen.
        current: Option<Value>,
    },
    /// The CAS did not happen and never will: the register held something else.
    ConditionNotMet {
        /// The value seen.
        current: Option<Value>,
    },
    /// What became of the operation asked about.
    Fate {
        /// The answer.
        fate: Fate,
    },
    /// Proved not to have happened, and it never will through this request.
    NotApplied {
        /// Why.
        why: NotAppliedWhy,
    },
    /// It may have happened, and may still happen.
    Unknown {
        /// Why.
        why: UnknownWhy,
    },
    /// The request itself is wrong; it did not happen.
    Invalid {
        /// Why.
        why: InvalidWhy,
    },
}

/// What became of an operation, as far as its key's row tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It took effect.
    Applied,
    /// It did not, and never will.
    NotApplied,
    /// It is older than what the row remembers.
    Evicted,
    /// A later operation of the same client is in the row, so its own entry is gone if it had one.
    Superseded,
}

/// Why a request was not applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotAppliedWhy {
    /// The key's queue at this node is full.
    Busy,
    /// Time ran out while waiting behind other operations on the key.
    TimeoutInQueue,
    /// Time ran out before its own update was proposed to any replica.
    TimeoutBeforePropose,
    /// A later operation of the same client is already in the row.
    Superseded,
    /// The id was declared aborted by a fate request.
    Aborted,
    /// It was born before ids that were declared aborted and are forgotten: it may be one of them.
    TooOld,
    /// It was outbid for as long as it may be, and nothing of it was proposed.
    Contention,
}

impl NotAppliedWhy {
    /// A stable name for histories and logs.
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
    /// Time ran out after its own update was proposed.
    Timeout,
    /// It was proposed, and a later operation of the same client is already in the row.
    Superseded,
    /// It was proposed long ago, and the row no longer remembers ids of that age.
    Evicted,
    /// An earlier request of the same operation may still be running at another node.
    ResentElsewhere,
    /// A question for a fate found the key's queue full, or its time ran out in there.
    Busy,
    /// It was proposed, and may have been declared aborted since; aborts of that age are forgotten.
    TooOld,
    /// It was proposed, and then outbid for as long as it may be.
    Contention,
    /// It was forwarded to the holder of a lease, and no answer came.
    Forwarded,
}

impl UnknownWhy {
    /// A stable name for histories and logs.
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

/// What is wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InvalidWhy {
    /// The key is empty or longer than the limit.
    KeySize,
    /// A value is longer than the limit.
    ValueSize,
    /// The id was used before for a different request.
    IdReused,
    /// The ballot it says it was born at lies more than a day ahead of this node's clock.
    BornAhead,
}

impl InvalidWhy {
    /// A stable name for histories and logs.
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

/// How far an operation had come.
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
    /// Waiting a random time after being outbid.
    Backoff,
    /// Done without an own update, or found done.
    Done,
    /// Handed to the holder of a lease.
    Forwarded,
    /// Read from the own row under a read lease.
    LocalRead,
    /// Put or got on the last-write-wins path, without Paxos.
    Plain,
}

impl Phase {
    /// A stable name for histories and logs.
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
            Phase::Plain => "cheap",
        }
    }
}

/// How an outcome came about. In every answer, so that no logs are needed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Diagnostics {
    /// The operation.
    pub op: OpId,
    /// How far it had come when it was answered.
    pub phase: Phase,
    /// The last ballot used; [`Ballot::ZERO`] if none.
    pub ballot: Ballot,
    /// Promises received at that ballot.
    pub promises: u32,
    /// Accepts received in the last propose round (own update, fence or repair).
    pub accepts: u32,
    /// Rejects received in the last round.
    pub rejects: u32,
    /// Answers that make a quorum.
    pub needed: u32,
    /// Highest ballot seen anywhere while coordinating.
    pub max_seen_ballot: Ballot,
    /// The operation whose update was repaired last, if any.
    pub repaired_op: Option<OpId>,
    /// Attempts made, each with a ballot of its own.
    pub rounds: u32,
    /// Message round trips begun: prepare, read, refresh, propose and learn count one each.
    pub round_trips: u32,
    /// Attempts that were outbid.
    pub preempted: u32,
    /// Updates of others (or earlier ones of its own) that were finished on the way.
    pub repairs: u32,
    /// Time spent in backoff, nanoseconds.
    pub backoff_ns: u64,
    /// Replicas known to have learned the own update.
    pub learned_by: u32,
    /// The holder of a lease that it was handed to, if it was.
    pub forwarded_to: Option<NodeId>,
}

impl Diagnostics {
    /// Nothing has happened yet.
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
