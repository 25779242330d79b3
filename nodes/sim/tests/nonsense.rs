//! A lying node: well-formed messages with impossible or unlikely contents, in every state of the protocol. The two
//! correct nodes may lose time, but they never crash, and they store no more than their keys need.
//!
//! Paxos assumes that nodes fail by stopping, not by lying. A plausible lie can break agreement, so this test makes
//! no claims about values.

use heckle_paxos::lease::{Forward as ForwardSetting, LeaseBallot, LeaseBody, LeaseMessage, LeaseMode, RangeId};
use heckle_paxos::{
    AbsentReads, Accepted, Action, Actions, Ballot, Body, Call, Cell, ClientRequest, ClientToken, Config, Counters, Dedupe, DedupeEntry,
    Diagnostics, Event, Forward, Forwarded, IoId, Key, Message, MonoTime, NodeId, NotAppliedWhy, OpFate, OpId, Outcome, Provenance, Queue,
    Replica, RequestKind, Rounds, Row, RowData, Tag, TimerId, UnknownWhy, Update, Value, WallTime,
};
use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64;
use std::collections::VecDeque;
use std::sync::Arc;

/// Number of messages from the liar in the default test. `HECKLE_NONSENSE_MESSAGES=1000000` sends a different number.
const MESSAGES: u64 = 120_000;
const KEYS: u32 = 5;
const MS: u64 = 1_000_000;
/// The liar is n3.
const LIAR: u16 = 3;
/// Number of received messages that the liar remembers, to answer them in many ways.
const REMEMBERED: usize = 64;

struct World {
    rng: Pcg64,
    now: MonoTime,
    replicas: Vec<Replica>,
    /// Messages between the two correct nodes.
    links: VecDeque<(u16, u16, Event)>,
    timers: Vec<(MonoTime, usize, TimerId)>,
    persisted: Vec<(usize, IoId)>,
    /// The messages that the liar has received, with their senders.
    heard: Vec<(u16, Message)>,
    heard_leases: Vec<(u16, LeaseMessage)>,
    token: u64,
    open: Vec<(usize, Key, ClientToken)>,
    answered: u64,
}

impl World {
    fn new(seed: u64, change: impl Fn(&mut Config)) -> World {
        let replica = |node: u16| {
            let mut config = Config::new(NodeId(node), (1..=3).map(NodeId).collect());
            config.absent_reads = AbsentReads::Quorum;
            config.resend_after_ns = 5 * MS;
            config.backoff = heckle_paxos::Backoff::Uniform { max_ns: 3 * MS };
            config.prune_after_ns = 5 * MS;
            config.max_value_bytes = 64;
            change(&mut config);
            Replica::new(config).expect("valid settings")
        };
        let mut world = World {
            rng: Pcg64::seed_from_u64(seed),
            now: MonoTime(0),
            replicas: vec![replica(1), replica(2)],
            links: VecDeque::new(),
            timers: vec![],
            persisted: vec![],
            heard: vec![],
            heard_leases: vec![],
            token: 0,
            open: vec![],
            answered: 0,
        };
        for node in 0..2 {
            let mut out = Actions::new();
            world.replicas[node].start(&mut out);
            world.carry_out(node, &mut out);
        }
        world
    }

    fn step(&mut self, node: usize, event: Event) {
        let mut out = Actions::new();
        let wall = WallTime(1_000_000 + self.now.0 / 1_000);
        self.replicas[node].step(self.now, wall, event, &mut self.rng, &mut out);
        self.carry_out(node, &mut out);
    }

    fn carry_out(&mut self, node: usize, out: &mut Actions) {
        let from = node as u16 + 1;
        for action in out.drain() {
            match action {
                Action::Persist { io_id, .. } => self.persisted.push((node, io_id)),
                Action::Send { to: NodeId(LIAR), message, .. } => remember(&mut self.heard, (from, message), &mut self.rng),
                Action::SendLease { to: NodeId(LIAR), message, .. } => remember(&mut self.heard_leases, (from, message), &mut self.rng),
                Action::Send { to, message, .. } => self.links.push_back((from, to.0, Event::Peer { from: NodeId(from), message })),
                Action::SendLease { to, message, .. } => {
                    self.links.push_back((from, to.0, Event::PeerLease { from: NodeId(from), message }))
                }
                Action::Timer { id, at } => self.timers.push((at, node, id)),
                Action::Reply { token, .. } => {
                    self.open.retain(|(_, _, open)| *open != token);
                    self.answered += 1;
                }
                Action::Lease(_) | Action::Point { .. } => {}
            }
        }
    }

    fn key(&mut self) -> Key {
        Key::from(format!("k{}", self.rng.random_range(0..KEYS)).as_str())
    }

    fn value(&mut self) -> Value {
        Value::from(format!("v{}", self.rng.random_range(0..4)).as_str())
    }

    fn ask(&mut self) {
        let (node, key, value) = (self.rng.random_range(0..2), self.key(), self.value());
        self.token += 1;
        let op = OpId { client: self.token % 7, seq: self.token };
        let call = match self.rng.random_range(0..5) {
            0 => Call::Read,
            1 => Call::Write { new: value },
            2 => Call::Cas { expected: Some(self.value()), new: value },
            3 => Call::Cas { expected: None, new: value },
            _ => Call::Fate { of: OpId { client: self.token % 7, seq: self.token / 2 }, born: Ballot::ZERO },
        };
        let token = ClientToken(self.token);
        let timeout_ns = self.rng.random_range(MS..60 * MS);
        self.open.push((node, key.clone(), token));
        self.step(node, Event::Client { token, request: ClientRequest { op, key, call, timeout_ns, provenance: Provenance::First } });
    }

    /// Handles one event that does not involve the liar.
    fn step_honest(&mut self) {
        match self.rng.random_range(0..10) {
            0 | 1 if self.open.len() < 40 => self.ask(),
            2 if !self.open.is_empty() => {
                let at = self.rng.random_range(0..self.open.len());
                let (node, key, token) = self.open[at].clone();
                self.step(node, Event::ClientGone { requests: vec![(key, token)] });
            }
            3..=6 => {
                let Some((_, to, event)) = self.links.pop_front() else { return };
                // Some messages are lost, so that the liar's replies matter.
                if self.rng.random_range(0..3) > 0 {
                    self.step(usize::from(to) - 1, event);
                }
            }
            7 => {
                for (node, io_id) in std::mem::take(&mut self.persisted) {
                    self.step(node, Event::Persisted { io_id });
                }
            }
            _ => {
                self.now = self.now.after_ns(self.rng.random_range(0..2 * MS));
                let now = self.now;
                let due: Vec<_> = self.timers.extract_if(.., |(at, _, _)| *at <= now).collect();
                for (_, node, id) in due {
                    self.step(node, Event::Timer { id });
                }
            }
        }
    }

    /// Sends one message from the liar.
    fn lie(&mut self) {
        let to = self.rng.random_range(0..2);
        if self.rng.random_range(0..8) == 0 {
            let message = self.lease_message();
            self.step(to, Event::PeerLease { from: NodeId(LIAR), message });
            return;
        }
        let (to, message) = match self.heard.len() {
            heard if heard > 0 && self.rng.random_range(0..4) > 0 => {
                // Reply to a request that the liar received, with the right tag.
                let (from, asked) = self.heard[self.rng.random_range(0..heard)].clone();
                let body = self.body(asked.tag.ballot);
                (usize::from(from) - 1, Message { body, ..asked })
            }
            _ => {
                let ballot = self.ballot(Ballot::ZERO);
                let op = OpId { client: self.rng.random_range(0..7), seq: self.rng.random_range(0..50) };
                let tag = Tag { op, attempt: self.rng.random_range(0..3), incarnation: self.rng.random_range(0..3), ballot };
                let (key, body) = (self.key(), self.body(ballot));
                (to, Message { key, tag, body })
            }
        };
        self.step(to, Event::Peer { from: NodeId(LIAR), message });
    }

    fn number(&mut self) -> u64 {
        match self.rng.random_range(0..6) {
            0 => 0,
            1 => u64::MAX,
            2 => u64::MAX - self.rng.random_range(0..20_000),
            3 => (1 << 62) + self.rng.random_range(0..3) - 1,
            4 => self.rng.random_range(0..100),
            _ => self.rng.random(),
        }
    }

    /// Draws a ballot equal to, near, or far from `center`.
    fn ballot(&mut self, center: Ballot) -> Ballot {
        let node = NodeId(self.rng.random_range(0..4));
        let near = self.heard.last().map_or(center, |(_, message)| message.tag.ballot);
        match self.rng.random_range(0..9) {
            0 => Ballot::ZERO,
            1 => center,
            2 => Ballot { micros: center.micros.saturating_sub(self.rng.random_range(0..3)), node, nonce: self.rng.random() },
            3 => Ballot { micros: center.micros.saturating_add(self.rng.random_range(0..3)), node, nonce: self.rng.random() },
            4 => Ballot { micros: center.micros / 2, node, nonce: 1 },
            5 => Ballot { micros: 1_000_000 + self.now.0 / 1_000, node: NodeId(LIAR), nonce: self.rng.random() },
            // Rarely, since a ballot near the maximum leaves no room for others.
            6 if self.rng.random_range(0..50) == 0 => Ballot { micros: self.number(), node, nonce: self.rng.random() },
            _ => near,
        }
    }

    fn row_data(&mut self) -> Arc<RowData> {
        let fate = if self.rng.random() { OpFate::Applied } else { OpFate::Aborted };
        let entries = (0..self.rng.random_range(0..4)).map(|_| DedupeEntry {
            op: OpId { client: self.rng.random_range(0..7), seq: self.rng.random_range(0..50) },
            request_hash: 0,
            proposed_us: self.rng.random_range(0..2_000_000),
            fate,
        });
        let mut dedupe = Dedupe { entries: entries.collect(), ..Dedupe::default() };
        if self.rng.random_range(0..20) == 0 {
            (dedupe.watermark_us, dedupe.aborted_watermark_us) = (self.number(), self.number());
        }
        let version = if self.rng.random_range(0..4) == 0 { self.number() } else { self.rng.random_range(0..9) };
        let value = if self.rng.random() { Some(self.value()) } else { None };
        Arc::new(RowData { version, value, dedupe })
    }

    fn row(&mut self, center: Ballot) -> Row {
        Row { learned: self.ballot(center), data: self.row_data() }
    }

    fn update(&mut self) -> Update {
        if self.rng.random() { Update::Empty } else { Update::Row(self.row_data()) }
    }

    fn kind(&mut self) -> RequestKind {
        [RequestKind::Prepare, RequestKind::Read, RequestKind::Propose][self.rng.random_range(0..3)]
    }

    fn lease_ballot(&mut self) -> LeaseBallot {
        match self.heard_leases.last() {
            Some((_, message)) if self.rng.random() => message.ballot,
            _ => LeaseBallot { run: self.number(), restarts: self.rng.random_range(0..3), node: NodeId(self.rng.random_range(0..4)) },
        }
    }

    fn outcome(&mut self) -> Outcome {
        match self.rng.random_range(0..4) {
            0 => Outcome::Applied,
            1 => Outcome::Read { current: Some(self.value()) },
            2 => Outcome::NotApplied { why: NotAppliedWhy::Busy },
            _ => Outcome::Unknown { why: UnknownWhy::Timeout },
        }
    }

    fn body(&mut self, ballot: Ballot) -> Body {
        let optional = self.rng.random_range(0..2) == 0;
        match self.rng.random_range(0..24) {
            0 => Body::Prepare { have: optional.then(|| self.ballot(ballot)) },
            1..=5 => {
                let accepted = optional.then(|| Accepted { ballot: self.ballot(ballot), update: self.update() });
                let (learned, newer) = match self.rng.random_range(0..3) {
                    0 => (self.ballot(ballot), None),
                    1 => (self.ballot(ballot), Some(self.row(ballot))),
                    _ => {
                        let row = self.row(ballot);
                        (row.learned, Some(row))
                    }
                };
                Body::Promise { old_promise: Ballot::ZERO, accepted, learned, newer }
            }
            6 => Body::Read { have: self.ballot(ballot) },
            7..=9 => {
                let row = self.row(ballot);
                Body::RowRead { learned: row.learned, newer: optional.then_some(row) }
            }
            10 => Body::Propose { update: self.update(), next: optional.then(|| self.ballot(ballot)) },
            11 | 12 => Body::Accepted,
            13 => Body::Learn { row: self.row(ballot) },
            14 => Body::Chosen,
            15 => Body::Learned { learned: self.ballot(ballot) },
            16 => Body::Prune { ballot: self.ballot(ballot) },
            17 => Body::Pruned { pruned: self.ballot(ballot) },
            18 => Body::Reject { request: self.kind(), seen: self.ballot(ballot) },
            19 => Body::Busy { request: self.kind(), holder: optional.then(|| self.lease_ballot()), remaining_ns: self.number() },
            20 => Body::Forward(Box::new(Forward {
                serial: self.number(),
                lease: self.lease_ballot(),
                call: Call::Write { new: self.value() },
                timeout_ns: self.number(),
                provenance: Provenance::First,
                born_us: self.number(),
                open: self.rng.random(),
            })),
            21 => {
                let op = OpId { client: 1, seq: 1 };
                let mut diagnostics = Box::new(Diagnostics::new(op, 2));
                (diagnostics.rounds, diagnostics.backoff_ns, diagnostics.ballot) = (u32::MAX, u64::MAX, self.ballot(ballot));
                let lease = optional.then(|| (self.lease_ballot(), self.number()));
                let serial = if self.rng.random() { self.rng.random_range(0..50) } else { self.number() };
                Body::Forwarded(Box::new(Forwarded { serial, outcome: self.outcome(), diagnostics, lease }))
            }
            22 => Body::NotHolder { serial: self.rng.random_range(0..50) },
            _ => {
                let cell = Cell { us: self.number(), node: NodeId(LIAR), value: self.value() };
                match self.rng.random_range(0..4) {
                    0 => Body::Put { cell },
                    1 => Body::PutDone,
                    2 => Body::Get,
                    _ => Body::Got { cell: Some(cell) },
                }
            }
        }
    }

    fn lease_message(&mut self) -> LeaseMessage {
        let granted = self.rng.random_range(0..2) == 0;
        let granted = granted.then(|| (self.lease_ballot(), self.number()));
        let body = match self.rng.random_range(0..7) {
            0 => LeaseBody::Prepare,
            1 => LeaseBody::Promise { granted },
            2 => LeaseBody::Propose { time_ns: self.number(), mode: LeaseMode::Read },
            3 => LeaseBody::Granted,
            4 => LeaseBody::Refused { seen: self.lease_ballot(), granted },
            5 => LeaseBody::Release,
            _ => LeaseBody::Wanted,
        };
        LeaseMessage { range: RangeId(self.rng.random_range(0..20)), ballot: self.lease_ballot(), body }
    }

    fn counted(&self) -> Counters {
        let mut sum = Counters::default();
        self.replicas.iter().for_each(|replica| sum.add(replica.counters()));
        sum
    }
}

fn remember<T>(heard: &mut Vec<T>, message: T, rng: &mut impl Rng) {
    if heard.len() < REMEMBERED {
        heard.push(message);
    } else {
        let at = rng.random_range(0..REMEMBERED);
        heard[at] = message;
    }
}

fn settings(seed: u64) -> impl Fn(&mut Config) {
    move |config| {
        config.rounds = Rounds::ALL[seed as usize % 4];
        config.queue = if seed.is_multiple_of(3) { Queue::Fifo } else { Queue::Fair };
        config.lease.mode = [LeaseMode::Off, LeaseMode::Priority, LeaseMode::Read][seed as usize / 4 % 3];
        if seed.is_multiple_of(2) {
            config.lease.forward = ForwardSetting::On;
        }
        if seed.is_multiple_of(5) {
            config.paxos_ttl_us = Some(20_000);
        }
    }
}

#[test]
fn a_node_that_says_anything_ends_no_other() {
    let messages = std::env::var("HECKLE_NONSENSE_MESSAGES").map_or(MESSAGES, |text| text.parse().expect("a number of messages"));
    let worlds = 400;
    let mut sum = Counters::default();
    let mut answered = 0;
    for seed in 0..worlds {
        let run = || {
            let mut world = World::new(seed, settings(seed));
            for _ in 0..messages / worlds {
                world.lie();
                for _ in 0..world.rng.random_range(0..4) {
                    world.step_honest();
                }
                let in_flight: usize = world.replicas.iter().map(Replica::in_flight).sum();
                assert!(in_flight <= 2_000, "{in_flight} operations in flight");
            }
            let keys = world.replicas.iter().map(|replica| replica.state_bytes().keys).max();
            assert!(keys <= Some(u64::from(KEYS)), "{keys:?} keys");
            (world.counted(), world.answered)
        };
        let (counted, replies) =
            std::panic::catch_unwind(run).unwrap_or_else(|_| panic!("seed {seed}: a message of another node ended this one"));
        sum.add(&counted);
        answered += replies;
    }
    println!("{messages} messages, {answered} operations answered: {sum:?}");
    // Nonsense that reaches no state could not crash a node either.
    for (what, count, least) in [
        ("impossible messages", sum.messages_refused, messages / 20),
        ("contradictions", sum.contradictions, messages / 10_000),
        ("repairs", sum.repairs, messages / 3_000),
        ("refreshes", sum.refreshes, messages / 10_000),
        ("operations answered", answered, messages / 50),
        ("leases acquired", sum.leases_acquired, worlds / 10),
    ] {
        assert!(count >= least.max(1), "only {count} {what}");
    }
}
