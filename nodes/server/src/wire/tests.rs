//! Every message, record and reply round-trips, and garbage is refused without a panic.

use std::sync::Arc;

use bytes::BytesMut;
use heckle_paxos::lease::{LeaseBallot, LeaseBody, LeaseLimits, LeaseMessage, LeaseMode, RangeId};
use heckle_paxos::{
    Accepted, Ballot, Body, Call, Cell, Dedupe, DedupeEntry, Diagnostics, Fate, Forward, Forwarded, InvalidWhy, Key, Message, NodeId,
    NotAppliedWhy, OpFate, OpId, Outcome, Phase, Provenance, Record, RequestKind, Row, RowData, Tag, UnknownWhy, Update, Value,
};
use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64;

use super::lease::{decode_lease, encode_lease};
use super::message::{decode_message, encode_message};
use super::record::{decode_record, encode_record};
use super::{MAX_DEDUPE, WireError};
use crate::client_protocol::{self, MAX_KEY, MAX_VALUE, ToClient, ToNode};
use crate::frame::{Frame, FrameKind, FrameReader};

/// Draws values of the core's types.
struct Draw(Pcg64);

impl Draw {
    fn number(&mut self) -> u64 {
        // Numbers of different sizes take different numbers of bytes.
        let bits = self.0.random_range(0..=64);
        self.0.next_u64().checked_shr(64 - bits).unwrap_or(0)
    }

    fn bytes(&mut self, longest: usize) -> Vec<u8> {
        let mut bytes = vec![0; self.0.random_range(1..=longest)];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    fn key(&mut self) -> Key {
        self.bytes(40).into()
    }

    fn ballot(&mut self) -> Ballot {
        Ballot { micros: self.number(), node: NodeId(self.number() as u16), nonce: self.number() }
    }

    fn op(&mut self) -> OpId {
        OpId { client: self.number(), seq: self.number() }
    }

    fn data(&mut self) -> Arc<RowData> {
        let entries = self.0.random_range(0..6);
        let entry = |draw: &mut Draw| DedupeEntry {
            op: draw.op(),
            request_hash: draw.number(),
            proposed_us: draw.number(),
            fate: if draw.0.random() { OpFate::Applied } else { OpFate::Aborted },
        };
        let dedupe = Dedupe {
            entries: (0..entries).map(|_| entry(self)).collect(),
            watermark_us: self.number(),
            aborted_watermark_us: self.number(),
        };
        let value = self.0.random_bool(0.75).then(|| Value::from(self.bytes(200)));
        Arc::new(RowData { version: self.number(), value, dedupe })
    }

    fn row(&mut self) -> Row {
        Row { learned: self.ballot(), data: self.data() }
    }

    fn update(&mut self) -> Update {
        if self.0.random_bool(0.3) { Update::Empty } else { Update::Row(self.data()) }
    }

    fn accepted(&mut self) -> Accepted {
        Accepted { ballot: self.ballot(), update: self.update() }
    }

    fn promise_with_row(&mut self) -> Body {
        let row = self.row();
        Body::Promise { old_promise: self.ballot(), accepted: Some(self.accepted()), learned: row.learned, newer: Some(row) }
    }

    fn accepted_record(&mut self) -> Record {
        let accepted = self.accepted();
        Record::Accepted { key: self.key(), promised: accepted.ballot, accepted }
    }

    fn bodies(&mut self) -> Vec<Body> {
        vec![
            Body::Prepare { have: None },
            Body::Prepare { have: Some(self.ballot()) },
            Body::Promise { old_promise: self.ballot(), accepted: None, learned: self.ballot(), newer: None },
            Body::Promise { old_promise: self.ballot(), accepted: Some(self.accepted()), learned: self.ballot(), newer: None },
            self.promise_with_row(),
            Body::Read { have: self.ballot() },
            Body::RowRead { learned: self.ballot(), newer: None },
            Body::RowRead { learned: self.ballot(), newer: Some(self.row()) },
            Body::Propose { update: self.update(), next: None },
            Body::Propose { update: self.update(), next: Some(self.ballot()) },
            Body::Accepted,
            Body::Chosen,
            Body::Learn { row: self.row() },
            Body::Learned { learned: self.ballot() },
            Body::Reject { request: RequestKind::Prepare, seen: self.ballot() },
            Body::Reject { request: RequestKind::Read, seen: self.ballot() },
            Body::Reject { request: RequestKind::Propose, seen: self.ballot() },
            Body::Busy { request: RequestKind::Prepare, holder: None, remaining_ns: self.number() },
            Body::Busy { request: RequestKind::Propose, holder: Some(self.lease_ballot()), remaining_ns: self.number() },
            Body::Forward(Box::new(self.forward(Call::Read))),
            Body::Forward(Box::new(self.forward(Call::Write { new: vec![1; 9].into() }))),
            Body::Forward(Box::new(self.forward(Call::Cas { expected: None, new: vec![2; 3].into() }))),
            Body::NotHolder { serial: self.number() },
            Body::Prune { ballot: self.ballot() },
            Body::Pruned { pruned: self.ballot() },
            Body::Put { cell: self.cell() },
            Body::PutDone,
            Body::Get,
            Body::Got { cell: None },
            Body::Got { cell: Some(self.cell()) },
        ]
    }

    fn cell(&mut self) -> Cell {
        Cell { us: self.number(), node: NodeId(self.number() as u16), value: self.bytes(200).into() }
    }

    fn lease_ballot(&mut self) -> LeaseBallot {
        LeaseBallot { run: self.number(), restarts: self.number() as u32, node: NodeId(self.number() as u16) }
    }

    fn forward(&mut self, call: Call) -> Forward {
        let provenance = if self.0.random() { Provenance::First } else { Provenance::FirstAfter { born: self.ballot() } };
        let (serial, timeout_ns, born_us) = (self.number(), self.number(), self.number());
        Forward { serial, lease: self.lease_ballot(), call, timeout_ns, provenance, born_us, open: self.0.random() }
    }

    fn lease_messages(&mut self) -> Vec<LeaseMessage> {
        let granted = Some((self.lease_ballot(), self.number()));
        let bodies = [
            LeaseBody::Prepare,
            LeaseBody::Promise { granted: None },
            LeaseBody::Promise { granted },
            LeaseBody::Propose { time_ns: self.number(), mode: LeaseMode::Read },
            LeaseBody::Propose { time_ns: self.number(), mode: LeaseMode::Priority },
            LeaseBody::Granted,
            LeaseBody::Refused { seen: self.lease_ballot(), granted },
            LeaseBody::Release,
            LeaseBody::Wanted,
        ];
        bodies.into_iter().map(|body| LeaseMessage { range: RangeId(self.number() as u16), ballot: self.lease_ballot(), body }).collect()
    }

    /// Replies of a holder. Their operation is the one of the enclosing message.
    fn forwarded(&mut self, op: OpId) -> Vec<Forwarded> {
        let value = Some(vec![3; 12].into());
        let outcomes = [
            Outcome::Applied,
            Outcome::Read { current: None },
            Outcome::ConditionNotMet { current: value },
            Outcome::NotApplied { why: NotAppliedWhy::TimeoutInQueue },
            Outcome::Unknown { why: UnknownWhy::Evicted },
            Outcome::Invalid { why: InvalidWhy::IdReused },
            Outcome::Fate { fate: Fate::NotApplied },
        ];
        let mut reported = |outcome| {
            let mut diagnostics = Box::new(Diagnostics::new(op, 2));
            (diagnostics.phase, diagnostics.ballot, diagnostics.learned_by) = (Phase::LocalRead, self.ballot(), 3);
            diagnostics.forwarded_to = Some(NodeId(3));
            Forwarded { serial: self.number(), outcome, diagnostics, lease: Some((self.lease_ballot(), self.number())) }
        };
        outcomes.into_iter().map(&mut reported).collect()
    }

    fn messages(&mut self) -> Vec<Message> {
        let op = self.op();
        let mut all = self.messages_of_rounds();
        let tag = Tag { op, attempt: 0, incarnation: 1, ballot: self.ballot() };
        let key = self.key();
        let reported = self.forwarded(op).into_iter();
        all.extend(reported.map(|reported| Message { key: key.clone(), tag, body: Body::Forwarded(Box::new(reported)) }));
        all
    }

    fn messages_of_rounds(&mut self) -> Vec<Message> {
        let bodies = self.bodies();
        let message = |body| {
            let tag = Tag { op: self.op(), attempt: self.number() as u32, incarnation: self.number() as u32, ballot: self.ballot() };
            Message { key: self.key(), tag, body }
        };
        bodies.into_iter().map(message).collect()
    }

    fn records(&mut self) -> Vec<Record> {
        vec![
            Record::Incarnation { incarnation: self.number() as u32 },
            Record::LeaseLimits(LeaseLimits { longest_ns: self.number(), longest_read_ns: self.number() }),
            Record::Promised { key: self.key(), ballot: self.ballot() },
            self.accepted_record(),
            Record::Accepted { key: self.key(), accepted: self.accepted(), promised: self.ballot() },
            Record::Chosen { key: self.key(), ballot: self.ballot() },
            Record::Learned { key: self.key(), row: self.row() },
            Record::State { key: self.key(), promised: self.ballot(), accepted: None, row: self.row() },
            Record::State { key: self.key(), promised: self.ballot(), accepted: Some(self.accepted()), row: Row::absent() },
            Record::Pruned { key: self.key(), ballot: self.ballot() },
            Record::Floor { micros: self.number() },
            Record::Put { key: self.key(), cell: self.cell() },
        ]
    }
}

fn message_bytes(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_message(message, &mut bytes);
    bytes
}

fn record_bytes(record: &Record) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_record(record, &mut bytes);
    bytes
}

#[test]
fn messages_and_records_round_trip() {
    for seed in 0..300 {
        let mut draw = Draw(Pcg64::seed_from_u64(seed));
        for message in draw.messages() {
            assert_eq!(decode_message(&message_bytes(&message)), Ok(message), "seed {seed}");
        }
        for message in draw.lease_messages() {
            let mut bytes = Vec::new();
            encode_lease(&message, &mut bytes);
            assert_eq!(decode_lease(&bytes), Ok(message), "seed {seed}");
            bytes.truncate(bytes.len() - 1);
            assert!(decode_lease(&bytes).is_err());
        }
        for record in draw.records() {
            assert_eq!(decode_record(&record_bytes(&record)), Ok(record), "seed {seed}");
        }
    }
}

#[test]
fn a_message_is_encoded_alike_for_socket_and_disk() {
    let mut draw = Draw(Pcg64::seed_from_u64(1));
    for message in draw.messages() {
        let mut out = BytesMut::new();
        encode_message(&message, &mut out);
        assert_eq!(out[..], message_bytes(&message)[..]);
    }
}

/// The bytes on the wire and on disk are a contract: changing them requires a new version, not a change to this test.
#[test]
fn the_first_version_stays_as_it_is() {
    let ballot = Ballot { micros: 300, node: NodeId(2), nonce: 5 };
    let key = Key::from("k");
    let tag = Tag { op: OpId { client: 7, seq: 1 }, attempt: 1, incarnation: 3, ballot };
    let propose = Body::Propose { update: Update::Empty, next: None };
    let message = Message { key: key.clone(), tag, body: propose };
    assert_eq!(message_bytes(&message), [0, 1, b'k', 7, 1, 1, 3, 0xac, 2, 2, 5, 4, 0]);
    assert_eq!(record_bytes(&Record::Promised { key: key.clone(), ballot }), [0, 1, 1, b'k', 0xac, 2, 2, 5]);
    let accepted = Accepted { ballot, update: Update::Empty };
    let record = Record::Accepted { key: key.clone(), accepted, promised: ballot };
    assert_eq!(record_bytes(&record), [0, 2, 1, b'k', 0xac, 2, 2, 5, 0]);
    assert_eq!(record_bytes(&Record::Chosen { key, ballot }), [0, 7, 1, b'k', 0xac, 2, 2, 5]);
}

#[test]
fn what_a_correct_node_never_sends_is_refused() {
    let mut draw = Draw(Pcg64::seed_from_u64(2));
    let tag = Tag { op: draw.op(), attempt: 1, incarnation: 1, ballot: draw.ballot() };
    let check = |key: Key, body: Body, expected: WireError| {
        assert_eq!(decode_message(&message_bytes(&Message { key, tag, body })), Err(expected));
    };
    check(Key::from(""), Body::Prepare { have: None }, WireError::Empty { what: "key" });
    let long = WireError::TooLong { what: "key", len: MAX_KEY + 1, limit: MAX_KEY };
    check(vec![1; MAX_KEY + 1].into(), Body::Prepare { have: None }, long);
    let data = RowData { version: 1, value: Some(vec![1; MAX_VALUE + 1].into()), dedupe: Dedupe::default() };
    let long = WireError::TooLong { what: "value", len: MAX_VALUE + 1, limit: MAX_VALUE };
    check("k".into(), Body::Propose { update: Update::Row(Arc::new(data)), next: None }, long);
    let entry = DedupeEntry { op: draw.op(), request_hash: 1, proposed_us: 1, fate: OpFate::Applied };
    let dedupe = Dedupe { entries: vec![entry; MAX_DEDUPE + 1], ..Dedupe::default() };
    let row = Row { learned: draw.ballot(), data: Arc::new(RowData { version: 1, value: None, dedupe }) };
    let long = WireError::TooLong { what: "dedupe table", len: MAX_DEDUPE + 1, limit: MAX_DEDUPE };
    check("k".into(), Body::Learn { row }, long);

    let mut bytes = message_bytes(&draw.messages()[0]);
    bytes.push(0);
    assert_eq!(decode_message(&bytes), Err(WireError::Trailing { what: "peer message", extra: 1 }));
    bytes[0] = 9;
    assert!(matches!(decode_message(&bytes), Err(WireError::Malformed { .. })), "another version");
    assert!(matches!(decode_record(&[]), Err(WireError::Malformed { .. })));
}

#[test]
fn garbled_bytes_never_panic() {
    let mut decoded = 0;
    for seed in 0..400 {
        let mut draw = Draw(Pcg64::seed_from_u64(1_000 + seed));
        let mut all: Vec<Vec<u8>> = draw.messages().iter().map(message_bytes).collect();
        all.extend(draw.records().iter().map(record_bytes));
        for mut bytes in all {
            for _ in 0..draw.0.random_range(1..5) {
                let at = draw.0.random_range(0..bytes.len());
                bytes[at] = draw.0.random();
            }
            if draw.0.random_bool(0.3) {
                bytes.truncate(draw.0.random_range(0..=bytes.len()));
            }
            decoded += u32::from(decode_message(&bytes).is_ok()) + u32::from(decode_record(&bytes).is_ok());
            let frame = |kind| Frame { kind, payload: bytes.clone().into() };
            let _ = ToNode::decode(&frame(FrameKind::Request));
            let _ = ToNode::decode(&frame(FrameKind::ClientHello));
            let _ = ToClient::decode(&frame(FrameKind::Response));
            let _ = ToClient::decode(&frame(FrameKind::ClientWelcome));
        }
    }
    assert!(decoded > 0, "some garbling only changes a value: else this test tests nothing");
}

#[test]
fn client_messages_round_trip_and_kinds_are_checked() {
    use client_protocol::{
        BallotTag, Call, Diagnostics, ExpectedNode, Fate, FolderId, Hello, Identity, Level, Limits, OpId, Outcome, Provenance, Reason,
        Refused, Request, Response, Welcome,
    };
    let op = OpId { client: 1 << 40, seq: 3 };
    let asked = |call| Request { op, key: b"key".to_vec(), timeout_us: 1_000_000, provenance: Provenance::First, call };
    let request = |call| ToNode::Request(asked(call));
    let born = BallotTag { us: 300, node: 2, nonce: 5 };
    let to_node = [
        ToNode::Hello(Hello::new("me", &ExpectedNode::default())),
        ToNode::Hello(Hello::new("me", &ExpectedNode { cluster: Some("c".to_owned()), node: Some("n1".to_owned()), folder: None })),
        request(Call::Read),
        request(Call::Write { new: vec![] }),
        request(Call::Cas { expected: None, new: vec![0; 300] }),
        request(Call::Cas { expected: Some(vec![1]), new: vec![2] }),
        request(Call::Fate { of: op, born: None }),
        request(Call::Fate { of: op, born: Some(born) }),
        request(Call::Put { new: vec![1; 9], level: Level::One }),
        request(Call::Get { level: Level::Quorum }),
        ToNode::Request(Request { provenance: Provenance::FirstAfter { born }, ..asked(Call::Write { new: vec![1] }) }),
    ];
    for message in to_node {
        let frame = framed(|out| message.encode(out));
        assert_eq!(ToNode::decode(&frame), Ok(message));
        assert!(ToClient::decode(&frame).is_err(), "a node's ear on a client's word");
    }
    let response = |outcome| ToClient::Response(Response { op, outcome, diagnostics: Diagnostics::default() });
    let identity = Identity { cluster: "c".to_owned(), node: "n1".to_owned(), folder: FolderId(u64::MAX) };
    let limits = Limits { max_key: 1, max_value: 2, max_frame: 3, max_in_flight: 4 };
    let to_client = [
        ToClient::Welcome(Welcome { protocol: client_protocol::PROTOCOL, identity: identity.clone(), incarnation: 1, limits }),
        ToClient::Refused(Refused::new("no")),
        ToClient::Refused(Refused { why: "no".to_owned(), identity: Some(identity) }),
        response(Outcome::Applied),
        response(Outcome::ConditionNotMet { current: None }),
        response(Outcome::Value { value: Some(vec![1, 2]) }),
        response(Outcome::NotApplied { why: Reason::Busy }),
        response(Outcome::Unknown { why: Reason::Timeout }),
        response(Outcome::Invalid { why: "key_size".to_owned() }),
        response(Outcome::Fate { fate: Fate::Superseded }),
    ];
    for message in to_client {
        let frame = framed(|out| message.encode(out));
        assert_eq!(ToClient::decode(&frame), Ok(message));
        assert!(ToNode::decode(&frame).is_err());
    }
}

fn framed(fill: impl FnOnce(&mut BytesMut)) -> Frame {
    let mut out = BytesMut::new();
    fill(&mut out);
    let mut reader = FrameReader::new();
    reader.push(&out);
    reader.next_frame().unwrap().unwrap()
}
