//! The adapter of the bundled server. It speaks the client protocol, with many concurrent operations on one
//! connection.
//!
//! An operation whose request was never written did not happen. If the connection broke later, or the answer is late, the outcome is
//! unknown. The node gets a shorter time limit than the client, so that it can report how far the operation got before the client
//! gives up.
//!
//! Nothing is sent to a node before its welcome has confirmed its identity. If another program answers, the run ends, and
//! any operation waiting for that connection counts as not sent.

use crate::identity::expected;
use crate::op_figures;
use bytes::BytesMut;
use heckle_history::{Call, Consistency, Current, Fate, Path, Seen};
use heckle_server::client_protocol::{self as wire, ToClient, ToNode};
use heckle_server::frame::FrameReader;
use heckle_system_api::connection::{Connection, FateQuery, Op, Outcome, Pending, Reply};
use heckle_system_api::identity::Target;
use heckle_system_api::limits;
use heckle_system_api::value::ValueCodec;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};

/// Interval between connection attempts. Limits the attempts to reach a dead node to fifty per second.
const CONNECT_INTERVAL: Duration = Duration::from_millis(20);
/// Time limit for opening a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// The node's share of an operation's timeout, in percent.
const NODE_TIMEOUT_PERCENT: u32 = 90;
const READ_BYTES: usize = 64 << 10;

/// A client of one node.
pub struct PaxosConnection {
    shared: Rc<Shared>,
    codec: ValueCodec,
}

struct Shared {
    target: Target,
    name: String,
    state: RefCell<State>,
    wrote: Notify,
}

struct State {
    link: Link,
    outbox: BytesMut,
    /// The newest ballot in any answer.
    newest: Option<wire::BallotTag>,
    waiting: HashMap<wire::OpId, oneshot::Sender<RequestOutcome>>,
    next_attempt: Instant,
    /// The senders waiting for the outcome of the current connection attempt.
    connecting: Vec<oneshot::Sender<Result<(), String>>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Link {
    Down,
    Connecting,
    Up,
}

enum RequestOutcome {
    Response(Box<wire::Response>),
    Broken(String),
}

impl PaxosConnection {
    /// Creates a client of a node. The connection is opened on first use.
    pub fn new(target: Target, name: String, codec: ValueCodec) -> Self {
        let state = State {
            link: Link::Down,
            outbox: BytesMut::new(),
            newest: None,
            waiting: HashMap::new(),
            next_attempt: Instant::now(),
            connecting: vec![],
        };
        PaxosConnection { shared: Rc::new(Shared { target, name, state: RefCell::new(state), wrote: Notify::new() }), codec }
    }

    async fn run(&self, asked: Op) -> Reply {
        let deadline = tokio::time::Instant::now() + asked.timeout;
        match tokio::time::timeout_at(deadline, self.shared.clone().wait_until_connected()).await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => return not_applied(&format!("not_sent: {why}")),
            Err(_) => return not_applied("not_sent: no connection in time"),
        }
        let op = wire::OpId { client: u64::from(asked.process.0) + 1, seq: asked.id.0 + 1 };
        let call = match (asked.call, asked.path) {
            (Call::Read, Path::Consensus) => wire::Call::Read,
            (Call::Read, Path::LastWriteWins(consistency)) => wire::Call::Get { level: level(consistency) },
            (Call::Write { new }, Path::Consensus) => wire::Call::Write { new: self.codec.encode(new, asked.payload) },
            (Call::Write { new }, Path::LastWriteWins(consistency)) => {
                wire::Call::Put { new: self.codec.encode(new, asked.payload), level: level(consistency) }
            }
            (Call::Cas { expected, new }, Path::Consensus | Path::LastWriteWins(_)) => wire::Call::Cas {
                expected: expected.map(|v| self.codec.encode(v, asked.expected_payload)),
                new: self.codec.encode(new, asked.payload),
            },
        };
        let timeout_us = (asked.timeout * NODE_TIMEOUT_PERCENT / 100).as_micros() as u64;
        // The operation's birth is the newest ballot of this connection. If the key has forgotten the ids of aborted operations, the
        // birth shows a fate query that this operation is newer. The last-write-wins path stores no ids, so its operations have
        // neither a birth nor a fate to query.
        let born = self.shared.state.borrow().newest.filter(|_| !asked.path.is_last_write_wins());
        let provenance = born.map_or(wire::Provenance::First, |born| wire::Provenance::FirstAfter { born });
        let request = wire::Request { op, key: asked.key.as_bytes().to_vec(), timeout_us, provenance, call };
        let sent = self.shared.send(op, &ToNode::Request(request));
        let mut answer = match tokio::time::timeout_at(deadline, sent).await {
            Ok(Ok(RequestOutcome::Response(response))) => self.convert_reply(asked.call, *response),
            Ok(Ok(RequestOutcome::Broken(why))) => unknown(&format!("connection: {why}")),
            Ok(Err(_)) => unknown("connection: dropped"),
            Err(_) => {
                self.shared.state.borrow_mut().waiting.remove(&op);
                unknown("timeout")
            }
        };
        if answer.outcome == Outcome::Unknown && !asked.path.is_last_write_wins() {
            let id = born.map_or_else(|| op.to_string(), |born| format!("{op}@{born}"));
            answer.diagnostics = Some(op_figures::with_op_id(answer.diagnostics.take(), id));
        }
        answer
    }

    async fn query_fate(&self, query: FateQuery) -> Option<Fate> {
        let deadline = tokio::time::Instant::now() + query.timeout;
        let (of, born) = wire::parse_printed_id(&query.id).ok()?;
        tokio::time::timeout_at(deadline, self.shared.clone().wait_until_connected()).await.ok()?.ok()?;
        let op = wire::OpId { client: query.number, seq: 1 };
        let timeout_us = (query.timeout * NODE_TIMEOUT_PERCENT / 100).as_micros() as u64;
        let (key, provenance) = (query.key.as_bytes().to_vec(), wire::Provenance::First);
        let request = wire::Request { op, key, timeout_us, provenance, call: wire::Call::Fate { of, born } };
        let sent = self.shared.send(op, &ToNode::Request(request));
        let Ok(Ok(RequestOutcome::Response(response))) = tokio::time::timeout_at(deadline, sent).await else {
            self.shared.state.borrow_mut().waiting.remove(&op);
            return None;
        };
        match response.outcome {
            wire::Outcome::Fate { fate } => Some(match fate {
                wire::Fate::Applied => Fate::Applied,
                wire::Fate::NotApplied => Fate::NotApplied,
                wire::Fate::Evicted => Fate::Evicted,
                wire::Fate::Superseded => Fate::Unresolved,
            }),
            // There was no quorum in time, no capacity, or the node is stopping. Another node may be able to answer.
            wire::Outcome::Applied
            | wire::Outcome::ConditionNotMet { .. }
            | wire::Outcome::Value { .. }
            | wire::Outcome::NotApplied { .. }
            | wire::Outcome::Unknown { .. }
            | wire::Outcome::Invalid { .. } => None,
        }
    }

    fn convert_reply(&self, call: Call, response: wire::Response) -> Reply {
        let mut payload = None;
        let mut value = |bytes: Option<Vec<u8>>| {
            let (value, beside) = self.codec.decode(&bytes?);
            payload = beside;
            Some(value)
        };
        let (known, reason) = match response.outcome {
            wire::Outcome::Applied => match call {
                Call::Cas { .. } => (Outcome::Ok(Seen::Applied), None),
                Call::Write { .. } => (Outcome::Ok(Seen::Written), None),
                Call::Read => (Outcome::Unknown, Some("a read was answered as a write".to_owned())),
            },
            wire::Outcome::ConditionNotMet { current } => (Outcome::Ok(Seen::ConditionNotMet(Current::Known(value(current)))), None),
            wire::Outcome::Value { value: v } => (Outcome::Ok(Seen::Value(value(v))), None),
            wire::Outcome::NotApplied { why } => (Outcome::NotApplied, Some(why.to_string())),
            wire::Outcome::Unknown { why } => (Outcome::Unknown, Some(why.to_string())),
            wire::Outcome::Invalid { why } => (Outcome::NotApplied, Some(format!("invalid: {why}"))),
            wire::Outcome::Fate { .. } => (Outcome::Unknown, Some("an op was answered as a question".to_owned())),
        };
        Reply {
            outcome: known,
            payload,
            reason: reason.map(String::into_boxed_str),
            diagnostics: Some(op_figures::of(&response.diagnostics)),
        }
    }
}

impl Connection for PaxosConnection {
    fn call(&self, op: Op) -> Pending<'_, Reply> {
        Box::pin(self.run(op))
    }

    fn fate(&self, query: FateQuery) -> Pending<'_, Option<Fate>> {
        Box::pin(self.query_fate(query))
    }
}

fn level(consistency: Consistency) -> wire::Level {
    match consistency {
        Consistency::One => wire::Level::One,
        Consistency::Quorum => wire::Level::Quorum,
    }
}

fn not_applied(why: &str) -> Reply {
    Reply::because(Outcome::NotApplied, why)
}

fn unknown(why: &str) -> Reply {
    Reply::because(Outcome::Unknown, why)
}

/// Why a handshake failed.
#[derive(Debug, PartialEq, Eq)]
enum HandshakeError {
    /// The connection failed or the node refused, as can happen under faults.
    Fault(String),
    /// A program other than the expected node answered, described here. No fault causes this: the relay drops and cuts only
    /// whole frames, and exempts handshakes from both.
    Stranger(String),
}

impl From<std::io::Error> for HandshakeError {
    fn from(error: std::io::Error) -> Self {
        HandshakeError::Fault(error.to_string())
    }
}

impl HandshakeError {
    fn malformed(error: impl std::fmt::Display) -> Self {
        HandshakeError::Stranger(format!("something that does not speak client protocol {} ({error})", wire::PROTOCOL))
    }
}

/// Checks that the first answer is the welcome of the expected node.
fn check_welcome(answer: &ToClient, expected: &wire::ExpectedNode) -> Result<(), HandshakeError> {
    match answer {
        ToClient::Welcome(welcome) if expected.is(&welcome.identity) => Ok(()),
        ToClient::Welcome(wire::Welcome { identity, .. }) => Err(HandshakeError::Stranger(identity.to_string())),
        ToClient::Refused(wire::Refused { identity: Some(found), .. }) if !expected.is(found) => {
            Err(HandshakeError::Stranger(found.to_string()))
        }
        ToClient::Refused(refused) => Err(HandshakeError::Fault(refused.why.clone())),
        ToClient::Response(_) => Err(HandshakeError::malformed("an answer before the handshake")),
    }
}

impl Shared {
    /// Waits until the connection is open.
    async fn wait_until_connected(self: Rc<Self>) -> Result<(), String> {
        let wait = {
            let mut state = self.state.borrow_mut();
            match state.link {
                Link::Up => return Ok(()),
                Link::Connecting | Link::Down => {
                    let (send, receive) = oneshot::channel();
                    state.connecting.push(send);
                    if state.link == Link::Down {
                        state.link = Link::Connecting;
                        tokio::task::spawn_local(self.clone().connect(state.next_attempt));
                    }
                    receive
                }
            }
        };
        wait.await.unwrap_or_else(|_| Err("given up".into()))
    }

    async fn connect(self: Rc<Self>, not_before: Instant) {
        tokio::time::sleep_until(not_before.into()).await;
        let began = Instant::now();
        let attempt = tokio::time::timeout(CONNECT_TIMEOUT, self.handshake()).await;
        let outcome = match attempt {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(HandshakeError::Fault(why))) => Err(why),
            Ok(Err(HandshakeError::Stranger(who))) => Err(self.target.report_stranger(&who)),
            Err(_) => Err("no answer to the handshake".into()),
        };
        let waiters = {
            let mut state = self.state.borrow_mut();
            state.next_attempt = began + CONNECT_INTERVAL;
            state.link = if outcome.is_ok() { Link::Up } else { Link::Down };
            std::mem::take(&mut state.connecting)
        };
        let sent = outcome.as_ref().map(|_| ()).map_err(Clone::clone);
        for waiter in waiters {
            let _ = waiter.send(sent.clone());
        }
        if let Ok((stream, frames)) = outcome {
            self.serve(stream, frames).await;
        }
    }

    async fn handshake(&self) -> Result<(TcpStream, FrameReader), HandshakeError> {
        // A limit reached by the harness is not a failure of the node.
        let mut stream = TcpStream::connect(self.target.addr).await.inspect_err(limits::note)?;
        stream.set_nodelay(true)?;
        let expected = expected(&self.target.node);
        let mut hello = BytesMut::new();
        ToNode::Hello(wire::Hello::new(&*self.name, &expected)).encode(&mut hello);
        stream.write_all(&hello).await?;
        let mut frames = FrameReader::new();
        let mut buffer = vec![0; READ_BYTES];
        loop {
            if let Some(frame) = frames.next_frame().map_err(HandshakeError::malformed)? {
                let answer = ToClient::decode(&frame).map_err(HandshakeError::malformed)?;
                return check_welcome(&answer, &expected).map(|()| (stream, frames));
            }
            match stream.read(&mut buffer).await? {
                0 => return Err(HandshakeError::Fault("closed during the handshake".into())),
                n => frames.push(&buffer[..n]),
            }
        }
    }

    /// Queues a request. From then on it may reach the node.
    fn send(&self, op: wire::OpId, request: &ToNode) -> oneshot::Receiver<RequestOutcome> {
        let (send, receive) = oneshot::channel();
        let mut state = self.state.borrow_mut();
        if state.link != Link::Up {
            // The connection broke after the operation had waited for it. "Unknown" would also be correct, but less
            // precise.
            let _ = send.send(RequestOutcome::Broken("fell before the request was written".into()));
            return receive;
        }
        request.encode(&mut state.outbox);
        state.waiting.insert(op, send);
        self.wrote.notify_one();
        receive
    }

    async fn serve(&self, stream: TcpStream, frames: FrameReader) {
        let (read, write) = stream.into_split();
        let why = tokio::select! {
            why = self.read_loop(read, frames) => why,
            why = self.write_loop(write) => why,
        };
        let waiting = {
            let mut state = self.state.borrow_mut();
            state.link = Link::Down;
            state.outbox.clear();
            std::mem::take(&mut state.waiting)
        };
        for (_, waiter) in waiting {
            let _ = waiter.send(RequestOutcome::Broken(why.clone()));
        }
    }

    async fn read_loop(&self, mut read: tokio::net::tcp::OwnedReadHalf, mut frames: FrameReader) -> String {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            loop {
                match frames.next_frame() {
                    Ok(Some(frame)) => match ToClient::decode(&frame) {
                        Ok(ToClient::Response(response)) => {
                            let mut state = self.state.borrow_mut();
                            state.newest = state.newest.max(response.diagnostics.ballot);
                            let waiter = state.waiting.remove(&response.op);
                            drop(state);
                            // An answer that arrives after the client's timeout has no receiver.
                            if let Some(waiter) = waiter {
                                let _ = waiter.send(RequestOutcome::Response(Box::new(response)));
                            }
                        }
                        Ok(ToClient::Refused(r)) => return r.why,
                        Ok(ToClient::Welcome(_)) => return "a second welcome".into(),
                        Err(e) => return e.to_string(),
                    },
                    Ok(None) => break,
                    Err(e) => return e.to_string(),
                }
            }
            match read.read(&mut buffer).await {
                Ok(0) => return "closed by the node".into(),
                Ok(n) => frames.push(&buffer[..n]),
                Err(e) => return e.to_string(),
            }
        }
    }

    async fn write_loop(&self, mut write: tokio::net::tcp::OwnedWriteHalf) -> String {
        loop {
            let out = self.state.borrow_mut().outbox.split();
            if out.is_empty() {
                self.wrote.notified().await;
            } else if let Err(e) = write.write_all(&out).await {
                return e.to_string();
            }
        }
    }
}

#[cfg(test)]
mod tests;
