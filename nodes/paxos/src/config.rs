//! Settings and limits of one replica.

use crate::ids::NodeId;
use crate::lease::settings::{LeaseSettings, MAX_DRIFT_PPM, MAX_LEASE_NS, MAX_RANGES, MIN_LEASE_NS};
use crate::mutants::Mutants;
use crate::quorum::MAX_MEMBERS;
use crate::row::DedupeLimits;
use std::fmt;

/// Settings of one replica. Start from [`Config::new`] and change individual fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The id of this node.
    pub node: NodeId,
    /// All nodes, including this one.
    pub members: Vec<NodeId>,
    /// Which rounds an operation goes through.
    pub rounds: Rounds,
    /// How long to wait after being outbid.
    pub backoff: Backoff,
    /// How long an operation may keep being outbid, counted from its first attempt, before it is answered. `None`:
    /// until its own time limit. Missing replies do not count as contention.
    pub contention_timeout_ns: Option<u64>,
    /// Maximum number of operations that may wait for one key at this node. Further ones are answered "busy".
    pub queue_per_key: usize,
    /// Which operation runs next when several are waiting for the same key.
    pub queue: Queue,
    /// Maximum number of operations that may share one proposal ([`Rounds::Fast`]).
    pub batch_ops: usize,
    /// Maximum number of keys with a next ballot promised in advance ([`Rounds::Fast`]). Each of them keeps its
    /// newest row in memory.
    pub prepared_keys: usize,
    /// Maximum number of applied operation ids that a row remembers.
    pub dedupe_entries: usize,
    /// Maximum number of aborted operation ids that a row remembers.
    pub aborted_entries: usize,
    /// Maximum key length in bytes.
    pub max_key_bytes: usize,
    /// Maximum value length in bytes.
    pub max_value_bytes: usize,
    /// A round without enough replies is resent after this time, and again after twice as long.
    pub resend_after_ns: u64,
    /// How many times a round is resent before the coordinator tries another ballot.
    pub resends_per_round: u32,
    /// After its first reject, a round still has this much time to reach a quorum.
    pub reject_grace_ns: u64,
    /// Settings of leases and forwarding.
    pub lease: LeaseSettings,
    /// Whether the links between nodes can duplicate messages.
    pub links: Links,
    /// Whether accepted copies are dropped once every replica has learned.
    pub prune: Prune,
    /// A decision is pruned once its key has had no newer decision for this long.
    pub prune_after_ns: u64,
    /// Maximum number of decisions waiting to be pruned. Further ones are dropped and counted.
    pub prune_queue: usize,
    /// Age, measured by ballots, at which the Paxos state of a key expires. `None`: never.
    pub paxos_ttl_us: Option<u64>,
    /// How to read a key that this node has never seen.
    pub absent_reads: AbsentReads,
    /// Whether protocol points are announced.
    pub points: Points,
    /// The deliberate bugs that are active.
    pub mutants: Mutants,
}

impl Config {
    /// Default settings for `node` in a cluster of `members`.
    #[must_use]
    pub fn new(node: NodeId, members: Vec<NodeId>) -> Self {
        Self {
            node,
            members,
            rounds: Rounds::Classic,
            backoff: Backoff::Uniform { max_ns: 100_000_000 },
            contention_timeout_ns: None,
            queue_per_key: 256,
            queue: Queue::Fair,
            batch_ops: 128,
            prepared_keys: 65_536,
            dedupe_entries: 64,
            aborted_entries: 64,
            max_key_bytes: 1024,
            max_value_bytes: 1 << 20,
            resend_after_ns: 100_000_000,
            resends_per_round: 2,
            reject_grace_ns: 5_000_000,
            lease: LeaseSettings::default(),
            links: Links::MayDuplicate,
            prune: Prune::On,
            prune_after_ns: 20_000_000,
            prune_queue: 4_096,
            paxos_ttl_us: None,
            absent_reads: AbsentReads::Prepare,
            points: Points::Silent,
            mutants: Mutants::NONE,
        }
    }

    /// Limits on the operation ids that a row remembers.
    pub(crate) fn dedupe_limits(&self) -> DedupeLimits {
        DedupeLimits { applied: self.dedupe_entries, aborted: self.aborted_entries }
    }

    /// Checks the rules that the types cannot enforce.
    ///
    /// # Errors
    /// Returns the first invalid setting.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if !self.members.contains(&self.node) {
            return Err(ConfigError::NodeNotMember { node: self.node });
        }
        if self.members.len() > MAX_MEMBERS {
            return Err(ConfigError::TooManyMembers { got: self.members.len() });
        }
        let mut sorted = self.members.clone();
        sorted.sort_unstable();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(ConfigError::MemberTwice { node: pair[0] });
        }
        for (name, value) in [
            ("dedupe_entries", self.dedupe_entries as u64),
            ("aborted_entries", self.aborted_entries as u64),
            ("batch_ops", self.batch_ops as u64),
            ("max_key_bytes", self.max_key_bytes as u64),
            ("resend_after_ns", self.resend_after_ns),
            ("prune_after_ns", self.prune_after_ns),
            ("prune_queue", self.prune_queue as u64),
            ("paxos_ttl_us", self.paxos_ttl_us.unwrap_or(u64::MAX)),
        ] {
            if value == 0 {
                return Err(ConfigError::Zero { name });
            }
        }
        let lease = &self.lease;
        for (name, value, least, most) in [
            ("lease_time", lease.time_ns, MIN_LEASE_NS, MAX_LEASE_NS),
            ("lease_drift", u64::from(lease.drift_ppm), 0, u64::from(MAX_DRIFT_PPM)),
            ("lease_ranges", u64::from(lease.ranges), 1, u64::from(MAX_RANGES)),
        ] {
            if !(least..=most).contains(&value) {
                return Err(ConfigError::OutOfRange { name, value, least, most });
            }
        }
        Ok(())
    }
}

/// How many rounds an operation takes without competing coordinators. The `coordinator` module explains why each mode
/// is safe, with comments at the relevant lines. Nodes of one cluster may use different modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rounds {
    /// Prepare, read, propose, learn: a write takes 4 round trips, a read 3.
    Classic,
    /// The promise carries the row, as in `ScyllaDB`: a write takes 3 round trips, a read 2.
    Merged,
    /// Merged, and the coordinator replies as soon as the update is chosen, without waiting for replicas to learn it
    /// (Cassandra's second version of Paxos): a write takes 2 round trips, a read 1.
    AsyncLearn,
    /// Async learn, and an accept also promises the coordinator's next ballot: from its second operation on a key, a
    /// coordinator needs 1 round trip for each. Operations waiting for the same key share a proposal.
    Fast,
}

impl Rounds {
    /// All modes, from most to fewest round trips.
    pub const ALL: [Rounds; 4] = [Rounds::Classic, Rounds::Merged, Rounds::AsyncLearn, Rounds::Fast];

    /// The name in settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Rounds::Classic => "classic",
            Rounds::Merged => "merged",
            Rounds::AsyncLearn => "async-learn",
            Rounds::Fast => "fast",
        }
    }

    /// Whether a prepare requests the row.
    #[must_use]
    pub(crate) fn prepare_reads(self) -> bool {
        match self {
            Rounds::Classic => false,
            Rounds::Merged | Rounds::AsyncLearn | Rounds::Fast => true,
        }
    }

    /// Whether a chosen update is answered before it is learned. If so, only whole rows are proposed.
    #[must_use]
    pub(crate) fn replies_before_learn(self) -> bool {
        match self {
            Rounds::Classic | Rounds::Merged => false,
            Rounds::AsyncLearn | Rounds::Fast => true,
        }
    }

    /// Whether a promised ballot is kept for the next operation.
    #[must_use]
    pub(crate) fn prepares_next_ballot(self) -> bool {
        match self {
            Rounds::Classic | Rounds::Merged | Rounds::AsyncLearn => false,
            Rounds::Fast => true,
        }
    }
}

/// How long a coordinator waits after being outbid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backoff {
    /// No wait.
    None,
    /// A random wait, uniform between zero and `max_ns`.
    Uniform {
        /// The longest wait in nanoseconds.
        max_ns: u64,
    },
    /// About the duration of this node's recent rounds, and longer with each attempt: see [`crate::backoff`].
    Adaptive {
        /// The longest wait in nanoseconds.
        max_ns: u64,
    },
}

/// Whether the links between nodes can duplicate messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Links {
    /// A message may arrive twice. A reject then does not prove that the first copy was not accepted, so the outcome
    /// of a propose that all replicas rejected remains unknown.
    MayDuplicate,
    /// A message arrives at most once.
    NeverDuplicate,
}

/// Which operation runs next when several are waiting for the same key at a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Queue {
    /// Clients take turns. Operations already decided by the current round are answered from its result.
    Fair,
    /// Operations run one by one in order of arrival. The last winner already has the current value, so it tends to
    /// win again.
    Fifo,
}

/// Whether accepted copies are dropped once every replica has learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Prune {
    /// Accepted copies stay until they are overwritten or expire.
    Off,
    /// Accepted copies are dropped soon after every replica has learned.
    On,
}

/// How a coordinator reads a key for which it has no state. Nodes of one cluster may use different settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AbsentReads {
    /// Like any other key. The read leaves a promise and a fence at every replica.
    Prepare,
    /// The coordinator first asks a quorum whether it has any state for the key. If it has none, the read ends
    /// without leaving any state behind: see the `absent` module.
    Quorum,
}

/// Whether protocol points are announced as actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Points {
    /// No [`crate::Action::Point`] is emitted.
    Silent,
    /// A [`crate::Action::Point`] is emitted at each point reached.
    Announced,
}

/// Why settings are invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigError {
    /// `node` is not in `members`.
    NodeNotMember {
        /// The node.
        node: NodeId,
    },
    /// A node is listed twice.
    MemberTwice {
        /// The node.
        node: NodeId,
    },
    /// There are more members than fit into a [`crate::quorum::NodeSet`].
    TooManyMembers {
        /// Number of members.
        got: usize,
    },
    /// A limit that must be positive is zero.
    Zero {
        /// The setting.
        name: &'static str,
    },
    /// A lease setting is out of range. Times are in nanoseconds, and drift is in parts per million.
    OutOfRange {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: u64,
        /// The smallest valid value.
        least: u64,
        /// The largest valid value.
        most: u64,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::NodeNotMember { node } => {
                write!(f, "node {node} is not among the members: add it to the list of all nodes")
            }
            ConfigError::MemberTwice { node } => write!(f, "member {node} is listed twice: list each node once"),
            ConfigError::TooManyMembers { got } => {
                write!(f, "{got} members: at most {MAX_MEMBERS} are supported")
            }
            ConfigError::OutOfRange { name, value, least, most } => {
                let unit = if *name == "lease_time" { " ns" } else { "" };
                write!(f, "{name} is {value}{unit}: it must be within {least}..={most}{unit}")
            }
            ConfigError::Zero { name } => write!(f, "{name} is 0: give it a positive number"),
        }
    }
}

impl std::error::Error for ConfigError {}
