//! One replica, n1 of three, with the test playing everything else: clients, peers, disk and clock.

#![allow(dead_code)] // Each test file uses a different part.

use heckle_paxos::*;
use rand::SeedableRng;
use std::sync::Arc;

/// One millisecond in nanoseconds.
pub(crate) const MS: u64 = 1_000_000;
/// Time limit of the operations below.
pub(crate) const TIMEOUT_NS: u64 = 1_000 * MS;

/// How the disk handles batches.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum DiskMode {
    /// Everything is durable immediately.
    Instant,
    /// Nothing is durable until [`Rig::sync`].
    Held,
}

/// The replica under test, and its pending actions.
pub(crate) struct Rig {
    pub(crate) replica: Replica,
    pub(crate) disk: DiskMode,
    pub(crate) now: MonoTime,
    pub(crate) wall: WallTime,
    /// Messages sent but not yet examined, each with the batch that must be durable first, if any.
    pub(crate) sent: Vec<(NodeId, Message, Option<IoId>)>,
    pub(crate) replies: Vec<(ClientToken, Outcome, Diagnostics)>,
    pub(crate) records: Vec<Record>,
    pub(crate) points: Vec<Point>,
    pub(crate) lease_sent: Vec<(NodeId, lease::LeaseMessage, Option<IoId>)>,
    pub(crate) lease_events: Vec<lease::LeaseEvent>,
    /// Tag of the running attempt, from the newest request sent.
    pub(crate) tag: Option<Tag>,
    timers: Vec<(MonoTime, TimerId)>,
    newest_io: IoId,
    next_token: u64,
    rng: rand_pcg::Pcg64,
}

pub(crate) fn n(node: u16) -> NodeId {
    NodeId(node)
}

/// A ballot of another node: (time, node).
pub(crate) fn b(micros: u64, node: u16) -> Ballot {
    Ballot { micros, node: NodeId(node), nonce: 7 }
}

pub(crate) fn key() -> Key {
    Key::from("k1")
}

pub(crate) fn val(text: &str) -> Value {
    Value::from(text)
}

pub(crate) fn op(client: u64, seq: u64) -> OpId {
    OpId { client, seq }
}

/// A row of `version`, written by client 90.
pub(crate) fn data(version: u64, value: &str) -> Arc<RowData> {
    data_by(op(90, version), version, value)
}

pub(crate) fn data_by(op: OpId, version: u64, value: &str) -> Arc<RowData> {
    let entry = DedupeEntry { op, request_hash: 1, proposed_us: 5, fate: OpFate::Applied };
    let dedupe = Dedupe { entries: vec![entry], ..Dedupe::default() };
    Arc::new(RowData { version, value: Some(val(value)), dedupe })
}

pub(crate) fn row(learned: Ballot, version: u64, value: &str) -> Row {
    Row { learned, data: data(version, value) }
}

pub(crate) fn config() -> Config {
    let mut config = Config::new(n(1), vec![n(1), n(2), n(3)]);
    config.backoff = Backoff::Uniform { max_ns: 100 * MS };
    // The pruning tests turn it on. The other tests count the messages of operations.
    config.prune = Prune::Off;
    config
}

impl Rig {
    pub(crate) fn new(config: Config) -> Self {
        Self::recovered(config, Vec::new())
    }

    /// Returns a replica that has recovered these records.
    pub(crate) fn recovered(config: Config, records: Vec<Record>) -> Self {
        let mut replica = Replica::new(config).expect("valid settings");
        records.into_iter().for_each(|record| replica.recover(record));
        let mut rig = Self {
            replica,
            disk: DiskMode::Instant,
            now: MonoTime(0),
            wall: WallTime(1_000_000),
            sent: Vec::new(),
            replies: Vec::new(),
            records: Vec::new(),
            points: Vec::new(),
            lease_sent: Vec::new(),
            lease_events: Vec::new(),
            tag: None,
            timers: Vec::new(),
            newest_io: IoId(0),
            next_token: 0,
            rng: rand_pcg::Pcg64::seed_from_u64(7),
        };
        let mut out = Actions::new();
        rig.replica.start(&mut out);
        rig.carry_out(&mut out);
        rig
    }

    pub(crate) fn step(&mut self, event: Event) {
        let mut out = Actions::new();
        self.replica.step(self.now, self.wall, event, &mut self.rng, &mut out);
        self.carry_out(&mut out);
    }

    fn carry_out(&mut self, out: &mut Actions) {
        let mut durable = None;
        for action in out.drain() {
            match action {
                Action::Persist { io_id, records, sync } => {
                    assert!(!records.is_empty() && io_id > self.newest_io, "batches are numbered upwards");
                    self.records.extend(records);
                    self.newest_io = io_id;
                    if sync == Sync::Required && self.disk == DiskMode::Instant {
                        durable = Some(io_id);
                    }
                }
                Action::Send { to, message, after } => {
                    if is_request(&message.body) && message.tag.attempt > 0 {
                        self.tag = Some(message.tag);
                    }
                    self.sent.push((to, message, after));
                }
                Action::Timer { id, at } => self.timers.push((at, id)),
                Action::Reply { token, outcome, diagnostics, .. } => self.replies.push((token, outcome, *diagnostics)),
                Action::Point { point, .. } => self.points.push(point),
                Action::SendLease { to, message, after } => self.lease_sent.push((to, message, after)),
                Action::Lease(event) => self.lease_events.push(event),
            }
        }
        if let Some(io_id) = durable {
            self.step(Event::Persisted { io_id });
        }
    }

    /// Lets the disk sync everything.
    pub(crate) fn sync(&mut self) {
        let io_id = self.newest_io;
        self.step(Event::Persisted { io_id });
    }

    /// Sends a client's request, with the default time limit.
    pub(crate) fn ask(&mut self, op: OpId, call: Call) -> ClientToken {
        self.request(ClientRequest { op, key: key(), call, timeout_ns: TIMEOUT_NS, provenance: Provenance::First })
    }

    /// Sends a client's put or get on the last-write-wins path.
    pub(crate) fn ask_cheap(&mut self, op: OpId, call: PlainCall, level: Level) -> ClientToken {
        self.next_token += 1;
        let token = ClientToken(self.next_token);
        let request = PlainRequest { op, key: key(), call, level, timeout_ns: TIMEOUT_NS };
        self.step(Event::Plain { token, request });
        token
    }

    pub(crate) fn request(&mut self, request: ClientRequest) -> ClientToken {
        self.next_token += 1;
        let token = ClientToken(self.next_token);
        self.step(Event::Client { token, request });
        token
    }

    /// Delivers a peer's reply to the running attempt.
    pub(crate) fn answer(&mut self, from: u16, body: Body) {
        let tag = self.tag.expect("a request was sent");
        self.answer_to(tag, from, body);
    }

    pub(crate) fn answer_to(&mut self, tag: Tag, from: u16, body: Body) {
        self.step(Event::Peer { from: n(from), message: Message { key: key(), tag, body } });
    }

    /// Delivers a promise from a peer without a row.
    pub(crate) fn promise(&mut self, from: u16) {
        self.promise_with(from, None, Ballot::ZERO);
    }

    pub(crate) fn promise_with(&mut self, from: u16, accepted: Option<Accepted>, learned: Ballot) {
        self.answer(from, Body::Promise { old_promise: Ballot::ZERO, accepted, learned, newer: None });
    }

    /// Delivers a peer's reply that it has no newer row.
    pub(crate) fn row_read(&mut self, from: u16) {
        self.answer(from, Body::RowRead { learned: Ballot::ZERO, newer: None });
    }

    pub(crate) fn accepted(&mut self, from: u16) {
        self.answer(from, Body::Accepted);
    }

    pub(crate) fn learned(&mut self, from: u16) {
        let learned = self.tag.expect("a request was sent").ballot;
        self.answer(from, Body::Learned { learned });
    }

    /// Delivers a peer's reject because of a much higher ballot.
    pub(crate) fn reject(&mut self, from: u16, request: RequestKind) {
        let ballot = self.tag.expect("a request was sent").ballot;
        let seen = Ballot { micros: ballot.micros + 1_000_000, ..b(0, 3) };
        self.answer(from, Body::Reject { request, seen });
    }

    /// Lets time pass and fires the timers that are due.
    pub(crate) fn elapse(&mut self, ns: u64) {
        let end = self.now.after_ns(ns);
        loop {
            let due = self.timers.iter().enumerate().filter(|(_, timer)| timer.0 <= end).min_by_key(|(_, timer)| timer.0);
            let Some((at, &(when, id))) = due else {
                break;
            };
            self.timers.swap_remove(at);
            self.now = self.now.max(when);
            self.step(Event::Timer { id });
        }
        self.now = end;
    }

    /// Timers that have not fired.
    pub(crate) fn armed(&self) -> usize {
        self.timers.len()
    }

    /// Takes the messages sent since the last call.
    pub(crate) fn take_sent(&mut self) -> Vec<(NodeId, Message)> {
        self.sent.drain(..).map(|(to, message, _)| (to, message)).collect()
    }

    /// The kinds of the messages sent since the last call, in order, as `kind>node`.
    pub(crate) fn kinds(&mut self) -> Vec<String> {
        self.take_sent().iter().map(|(to, message)| format!("{}>{to}", kind(&message.body))).collect()
    }

    #[track_caller]
    pub(crate) fn outcome(&self) -> &Outcome {
        let (_, outcome, _) = self.replies.last().expect("a reply was given");
        outcome
    }
}

pub(crate) fn is_request(body: &Body) -> bool {
    matches!(
        body,
        Body::Prepare { .. } | Body::Read { .. } | Body::Propose { .. } | Body::Learn { .. } | Body::Chosen | Body::Put { .. } | Body::Get
    )
}

pub(crate) fn kind(body: &Body) -> &'static str {
    match body {
        Body::Prepare { .. } => "prepare",
        Body::Promise { .. } => "promise",
        Body::Read { .. } => "read",
        Body::RowRead { .. } => "row",
        Body::Propose { update: Update::Empty, .. } => "fence",
        Body::Propose { .. } => "propose",
        Body::Accepted => "accepted",
        Body::Learn { .. } => "learn",
        Body::Chosen => "chosen",
        Body::Learned { .. } => "learned",
        Body::Prune { .. } => "prune",
        Body::Pruned { .. } => "pruned",
        Body::Reject { .. } => "reject",
        Body::Busy { .. } => "busy",
        Body::Forward(_) => "forward",
        Body::Forwarded(_) => "forwarded",
        Body::NotHolder { .. } => "not-holder",
        Body::Put { .. } => "put",
        Body::PutDone => "put-done",
        Body::Get => "get",
        Body::Got { .. } => "got",
    }
}
