//! Foreign programs: on a dead node's port, with a different secret or a different list of nodes, or on the control
//! port.

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use bytes::BytesMut;
use common::{PATIENCE, TempDir, TestClient, control, eventually, n, options_of_cluster, start, start_all, status};
use heckle_server::client_protocol::Outcome;
use heckle_server::control::{Client, ControlError};
use heckle_server::frame::{FrameKind, FrameReader, encode_frame};
use heckle_server::{ClusterSecret, Node, NodeHandle, NodeOptions};

fn secret(byte: u8) -> Option<ClusterSecret> {
    Some(ClusterSecret::new(&[byte; 32]).unwrap())
}

fn logs(node: &NodeHandle, event: &str, says: &str) -> bool {
    node.log_lines().iter().any(|line| line.contains(&format!(" event={event} ")) && line.contains(says))
}

#[test]
fn nodes_with_one_secret_work_and_another_is_refused() {
    for (theirs, says) in [
        (secret(2), "have different cluster secrets: give all nodes of the cluster the same --cluster-secret-file"),
        (None, "n1 has a cluster secret, and n2 has none"),
    ] {
        let dir = TempDir::new("secrets");
        let mut options = options_of_cluster(dir.path(), 3);
        for options in &mut options {
            options.secret = secret(1);
        }
        let mut nodes = start_all(&options);
        options[1].secret = theirs;
        nodes.remove(1).kill();
        nodes.insert(1, start(&options[1]));
        eventually("both with the secret meet", || {
            let peers = status(&nodes[0]).peers;
            peers.iter().any(|peer| peer.node == "n3" && peer.inbound && peer.outbound)
        });
        assert_eq!(TestClient::to(&nodes[0]).write("k", "1"), Outcome::Applied);
        eventually("the third is refused when it connects", || logs(&nodes[0], "peer_refused", says));
        eventually("and when it is connected to", || logs(&nodes[0], "peer_unreachable", "secret"));
        eventually("the reason is logged", || logs(&nodes[1], "peer_refused", "secret") && logs(&nodes[1], "peer_unreachable", "secret"));
        assert!(status(&nodes[1]).peers.iter().all(|peer| !peer.inbound && !peer.outbound && peer.received == 0));
    }
}

/// Returns everything a node sends on a connection before the other side has proved that it has the secret.
fn sent_to_a_stranger(listener: &TcpListener) -> Vec<u8> {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut frames = FrameReader::new();
    let mut sent = Vec::new();
    let mut chunk = [0; 4_096];
    let mut challenged = false;
    loop {
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return sent,
            Ok(count) => {
                sent.extend_from_slice(&chunk[..count]);
                frames.push(&chunk[..count]);
            }
        }
        if frames.next_frame().unwrap().is_some_and(|frame| frame.kind == FrameKind::PeerHello) && !challenged {
            challenged = true;
            // A challenge with a made-up proof: version 9, a nonce, and 32 bytes.
            let mut challenge = BytesMut::new();
            encode_frame(FrameKind::PeerWelcome, &[&[9][..], &[7; 16], &[1], &[9; 32]].concat(), &mut challenge);
            stream.write_all(&challenge).unwrap();
        }
    }
}

#[test]
fn a_program_on_a_dead_nodes_port_learns_nothing() {
    let dir = TempDir::new("freed-port");
    let mut options = options_of_cluster(dir.path(), 3);
    for options in &mut options {
        options.secret = secret(1);
        options.cluster_id = "a-telling-name".to_owned();
    }
    let mut nodes = start_all(&options);
    nodes.pop().unwrap().kill();
    let stranger = TcpListener::bind(options[2].peer_listen).unwrap();
    for _ in 0..4 {
        let sent = sent_to_a_stranger(&stranger);
        let folders = nodes.iter().map(|node| node.ready().folder.0.to_le_bytes());
        assert!(!folders.into_iter().any(|folder| sent.windows(8).any(|part| part == folder)));
        assert!(!sent.windows(7).any(|part| part == b"telling"), "{}", sent.escape_ascii());
        // The node sends only the first message and the reason for hanging up.
        assert!(sent.len() < 300 && sent.windows(7).any(|part| part == b"secrets"), "{}", sent.escape_ascii());
    }
    drop(stranger);
    // The forged messages had no effect: the real node is accepted.
    let third = start(&options[2]);
    eventually("the node is back", || status(&third).peers.iter().all(|peer| peer.inbound && peer.outbound));
    assert_eq!(TestClient::to(&third).write("k", "1"), Outcome::Applied);
}

/// A recorded handshake is worthless on another connection.
#[test]
fn a_replayed_handshake_is_refused() {
    let dir = TempDir::new("replay");
    let mut options = options_of_cluster(dir.path(), 2);
    for options in &mut options {
        options.secret = secret(1);
    }
    let node = start(&options[0]);
    // Record messages from n2 on the way to n1, at a port that is not n1's.
    let tap = TcpListener::bind((common::claim().ip(), 0)).unwrap();
    options[1].peers[0].1 = tap.local_addr().unwrap();
    let second = start(&options[1]);
    let (mut from, _) = tap.accept().unwrap();
    let mut to = TcpStream::connect(options[0].peer_listen).unwrap();
    from.set_read_timeout(Some(PATIENCE)).unwrap();
    to.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut recorded = Vec::new();
    for _ in 0..2 {
        let mut chunk = [0; 4_096];
        let count = from.read(&mut chunk).unwrap();
        recorded.push(chunk[..count].to_vec());
        to.write_all(&chunk[..count]).unwrap();
        let count = to.read(&mut chunk).unwrap();
        from.write_all(&chunk[..count]).unwrap();
    }
    eventually("relayed, it works", || status(&second).peers[0].outbound);
    drop((from, to, second));
    let before = status(&node).bad_connections;
    let mut replay = TcpStream::connect(options[0].peer_listen).unwrap();
    replay.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = Vec::new();
    replay.write_all(&recorded.concat()).unwrap();
    replay.read_to_end(&mut answer).unwrap();
    assert!(String::from_utf8_lossy(&answer).contains("have different cluster secrets"), "{}", answer.escape_ascii());
    eventually("it is counted", || status(&node).bad_connections > before);
}

fn without_peers(options: &NodeOptions) -> NodeOptions {
    NodeOptions { peers: vec![], ..options.clone() }
}

#[test]
fn a_node_restarted_alone_does_not_start() {
    let dir = TempDir::new("alone");
    let options = options_of_cluster(dir.path(), 3);
    let nodes = start_all(&options);
    assert_eq!(TestClient::to(&nodes[0]).write("k", "1"), Outcome::Applied);
    for node in nodes {
        node.kill();
    }
    let error = Node::start(without_peers(&options[0])).unwrap_err();
    assert_eq!(error.exit_code(), 64);
    let says = error.to_string();
    assert!(says.contains("belongs to a cluster of n1 n2 n3, and this start names n1: give --peer for the same nodes"), "{says}");
    let mut five = options[0].clone();
    five.peers.extend([(n(4), options[0].peer_listen), (n(5), options[0].peer_listen)]);
    assert!(Node::start(five).unwrap_err().to_string().contains("names n1 n2 n3 n4 n5"));
    // With the same list it starts, whether alone or not.
    let back = start(&options[0]);
    assert!(back.is_running());
}

#[test]
fn a_node_that_expects_five_does_not_join_three() {
    let dir = TempDir::new("five");
    let mut options = options_of_cluster(dir.path(), 3);
    let mut nodes = start_all(&options);
    // The third node is started on an empty folder with two more nodes in its list.
    let nowhere = options[0].peer_listen;
    options[2].peers.extend([(n(4), nowhere), (n(5), nowhere)]);
    options[2].data_dir = dir.path().join("five");
    nodes.pop().unwrap().kill();
    nodes.push(start(&options[2]));
    let says = "counts n1 n2 n3 n4 n5 with a quorum of 3, and n1 counts n1 n2 n3 with a quorum of 2";
    eventually("it is refused", || logs(&nodes[0], "peer_refused", says) || logs(&nodes[0], "peer_unreachable", says));
    eventually("and says why", || logs(&nodes[2], "peer_unreachable", "The members of a cluster cannot be changed"));
    assert_eq!(TestClient::to(&nodes[0]).write("k", "1"), Outcome::Applied, "two of three are a quorum");
    assert!(status(&nodes[2]).peers.iter().all(|peer| !peer.inbound && !peer.outbound && peer.received == 0));
}

#[test]
fn only_the_token_opens_the_control_channel() {
    let dir = TempDir::new("control-token");
    let node = start(&options_of_cluster(dir.path(), 1)[0]);
    let connect = || Client::connect(node.ready().control, PATIENCE).unwrap();
    // Any user of this machine may read figures.
    assert_eq!(connect().status().unwrap().node, "n1");
    #[track_caller]
    fn check_refused(result: Result<(), ControlError>, says: &str) {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(says), "{error:?} lacks {says:?}");
    }
    let mut stranger = connect();
    check_refused(stranger.stop(), "this request needs the node's token");
    assert!(stranger.status().is_err(), "the connection is closed");
    check_refused(connect().set_clock(1, 0), "control.token in its data folder");
    check_refused(connect().watch_leases(), "needs the node's token");
    check_refused(connect().subscribe(&[]), "needs the node's token");
    let other = TempDir::new("control-token-other");
    let other = start(&options_of_cluster(other.path(), 1)[0]);
    check_refused(connect().authorize(&other.ready().control_token), "not the token of this node");
    assert!(node.is_running() && status(&node).clock_offset_us == 0);
    // Connect as the owner would, with the token from the data folder.
    let mut owner = connect();
    owner.authorize_from(&dir.path().join("n1")).unwrap();
    owner.set_clock(7, 0).unwrap();
    check_refused(connect().authorize_from(dir.path()), "control.token");
    control(&node).stop().unwrap();
    node.wait().unwrap();
}

#[test]
fn idle_strangers_on_the_control_port_make_room() {
    let dir = TempDir::new("control-room");
    let node = start(&options_of_cluster(dir.path(), 1)[0]);
    let mut owner = control(&node);
    let idle: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(node.ready().control).unwrap()).collect();
    // The owner's connection stays open, and new ones are served.
    owner.set_clock(7, 0).unwrap();
    assert_eq!(status(&node).clock_offset_us, 7);
    drop(idle);
}
