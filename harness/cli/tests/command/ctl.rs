//! `heckle node --config`, and `heckle ctl` used with it: one real process, real sockets, exit codes.

use crate::common::*;
use heckle_loopback::LoopbackClaim;
use heckle_server::client_protocol::{ExpectedNode, FolderId, Hello, Identity, Limits, PROTOCOL, ToClient, ToNode, Welcome};
use heckle_server::frame::{FrameKind, frame_kind};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

/// A node started from its configuration file, and its ready line.
struct RunningNode {
    _node: Running,
    ready: serde_json::Value,
}

impl RunningNode {
    fn start(folder: &Folder, config: &str, flags: &[&str]) -> RunningNode {
        std::fs::write(folder.path().join("node.toml"), config).expect("a writable folder");
        let args = [&["node", "--config", "node.toml", "--exit-on-stdin-eof"], flags].concat();
        let mut command = heckle(folder, &args);
        let mut node = Running(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starts"));
        let mut line = String::new();
        BufReader::new(node.0.stdout.take().expect("piped")).read_line(&mut line).expect("a ready line");
        let ready = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not ready: {line:?}"));
        RunningNode { _node: node, ready }
    }

    fn addr(&self, which: &str) -> &str {
        self.ready[which].as_str().unwrap_or_else(|| panic!("no {which} in {}", self.ready))
    }
}

const ALONE: &str = "id = \"n1\"\ncluster_id = \"ctl\"\ndata = \"data\"\nmetrics_listen = \"0\"\nmax_clients = 1\n";

/// Returns the configuration of a node whose two peers do not exist, so it can complete no operation.
fn config_without_peers(claim: &LoopbackClaim) -> String {
    let absent = claim.address().expect("a port");
    format!("id = \"n1\"\ncluster_id = \"ctl\"\ndata = \"data\"\npeer = [\"n2={absent}\", \"n3={absent}\"]\n")
}

fn stdout(out: &std::process::Output) -> String {
    String::from_utf8_lossy(&out.stdout).trim_end().to_owned()
}

#[test]
fn a_node_answers_what_it_is_asked() {
    let f = Folder::new();
    // The flag overrides the file. Otherwise the second client below would be rejected.
    let node = RunningNode::start(&f, ALONE, &["--max-clients", "2"]);
    let client = node.addr("client");
    let ctl = |args: &[&str], code: i32| expect_code(&f, &[&["ctl"], args, &["--node", client]].concat(), code);
    let never = ctl(&["read", "k1"], 0);
    assert!(stdout(&never).is_empty() && said(&never).contains("never written"), "{}", said(&never));
    let set = ctl(&["cas", "k1", "one", "--absent"], 0);
    assert!(said(&set).contains("k1 is set") && said(&set).contains("n1 coordinated"), "{}", said(&set));
    let refused = ctl(&["cas", "k1", "three", "--expect", "two"], 3);
    assert_eq!(stdout(&refused), "one", "the value in the way is data");
    assert!(said(&refused).contains("condition not met: k1 was one"), "{}", said(&refused));
    ctl(&["cas", "k1", "two", "--expect", "one"], 0);
    assert_eq!(stdout(&ctl(&["read", "k1"], 0)), "two");
    ctl(&["write", "n", "42", "--as", "number"], 0);
    // The fate of an operation named in a reply, and of one that was never sent.
    let named = ctl(&["write", "k2", "one", "--json"], 0);
    let named: serde_json::Value = serde_json::from_slice(&named.stdout).expect("JSON");
    let op = named["op"].as_str().expect("an answer names its operation");
    assert_eq!(stdout(&ctl(&["fate", op, "--key", "k2"], 0)), "applied");
    assert_eq!(stdout(&ctl(&["fate", "c77.1@300.n1.5", "--key", "k2"], 4)), "not_applied");
    assert!(said(&ctl(&["fate", "77.1", "--key", "k2"], 64)).contains("such as c7.1"));
    assert_eq!(stdout(&ctl(&["read", "n", "--as", "number"], 0)), "42");
    let json: serde_json::Value = serde_json::from_slice(&ctl(&["read", "n", "--json"], 0).stdout).expect("JSON");
    assert_eq!((&json["outcome"], &json["value_hex"]), (&"value".into(), &"000000000000002a".into()), "{json:#}");
    assert_eq!(json["diagnostics"]["needed"], 1, "{json:#}");

    // The last-write-wins path at both levels, and how replies name the level.
    for (value, level) in [("one", "one"), ("two", "quorum")] {
        let put = ctl(&["put", "plain", value, "--consistency", level], 0);
        assert!(said(&put).contains("plain is set") && said(&put).contains("phase cheap"), "{}", said(&put));
        assert_eq!(stdout(&ctl(&["get", "plain", "--consistency", level], 0)), value);
    }
    assert!(said(&ctl(&["get", "nothing"], 0)).contains("never written"));
    let json: serde_json::Value = serde_json::from_slice(&ctl(&["get", "plain", "--json"], 0).stdout).expect("JSON");
    assert_eq!((&json["value"], &json["diagnostics"]["phase"]), (&"two".into(), &"cheap".into()), "{json:#}");
    assert!(said(&ctl(&["put", "plain", "x", "--consistency", "all"], 64)).contains("quorum"));

    let status = expect_code(&f, &["ctl", "status", "--node", node.addr("control")], 0);
    assert!(
        stdout(&status).contains("n1 of ctl: ready") && stdout(&status).contains("6 applied, 1 condition not met"),
        "{}",
        said(&status)
    );
    let status = expect_code(&f, &["ctl", "status", "--json", "--node", node.addr("control")], 0);
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).expect("JSON");
    assert_eq!(status["ops"]["reads"], 8, "{status:#}");

    let mut scraper = TcpStream::connect(node.addr("metrics")).expect("it listens");
    scraper.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").expect("taken");
    let mut page = String::new();
    scraper.read_to_string(&mut page).expect("UTF-8 to its end");
    assert!(page.contains("heckle_ops_total{node=\"n1\",outcome=\"applied\"} 6\n"), "{page}");
}

#[test]
fn what_cannot_be_asked_says_why() {
    let f = Folder::new();
    let claim = LoopbackClaim::new().expect("an address");
    let nowhere = claim.address().expect("a port").to_string();
    let node = RunningNode::start(&f, ALONE, &[]);
    let (client, control, peer) = (node.addr("client"), node.addr("control"), node.addr("peer"));
    let ctl = |args: &[&str], code: i32, parts: &[&str]| {
        let out = expect_code(&f, &[&["ctl"], args].concat(), code);
        for part in parts {
            assert!(said(&out).contains(part), "heckle ctl {} does not say `{part}`:\n{}", args.join(" "), said(&out));
        }
        assert!(!said(&out).contains("panicked"), "{}", said(&out));
    };
    ctl(&["read", "", "--node", client], 64, &["1 to 1024 bytes"]);
    ctl(&["read", &"k".repeat(1_025), "--node", client], 64, &["this one has 1025"]);
    ctl(&["write", "k", "x", "--as", "number", "--node", client], 64, &["`x` is not a whole number"]);
    ctl(&["cas", "k", "x", "--node", client], 64, &["--expect"]);
    ctl(&["read", "k", "--node", "localhost"], 64, &["localhost"]);
    ctl(&["red", "k", "--node", client], 64, &["read"]);
    ctl(&["read", "k", "--node", &nowhere], 4, &[&format!("no node answers at {nowhere}")]);
    ctl(&["read", "k", "--timeout", "300ms", "--node", control], 4, &["must be the client address"]);
    ctl(&["read", "k", "--node", peer], 4, &[peer]);
    ctl(&["status", "--node", client], 64, &["must be the control address"]);
    ctl(&["status", "--node", &nowhere], 4, &[&nowhere]);
    // The expected node must answer. No other node may carry out the request.
    for (expected, wanted) in
        [(["--cluster-id", "ctl", "--id", "n2"], "n2 of cluster ctl"), (["--cluster-id", "mine", "--id", "n1"], "n1 of cluster mine")]
    {
        ctl(&[&["write", "k", "stray", "--node", client][..], &expected].concat(), 4, &["this is n1 of cluster ctl", wanted]);
        ctl(&[&["status", "--node", control][..], &expected].concat(), 4, &["this is n1 of cluster ctl", wanted]);
    }
    ctl(&["read", "k", "--node", client, "--cluster-id", "ctl", "--id", "n1"], 0, &["never written"]);
    ctl(&["status", "--node", control, "--cluster-id", "ctl"], 0, &["n1 of ctl: ready"]);
    // The file allows one client at a time.
    let mut held = TcpStream::connect(client).expect("it listens");
    let mut hello = bytes::BytesMut::new();
    ToNode::Hello(Hello::new("me", &ExpectedNode::default())).encode(&mut hello);
    held.write_all(&hello).expect("taken");
    let mut answer = [0; 16];
    held.read_exact(&mut answer).expect("an answer");
    assert_eq!(frame_kind(&answer), Ok(FrameKind::ClientWelcome));
    ctl(&["read", "k", "--node", client], 4, &["1 clients are connected to n1 already"]);
}

#[test]
fn what_is_not_known_is_not_claimed() {
    let f = Folder::new();
    let claim = LoopbackClaim::new().expect("an address");
    let node = RunningNode::start(&f, &config_without_peers(&claim), &[]);
    let out = expect_code(&f, &["ctl", "write", "k", "v", "--timeout", "400ms", "--json", "--node", node.addr("client")], 4);
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    assert_eq!((&json["outcome"], &json["reason"]), (&"not_applied".into(), &"no_quorum_before_propose".into()), "{json:#}");
    // A node accepts the request but never replies: the command must not claim that nothing happened.
    let addr = claim.address().expect("a port").to_string();
    let silent = std::net::TcpListener::bind(&addr).expect("it is this test's");
    let silent_server = std::thread::spawn(move || {
        let (mut stream, _) = silent.accept().expect("a client");
        let limits = Limits { max_key: 1, max_value: 1, max_frame: 1, max_in_flight: 1 };
        let mut out = bytes::BytesMut::new();
        let identity = Identity { cluster: "ctl".into(), node: "n1".into(), folder: FolderId(1) };
        ToClient::Welcome(Welcome { protocol: PROTOCOL, identity, incarnation: 1, limits }).encode(&mut out);
        stream.write_all(&out).expect("taken");
        // Wait until the client gives up.
        let _ = stream.read_to_end(&mut vec![]);
    });
    let out = expect_code(&f, &["ctl", "write", "k", "v", "--timeout", "300ms", "--json", "--node", &addr], 2);
    silent_server.join().expect("ends with its client");
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    assert_eq!(json["outcome"], "unknown", "{json:#}");
    assert!(said(&out).contains("may have been applied"), "{}", said(&out));
}

#[test]
fn a_wrong_configuration_is_named_by_line() {
    let f = Folder::new();
    std::fs::write(f.path().join("bad.toml"), "id = \"n1\"\nclient_lisen = \"127.0.0.1:1\"\n").expect("a writable folder");
    let out = expect_code(&f, &["node", "--config", "bad.toml"], 64);
    assert!(said(&out).contains("bad.toml, line 2, column 1") && said(&out).contains("`client_listen`"), "{}", said(&out));
    let out = expect_code(&f, &["node", "--config", "nowhere.toml"], 64);
    assert!(said(&out).contains("nowhere.toml"), "{}", said(&out));
    let out = expect_code(&f, &["node", "--id", "n1"], 64);
    assert!(said(&out).contains("--cluster-id is missing"), "{}", said(&out));
}
