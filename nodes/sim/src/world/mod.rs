//! The event loop. The only place of this crate where time passes and chance is drawn from.

mod clients;
mod fates;
mod nodes;

use crate::client::{Client, key_name};
use crate::clock::NodeClock;
use crate::config::WorldConfig;
use crate::fault::{self, Fault};
use crate::judge::{Judge, Values, ViolationKind};
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

/// More events than any sensible world has: a loop without end stops here.
const MAX_EVENTS: u64 = 20_000_000;
/// A run stops when this many things are wrong: more of them explain nothing.
const MAX_VIOLATIONS: usize = 20;

/// A virtual world: nodes, network, disks, clocks, clients, faults and a judge.
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
    /// By operation: which key.
    op_keys: Vec<usize>,
    /// By token: which operation, and how the request was sent.
    requests: Vec<Request>,
    judge: Judge,
    faults: Vec<Fault>,
    finals: Vec<(usize, usize)>,
    out: Actions,
    events: u64,
    digest: u64,
}

/// A stream of randomness for each purpose, so that one more draw here does not change all there.
#[derive(Debug)]
struct Rngs {
    net: Pcg64,
    disks: Pcg64,
    clients: Pcg64,
}

#[derive(Debug, Clone, Copy)]
struct Request {
    op: usize,
    asker: Asker,
    node: usize,
    epoch: u32,
    provenance: Provenance,
    timeout_ns: u64,
}

/// Who waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asker {
    /// A client of the load.
    Client(usize),
    /// One of the reads at the end.
    FinalRead,
    /// A client that asks for the fate of an operation.
    Question(Question),
}

/// A question for a fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Question {
    /// The operation, as an index into the list.
    about: usize,
    /// What its requests said.
    born: Ballot,
    /// How often it was asked.
    asked: u32,
}

#[derive(Debug)]
struct Entry {
    at_ns: u64,
    seq: u64,
    what: What,
}

/// Things that happen. Nodes are counted from 0; `epoch` names the process.
#[derive(Debug)]
enum What {
    Peer { from: usize, to: usize, message: Message },
    PeerLease { from: usize, to: usize, message: LeaseMessage },
    Timer { node: usize, epoch: u32, id: TimerId },
    DiskSynced { node: usize, epoch: u32 },
    Persisted { node: usize, epoch: u32, io_id: IoId },
    ClientRequest { token: u64 },
    ClientAnswer { token: u64, outcome: Outcome, diagnostics: Box<Diagnostics> },
    ClientLost { token: u64 },
    ClientNext { client: usize },
    AskFate { question: Question },
    FaultBegins { fault: usize },
    FaultEnds { fault: usize },
    LoadEnds,
    NextFinalRead,
}

impl Ord for Entry {
    /// Earliest first in a max-heap; what was put on the agenda first wins a tie.
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
    /// The world of a seed.
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
            judge: Judge::new(count, if config.plain_ppm > 0 { Values::Ignored } else { Values::Judged }),
            faults,
            finals: (0..keys).flat_map(|key| (0..count).map(move |node| (key, node))).rev().collect(),
            out: Actions::new(),
            events: 0,
            digest: 0xcbf2_9ce4_8422_2325,
            config,
        }
    }

    /// Runs to the end: load under faults, heal, drain, final reads of each key through each node.
    ///
    /// # Panics
    /// If the core breaks one of its own invariants.
    #[must_use]
    pub fn run(mut self) -> Report {
        self.begin();
        while let Some(Entry { at_ns, what, .. }) = self.agenda.pop() {
            self.now_ns = at_ns;
            self.judge.at(at_ns);
            self.events += 1;
            self.note(at_ns);
            self.handle(what);
            if self.judge.violations().len() >= MAX_VIOLATIONS || self.events >= MAX_EVENTS {
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
            self.push(at_ns, What::ClientNext { client });
        }
        for fault in 0..self.faults.len() {
            let (begin_ns, end_ns) = (self.faults[fault].begin_ns, self.faults[fault].end_ns);
            self.push(begin_ns, What::FaultBegins { fault });
            self.push(end_ns, What::FaultEnds { fault });
        }
        self.push(self.config.load_ns, What::LoadEnds);
    }

    /// Everything has drained: what is left must add up.
    fn check_state(&mut self) {
        for (at, node) in self.nodes.iter().enumerate() {
            let Some(replica) = &node.replica else {
                continue;
            };
            assert_eq!(replica.state_bytes(), replica.count_state_bytes(), "n{}: bytes of state, kept and counted", at + 1);
            let left = replica.prune_queue_len();
            if left > 0 && self.agenda.is_empty() {
                let detail = format!("n{}: {left} decisions still wait to be pruned", at + 1);
                self.judge.report(ViolationKind::PruneLeak, &key_name(0), detail);
            }
        }
    }

    fn end(mut self) -> Report {
        self.check_state();
        let Self { seed, ops, faults, judge, nodes, net, events, digest, now_ns, .. } = self;
        Report {
            seed,
            ops,
            faults,
            violations: judge.violations().to_vec(),
            counters: nodes.iter().map(Node::counters).collect(),
            state_bytes: nodes.iter().filter_map(|node| node.replica.as_ref()).map(Replica::state_bytes).collect(),
            messages: (net.sent, net.lost, net.doubled),
            syncs: nodes.iter().map(|node| node.disk.syncs).sum(),
            events,
            digest,
            end_ns: now_ns,
        }
    }

    fn push(&mut self, at_ns: u64, what: What) {
        self.next_seq += 1;
        self.agenda.push(Entry { at_ns, seq: self.next_seq, what });
    }

    /// Mixes a number into the digest of the run.
    fn note(&mut self, number: u64) {
        self.digest = (self.digest ^ number).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
    }

    fn handle(&mut self, what: What) {
        // A stopped process handles everything when it goes on, in the order of arrival.
        if let Some(node) = what.handled_by(&self.requests)
            && self.now_ns < self.nodes[node].paused_until_ns
        {
            let at_ns = self.nodes[node].paused_until_ns;
            self.push(at_ns, what);
            return;
        }
        match what {
            What::Peer { from, to, message } => self.on_peer(from, to, message),
            What::PeerLease { from, to, message } => self.on_peer_lease(from, to, message),
            What::Timer { node, epoch, id } => self.on_timer(node, epoch, id),
            What::DiskSynced { node, epoch } => self.on_disk_synced(node, epoch),
            What::Persisted { node, epoch, io_id } => self.on_persisted(node, epoch, io_id),
            What::ClientRequest { token } => self.on_request(token),
            What::ClientAnswer { token, outcome, diagnostics } => self.on_client_answer(token, outcome, *diagnostics),
            What::ClientLost { token } => self.on_client_lost(token),
            What::ClientNext { client } => self.on_client_next(client),
            What::AskFate { question } => self.on_ask_fate(question),
            What::FaultBegins { fault } => self.on_fault_begins(fault),
            What::FaultEnds { fault } => self.on_fault_ends(fault),
            What::LoadEnds => self.on_load_ends(),
            What::NextFinalRead => self.on_next_final_read(),
        }
    }

    /// Load is over and all faults have ended: the network gets well, what is under way drains,
    /// then every key is read through every node.
    fn on_load_ends(&mut self) {
        self.net.heal();
        let drain_ns = 4 * self.config.op_timeout_ns + self.config.links.slow_max_ns;
        self.push(self.now_ns + drain_ns, What::NextFinalRead);
    }

    fn on_next_final_read(&mut self) {
        let Some((key, node)) = self.finals.pop() else {
            return;
        };
        self.next_number += 1;
        let op = OpId { client: self.next_number, seq: 1 };
        let at = self.begin_op(op, key, heckle_paxos::Call::Read, node);
        // Ample: a core that gets nowhere in this time with nothing in its way will not later.
        let timeout_ns = 10_000_000_000;
        self.send_request(at, Asker::FinalRead, node, Provenance::First, timeout_ns);
    }

    /// The answer to a final read.
    fn on_final_answer(&mut self, op: usize, outcome: &Outcome) {
        if !matches!(outcome, Outcome::Read { .. }) {
            let (key, node) = (self.ops[op].key.clone(), self.ops[op].node);
            let detail = format!("a read through n{} ended with {outcome:?} after all had healed", node + 1);
            self.judge.report(ViolationKind::NoProgress, &key, detail);
        }
        self.push(self.now_ns, What::NextFinalRead);
    }

    fn begin_op(&mut self, op: OpId, key: usize, call: heckle_paxos::Call, node: usize) -> usize {
        let record = OpRecord {
            op,
            key: key_name(key),
            call,
            plain: false,
            node,
            invoked_ns: self.now_ns,
            completed_ns: None,
            outcome: None,
            diagnostics: None,
            resends: 0,
        };
        self.judge.invoked(&record);
        self.ops.push(record);
        self.op_keys.push(key);
        self.ops.len() - 1
    }
}

impl What {
    /// The process that must be awake for this.
    fn handled_by(&self, requests: &[Request]) -> Option<usize> {
        match self {
            What::Peer { to, .. } | What::PeerLease { to, .. } => Some(*to),
            What::Timer { node, .. } | What::Persisted { node, .. } => Some(*node),
            What::ClientRequest { token } => Some(requests[*token as usize].node),
            What::DiskSynced { .. }
            | What::ClientAnswer { .. }
            | What::ClientLost { .. }
            | What::ClientNext { .. }
            | What::AskFate { .. }
            | What::FaultBegins { .. }
            | What::FaultEnds { .. }
            | What::LoadEnds
            | What::NextFinalRead => None,
        }
    }
}
