//! A client that follows the protocol: one connection, blocking.

use bytes::BytesMut;
use heckle_server::client_protocol::{Call, ExpectedNode, Hello, OpId, Outcome, Provenance, Request, Response, ToClient, ToNode};
use heckle_server::frame::FrameReader;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Time limit of a connect, and of one operation. It is long, since the machine may be busy with other work.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);

/// Counts of reads by result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Reads {
    pub(super) right: u64,
    pub(super) wrong: u64,
    pub(super) unanswered: u64,
}

impl Reads {
    pub(super) fn count(&mut self, read: Result<bool, String>) {
        *match read {
            Ok(true) => &mut self.right,
            Ok(false) => &mut self.wrong,
            Err(_) => &mut self.unanswered,
        } += 1;
    }

    pub(super) fn add(&mut self, other: &Reads) {
        self.right += other.right;
        self.wrong += other.wrong;
        self.unanswered += other.unanswered;
    }
}

/// A connection after its handshake.
pub(super) struct HonestClient {
    pub(super) stream: TcpStream,
    frames: FrameReader,
    id: u64,
    seq: u64,
}

/// Encodes a message to a node.
pub(super) fn encoded(message: &ToNode) -> BytesMut {
    let mut out = BytesMut::new();
    message.encode(&mut out);
    out
}

/// Returns the hello of a client that does not expect a particular node.
pub(super) fn hello(name: &str) -> ToNode {
    ToNode::Hello(Hello::new(name, &ExpectedNode::default()))
}

impl HonestClient {
    /// Connects and waits for the welcome.
    pub(super) fn connect(addr: SocketAddr) -> Result<HonestClient, String> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = u64::from(std::process::id()) << 32 | NEXT.fetch_add(1, Ordering::Relaxed);
        let stream = TcpStream::connect_timeout(&addr, TIMEOUT).map_err(|e| format!("{addr}: {e}"))?;
        let set = stream.set_nodelay(true).and_then(|()| stream.set_read_timeout(Some(TIMEOUT)));
        set.and_then(|()| stream.set_write_timeout(Some(TIMEOUT))).map_err(|e| e.to_string())?;
        let mut client = HonestClient { stream, frames: FrameReader::new(), id, seq: 0 };
        client.send(&hello("honest"))?;
        match client.receive()? {
            ToClient::Welcome(_) => Ok(client),
            ToClient::Refused(refused) => Err(format!("{addr} refused: {}", refused.why)),
            ToClient::Response(_) => Err(format!("{addr} answered before it was asked")),
        }
    }

    /// Builds a request of this client, with a time limit at the node.
    pub(super) fn request(&mut self, key: &str, call: Call, timeout: Duration) -> Request {
        self.seq += 1;
        let timeout_us = timeout.as_micros() as u64;
        Request { op: OpId { client: self.id, seq: self.seq }, key: key.into(), timeout_us, provenance: Provenance::First, call }
    }

    pub(super) fn send(&mut self, message: &ToNode) -> Result<(), String> {
        self.stream.write_all(&encoded(message)).map_err(|e| e.to_string())
    }

    pub(super) fn receive(&mut self) -> Result<ToClient, String> {
        let mut chunk = [0; 16 << 10];
        loop {
            if let Some(frame) = self.frames.next_frame().map_err(|e| e.to_string())? {
                return ToClient::decode(&frame).map_err(|e| e.to_string());
            }
            match self.stream.read(&mut chunk).map_err(|e| e.to_string())? {
                0 => return Err("the node closed the connection".to_owned()),
                count => self.frames.push(&chunk[..count]),
            }
        }
    }

    pub(super) fn response(&mut self) -> Result<Response, String> {
        match self.receive()? {
            ToClient::Response(response) => Ok(response),
            other => Err(format!("{other:?} instead of a response")),
        }
    }

    fn call(&mut self, key: &str, call: Call) -> Result<Outcome, String> {
        let request = self.request(key, call, TIMEOUT * 9 / 10);
        let op = request.op;
        self.send(&ToNode::Request(request))?;
        let response = self.response()?;
        if response.op == op { Ok(response.outcome) } else { Err(format!("a response to {}", response.op)) }
    }

    /// Sets a key to the value that [`read_is`](HonestClient::read_is) expects.
    pub(super) fn write(&mut self, key: &str) -> Result<(), String> {
        self.write_value(key, value_of(key))
    }

    /// Sets a key.
    pub(super) fn write_value(&mut self, key: &str, new: Vec<u8>) -> Result<(), String> {
        match self.call(key, Call::Write { new })? {
            Outcome::Applied => Ok(()),
            other => Err(format!("a write of {key} was answered {other:?}")),
        }
    }

    /// Whether a read of the key returns the expected value. An error means that the read was not answered.
    pub(super) fn read_is(&mut self, key: &str) -> Result<bool, String> {
        match self.call(key, Call::Read)? {
            Outcome::Value { value } => Ok(value == Some(value_of(key))),
            other => Err(format!("a read of {key} was answered {other:?}")),
        }
    }
}

fn value_of(key: &str) -> Vec<u8> {
    format!("the value of {key}").into_bytes()
}
