//! The identity of the answering node: clients and harnesses that expect a particular node are not served by another.

mod common;

use std::net::{Ipv4Addr, SocketAddr};

use bytes::BytesMut;
use common::{PATIENCE, TempDir, TestClient, claim, n, options_of_cluster, receive, start, status};
use heckle_server::client_protocol::{ExpectedNode, FolderId, Identity, Outcome, ProtocolError, ToClient, ToNode};
use heckle_server::control::{self, ControlError};
use heckle_server::frame::{Frame, FrameKind, FrameReader, encode_frame};
use heckle_server::{NodeHandle, NodeOptions};

fn expected(cluster: &str, node: &str) -> ExpectedNode {
    let name = |text: &str| (text != "-").then(|| text.to_owned());
    ExpectedNode { cluster: name(cluster), node: name(node), folder: None }
}

fn alone(dir: &TempDir, cluster: &str, number: u16) -> NodeOptions {
    let mut options = NodeOptions::new(n(number), cluster, dir.path().join(format!("{cluster}-{number}")));
    let ip = claim().ip();
    (options.client_listen, options.control_listen) = ((ip, 0).into(), (ip, 0).into());
    options
}

#[track_caller]
fn check_hello(node: &NodeHandle, cluster: &str, name: &str, taken: bool) {
    let answer = TestClient::expecting(node.ready().client, &expected(cluster, name));
    let asked = control::Client::connect_to(node.ready().control, PATIENCE, &expected(cluster, name));
    if taken {
        assert_eq!(answer.unwrap().write("k", "1"), Outcome::Applied);
        assert!(asked.unwrap().status().unwrap().ready);
        return;
    }
    let Err(refused) = answer else { panic!("a client that expects {name} of {cluster} is served") };
    for part in ["Refused", "this is n1 of cluster mine", "cluster: \"mine\"", "node: \"n1\""] {
        assert!(refused.contains(part), "{refused} lacks {part}");
    }
    match asked {
        Err(ControlError::Mistaken { found, .. }) => assert_eq!((&*found.cluster, &*found.node), ("mine", "n1")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_client_that_expects_another_node_is_refused_and_learns_whom_it_found() {
    let dir = TempDir::new("identity");
    let node = start(&alone(&dir, "mine", 1));
    check_hello(&node, "-", "-", true);
    check_hello(&node, "mine", "-", true);
    check_hello(&node, "-", "n1", true);
    check_hello(&node, "mine", "n1", true);
    check_hello(&node, "mine", "n2", false);
    check_hello(&node, "-", "n2", false);
    check_hello(&node, "yours", "n1", false);
    check_hello(&node, "yours", "-", false);
    check_hello(&node, "", "n1", false);
    let long = "c".repeat(1_000);
    let Err(refused) = TestClient::expecting(node.ready().client, &expected(&long, "n1")) else { panic!("served") };
    assert!(refused.contains("1000 bytes are over the limit of 128") && !refused.contains(&long), "{refused}");
}

#[test]
fn a_folder_distinguishes_two_nodes_of_one_name() {
    let dir = TempDir::new("identity-folders");
    let mut twin = alone(&dir, "mine", 1);
    let first = start(&twin);
    twin.data_dir = dir.path().join("twin");
    let twin = start(&twin);
    let welcomed = |node: &NodeHandle| TestClient::to(node).welcome.identity;
    for node in [&first, &twin] {
        assert_eq!(welcomed(node).folder, node.ready().folder);
        assert_eq!(status(node).folder, node.ready().folder);
        assert_eq!(common::control(node).identity().unwrap(), welcomed(node));
    }
    let known = ExpectedNode { folder: Some(first.ready().folder), ..expected("mine", "n1") };
    assert!(known.is(&welcomed(&first)) && !known.is(&welcomed(&twin)));
    let error = control::Client::connect_to(twin.ready().control, PATIENCE, &known).unwrap_err();
    assert!(matches!(error, ControlError::Mistaken { .. }), "{error}");
}

#[test]
fn a_node_that_listens_on_all_addresses_answers_everywhere_and_is_known_everywhere() {
    let dir = TempDir::new("identity-wildcard");
    let mut options = alone(&dir, "other", 2);
    (options.client_listen, options.remote) = ((Ipv4Addr::UNSPECIFIED, 0).into(), true);
    let node = start(&options);
    let elsewhere = SocketAddr::from((claim().ip(), node.ready().client.port()));
    assert_eq!(TestClient::connect(elsewhere).welcome.identity.node, "n2");
    let Err(refused) = TestClient::expecting(elsewhere, &expected("mine", "n2")) else { panic!("served") };
    assert!(refused.contains("this is n2 of cluster other"), "{refused}");
}

/// A frame of protocol version 2: the same fields in the same order, without the new ones.
fn version_2(kind: FrameKind, fields: &[&[u8]]) -> Vec<u8> {
    let mut out = BytesMut::new();
    encode_frame(kind, &[&[2], &fields.concat()[..]].concat(), &mut out);
    out.to_vec()
}

#[test]
fn version_2_is_refused_by_name_on_both_sides() {
    use std::io::Write;
    let dir = TempDir::new("identity-version");
    let node = start(&alone(&dir, "mine", 1));
    let mut stream = std::net::TcpStream::connect(node.ready().client).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&version_2(FrameKind::ClientHello, &[b"\x02me"])).unwrap();
    let mut frames = FrameReader::new();
    let Ok(ToClient::Refused(refused)) = receive(&mut stream, &mut frames) else { panic!("not refused") };
    assert!(refused.why.contains("the node speaks client protocol 3, the client 2: use programs of the same release"), "{refused:?}");
    assert_eq!(refused.identity, None, "a client of version 2 would not read past the reason");

    // A welcome of version 2: name, incarnation and four limits.
    let bytes = version_2(FrameKind::ClientWelcome, &[b"\x02n1", &[1, 1, 1, 1, 1]]);
    let mut frames = FrameReader::new();
    frames.push(&bytes);
    let error = ToClient::decode(&frames.next_frame().unwrap().unwrap()).unwrap_err();
    assert_eq!(error, ProtocolError::OtherVersion { node: 2, client: 3 });
    // Everything after another version is ignored.
    let later = Frame { kind: FrameKind::ClientHello, payload: vec![9, 0xff, 0xff].into() };
    assert_eq!(ToNode::decode(&later), Err(ProtocolError::OtherVersion { node: 3, client: 9 }));
}

#[test]
fn two_clusters_side_by_side_never_talk() {
    let dir = TempDir::new("identity-two");
    let (mut ours, mut theirs) = (options_of_cluster(&dir.path().join("ours"), 3), options_of_cluster(&dir.path().join("theirs"), 3));
    for options in &mut theirs {
        options.cluster_id = "theirs".to_owned();
    }
    // Each cluster has an address of the other's, as when a port changes owners.
    ours[0].peers[1].1 = theirs[2].peer_listen;
    theirs[0].peers[1].1 = ours[2].peer_listen;
    let nodes: Vec<NodeHandle> = ours.iter().chain(&theirs).map(start).collect();
    for (node, value) in [(&nodes[0], "ours"), (&nodes[3], "theirs")] {
        assert_eq!(TestClient::to(node).write("k", value), Outcome::Applied, "two of three are a quorum");
    }
    for (node, says) in [(&nodes[2], "theirs"), (&nodes[5], "test")] {
        common::eventually("the stranger is refused", || {
            let refused = |line: &String| ["event=peer_refused", "it belongs to cluster", says].iter().all(|part| line.contains(part));
            node.log_lines().iter().any(refused)
        });
    }
    for (node, value) in [(&nodes[1], "ours"), (&nodes[4], "theirs")] {
        assert_eq!(TestClient::to(node).read("k").as_deref(), Some(value));
    }
    let [mine, other] = [&nodes[0], &nodes[3]].map(|node| TestClient::to(node).welcome.identity);
    assert!(mine.cluster != other.cluster && mine.folder != other.folder);
    assert!(TestClient::expecting(nodes[3].ready().client, &expected(&mine.cluster, &mine.node)).is_err());
}

#[test]
fn the_id_of_a_folder_is_text_in_json_and_nothing_in_it_reaches_a_terminal() {
    let identity = Identity { cluster: "a\u{1b}[2J\n".to_owned(), node: "n1".to_owned(), folder: FolderId(0xc0ffee) };
    let json = serde_json::to_string(&identity).unwrap();
    assert!(json.contains("\"0000000000c0ffee\""), "{json}");
    assert_eq!(serde_json::from_str::<Identity>(&json).unwrap(), identity);
    assert!(serde_json::from_str::<FolderId>("\"no\"").is_err());
    assert_eq!(identity.to_string(), "n1 of cluster a\\u{1b}[2J\\n");
}
