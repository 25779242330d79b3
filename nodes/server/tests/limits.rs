//! The memory that clients can consume at a node: each kind has one limit for the whole node, and is freed when its
//! client disconnects.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;

use bytes::BytesMut;
use common::{PATIENCE, TempDir, TestClient, eventually, n, options_of_cluster, receive, request, send, start, start_all, status};
use heckle_server::client_protocol::{
    Call, ExpectedNode, Hello, MAX_REQUEST, MAX_TIMEOUT_US, MAX_VALUE, OpId, Outcome, Reason, ToClient, ToNode,
};
use heckle_server::frame::{FrameKind, FrameReader, MAX_HANDSHAKE, encode_frame};
use heckle_server::{NodeHandle, NodeOptions};

fn one_node(name: &str, change: impl FnOnce(&mut NodeOptions)) -> (TempDir, NodeHandle) {
    let dir = TempDir::new(name);
    let mut options = NodeOptions::new(n(1), "test", dir.path().join("n1"));
    change(&mut options);
    let node = start(&options);
    (dir, node)
}

fn greeted(node: &NodeHandle) -> TcpStream {
    let mut stream = TcpStream::connect(node.ready().client).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    send(&mut stream, &ToNode::Hello(Hello::new("hostile", &ExpectedNode::default())));
    assert!(matches!(receive(&mut stream, &mut FrameReader::new()), Ok(ToClient::Welcome(_))));
    stream
}

fn frame(kind: FrameKind, len: usize) -> Vec<u8> {
    let mut out = BytesMut::new();
    encode_frame(kind, &vec![0; len], &mut out);
    out.to_vec()
}

/// The reason a node gives when closing a connection.
fn refusal(stream: &mut TcpStream) -> String {
    match receive(stream, &mut FrameReader::new()) {
        Ok(ToClient::Refused(refused)) => refused.why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn unfinished_frames_have_a_limit_for_the_whole_node() {
    let (_dir, node) = one_node("partial", |options| options.limits.partial_frame_bytes = 1 << 20);
    let half = frame(FrameKind::Request, 400 << 10);
    let mut hostile: Vec<TcpStream> = (0..10).map(|_| greeted(&node)).collect();
    for stream in &mut hostile {
        stream.write_all(&half[..half.len() - 1]).unwrap();
    }
    eventually("all but those that fit are closed", || status(&node).partial_frames_closed == 8);
    assert!(status(&node).held_bytes.partial_frames <= 1 << 20);
    // The oldest connections are closed, with a reason.
    assert!(refusal(&mut hostile[0]).contains("sent 409615 bytes of a frame and not the rest"));
    // An honest client, whose frame would also exceed the limit, is served alongside them.
    let mut honest = TestClient::to(&node);
    assert_eq!(honest.call("k", Call::Write { new: vec![7; 500 << 10] }), Outcome::Applied);
    drop(hostile);
    eventually("nothing is left", || status(&node).held_bytes.partial_frames == 0);
}

#[test]
fn a_handshake_is_short_and_a_request_is_not_longer_than_it_can_be() {
    let (_dir, node) = one_node("handshake", |_| {});
    for addr in [node.ready().client, node.ready().peer] {
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // The header alone is enough for a refusal.
        stream.write_all(&frame(FrameKind::ClientHello, MAX_HANDSHAKE + 1)[..16]).unwrap();
        assert!(refusal(&mut stream).contains("4097 bytes is over the limit of 4096 before the end of the handshake"));
        assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0);
    }
    let mut client = greeted(&node);
    client.write_all(&frame(FrameKind::Request, MAX_REQUEST + 1)[..16]).unwrap();
    assert!(refusal(&mut client).contains("over the limit"));
    assert_eq!(TestClient::to(&node).welcome.limits.max_frame as usize, MAX_REQUEST);
}

#[test]
fn open_operations_have_a_limit_and_end_with_their_client() {
    let dir = TempDir::new("requests");
    // Alone in a cluster of three, the node cannot complete any operation.
    let mut options = options_of_cluster(dir.path(), 3).remove(0);
    options.limits.request_bytes = 4 << 20;
    let node = start(&options);
    let mut hostile = TestClient::to(&node);
    for client in 100..110 {
        // Half of them wait for one key.
        let key = if client % 2 == 0 { "same".to_owned() } else { format!("k{client}") };
        let mut write = request(OpId { client, seq: 1 }, &key, Call::Write { new: vec![7; MAX_VALUE] });
        write.timeout_us = MAX_TIMEOUT_US;
        hostile.send(write);
    }
    for _ in 0..7 {
        assert_eq!(hostile.receive().unwrap().outcome, Outcome::NotApplied { why: Reason::Busy });
    }
    let held = status(&node);
    assert_eq!(held.open_ops, 3);
    assert!((3 << 20..4 << 20).contains(&held.held_bytes.requests), "{:?}", held.held_bytes);
    drop(hostile);
    eventually("their operations end with them, an hour early", || {
        let status = status(&node);
        (status.open_ops, status.held_bytes.requests) == (0, 0)
    });
}

#[test]
fn unread_replies_have_a_limit_for_the_whole_node() {
    let (_dir, node) = one_node("replies", |options| options.limits.reply_bytes = 8 << 20);
    let mut honest = TestClient::to(&node);
    assert_eq!(honest.call("k", Call::Write { new: vec![7; MAX_VALUE] }), Outcome::Applied);
    // Each of them alone stays below the limit per connection.
    let mut lazy: Vec<TestClient> = (0..8).map(|_| TestClient::to(&node)).collect();
    for (i, client) in lazy.iter_mut().enumerate() {
        for op in 0..14 {
            client.send(request(OpId { client: (i as u64) << 32 | op, seq: 1 }, "k", Call::Read));
        }
    }
    eventually("some of them are closed", || status(&node).slow_readers > 0);
    eventually("the node is below its limit", || status(&node).held_bytes.replies <= 16 << 20);
    assert_eq!(honest.call("k", Call::Read), Outcome::Value { value: Some(vec![7; MAX_VALUE]) });
    drop(lazy);
    eventually("nothing is left", || status(&node).held_bytes.replies == 0);
}

#[test]
fn reads_of_absent_keys_leave_nothing_behind() {
    let dir = TempDir::new("absent");
    let nodes = start_all(&options_of_cluster(dir.path(), 3));
    let mut clients: Vec<TestClient> = nodes.iter().map(TestClient::to).collect();
    for i in 0..300 {
        assert_eq!(clients[i % 3].read(&format!("absent-{i}")), None);
    }
    for node in &nodes {
        let status = status(node);
        assert_eq!((status.keys, status.state_bytes.total()), (0, 0), "{}", status.node);
    }
    // Every node finds an existing key, and it counts as a key.
    assert_eq!(clients[0].write("there", "1"), Outcome::Applied);
    for client in &mut clients {
        assert_eq!(client.read("there").as_deref(), Some("1"));
    }
    assert!(nodes.iter().all(|node| status(node).keys <= 1));
}

#[test]
fn connections_that_say_nothing_make_room_for_clients() {
    let (_dir, node) = one_node("lobby", |options| options.limits.client_connections = 3);
    let mut known = TestClient::to(&node);
    let silent: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(node.ready().client).unwrap()).collect();
    eventually("they fill the node", || status(&node).client_connections >= 3);
    let mut second = TestClient::to(&node);
    let mut third = TestClient::to(&node);
    for client in [&mut known, &mut second, &mut third] {
        assert_eq!(client.write("k", "1"), Outcome::Applied);
    }
    // Connections with a hello stay, so the next one is refused.
    let refused = TestClient::expecting(node.ready().client, &ExpectedNode::default()).err().unwrap();
    assert!(refused.contains("3 clients are connected"), "{refused}");
    drop(silent);
}
