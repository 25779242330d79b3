//! A peer that completes the handshake and then sends well-framed nonsense over a real socket. The simulator sends far more
//! nonsense, in every state of the protocol (`nodes/sim/tests/nonsense.rs`). This test shows that the wire adds no way to
//! crash a node.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use heckle_loopback::LoopbackClaim;
use heckle_paxos as core;
use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64;

use crate::amnesia::{Position, ProcessStart};
use crate::client_protocol::encode_message;
use crate::control::Client;
use crate::frame::{FrameKind, FrameReader, encode_frame, encode_frame_with};
use crate::options::{NodeId, NodeOptions};
use crate::secret::ClusterSecret;
use crate::status::Status;
use crate::testing::TempDir;
use crate::wire;
use crate::wire::peer::{Handshake, LeaseTerms, PEER_PROTOCOL, PeerChallenge, PeerHello, PeerOpen, Side};
use crate::wire::positions::{Positions, encode_positions};
use crate::{Node, NodeHandle};

const PATIENCE: Duration = Duration::from_secs(20);
const MESSAGES: u32 = 3_000;
/// Number of messages between pauses, so that a node can hang up before everything is in its socket.
const MESSAGES_PER_CONNECTION: u32 = 50;
/// Number of the lying node, among n1, n2 and n3.
const LIAR: u16 = 3;

fn next<T: serde::de::DeserializeOwned>(stream: &mut TcpStream, frames: &mut FrameReader) -> T {
    let mut chunk = [0; 4_096];
    loop {
        if let Some(frame) = frames.next_frame().unwrap() {
            return crate::client_protocol::decode_message("test", &frame.payload).unwrap();
        }
        let count = stream.read(&mut chunk).unwrap();
        assert!(count > 0, "closed in the handshake");
        frames.push(&chunk[..count]);
    }
}

/// Connects as n3, which has the secret.
fn greet(addr: SocketAddr, to: u16, options: &NodeOptions) -> TcpStream {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let mut frames = FrameReader::new();
    let send = |stream: &mut TcpStream, fill: &dyn Fn(&mut BytesMut)| {
        let mut out = BytesMut::new();
        fill(&mut out);
        stream.write_all(&out).unwrap();
    };
    let open = PeerOpen { protocol: PEER_PROTOCOL, from: LIAR, to, nonce: [3; 16] };
    send(&mut stream, &|out| encode_message(FrameKind::PeerHello, &open, out));
    let challenge: PeerChallenge = next(&mut stream, &mut frames);
    let handshake = Handshake { dialer: LIAR, listener: to, dialer_nonce: [3; 16], listener_nonce: challenge.nonce };
    let secret = options.secret.as_ref().unwrap();
    assert_eq!(challenge.proof, Some(handshake.challenge_proof(secret)));
    let mut hello = PeerHello {
        protocol: PEER_PROTOCOL,
        cluster: options.cluster_id.clone(),
        from: LIAR,
        to,
        folder: 7,
        processes: vec![ProcessStart { incarnation: 1, process: 1, first_batch: 1 }],
        batch: 1,
        seen: vec![],
        lease: LeaseTerms::from(&options.lease),
        members: vec![1, 2, 3],
        quorum: 2,
        proof: None,
    };
    hello.proof = Some(handshake.hello_proof(secret, Side::Dialer, &hello));
    send(&mut stream, &|out| encode_message(FrameKind::PeerHello, &hello, out));
    let welcome: PeerHello = next(&mut stream, &mut frames);
    // A new cluster starts voting once all nodes have confirmed each other.
    let known = (NodeId::new(to).unwrap(), welcome.history().at(welcome.batch).unwrap());
    send(&mut stream, &|out| beat(vec![known], out));
    stream
}

fn beat(seen: Vec<(NodeId, Position)>, out: &mut BytesMut) {
    encode_frame_with(FrameKind::PeerBeat, out, |out| encode_positions(&Positions { own: 1, seen }, out));
}

fn send_message(message: &core::Message, out: &mut BytesMut) {
    encode_frame_with(FrameKind::PeerMessage, out, |out| {
        encode_positions(&Positions { own: 1, seen: vec![] }, out);
        wire::message::encode_message(message, out);
    });
}

fn ballot(rng: &mut Pcg64) -> core::Ballot {
    let micros = match rng.random_range(0..5) {
        0 => 0,
        1 => u64::MAX,
        2 => rng.random(),
        _ => rng.random_range(1..1_000_000),
    };
    core::Ballot { micros, node: core::NodeId(rng.random_range(0..4)), nonce: rng.random() }
}

fn row(rng: &mut Pcg64) -> core::Row {
    let version = if rng.random() { u64::MAX } else { rng.random_range(0..9) };
    let data = core::RowData { version, value: Some("nonsense".into()), dedupe: core::Dedupe::default() };
    core::Row { learned: ballot(rng), data: data.into() }
}

fn message(rng: &mut Pcg64) -> core::Message {
    let at = ballot(rng);
    let body = match rng.random_range(0..9) {
        0 => core::Body::Prepare { have: Some(ballot(rng)) },
        1 => core::Body::Propose { update: core::Update::Row(row(rng).data), next: Some(ballot(rng)) },
        2 => core::Body::Learn { row: row(rng) },
        3 => {
            let row = row(rng);
            core::Body::Promise { old_promise: ballot(rng), accepted: None, learned: row.learned, newer: Some(row) }
        }
        4 => core::Body::RowRead { learned: ballot(rng), newer: Some(row(rng)) },
        5 => core::Body::Accepted,
        6 => core::Body::Reject { request: core::RequestKind::Prepare, seen: ballot(rng) },
        7 => core::Body::Busy { request: core::RequestKind::Propose, holder: None, remaining_ns: u64::MAX },
        _ => core::Body::NotHolder { serial: rng.random() },
    };
    let op = core::OpId { client: rng.random_range(0..4), seq: rng.random_range(0..9) };
    // Never the honest client's key, because a plausible false message could block it.
    let key = core::Key::from(format!("lies-{}", rng.random_range(0..8)).as_str());
    core::Message { key, tag: core::Tag { op, attempt: rng.random_range(0..4), incarnation: rng.random_range(0..3), ballot: at }, body }
}

fn status(node: &NodeHandle) -> Status {
    Client::connect(node.ready().control, PATIENCE).unwrap().status().unwrap()
}

/// Sends nonsense, some of it not even well-formed messages, until the node hangs up or everything has been sent and
/// handled. Returns the number of messages sent. It never sends false positions, since a plausible lie about a log
/// stops or excludes a node.
fn lie(mut stream: TcpStream, rng: &mut Pcg64, left: u32, garbled: bool) -> u32 {
    for sent in 0..left {
        let mut out = BytesMut::new();
        match rng.random_range(0..20) {
            0 if garbled => {
                let mut bytes = vec![0; rng.random_range(0..64)];
                rng.fill_bytes(&mut bytes);
                encode_frame(FrameKind::PeerMessage, &bytes, &mut out);
            }
            1 => beat(vec![], &mut out),
            _ => send_message(&message(rng), &mut out),
        }
        if stream.write_all(&out).is_err() {
            return sent;
        }
    }
    if garbled {
        let _ = stream.shutdown(std::net::Shutdown::Write);
    } else {
        let mut last = message(rng);
        last.tag.ballot.micros = u64::MAX;
        let mut out = BytesMut::new();
        send_message(&last, &mut out);
        let _ = stream.write_all(&out);
    }
    // The node has handled all of it when it closes the connection.
    loop {
        match stream.read(&mut [0; 1_024]) {
            Ok(0) => return left,
            Ok(_) => {}
            Err(cause) => {
                assert!(cause.kind() == std::io::ErrorKind::ConnectionReset, "the node does not hang up: {cause}");
                return left;
            }
        }
    }
}

#[test]
fn a_peer_that_sends_nonsense_loses_its_connection_and_ends_no_node() {
    let dir = TempDir::new("nonsense");
    let claim = LoopbackClaim::new().unwrap();
    let addrs = claim.addresses(3).unwrap();
    let options: Vec<NodeOptions> = (1..=2)
        .map(|number: u16| {
            let id = NodeId::new(number).unwrap();
            let mut options = NodeOptions::new(id, "test", dir.path().join(id.to_string()));
            options.peer_listen = addrs[usize::from(number) - 1];
            let others = (1..=3).filter(|other| *other != number);
            options.peers = others.map(|other| (NodeId::new(other).unwrap(), addrs[usize::from(other) - 1])).collect();
            options.secret = Some(ClusterSecret::new(&[5; 16]).unwrap());
            options
        })
        .collect();
    let nodes: Vec<NodeHandle> = options.iter().map(|options| Node::start(options.clone()).unwrap()).collect();
    // A node accepts no messages before it votes.
    for (number, node) in (1..).zip(&nodes) {
        let _n3 = greet(node.ready().peer, number, &options[0]);
        let deadline = Instant::now() + PATIENCE;
        while !status(node).voting {
            assert!(Instant::now() < deadline, "{}", node.log_lines().join(""));
        }
    }
    let mut rng = Pcg64::seed_from_u64(0x5a7);
    let mut connections = 0_u64;
    for (number, node) in (1..).zip(&nodes) {
        let mut sent = 0;
        while sent < MESSAGES {
            let stream = greet(node.ready().peer, number, &options[0]);
            sent += lie(stream, &mut rng, MESSAGES_PER_CONNECTION.min(MESSAGES - sent), connections.is_multiple_of(2)).max(1);
            connections += 1;
        }
    }
    for node in &nodes {
        assert!(node.is_running(), "{}", node.log_lines().join(""));
        let deadline = Instant::now() + PATIENCE;
        // The last messages may still be on their way.
        while status(node).bad_connections < connections / 3 {
            assert!(Instant::now() < deadline, "{} of {connections} connections ended", status(node).bad_connections);
        }
        let said = node.log_lines().iter().any(|line| line.contains("event=peer_gone") && line.contains("no correct node sends"));
        assert!(said, "the log says why");
        let status = status(node);
        assert!(
            status.messages_refused >= connections / 3 && status.keys <= 8,
            "{} refused, {} keys",
            status.messages_refused,
            status.keys
        );
    }
    for node in nodes {
        node.stop().unwrap();
    }
}
