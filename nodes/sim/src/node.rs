//! One node: a replica while its process is alive, a disk that survives it, a clock, and the messages held back until
//! the disk has synced.

use crate::clock::NodeClock;
use crate::config::{BackoffKind, WorldConfig};
use crate::disk::{Crash, Disk, DurabilityMode};
use heckle_paxos::lease::LeaseMessage;
use heckle_paxos::{Actions, Config, Counters, Diagnostics, IoId, Message, Mutant, NodeId, Outcome, Record, Replica};
use rand_pcg::Pcg64;

/// One node.
#[derive(Debug)]
pub struct Node {
    /// Settings of the replica.
    pub config: Config,
    /// The replica. `None` if the process is not alive.
    pub replica: Option<Replica>,
    /// The disk of the node.
    pub disk: Disk,
    /// The clocks of the node.
    pub clock: NodeClock,
    /// Random number generator for the core.
    pub rng: Pcg64,
    /// Number of the current process. Events for earlier ones are ignored.
    pub epoch: u32,
    /// A stopped process handles nothing before this time.
    pub paused_until_ns: u64,
    /// Messages and replies waiting for the disk, in order.
    pub held: Vec<(IoId, Held)>,
    /// Newest batch that has been reported durable.
    pub durable: IoId,
    /// Counters summed over the dead processes.
    pub dead_counters: Counters,
}

/// A message or reply that may be sent only once a batch is durable.
#[derive(Debug)]
pub enum Held {
    /// A message to another node, counted from 0.
    Send(usize, Message),
    /// A lease message to another node, counted from 0.
    SendLease(usize, LeaseMessage),
    /// A reply to a client.
    Reply(u64, Outcome, Box<Diagnostics>),
}

impl Node {
    /// Creates a node with an empty disk and no process.
    #[must_use]
    pub fn new(at: usize, world: &WorldConfig, clock: NodeClock, rng: Pcg64) -> Self {
        let members = (1..=world.nodes).map(NodeId).collect();
        let mut config = Config::new(NodeId(u16::try_from(at + 1).expect("few nodes")), members);
        config.rounds = world.core.rounds;
        let max_ns = world.core.backoff_max_ns;
        config.backoff = match world.core.backoff {
            BackoffKind::Uniform => heckle_paxos::Backoff::Uniform { max_ns },
            BackoffKind::Adaptive => heckle_paxos::Backoff::Adaptive { max_ns },
        };
        config.resend_after_ns = world.core.resend_after_ns;
        config.resends_per_round = world.core.resends_per_round;
        config.dedupe_entries = world.core.dedupe_entries;
        config.aborted_entries = world.core.aborted_entries;
        config.queue_per_key = world.core.queue_per_key;
        config.queue = world.core.queue;
        config.prune = world.core.prune;
        config.prune_after_ns = world.core.prune_after_ns;
        config.prune_queue = world.core.prune_queue;
        config.paxos_ttl_us = world.core.paxos_ttl_us;
        config.absent_reads = world.core.absent_reads;
        if world.links.duplicate_ppm == 0 {
            config.links = heckle_paxos::Links::NeverDuplicate;
        }
        config.lease = world.core.lease;
        config.mutants = world.core.mutants;
        let durability =
            if config.mutants.has(Mutant::AnswerBeforeWrite) { DurabilityMode::AnswerBeforeWrite } else { DurabilityMode::Synced };
        Self {
            config,
            replica: None,
            disk: Disk::new(world.disks, durability),
            clock,
            rng,
            epoch: 0,
            paused_until_ns: 0,
            held: Vec::new(),
            durable: IoId(0),
            dead_counters: Counters::default(),
        }
    }

    /// Whether batches are reported durable too early.
    #[must_use]
    pub fn answers_before_write(&self) -> bool {
        self.config.mutants.has(Mutant::AnswerBeforeWrite)
    }

    /// Starts a process from the contents of the disk.
    ///
    /// # Panics
    /// Panics if the settings are invalid, which [`Node::new`] prevents.
    pub fn start(&mut self, out: &mut Actions) {
        let mut replica = Replica::new(self.config.clone()).expect("the world's settings are valid");
        for record in self.disk.records() {
            replica.recover(record.clone());
        }
        replica.start(out);
        self.replica = Some(replica);
        self.epoch += 1;
        self.durable = IoId(0);
    }

    /// Ends the process. Returns the records that turned out to survive.
    pub fn crash(&mut self, crash: Crash) -> Vec<Record> {
        if let Some(replica) = self.replica.take() {
            self.dead_counters.add(replica.counters());
        }
        self.epoch += 1;
        self.held.clear();
        self.paused_until_ns = 0;
        self.disk.crash(crash, &mut self.rng)
    }

    /// Sum of the counters over all processes of the node.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let mut sum = self.dead_counters;
        if let Some(replica) = &self.replica {
            sum.add(replica.counters());
        }
        sum
    }
}
