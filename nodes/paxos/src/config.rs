//! Settings and limits of one replica.

use crate::ids::NodeId;
use crate::lease::settings::{LeaseSettings, MAX_DRIFT_PPM, MAX_LEASE_NS, MAX_RANGES, MIN_LEASE_NS};
use crate::mutants::Mutants;
use crate::quorum::MAX_MEMBERS;
use crate::row::DedupeLimits;
use std::fmt;

/// Settings of one replica. Start from [`Config::new`] and change what differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// This node.
    pub node: NodeId,
    /// All nodes, this one included.
    pub members: Vec<NodeId>,
    /// How many rounds an operation takes.
    pub rounds: Rounds,
    /// What to do after being outbid.
    pub backoff: Backoff,
    /// How long an operation may go on losing ballots before it is answered, from its first attempt
    /// on. `None`: as long as its own time limit. Silence is not contention.
    pub contention_timeout_ns: Option<u64>,
    /// Operations that may wait for one key at this node; one more is answered busy.
    pub queue_per_key: usize,
    /// Who comes next where several wait for one key.
    pub queue: Queue,
    /// Operations that may share one proposal ([`Rounds::Fast`]).
    pub batch_ops: usize,
    /// Keys whose next ballot is kept promised ([`Rounds::Fast`]); each keeps its newest row in memory.
    pub prepared_keys: usize,
    /// Applied operation ids that a row remembers.
    pub dedupe_entries: usize,
    /// Aborted operation ids that a row remembers.
    pub aborted_entries: usize,
    /// Longest key, bytes.
    pub max_key_bytes: usize,
    /// Longest value, bytes.
    pub max_value_bytes: usize,
    /// A round without enough answers is sent again after this time, then after twice as much.
    pub resend_after_ns: u64,
    /// How often a round is sent again before the coordinator tries another ballot.
    pub resends_per_round: u32,
    /// After a first reject a round has this long to find its quorum all the same.
    pub reject_grace_ns: u64,
    /// Leases and forwarding.
    pub lease: LeaseSettings,
    /// What the links between nodes can do.
    pub links: Links,
    /// Whether accepted copies are dropped once every replica has learned.
    pub prune: Prune,
    /// A decision is pruned when its key has seen no newer one for this time.
    pub prune_after_ns: u64,
    /// Decisions that may wait to be pruned; one more is dropped and counted.
    pub prune_queue: usize,
    /// Age, by ballots, at which the Paxos state of a key expires; `None`: never.
    pub paxos_ttl_us: Option<u64>,
    /// Whether protocol points are announced.
    pub points: Points,
    /// Deliberate bugs.
    pub mutants: Mutants,
}

impl Config {
    /// The defaults for `node` in a cluster of `members`.
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
            points: Points::Silent,
            mutants: Mutants::NONE,
        }
    }

    /// How many operation ids a row remembers.
    pub(crate) fn dedupe_limits(&self) -> DedupeLimits {
        DedupeLimits { applied: self.dedupe_entries, aborted: self.aborted_entries }
    }

    /// Checks what the types cannot.
    ///
    /// # Errors
    /// The first setting that is wrong.
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

/// How many rounds an operation takes without contention. What makes each safe stands in the
/// module `coordinator` and at the lines it rests on. Nodes of one cluster may differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rounds {
    /// Prepare, read, propose, learn: a write takes 4 round trips, a read 3.
    Classic,
    /// The promise carries the row (`ScyllaDB`): a write takes 3, a read 2.
    Merged,
    /// Merged, and a chosen update is answered at once; replicas learn it without being waited for
    /// (Cassandra's second version of Paxos): a write takes 2, a read 1.
    AsyncLearn,
    /// Async learn, and a replica that accepts promises the coordinator's next ballot as well: from the
    /// second operation of a coordinator on a key on, 1 each. Operations that wait for the same key
    /// share a proposal.
    Fast,
}

impl Rounds {
    /// All of them, by rising saving.
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

    /// Whether a prepare asks for the row.
    #[must_use]
    pub(crate) fn prepare_reads(self) -> bool {
        match self {
            Rounds::Classic => false,
            Rounds::Merged | Rounds::AsyncLearn | Rounds::Fast => true,
        }
    }

    /// Whether a chosen update is answered before it is learned, and only whole rows are proposed.
    #[must_use]
    pub(crate) fn learns_later(self) -> bool {
        match self {
            Rounds::Classic | Rounds::Merged => false,
            Rounds::AsyncLearn | Rounds::Fast => true,
        }
    }

    /// Whether a ballot is kept promised for the next operation.
    #[must_use]
    pub(crate) fn keeps_ballots(self) -> bool {
        match self {
            Rounds::Classic | Rounds::Merged | Rounds::AsyncLearn => false,
            Rounds::Fast => true,
        }
    }
}

/// What a coordinator does after being outbid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backoff {
    /// Tries again at once.
    None,
    /// Waits a time drawn evenly from zero to this maximum.
    Uniform {
        /// The longest wait, nanoseconds.
        max_ns: u64,
    },
    /// Waits about as long as this node's own rounds have taken lately, longer with each attempt: see
    /// [`crate::backoff`].
    Adaptive {
        /// The longest wait, nanoseconds.
        max_ns: u64,
    },
}

/// What the links between nodes can do to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Links {
    /// A message may arrive twice. Then a reject does not prove that the first copy was not
    /// accepted, and a propose that all rejected stays unknown.
    MayDuplicate,
    /// A message arrives at most once.
    NeverDuplicate,
}

/// Who comes next where several operations wait for one key at a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Queue {
    /// Clients in turn, and operations that one answer decides are answered with it.
    Fair,
    /// In order of arrival, one by one: who has just won knows the value and wins again.
    Fifo,
}

/// Whether accepted copies are dropped once every replica has learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Prune {
    /// They stay until they are overwritten or expire.
    Off,
    /// They go soon after.
    On,
}

/// Whether protocol points are announced as actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Points {
    /// No [`crate::Action::Point`].
    Silent,
    /// One [`crate::Action::Point`] at each point reached.
    Announced,
}

/// A setting that cannot work.
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
    /// More members than fit into a set.
    TooManyMembers {
        /// How many there are.
        got: usize,
    },
    /// A limit that must be positive is zero.
    Zero {
        /// The setting.
        name: &'static str,
    },
    /// A setting of leases is out of its range. Times in nanoseconds, drift in parts per million.
    OutOfRange {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: u64,
        /// The least that works.
        least: u64,
        /// The most that works.
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
