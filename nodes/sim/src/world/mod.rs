//! The event loop: the only place in this crate that advances time and owns random streams.

mod clients;
mod fates;
mod nodes;

use crate::checker::{Checker, Values, ViolationKind};
use crate::client::{Client, key_name};
use crate::clock::NodeClock;
use crate::config::WorldConfig;
use crate::fault::{self, Fault};
use crate::net::Net;
use crate::node::Node;
use crate::op_record::OpRecord;
use crate::report::Report;
use heckle_paxos::lease::LeaseMessage;
use heckle_paxos::{Actions, Ballot, Diagnostics, IoId, Message, OpId, Outcome, Provenance, Replica, TimerId};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Maximum number of events. No sensible world has more, so this stops an endless loop.
const MAX_EVENTS: u64 = 20_000_000;
/// A run stops at this number of violations, since more would explain nothing.
const MAX_VIOLATIONS: usize = 20;

/// A virtual world: nodes, network, disks, clocks, clients, faults and a checker.
#[derive(Debug)]
pub struct World {
    config: WorldConfig,
    seed: u64,
    now_ns: u64,
    next_seq: u64,
    agenda: BinaryHeap<Entry>,
    nodes: Vec<Node>,
    net: Net,
    rngs: Rngs,
    clients: Vec<Client>,
    next_number: u64,
    next_value: u64,
    ops: Vec<OpRecord>,
    /// For each operation, its key.
    op_keys: Vec<usize>,
    /// For each token: its operation, and how the request was sent.
    requests: Vec<Request>,
    checker: Checker,
    faults: Vec<Fault>,
    finals: Vec<(usize, usize)>,
    out: Actions,
    events: u64,
    digest: u64,
}

/// A separate random number stream for each purpose, so that an extra draw for one purpose does not change all the
/// others.
#[derive(Debug)]
struct Rngs {
    net: Pcg64,
    disks: Pcg64,
    clients: Pcg64,
}

#[derive(Debug, Clone, Copy)]
struct Request {
    op: usize,
    requester: Requester,
    node: usize,
    epoch: u32,
    provenance: Provenance,
    timeout_ns: u64,
}

/// The recipient of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Requester {
    /// A client of the load phase.
    Client(usize),
    /// One of the reads at the end.
    FinalRead,
    /// A fate query.
    FateQuery(FateQuery),
}

/// A fate query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FateQuery {
    /// Index of the queried operation in the list of operations.
    about: usize,
    /// The birth ballot in the operation's requests.
    born: Ballot,
    /// Number of times the query was sent.
    tries: u32,
}

#[derive(Debug)]
struct Entry {
    at_ns: u64,
    seq: u64,
    what: WorldEvent,
}

/// Events of the world. Nodes are counted from 0, and `epoch` identifies the process.
#[derive(Debug)]
enum WorldEvent {
    Peer { from: usize, to: usize, message: Message },
    PeerLease { from: usize, to: usize, message: LeaseMessage },
    Timer { node: usize, epoch: u32, id: TimerId },
    DiskSynced { node: usize, epoch: u32 },
    Persisted { node: usize, epoch: u32, io_id: IoId },
    ClientRequest { token: u64 },
    ClientAnswer { token: u64, outcome: Outcome, diagnostics: Box<Diagnostics> },
    ClientLost { token: u64 },
    ClientNext { client: usize },
    FateQueryDue { query: FateQuery },
    FaultBegins { fault: usize },
    FaultEnds { fault: usize },
    LoadEnds,
    NextFinalRead,
}

impl Ord for Entry {
    /// Earliest first in a max-heap. If times are equal, the event scheduled first comes first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at_ns, other.seq).cmp(&(self.at_ns, self.seq))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.seq == other.seq
    }
}

impl Eq for Entry {}

impl World {
    /// Creates the world for a seed.
    #[must_use]
    pub fn new(seed: u64, config: WorldConfig) -> Self {
        let stream = |name: u64| Pcg64::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ name);
        let count = usize::from(config.nodes);
        let mut draw = stream(1);
        let nodes = (0..count).map(|at| {
            let offset = i64::try_from(config.clocks.offset_max_us).unwrap_or(i64::MAX);
            let drift = i32::try_from(config.clocks.drift_max_ppm).unwrap_or(0);
            let clock = NodeClock {
                offset_us: draw.random_range(-offset..=offset),
                drift_ppm: draw.random_range(-drift..=drift),
                resolution_us: config.clocks.resolution_us,
            };
            Node::new(at, &config, clock, stream(100 + at as u64))
        });
        let nodes = nodes.collect();
        let faults = fault::schedule(&config.faults, count, config.load_ns, &mut stream(2));
        let keys = config.keys as usize;
        let clients = (0..config.clients as usize).map(|client| Client::new(client as u64 + 1, client % count, keys));
        let clients: Vec<Client> = clients.collect();
        Self {
            seed,
            now_ns: 0,
            next_seq: 0,
            agenda: BinaryHeap::new(),
            nodes,
            net: Net::new(config.links),
            rngs: Rngs { net: stream(3), disks: stream(4), clients: stream(5) },
            next_number: clients.len() as u64 + 1,
            clients,
            next_value: 0,
            ops: Vec::new(),
            op_keys: Vec::new(),
            requests: Vec::new(),
            checker: Checker::new(count, if config.cheap_ppm > 0 { Values::Ignored } else { Values::Checked }),
            faults,
            finals: (0..keys).flat_map(|key| (0..count).map(move |node| (key, node))).rev().collect(),
            out: Actions::new(),
            events: 0,
            digest: 0xcbf2_9ce4_8422_2325,
            config,
        }
    }

    /// Runs to the end: load under faults, healing, draining, and final reads of each key through each node.
    ///
    /// # Panics
    /// Panics if the core breaks one of its own invariants.
    #[must_use]
    pub fn run(mut self) -> Report {
        self.begin();
        while let Some(Entry { at_ns, what, .. }) = self.agenda.pop() {
            self.now_ns = at_ns;
            self.checker.at(at_ns);
            self.events += 1;
            self.note(at_ns);
            self.handle(what);
            if self.checker.violations().len() >= MAX_VIOLATIONS || self.events >= MAX_EVENTS {
                break;
            }
        }
        self.end()
    }

    fn begin(&mut self) {
        for node in 0..self.nodes.len() {
            self.start_node(node);
        }
        for client in 0..self.clients.len() {
            let at_ns = self.rngs.clients.random_range(0..=self.config.think_ns);
            self.push(at_ns, WorldEvent::ClientNext { client });
        }
        for fault in 0..self.faults.len() {
            let (begin_ns, end_ns) = (self.faults[fault].begin_ns, self.faults[fault].end_ns);
            self.push(begin_ns, WorldEvent::FaultBegins { fault });
            self.push(end_ns, WorldEvent::FaultEnds { fault });
        }
        self.push(self.config.load_ns, WorldEvent::LoadEnds);
    }

    /// Checks the final state, after everything has drained.
    fn check_state(&mut self) {
        for (at, node) in self.nodes.iter().enumerate() {
            let Some(replica) = &node.replica else {
                continue;
            };
            assert_eq!(replica.state_bytes(), replica.count_state_bytes(), "n{}: bytes of state, kept and counted", at + 1);
            let left = replica.prune_queue_len();
            if left > 0 && self.agenda.is_empty() {
                let detail = format!("n{}: {left} decisions still wait to be pruned", at + 1);
                self.checker.report(ViolationKind::PruneLeak, &key_name(0), detail);
            }
        }
    }

    fn end(mut self) -> Report {
        self.check_state();
        let Self { seed, ops, faults, checker, nodes, net, events, digest, now_ns, .. } = self;
        Report {
            seed,
            ops,
            faults,
            violations: checker.violations().to_vec(),
            counters: nodes.iter().map(Node::counters).collect(),
            state_bytes: nodes.iter().filter_map(|node| node.replica.as_ref()).map(Replica::state_bytes).collect(),
            messages: (net.sent, net.lost, net.doubled),
            syncs: nodes.iter().map(|node| node.disk.syncs).sum(),
            events,
            digest,
            end_ns: now_ns,
        }
    }

    fn push(&mut self, at_ns: u64, what: WorldEvent) {
        self.next_seq += 1;
        self.agenda.push(Entry { at_ns, seq: self.next_seq, what });
    }

    /// Mixes a number into the digest of the run.
    fn note(&mut self, number: u64) {
        self.digest = (self.digest ^ number).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
    }

    fn handle(&mut self, what: WorldEvent) {
        // A stopped process handles all its events in order of arrival when it continues.
        if let Some(node) = what.handled_by(&self.requests)
            && self.now_ns < self.nodes[node].paused_until_ns
        {
            let at_ns = self.nodes[node].paused_until_ns;
            self.push(at_ns, what);
            return;
        }
        match what {
            WorldEvent::Peer { from, to, message } => self.on_peer(from, to, message),
            WorldEvent::PeerLease { from, to, message } => self.on_peer_lease(from, to, message),
            WorldEvent::Timer { node, epoch, id } => self.on_timer(node, epoch, id),
            WorldEvent::DiskSynced { node, epoch } => self.on_disk_synced(node, epoch),
            WorldEvent::Persisted { node, epoch, io_id } => self.on_persisted(node, epoch, io_id),
            WorldEvent::ClientRequest { token } => self.on_request(token),
            WorldEvent::ClientAnswer { token, outcome, diagnostics } => self.on_client_answer(token, outcome, *diagnostics),
            WorldEvent::ClientLost { token } => self.on_client_lost(token),
            WorldEvent::ClientNext { client } => self.on_client_next(client),
            WorldEvent::FateQueryDue { query } => self.on_fate_query_due(query),
            WorldEvent::FaultBegins { fault } => self.on_fault_begins(fault),
            WorldEvent::FaultEnds { fault } => self.on_fault_ends(fault),
            WorldEvent::LoadEnds => self.on_load_ends(),
            WorldEvent::NextFinalRead => self.on_next_final_read(),
        }
    }

    /// Ends the load after all faults have ended: the network recovers, operations in flight drain, and then every
    /// key is read through every node.
    fn on_load_ends(&mut self) {
        self.net.heal();
        let drain_ns = 4 * self.config.op_timeout_ns + self.config.links.slow_max_ns;
        self.push(self.now_ns + drain_ns, WorldEvent::NextFinalRead);
    }

    fn on_next_final_read(&mut self) {
        let Some((key, node)) = self.finals.pop() else {
            return;
        };
        self.next_number += 1;
        let op = OpId { client: self.next_number, seq: 1 };
        let at = self.begin_op(op, key, heckle_paxos::Call::Read, node);
        // A generous limit: a core that makes no progress in this time without faults never will.
        let timeout_ns = 10_000_000_000;
        self.send_request(at, Requester::FinalRead, node, Provenance::First, timeout_ns);
    }

    /// Handles the reply to a final read.
    fn on_final_answer(&mut self, op: usize, outcome: &Outcome) {
        if !matches!(outcome, Outcome::Read { .. }) {
            let (key, node) = (self.ops[op].key.clone(), self.ops[op].node);
            let detail = format!("a read through n{} ended with {outcome:?} after all had healed", node + 1);
            self.checker.report(ViolationKind::NoProgress, &key, detail);
        }
        self.push(self.now_ns, WorldEvent::NextFinalRead);
    }

    fn begin_op(&mut self, op: OpId, key: usize, call: heckle_paxos::Call, node: usize) -> usize {
        let record = OpRecord {
            op,
            key: key_name(key),
            call,
            cheap: false,
            node,
            invoked_ns: self.now_ns,
            completed_ns: None,
            outcome: None,
            diagnostics: None,
            resends: 0,
        };
        self.checker.invoked(&record);
        self.ops.push(record);
        self.op_keys.push(key);
        self.ops.len() - 1
    }
}

impl WorldEvent {
    /// The node whose process must be running for this event.
    fn handled_by(&self, requests: &[Request]) -> Option<usize> {
        match self {
            WorldEvent::Peer { to, .. } | WorldEvent::PeerLease { to, .. } => Some(*to),
            WorldEvent::Timer { node, .. } | WorldEvent::Persisted { node, .. } => Some(*node),
            WorldEvent::ClientRequest { token } => Some(requests[*token as usize].node),
            WorldEvent::DiskSynced { .. }
            | WorldEvent::ClientAnswer { .. }
            | WorldEvent::ClientLost { .. }
            | WorldEvent::ClientNext { .. }
            | WorldEvent::FateQueryDue { .. }
            | WorldEvent::FaultBegins { .. }
            | WorldEvent::FaultEnds { .. }
            | WorldEvent::LoadEnds
            | WorldEvent::NextFinalRead => None,
        }
    }
}
