//! Links between nodes through relays that cut, corrupt and hang.

mod common;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use common::{TempDir, TestClient, eventually, n, options_of_cluster, start, status};
use heckle_server::client_protocol::{Call, Outcome};
use heckle_server::{NodeHandle, NodeOptions};

const PASS: u8 = 0;
/// Bytes vanish, but connections stay open.
const SWALLOW: u8 = 1;
/// All connections are closed, including new ones.
const RESET: u8 = 2;
/// One byte of each chunk from the connecting side is changed.
const CORRUPT: u8 = 3;
/// The connecting side is closed without notifying the other side.
const FORGET: u8 = 4;

/// Forwards every connection byte by byte, in the given mode.
#[derive(Clone)]
struct Relay {
    addr: SocketAddr,
    mode: Arc<AtomicU8>,
    forwarded: Arc<AtomicU64>,
}

impl Relay {
    fn to(target: SocketAddr) -> Relay {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let relay = Relay { addr: listener.local_addr().unwrap(), mode: Arc::default(), forwarded: Arc::default() };
        let theirs = relay.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                if theirs.mode.load(Ordering::Relaxed) == RESET {
                    continue;
                }
                let Ok(onward) = TcpStream::connect(target) else { continue };
                theirs.pump(stream.try_clone().unwrap(), onward.try_clone().unwrap(), true);
                theirs.pump(onward, stream, false);
            }
        });
        relay
    }

    fn pump(&self, mut from: TcpStream, mut to: TcpStream, forth: bool) {
        let relay = self.clone();
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            from.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            loop {
                let count = match from.read(&mut chunk) {
                    Ok(0) => break,
                    Ok(count) => count,
                    Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => 0,
                    Err(_) => break,
                };
                match relay.mode.load(Ordering::Relaxed) {
                    RESET => break,
                    SWALLOW => continue,
                    FORGET => {
                        if forth {
                            let _ = from.shutdown(Shutdown::Both);
                        }
                        // Dropping closes neither side.
                        std::mem::forget((from, to));
                        return;
                    }
                    CORRUPT if forth && count > 0 => chunk[count / 2] ^= 0x40,
                    _ => {}
                }
                if to.write_all(&chunk[..count]).is_err() {
                    break;
                }
                relay.forwarded.fetch_add(count as u64, Ordering::Relaxed);
            }
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
        });
    }

    fn set(&self, mode: u8) {
        self.mode.store(mode, Ordering::Relaxed);
    }
}

struct Cluster {
    _dir: TempDir,
    nodes: Vec<NodeHandle>,
    /// `relays[from][to]`, with none on the diagonal.
    relays: Vec<Vec<Option<Relay>>>,
}

impl Cluster {
    fn start(name: &str) -> Cluster {
        let dir = TempDir::new(name);
        let mut options: Vec<NodeOptions> = options_of_cluster(dir.path(), 3);
        let targets: Vec<SocketAddr> = options.iter().map(|options| options.peer_listen).collect();
        let relays: Vec<Vec<Option<Relay>>> =
            (0..3).map(|from| (0..3).map(|to| (from != to).then(|| Relay::to(targets[to]))).collect()).collect();
        for (from, options) in options.iter_mut().enumerate() {
            options.peers = relays[from].iter().zip(1..).filter_map(|(relay, to)| Some((n(to), relay.as_ref()?.addr))).collect();
        }
        let nodes: Vec<NodeHandle> = options.iter().map(start).collect();
        let cluster = Cluster { _dir: dir, nodes, relays };
        cluster.until_connected();
        cluster
    }

    fn until_connected(&self) {
        eventually("all links stand", || self.nodes.iter().all(|node| status(node).peers.iter().all(|peer| peer.inbound && peer.outbound)));
    }

    fn link(&self, from: usize, to: usize) -> &Relay {
        self.relays[from - 1][to - 1].as_ref().unwrap()
    }

    fn try_write(&self, node: usize, key: &str, timeout: Duration) -> Outcome {
        let mut client = TestClient::to(&self.nodes[node - 1]);
        let op = client.next_op();
        let mut request = common::request(op, key, Call::Write { new: b"x".to_vec() });
        request.timeout_us = timeout.as_micros() as u64;
        client.send(request);
        client.receive().unwrap().outcome
    }
}

const SHORT: Duration = Duration::from_millis(400);
const LONG: Duration = Duration::from_secs(10);

#[test]
fn a_link_carries_one_direction_only() {
    let cluster = Cluster::start("one-way");
    // No node receives from n1, but n1 receives from all. As a coordinator it is cut off ...
    cluster.link(1, 2).set(SWALLOW);
    cluster.link(1, 3).set(SWALLOW);
    assert!(matches!(cluster.try_write(1, "k", SHORT), Outcome::NotApplied { .. }));
    // ... and the others still work, and their messages reach n1.
    let heard = || status(&cluster.nodes[0]).peers[0].received;
    let before = heard();
    assert_eq!(cluster.try_write(2, "k", LONG), Outcome::Applied);
    eventually("n1 hears", || heard() > before);
    cluster.link(1, 2).set(PASS);
    cluster.link(1, 3).set(PASS);
    assert_eq!(cluster.try_write(1, "k", LONG), Outcome::Applied);
}

#[test]
fn an_idle_link_carries_heartbeats() {
    let cluster = Cluster::start("idle");
    let links = [(1, 2), (2, 1), (1, 3), (3, 1), (2, 3), (3, 2)];
    let carried = || links.map(|(from, to)| cluster.link(from, to).forwarded.load(Ordering::Relaxed));
    let (before, heard) = (carried(), status(&cluster.nodes[0]).peers[0].received);
    eventually("all links carry something", || carried().iter().zip(before).all(|(now, before)| *now > before));
    assert_eq!(status(&cluster.nodes[0]).peers[0].received, heard, "a beat is no message");
}

#[test]
fn cut_links_are_mended_quickly() {
    let cluster = Cluster::start("reset");
    for (from, to) in [(1, 2), (2, 1), (1, 3), (3, 1)] {
        cluster.link(from, to).set(RESET);
    }
    eventually("n1 is alone", || status(&cluster.nodes[0]).peers.iter().all(|peer| !peer.outbound && !peer.inbound));
    assert!(matches!(cluster.try_write(1, "k", SHORT), Outcome::NotApplied { .. }));
    assert_eq!(cluster.try_write(3, "k", LONG), Outcome::Applied);
    let alone = status(&cluster.nodes[0]);
    assert!(alone.peers.iter().all(|peer| peer.dropped > 0), "what cannot be sent is dropped and counted: {alone:?}");
    for (from, to) in [(1, 2), (2, 1), (1, 3), (3, 1)] {
        cluster.link(from, to).set(PASS);
    }
    let begin = std::time::Instant::now();
    cluster.until_connected();
    assert!(begin.elapsed() < Duration::from_secs(2), "took {:?}", begin.elapsed());
    assert_eq!(cluster.try_write(1, "k", LONG), Outcome::Applied);
}

#[test]
fn corrupted_frames_are_found_and_the_link_comes_back() {
    let cluster = Cluster::start("corrupt");
    cluster.link(1, 2).set(CORRUPT);
    assert_eq!(cluster.try_write(1, "k", LONG), Outcome::Applied, "n3 is enough");
    eventually("n2 notices", || {
        cluster.try_write(1, "k", LONG);
        let lines = cluster.nodes[1].log_lines();
        lines.iter().any(|line| line.contains("event=peer_gone peer=n1"))
    });
    assert!(status(&cluster.nodes[1]).bad_connections > 0);
    cluster.link(1, 2).set(PASS);
    cluster.until_connected();
    assert_eq!(cluster.try_write(1, "k", LONG), Outcome::Applied);
}

#[test]
fn a_half_open_connection_is_replaced() {
    let cluster = Cluster::start("half-open");
    let replaced = || {
        let lines = cluster.nodes[1].log_lines();
        lines.iter().any(|line| line.contains("event=peer_gone peer=n1") && line.contains("a newer connection"))
    };
    cluster.link(1, 2).set(FORGET);
    eventually("n1 notices", || !status(&cluster.nodes[0]).peers[0].outbound);
    assert!(status(&cluster.nodes[1]).peers[0].inbound && !replaced(), "n2 does not");
    cluster.link(1, 2).set(PASS);
    eventually("a new connection takes its place", replaced);
    cluster.until_connected();
    assert_eq!(cluster.try_write(1, "k", LONG), Outcome::Applied);
}
