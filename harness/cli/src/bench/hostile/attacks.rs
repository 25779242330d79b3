//! The attacks of hostile clients. Each one returns the connections to keep open while honest clients continue.

use super::client::{HonestClient, TIMEOUT, encoded, hello};
use super::nodes::Nodes;
use heckle_server::client_protocol::{Call, MAX_TIMEOUT_US, MAX_VALUE, OpId, Outcome, Provenance, Request, ToNode};
use heckle_server::frame::{FrameKind, HEADER_LEN, MAX_PAYLOAD, encode_frame};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An attack of a given amount.
pub(super) type Attack = fn(&Nodes, usize) -> Result<Vec<TcpStream>, String>;

/// Number of requests that one connection keeps open, below the node's limit.
const WINDOW: usize = 1_000;
/// Time limit for a blocked write, so that the attack gives up on a node that has stopped reading.
const WRITE_TIMEOUT: Duration = Duration::from_millis(500);
/// Number of replies that each client leaves unread.
const UNREAD_REPLIES: usize = 64;
/// Number of bytes that a slow sender sends, and the pause between bytes.
const SLOW_BYTES: usize = 100;
const SLOW_PAUSE: Duration = Duration::from_millis(10);

fn connect(addr: SocketAddr) -> Result<TcpStream, String> {
    let stream = TcpStream::connect_timeout(&addr, TIMEOUT).map_err(|e| format!("cannot connect to {addr}: {e}"))?;
    let set = stream.set_write_timeout(Some(WRITE_TIMEOUT)).and_then(|()| stream.set_read_timeout(Some(TIMEOUT)));
    set.map_err(|e| e.to_string()).map(|()| stream)
}

/// Opens a connection and sends the hello, without reading the welcome.
fn greeted(addr: SocketAddr) -> Result<TcpStream, String> {
    let mut stream = connect(addr)?;
    // A node at its limit may close the connection.
    let _ = stream.write_all(&encoded(&hello("hostile")));
    Ok(stream)
}

fn frame(kind: FrameKind, payload: &[u8]) -> Vec<u8> {
    let mut out = bytes::BytesMut::new();
    encode_frame(kind, payload, &mut out);
    out.to_vec()
}

pub(super) fn idle(nodes: &Nodes, amount: usize) -> Result<Vec<TcpStream>, String> {
    let mut held = vec![];
    for addr in nodes.ports() {
        for _ in 0..amount {
            held.push(connect(addr)?);
        }
    }
    for n in 0..nodes.len() {
        held.push(greeted(nodes.client_addr(n))?);
    }
    Ok(held)
}

pub(super) fn slow_senders(nodes: &Nodes, amount: usize) -> Result<Vec<TcpStream>, String> {
    let mut held = (0..amount).map(|i| greeted(nodes.client_addr(i % nodes.len()))).collect::<Result<Vec<_>, _>>()?;
    let slow = frame(FrameKind::Request, &[0; MAX_VALUE]);
    for byte in &slow[..SLOW_BYTES] {
        for stream in &mut held {
            let _ = stream.write_all(&[*byte]);
        }
        std::thread::sleep(SLOW_PAUSE);
    }
    Ok(held)
}

/// Sends all but the last byte of `bytes` on many connections to the first node.
fn half(nodes: &Nodes, amount: usize, bytes: &[u8]) -> Result<Vec<TcpStream>, String> {
    let mut held = vec![];
    for _ in 0..amount {
        let mut stream = greeted(nodes.client_addr(0))?;
        // A node that refuses the frame may close the connection in the middle of it.
        let _ = stream.write_all(&bytes[..bytes.len() - 1]);
        held.push(stream);
    }
    Ok(held)
}

pub(super) fn half_frames(nodes: &Nodes, amount: usize) -> Result<Vec<TcpStream>, String> {
    half(nodes, amount, &frame(FrameKind::Request, &vec![0; MAX_PAYLOAD - HEADER_LEN]))
}

pub(super) fn half_requests(nodes: &Nodes, amount: usize) -> Result<Vec<TcpStream>, String> {
    half(nodes, amount, &frame(FrameKind::Request, &vec![0; 2 * MAX_VALUE]))
}

pub(super) fn absent_keys(nodes: &Nodes, amount: usize) -> Result<Vec<TcpStream>, String> {
    let mut client = HonestClient::connect(nodes.client_addr(0))?;
    // Each client id has one open operation.
    let ask = |i: usize| Request {
        op: OpId { client: u64::MAX - i as u64, seq: 1 },
        key: format!("absent-{i}").into_bytes(),
        timeout_us: TIMEOUT.as_micros() as u64,
        provenance: Provenance::First,
        call: Call::Read,
    };
    for begin in (0..amount).step_by(WINDOW) {
        let mut batch = vec![];
        let end = amount.min(begin + WINDOW);
        for i in begin..end {
            batch.extend_from_slice(&encoded(&ToNode::Request(ask(i))));
        }
        client.stream.write_all(&batch).map_err(|e| e.to_string())?;
        for _ in begin..end {
            match client.response()?.outcome {
                Outcome::Value { value: None } => {}
                other => return Err(format!("a read of an absent key was answered {other:?}")),
            }
        }
    }
    Ok(vec![client.stream])
}

pub(super) fn writes_without_quorum(nodes: &Nodes, amount: usize) -> Result<Vec<TcpStream>, String> {
    let connections = 4;
    let mut held = vec![];
    for c in 0..connections {
        let mut client = HonestClient::connect(nodes.client_addr(0))?;
        client.stream.set_write_timeout(Some(WRITE_TIMEOUT)).map_err(|e| e.to_string())?;
        for i in 0..amount / connections {
            let mut request = client.request(&format!("big-{c}-{i}"), Call::Write { new: vec![7; MAX_VALUE] }, Duration::ZERO);
            request.timeout_us = MAX_TIMEOUT_US;
            request.op.client = (c as u64) << 40 | i as u64 | 1 << 60;
            if client.send(&ToNode::Request(request)).is_err() {
                break;
            }
        }
        held.push(client.stream);
    }
    Ok(held)
}

pub(super) fn unread_replies(nodes: &Nodes, amount: usize) -> Result<Vec<TcpStream>, String> {
    HonestClient::connect(nodes.client_addr(0))?.write_value("big", vec![7; MAX_VALUE])?;
    let mut held = vec![];
    for c in 0..amount {
        let mut client = HonestClient::connect(nodes.client_addr(c % nodes.len()))?;
        for i in 0..UNREAD_REPLIES {
            let mut request = client.request("big", Call::Read, TIMEOUT);
            request.op.client = (c as u64) << 40 | i as u64 | 1 << 60;
            if client.send(&ToNode::Request(request)).is_err() {
                break;
            }
        }
        held.push(client.stream);
    }
    Ok(held)
}

pub(super) fn many_connections(nodes: &Nodes, amount: usize) -> Result<Vec<TcpStream>, String> {
    let mut held = vec![];
    for n in 0..nodes.len() {
        for _ in 0..amount {
            held.push(greeted(nodes.client_addr(n))?);
        }
    }
    Ok(held)
}

pub(super) fn garbage(nodes: &Nodes, amount: usize) -> Result<Vec<TcpStream>, String> {
    send_and_close(nodes.ports(), amount, || {
        let mut bytes = vec![0; rand::random_range(1..4_096)];
        rand::fill(&mut bytes[..]);
        bytes
    })
}

pub(super) fn http_posts(nodes: &Nodes, amount: usize) -> Result<Vec<TcpStream>, String> {
    let body = "{\"do\":\"stop\"}\n";
    let post = format!("POST / HTTP/1.1\r\nHost: here\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let held = send_and_close(nodes.ports(), amount, || post.clone().into_bytes())?;
    Ok(held)
}

pub(super) fn bad_connections(nodes: &Nodes, amount: usize) -> Result<Vec<TcpStream>, String> {
    let addrs: Vec<SocketAddr> = (0..nodes.len()).map(|n| nodes.client_addr(n)).collect();
    send_and_close(addrs.into_iter(), amount, || b"\x16\x03\x01 this is another protocol altogether\n".to_vec())
}

/// Sends bytes on `amount` connections to each address, and waits until the node has closed every one.
fn send_and_close(
    addrs: impl Iterator<Item = SocketAddr>,
    amount: usize,
    mut bytes: impl FnMut() -> Vec<u8>,
) -> Result<Vec<TcpStream>, String> {
    for addr in addrs {
        for _ in 0..amount {
            let mut stream = connect(addr)?;
            // The node may close after the first bytes, in the middle of the write.
            let _ = stream.write_all(&bytes()).and_then(|()| stream.shutdown(std::net::Shutdown::Write));
            let mut rest = [0; 4_096];
            loop {
                match stream.read(&mut rest) {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(e) if matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                        return Err(format!("{addr} neither answered nor closed within {} s", TIMEOUT.as_secs()));
                    }
                    Err(_) => break,
                }
            }
        }
    }
    Ok(vec![])
}
