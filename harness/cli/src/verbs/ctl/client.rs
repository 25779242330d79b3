//! A blocking client that sends one request on one connection, for `heckle ctl`.
//!
//! Until the request is written, the operation cannot have happened. After that, only an answer shows whether it did.

use bytes::BytesMut;
use heckle_server::client_protocol::{
    Call, ExpectedNode, Hello, MAX_TIMEOUT_US, OpId, Provenance, Request, Response, ToClient, ToNode, Welcome,
};
use heckle_server::frame::FrameReader;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// The node's share of the total time limit, in percent. A node that runs out of time can report how far the operation got, while a
/// broken connection cannot.
const NODE_TIMEOUT_PERCENT: u32 = 90;

/// A connection on which the node's welcome has been received.
pub(super) struct NodeClient {
    addr: SocketAddr,
    stream: TcpStream,
    frames: FrameReader,
    deadline: Instant,
    /// The node's identity and protocol, from its welcome.
    pub(super) welcome: Welcome,
}

/// Reason why there is no answer.
#[derive(Debug)]
pub(super) enum CallError {
    /// Nothing was sent, so nothing happened.
    NotSent(String),
    /// The request may have arrived.
    Silence(String),
}

impl NodeClient {
    /// Connects and completes the handshake.
    ///
    /// # Errors
    /// If the expected node is not at the address.
    pub(super) fn connect(addr: SocketAddr, expected: &ExpectedNode, timeout: Duration) -> Result<NodeClient, String> {
        let deadline = Instant::now() + timeout;
        let stream = TcpStream::connect_timeout(&addr, timeout).and_then(|stream| stream.set_nodelay(true).map(|()| stream));
        let mut stream = stream.map_err(|e| format!("no node answers at {addr}: {e}"))?;
        let mut frames = FrameReader::new();
        let hello = Hello::new(format!("heckle ctl {}", std::process::id()), expected);
        send(&mut stream, &ToNode::Hello(hello), deadline).map_err(|e| format!("{addr}: {e}"))?;
        match receive(&mut stream, &mut frames, deadline) {
            Ok(ToClient::Welcome(welcome)) if !expected.is(&welcome.identity) => {
                Err(format!("{addr} is {}, and {expected} was expected: nothing was sent", welcome.identity))
            }
            Ok(ToClient::Welcome(welcome)) => Ok(NodeClient { addr, stream, frames, deadline, welcome }),
            Ok(ToClient::Refused(refused)) => Err(format!("{addr} refused: {}", refused.why)),
            Ok(ToClient::Response(_)) => Err(format!("{addr} answered before a request was sent")),
            Err(e) => Err(format!(
                "{addr} did not welcome a client ({e}): --node must be the client address of a node, `client` in its ready line"
            )),
        }
    }

    /// Sends one operation and waits for its answer.
    ///
    /// # Errors
    /// If there is no answer.
    pub(super) fn call(&mut self, op: OpId, key: &str, call: Call) -> Result<Response, CallError> {
        let left = self.deadline.saturating_duration_since(Instant::now()) * NODE_TIMEOUT_PERCENT / 100;
        let timeout_us = u64::try_from(left.as_micros()).unwrap_or(u64::MAX).clamp(1, MAX_TIMEOUT_US);
        let request = Request { op, key: key.as_bytes().to_vec(), timeout_us, provenance: Provenance::First, call };
        if left.is_zero() {
            return Err(CallError::NotSent(format!("{} used up the time limit while connecting", self.addr)));
        }
        send(&mut self.stream, &ToNode::Request(request), self.deadline).map_err(CallError::Silence)?;
        match receive(&mut self.stream, &mut self.frames, self.deadline).map_err(CallError::Silence)? {
            ToClient::Response(response) if response.op == op => Ok(response),
            ToClient::Refused(refused) => Err(CallError::Silence(format!("{} closed: {}", self.addr, refused.why))),
            ToClient::Welcome(_) | ToClient::Response(_) => Err(CallError::Silence(format!("{} answered something else", self.addr))),
        }
    }
}

fn time_left(deadline: Instant) -> Result<Duration, String> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err("the time is up".into()) } else { Ok(left) }
}

fn error_text(e: &std::io::Error) -> String {
    match e.kind() {
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => "the time is up".into(),
        _ => e.to_string(),
    }
}

fn send(stream: &mut TcpStream, message: &ToNode, deadline: Instant) -> Result<(), String> {
    let mut out = BytesMut::new();
    message.encode(&mut out);
    stream.set_write_timeout(Some(time_left(deadline)?)).and_then(|()| stream.write_all(&out)).map_err(|e| error_text(&e))
}

fn receive(stream: &mut TcpStream, frames: &mut FrameReader, deadline: Instant) -> Result<ToClient, String> {
    let mut chunk = [0; 16 << 10];
    loop {
        if let Some(frame) = frames.next_frame().map_err(|e| e.to_string())? {
            return ToClient::decode(&frame).map_err(|e| e.to_string());
        }
        let read = stream.set_read_timeout(Some(time_left(deadline)?)).and_then(|()| stream.read(&mut chunk));
        match read.map_err(|e| error_text(&e))? {
            0 => return Err("it closed the connection".into()),
            count => frames.push(&chunk[..count]),
        }
    }
}
