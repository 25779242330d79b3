//! Tests of which program may answer an operation, and of how the run ends if another does.

use super::*;
use heckle_history::{OpId, ProcessId};
use heckle_loopback::LoopbackClaim;
use heckle_server::{Node, NodeHandle, NodeOptions};
use heckle_system_api::identity::{Mistaken, NodeIdentity};
use heckle_system_api::value::Payload;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

/// Starts a node of another cluster in place of n2.
fn thief(name: &str, listens: SocketAddr) -> (std::path::PathBuf, NodeHandle) {
    let folder = std::env::temp_dir().join(format!("heckle-thief-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    let mut options = NodeOptions::new("n2".parse().expect("a name"), "thieves", &folder);
    (options.client_listen, options.remote) = (listens, true);
    (folder, Node::start(options).expect("it starts"))
}

/// Sends one write to n2 of the cluster `ours` at this address. Returns the reply, and why the run ends, if it does.
fn write(addr: SocketAddr, through: SocketAddr) -> (Reply, Option<String>) {
    let ended = Arc::new(Mutex::new(None));
    let mistaken = {
        let ended = ended.clone();
        Mistaken::new(move |why| *ended.lock().expect("no test panics here") = Some(why))
    };
    let target = Target { addr: through, listens: addr, node: NodeIdentity::new("ours", "n2", mistaken) };
    let op = Op {
        id: OpId(0),
        process: ProcessId(0),
        key: "k".into(),
        call: Call::Write { new: heckle_history::Value(1) },
        path: Path::Consensus,
        payload: None,
        expected_payload: None,
        timeout: Duration::from_secs(5),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let answer = tokio::task::LocalSet::new().block_on(&runtime, async {
        let connection = PaxosConnection::new(target, "c0".into(), ValueCodec::new(8, Payload::Absent));
        connection.call(op).await
    });
    let ended = ended.lock().expect("no test panics here").clone();
    (answer, ended)
}

/// Checks that the operation was not sent, and that the run ends with the name of the program that answered.
#[track_caller]
fn check_stranger((answer, reason): (Reply, Option<String>), addr: SocketAddr, who: &str) {
    let why = answer.reason.unwrap_or_default();
    assert!(answer.outcome == Outcome::NotApplied && why.starts_with("not_sent: "), "{:?} {why}", answer.outcome);
    let sentence = format!("{addr}, where n2 should be, is answered by {who}");
    assert!(why.contains(&sentence), "{why}");
    assert!(reason.as_ref().is_some_and(|why| why.contains(&sentence)), "{reason:?}");
}

#[test]
fn another_node_in_a_nodes_place_ends_the_run_and_is_sent_nothing() {
    let claim = LoopbackClaim::new().expect("an address");
    let exact = claim.address().expect("a port");
    let everywhere = claim.address().expect("a port");
    for (name, addr, listens) in [("exact", exact, exact), ("everywhere", everywhere, ([0, 0, 0, 0], everywhere.port()).into())] {
        let (folder, node) = thief(name, listens);
        check_stranger(write(addr, addr), addr, "n2 of cluster thieves");
        let status = heckle_server::control::Client::connect(node.ready().control, Duration::from_secs(5)).and_then(|mut c| c.status());
        assert_eq!(status.expect("it runs").ops.started, 0);
        drop(node);
        let _ = std::fs::remove_dir_all(folder);
    }
}

#[test]
fn what_is_no_node_ends_the_run_and_a_fault_does_not() {
    let claim = LoopbackClaim::new().expect("an address");
    let welcome_of_version_2 = {
        let mut out = BytesMut::new();
        heckle_server::frame::encode_frame(heckle_server::frame::FrameKind::ClientWelcome, &[2, 2, b'n', b'2', 1, 1, 1, 1, 1], &mut out);
        out.to_vec()
    };
    let cases: [(&[u8], Option<&str>); 5] = [
        (
            b"220 mail.example.org ESMTP, what can I do for you?\r\n",
            Some("something that does not speak client protocol 3 (not a heckle frame"),
        ),
        (&welcome_of_version_2, Some("something that does not speak client protocol 3 (the node speaks client protocol 2")),
        // The effects of faults: a connection closed immediately, or in the middle of a frame.
        (b"", None),
        (b"hk", None),
        (&welcome_of_version_2[..20], None),
    ];
    for (says, stranger) in cases {
        let addr = claim.address().expect("a port");
        let listener = TcpListener::bind(addr).expect("it is this test's");
        let says = says.to_owned();
        let program = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let _ = stream.write_all(&says);
            // Read the hello, since otherwise the close would be a reset that discards the answer.
            let _ = std::io::Read::read(&mut stream, &mut [0; 4 << 10]);
        });
        let (answer, reason) = write(addr, addr);
        program.join().expect("it ends");
        match stranger {
            Some(who) => check_stranger((answer, reason), addr, who),
            None => assert_eq!((answer.outcome, reason), (Outcome::NotApplied, None)),
        }
    }
    let unused = claim.address().expect("a port");
    let (answer, reason) = write(unused, unused);
    assert_eq!((answer.outcome, reason), (Outcome::NotApplied, None), "a dead node refuses");
}
