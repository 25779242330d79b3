//! A small blocking client and a cluster of nodes in threads.
#![allow(dead_code, missing_docs, unreachable_pub)] // Each test program includes this module and uses part of it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use heckle_loopback::LoopbackClaim;
use heckle_server::client_protocol::{Call, ExpectedNode, Hello, OpId, Outcome, Provenance, Request, Response, ToClient, ToNode, Welcome};
use heckle_server::frame::FrameReader;
use heckle_server::options::StorageOptions;
use heckle_server::status::Status;
use heckle_server::{Node, NodeHandle, NodeId, NodeOptions, control};

pub const PATIENCE: Duration = Duration::from_secs(20);

/// A folder that is removed at the end of the test, even if the test fails.
pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new(name: &str) -> TempDir {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let unique = format!("heckle-it-{name}-{}-{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(unique);
        std::fs::create_dir_all(&path).unwrap();
        TempDir(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn n(number: u16) -> NodeId {
    NodeId::new(number).unwrap()
}

/// A loopback address that this test program holds until its process ends.
pub fn claim() -> &'static LoopbackClaim {
    Box::leak(Box::new(LoopbackClaim::new().unwrap()))
}

/// Options for `count` nodes of one cluster, with small segments so that rotation and snapshots are exercised.
pub fn options_of_cluster(dir: &Path, count: u16) -> Vec<NodeOptions> {
    let claim = claim();
    let addrs = claim.addresses(usize::from(count)).unwrap();
    let options = |number: u16| {
        let id = n(number);
        let mut options = NodeOptions::new(id, "test", dir.join(id.to_string()));
        options.peer_listen = addrs[usize::from(number) - 1];
        (options.client_listen, options.control_listen) = ((claim.ip(), 0).into(), (claim.ip(), 0).into());
        let others = (1..=count).filter(|&other| other != number);
        options.peers = others.map(|other| (n(other), addrs[usize::from(other) - 1])).collect();
        options.seed = u64::from(number);
        options.storage = StorageOptions { segment_bytes: 64 << 10, segments_before_snapshot: 3, ..StorageOptions::default() };
        options
    };
    (1..=count).map(options).collect()
}

pub fn start(options: &NodeOptions) -> NodeHandle {
    Node::start(options.clone()).unwrap_or_else(|error| panic!("{} does not start: {error}", options.id))
}

pub fn start_all(options: &[NodeOptions]) -> Vec<NodeHandle> {
    let nodes: Vec<NodeHandle> = options.iter().map(start).collect();
    for node in &nodes {
        eventually(&format!("{} connects", node.ready().node), || {
            let status = status(node);
            status.voting && status.peers.iter().all(|peer| peer.outbound && peer.inbound)
        });
    }
    nodes
}

pub fn control(node: &NodeHandle) -> control::Client {
    let mut client = control::Client::connect(node.ready().control, PATIENCE).unwrap();
    client.authorize(&node.ready().control_token).unwrap();
    client
}

pub fn status(node: &NodeHandle) -> Status {
    control(node).status().unwrap()
}

#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A client with one connection and one operation at a time.
pub struct TestClient {
    pub stream: TcpStream,
    reader: FrameReader,
    pub welcome: Welcome,
    id: u64,
    seq: u64,
}

impl TestClient {
    pub fn connect(addr: SocketAddr) -> TestClient {
        TestClient::expecting(addr, &ExpectedNode::default()).unwrap()
    }

    pub fn expecting(addr: SocketAddr, expected: &ExpectedNode) -> Result<TestClient, String> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        send(&mut stream, &ToNode::Hello(Hello::new("test", expected)));
        let mut reader = FrameReader::new();
        let welcome = match receive(&mut stream, &mut reader)? {
            ToClient::Welcome(welcome) => welcome,
            other => return Err(format!("{other:?}")),
        };
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed) | u64::from(std::process::id()) << 32;
        Ok(TestClient { stream, reader, welcome, id, seq: 0 })
    }

    pub fn to(node: &NodeHandle) -> TestClient {
        TestClient::connect(node.ready().client)
    }

    pub fn next_op(&mut self) -> OpId {
        self.seq += 1;
        OpId { client: self.id, seq: self.seq }
    }

    pub fn send(&mut self, request: Request) {
        send(&mut self.stream, &ToNode::Request(request));
    }

    pub fn receive(&mut self) -> Result<Response, String> {
        match receive(&mut self.stream, &mut self.reader)? {
            ToClient::Response(response) => Ok(response),
            other => Err(format!("{other:?}")),
        }
    }

    pub fn try_call(&mut self, key: &str, call: Call) -> Result<Response, String> {
        let op = self.next_op();
        self.send(request(op, key, call));
        let response = self.receive()?;
        assert_eq!(response.op, op);
        Ok(response)
    }

    pub fn call(&mut self, key: &str, call: Call) -> Outcome {
        self.try_call(key, call).unwrap().outcome
    }

    pub fn write(&mut self, key: &str, new: &str) -> Outcome {
        self.call(key, Call::Write { new: new.into() })
    }

    pub fn cas(&mut self, key: &str, expected: Option<&str>, new: &str) -> Outcome {
        self.call(key, Call::Cas { expected: expected.map(Into::into), new: new.into() })
    }

    pub fn read(&mut self, key: &str) -> Option<String> {
        match self.call(key, Call::Read) {
            Outcome::Value { value } => value.map(|bytes| String::from_utf8(bytes).unwrap()),
            other => panic!("a read of {key} was answered {other:?}"),
        }
    }
}

pub fn request(op: OpId, key: &str, call: Call) -> Request {
    Request { op, key: key.into(), timeout_us: 10_000_000, provenance: Provenance::First, call }
}

pub fn send(stream: &mut TcpStream, message: &ToNode) {
    let mut out = BytesMut::new();
    message.encode(&mut out);
    stream.write_all(&out).unwrap();
}

pub fn receive(stream: &mut TcpStream, reader: &mut FrameReader) -> Result<ToClient, String> {
    let mut chunk = [0; 16 << 10];
    loop {
        if let Some(frame) = reader.next_frame().map_err(|error| error.to_string())? {
            return ToClient::decode(&frame).map_err(|error| error.to_string());
        }
        match stream.read(&mut chunk).map_err(|error| error.to_string())? {
            0 => return Err("closed".to_owned()),
            count => reader.push(&chunk[..count]),
        }
    }
}
