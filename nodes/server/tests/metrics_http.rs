//! `GET /metrics` on a real node, and the handling of bad scrapers.

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use common::{PATIENCE, TempDir, TestClient, eventually, n, start};
use heckle_server::client_protocol::Outcome;
use heckle_server::{Node, NodeHandle, NodeOptions};

fn node() -> (TempDir, NodeHandle) {
    let dir = TempDir::new("metrics");
    let mut options = NodeOptions::new(n(1), "test", dir.path().join("n1"));
    options.metrics_listen = Some("127.0.0.1:0".parse().unwrap());
    let node = start(&options);
    (dir, node)
}

fn open(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn ask(addr: SocketAddr, request: &[u8]) -> String {
    let mut stream = open(addr);
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_scraper_gets_figures_that_move() {
    let (_dir, node) = node();
    let addr = node.ready().metrics.expect("it was asked for");
    let mut client = TestClient::to(&node);
    for i in 0..3 {
        assert_eq!(client.write("k", &i.to_string()), Outcome::Applied);
    }
    let page = ask(addr, b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n");
    let (head, body) = page.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("version=0.0.4"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
    assert!(body.contains("heckle_ops_total{node=\"n1\",outcome=\"applied\"} 3\n"), "{body}");
    // Each metric's samples are adjacent, under one type line, as the format requires.
    let names: Vec<&str> = body.lines().filter(|l| !l.starts_with('#')).map(|l| l.split('{').next().unwrap()).collect();
    let mut together = names.clone();
    together.dedup();
    let distinct: std::collections::BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(together.len(), distinct.len(), "{names:?}");
    for name in distinct {
        assert_eq!(body.matches(&format!("# TYPE {name} ")).count(), 1, "{name}");
    }
    // A request may arrive in pieces.
    let mut slow = open(addr);
    for piece in [&b"GET /met"[..], b"rics HTTP/1.1\r\n", b"\r\n"] {
        slow.write_all(piece).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}

#[test]
fn a_bad_scraper_is_answered_and_bounded() {
    let (_dir, node) = node();
    let addr = node.ready().metrics.unwrap();
    for (request, status) in [
        (&b"GET /nothing HTTP/1.1\r\n\r\n"[..], "404"),
        (b"DELETE /metrics HTTP/1.1\r\n\r\n", "405"),
        (b"hello there\r\n\r\n", "400"),
        (&[b"GET /metrics HTTP/1.1\r\nX: ".as_slice(), &[b'y'; 9_000]].concat(), "431"),
    ] {
        let answer = ask(addr, request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
    // Sixteen connections that send nothing: the next one gets a 503. After a while, they are closed and others are
    // served.
    let begin = Instant::now();
    let mut idle: Vec<TcpStream> = (0..16).map(|_| open(addr)).collect();
    eventually("the limit is reported", || ask(addr, b"GET /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 503 "));
    for stream in &mut idle {
        assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0, "closed by the node");
    }
    assert!(begin.elapsed() >= Duration::from_secs(4), "it waits a while: {:?}", begin.elapsed());
    eventually("room again", || ask(addr, b"GET /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200 "));
    assert_eq!(TestClient::to(&node).write("k", "1"), Outcome::Applied);
}

#[test]
fn a_port_in_use_is_named() {
    let (_dir, node) = node();
    let dir = TempDir::new("metrics-busy");
    let mut second = NodeOptions::new(n(2), "test", dir.path().join("n2"));
    second.metrics_listen = node.ready().metrics;
    let error = Node::start(second).expect_err("the port is taken");
    assert!(error.to_string().contains("cannot listen for metrics"), "{error}");
    assert_eq!(error.exit_code(), 64);
}
