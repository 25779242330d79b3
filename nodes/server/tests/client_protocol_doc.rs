//! Checks that the page for authors of other clients shows the actual bytes.

use bytes::BytesMut;
use heckle_server::client_protocol::{
    BallotTag, Call, Diagnostics, ExpectedNode, FolderId, Hello, Identity, Limits as ConnectionLimits, MAX_KEY, MAX_VALUE, OpId, Outcome,
    PROTOCOL, Phase, Provenance, Refused, Request, Response, ToClient, ToNode, Welcome,
};
use heckle_server::frame::{FRAME_VERSION, HEADER_LEN, MAX_PAYLOAD};
use heckle_server::options::Limits;

const PAGE: &str = include_str!("../../../docs/client-protocol.md");

#[track_caller]
fn check_example(name: &str, encode: impl FnOnce(&mut BytesMut)) {
    let mut bytes = BytesMut::new();
    encode(&mut bytes);
    let (_, rest) = PAGE.split_once(&format!("```hex {name}\n")).expect("the page has this example");
    let (shown, _) = rest.split_once("```").unwrap();
    let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let (header, payload) = hex.split_at(HEADER_LEN);
    let mut right = header.join(" ") + "\n";
    for line in payload.chunks(32) {
        right += &(line.join(" ") + "\n");
    }
    assert_eq!(shown, right, "the example {name:?} must be:\n{right}");
}

#[test]
fn the_examples_are_what_is_sent() {
    let op = OpId { client: 7, seq: 1 };
    let (cluster, node) = ("mine".to_owned(), "n1".to_owned());
    let expected = ExpectedNode { cluster: Some(cluster.clone()), node: Some(node.clone()), folder: None };
    check_example("hello", |out| ToNode::Hello(Hello::new("me", &expected)).encode(out));
    check_example("hello-any", |out| ToNode::Hello(Hello::new("me", &ExpectedNode::default())).encode(out));
    let identity = Identity { cluster, node, folder: FolderId(0x00c0_ffee_00c0_ffee) };
    let limits = ConnectionLimits {
        max_key: MAX_KEY as u32,
        max_value: MAX_VALUE as u32,
        max_frame: MAX_PAYLOAD as u32,
        max_in_flight: Limits::default().in_flight_per_connection as u32,
    };
    let welcome = Welcome { protocol: PROTOCOL, identity: identity.clone(), incarnation: 2, limits };
    check_example("welcome", |out| ToClient::Welcome(welcome).encode(out));
    let refused = Refused { why: "no".to_owned(), identity: Some(identity) };
    check_example("refused", |out| ToClient::Refused(refused).encode(out));
    let call = Call::Cas { expected: None, new: 42_u64.to_be_bytes().to_vec() };
    let request = Request { op, key: b"k1".to_vec(), timeout_us: 1_000_000, provenance: Provenance::First, call };
    check_example("request", |out| ToNode::Request(request).encode(out));
    let ballot = Some(BallotTag { us: 300, node: 2, nonce: 5 });
    let diagnostics = Diagnostics {
        phase: Phase::Fence,
        ballot,
        promises: 2,
        accepts: 2,
        needed: 2,
        max_seen_ballot: ballot,
        rounds: 1,
        round_trips: 3,
        ..Diagnostics::default()
    };
    let outcome = Outcome::ConditionNotMet { current: Some(16_u64.to_be_bytes().to_vec()) };
    check_example("response", |out| ToClient::Response(Response { op, outcome, diagnostics }).encode(out));
}

#[test]
fn the_numbers_are_those_of_the_code() {
    let defaults = Limits::default();
    for text in [
        format!("at most {}", grouped(MAX_PAYLOAD)),
        format!("longest key in bytes ({})", grouped(MAX_KEY)),
        format!("longest value in bytes ({})", grouped(MAX_VALUE)),
        format!("connections of a node ({})", grouped(defaults.client_connections)),
        format!("answers that are not read ({} MiB;", defaults.client_outbound_bytes >> 20),
        format!("# The client protocol, version {PROTOCOL}"),
        format!("version of the frame, {FRAME_VERSION}"),
        "3,600,000,000".to_owned(),
    ] {
        assert!(PAGE.contains(&text), "the page lacks {text:?}");
    }
    assert_eq!(heckle_server::client_protocol::MAX_TIMEOUT_US, 3_600_000_000);
}

fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().map(|g| std::str::from_utf8(g).unwrap()).collect();
    groups.join(",")
}
