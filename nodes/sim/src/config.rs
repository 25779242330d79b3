//! The settings of a world. Times are virtual nanoseconds, and probabilities are parts per million.

use crate::fault::FaultConfig;
use heckle_paxos::lease::LeaseSettings;
use heckle_paxos::{AbsentReads, Mutants, Prune, Queue, Rounds};

/// One microsecond in nanoseconds.
pub const US: u64 = 1_000;
/// One millisecond in nanoseconds.
pub const MS: u64 = 1_000_000;

/// The settings of a world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorldConfig {
    /// Number of nodes, named n1, n2 and so on.
    pub nodes: u16,
    /// Number of concurrent clients. Client i is connected to node i mod `nodes`.
    pub clients: u32,
    /// Number of clients that only read. They come first.
    pub readers: u32,
    /// Number of registers.
    pub keys: u32,
    /// Proportions of the kinds of calls.
    pub mix: Mix,
    /// Probability that a read or write bypasses Paxos, as a get or put with a quorum. If it is not zero, keys no
    /// longer behave as registers: the checker then verifies only the claims of Paxos about its own operations, and
    /// ignores values.
    pub cheap_ppm: u32,
    /// Time during which clients begin new operations.
    pub load_ns: u64,
    /// Longest pause of a client between two operations.
    pub think_ns: u64,
    /// Time limit of an operation at a node.
    pub op_timeout_ns: u64,
    /// How long a client waits for a reply. If this is shorter than the node's time limit, a resent operation may run
    /// at two nodes simultaneously.
    pub patience_ns: u64,
    /// Probability that a client resends an operation with an unknown outcome to another node.
    pub resend_ppm: u32,
    /// Probability that a client closes its connection when it gives up an operation, so that the node notices.
    pub gone_ppm: u32,
    /// Probability of a fate query for an abandoned operation, sent immediately and to any node.
    pub fate_ppm: u32,
    /// Settings of the links between nodes.
    pub links: LinkConfig,
    /// Settings of the disks.
    pub disks: DiskConfig,
    /// Settings of the clocks.
    pub clocks: ClockConfig,
    /// Settings of the faults.
    pub faults: FaultConfig,
    /// Settings of the core.
    pub core: CoreConfig,
}

/// Proportions of the kinds of calls, on any scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mix {
    /// Compare-and-set that expects the value the client last saw.
    pub cas: u32,
    /// Unconditional write.
    pub write: u32,
    /// Linearizable read.
    pub read: u32,
}

/// Settings of the links between nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkConfig {
    /// Shortest delay.
    pub delay_min_ns: u64,
    /// Longest usual delay.
    pub delay_max_ns: u64,
    /// Probability that a message is slow.
    pub slow_ppm: u32,
    /// Longest delay of a slow message.
    pub slow_max_ns: u64,
    /// Probability that a message is lost.
    pub loss_ppm: u32,
    /// Additional probability that a learn is lost, so that replicas lag while everything else continues.
    pub learn_loss_ppm: u32,
    /// Probability that a message arrives twice.
    pub duplicate_ppm: u32,
}

/// Settings of the disks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskConfig {
    /// Shortest sync.
    pub sync_min_ns: u64,
    /// Longest usual sync.
    pub sync_max_ns: u64,
    /// Probability that a sync is slow.
    pub slow_ppm: u32,
    /// Longest slow sync.
    pub slow_max_ns: u64,
    /// Log length, in records, at which a snapshot replaces the log.
    pub compact_records: usize,
}

/// Settings of the clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockConfig {
    /// Largest offset of a wall clock, in either direction.
    pub offset_max_us: u64,
    /// Largest drift of a monotonic clock, in either direction.
    pub drift_max_ppm: u32,
    /// Resolution of the wall clocks.
    pub resolution_us: u64,
}

/// Settings of the core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CoreConfig {
    /// See [`heckle_paxos::Config::rounds`].
    pub rounds: Rounds,
    /// The kind of backoff.
    pub backoff: BackoffKind,
    /// Longest backoff.
    pub backoff_max_ns: u64,
    /// See [`heckle_paxos::Config::resend_after_ns`].
    pub resend_after_ns: u64,
    /// See [`heckle_paxos::Config::resends_per_round`].
    pub resends_per_round: u32,
    /// See [`heckle_paxos::Config::dedupe_entries`].
    pub dedupe_entries: usize,
    /// See [`heckle_paxos::Config::aborted_entries`].
    pub aborted_entries: usize,
    /// See [`heckle_paxos::Config::queue_per_key`].
    pub queue_per_key: usize,
    /// See [`heckle_paxos::Config::queue`].
    pub queue: Queue,
    /// See [`heckle_paxos::Config::lease`].
    pub lease: LeaseSettings,
    /// See [`heckle_paxos::Config::prune`].
    pub prune: Prune,
    /// See [`heckle_paxos::Config::prune_after_ns`].
    pub prune_after_ns: u64,
    /// See [`heckle_paxos::Config::prune_queue`].
    pub prune_queue: usize,
    /// See [`heckle_paxos::Config::paxos_ttl_us`].
    pub paxos_ttl_us: Option<u64>,
    /// See [`heckle_paxos::Config::absent_reads`].
    pub absent_reads: AbsentReads,
    /// Deliberate bugs, active in all nodes.
    pub mutants: Mutants,
}

/// How long coordinators wait after being outbid: see [`heckle_paxos::Backoff`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackoffKind {
    /// A uniformly distributed random wait.
    Uniform,
    /// A wait based on the latencies of the node's own rounds.
    Adaptive,
}

impl Default for WorldConfig {
    /// Three healthy nodes with a little contention.
    fn default() -> Self {
        Self {
            nodes: 3,
            clients: 6,
            readers: 0,
            keys: 2,
            mix: Mix { cas: 40, write: 20, read: 40 },
            cheap_ppm: 0,
            load_ns: 600 * MS,
            think_ns: 20 * MS,
            op_timeout_ns: 300 * MS,
            patience_ns: 900 * MS,
            resend_ppm: 0,
            gone_ppm: 0,
            fate_ppm: 0,
            links: LinkConfig {
                delay_min_ns: 50 * US,
                delay_max_ns: MS,
                slow_ppm: 0,
                slow_max_ns: 0,
                loss_ppm: 0,
                learn_loss_ppm: 0,
                duplicate_ppm: 0,
            },
            disks: DiskConfig { sync_min_ns: 50 * US, sync_max_ns: 500 * US, slow_ppm: 0, slow_max_ns: 0, compact_records: 200 },
            clocks: ClockConfig { offset_max_us: 0, drift_max_ppm: 0, resolution_us: 1 },
            faults: FaultConfig { kinds: Vec::new(), every_ns: 100 * MS, for_max_ns: 150 * MS },
            core: CoreConfig {
                rounds: Rounds::Classic,
                backoff: BackoffKind::Uniform,
                backoff_max_ns: 20 * MS,
                resend_after_ns: 20 * MS,
                resends_per_round: 2,
                dedupe_entries: 64,
                aborted_entries: 64,
                queue_per_key: 64,
                queue: Queue::Fair,
                lease: LeaseSettings::default(),
                prune: Prune::On,
                prune_after_ns: 20 * MS,
                prune_queue: 64,
                paxos_ttl_us: None,
                absent_reads: AbsentReads::Quorum,
                mutants: Mutants::NONE,
            },
        }
    }
}

impl WorldConfig {
    /// Returns this world with one deliberate bug in all nodes.
    #[must_use]
    pub fn with_mutant(mut self, mutant: heckle_paxos::Mutant) -> Self {
        self.core.mutants = self.core.mutants.with(mutant);
        self
    }
}
