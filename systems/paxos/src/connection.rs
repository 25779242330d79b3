//! The adapter of the bundled server: its client protocol, many ops at a time on one connection.
//!
//! What is proved and what is not: an op whose request was never written did not happen; one whose connection broke
//! after that, or whose answer is late, is unknown. The node is given less time than the client waits, so that it
//! can say how far the op came instead of being cut off.
//!
//! Nothing is sent to a node before its welcome has shown that it is the one that is meant. Whatever else answers ends the run; an op
//! that waited for that connection was not sent.

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

/// From one attempt to connect to the next: a dead node is asked fifty times a second, not a million.
const CONNECT_EVERY: Duration = Duration::from_millis(20);
/// A connection stands within this or is given up.
const CONNECT_WITHIN: Duration = Duration::from_millis(500);
/// What the node is given of an op's timeout, in percent.
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
    /// The newest ballot that an answer told.
    newest: Option<wire::BallotTag>,
    waiting: HashMap<wire::OpId, oneshot::Sender<Told>>,
    next_attempt: Instant,
    /// Those who wait for the outcome of the current attempt to connect.
    connecting: Vec<oneshot::Sender<Result<(), String>>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Link {
    Down,
    Connecting,
    Up,
}

enum Told {
    Response(Box<wire::Response>),
    Broken(String),
}

impl PaxosConnection {
    /// A connection to a node, opened when it is first needed.
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
        match tokio::time::timeout_at(deadline, self.shared.clone().connected()).await {
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
        // The newest ballot of this connection: should the key ever forget aborted ids, the op is not taken for one.
        // Nothing remembers the ids of the cheap path, so there is no birth to tell and no fate to ask for.
        let born = self.shared.state.borrow().newest.filter(|_| !asked.path.is_last_write_wins());
        let provenance = born.map_or(wire::Provenance::First, |born| wire::Provenance::FirstAfter { born });
        let request = wire::Request { op, key: asked.key.as_bytes().to_vec(), timeout_us, provenance, call };
        let told = self.shared.send(op, &ToNode::Request(request));
        let mut answer = match tokio::time::timeout_at(deadline, told).await {
            Ok(Ok(Told::Response(response))) => self.answer(asked.call, *response),
            Ok(Ok(Told::Broken(why))) => unknown(&format!("connection: {why}")),
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

    async fn ask(&self, query: FateQuery) -> Option<Fate> {
        let deadline = tokio::time::Instant::now() + query.timeout;
        let (of, born) = wire::parse_printed_id(&query.id).ok()?;
        tokio::time::timeout_at(deadline, self.shared.clone().connected()).await.ok()?.ok()?;
        let op = wire::OpId { client: query.number, seq: 1 };
        let timeout_us = (query.timeout * NODE_TIMEOUT_PERCENT / 100).as_micros() as u64;
        let (key, provenance) = (query.key.as_bytes().to_vec(), wire::Provenance::First);
        let request = wire::Request { op, key, timeout_us, provenance, call: wire::Call::Fate { of, born } };
        let told = self.shared.send(op, &ToNode::Request(request));
        let Ok(Ok(Told::Response(response))) = tokio::time::timeout_at(deadline, told).await else {
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
            // No quorum in time, no room, a node that stops: another may do better.
            wire::Outcome::Applied
            | wire::Outcome::ConditionNotMet { .. }
            | wire::Outcome::Value { .. }
            | wire::Outcome::NotApplied { .. }
            | wire::Outcome::Unknown { .. }
            | wire::Outcome::Invalid { .. } => None,
        }
    }

    fn answer(&self, call: Call, response: wire::Response) -> Reply {
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
        Box::pin(self.ask(query))
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

/// Why a handshake came to nothing.
#[derive(Debug, PartialEq, Eq)]
enum NoWelcome {
    /// The connection failed or the node refused: what faults do.
    Fault(String),
    /// Another than the node that is meant answered, and this is what it is. No fault does that: the relay loses and cuts whole
    /// frames, and handshakes not even that.
    Stranger(String),
}

impl From<std::io::Error> for NoWelcome {
    fn from(error: std::io::Error) -> Self {
        NoWelcome::Fault(error.to_string())
    }
}

impl NoWelcome {
    fn garbage(error: impl std::fmt::Display) -> Self {
        NoWelcome::Stranger(format!("something that does not speak client protocol {} ({error})", wire::PROTOCOL))
    }
}

/// Whether the first answer is the welcome of the expected node.
fn answered(answer: &ToClient, expected: &wire::ExpectedNode) -> Result<(), NoWelcome> {
    match answer {
        ToClient::Welcome(welcome) if expected.is(&welcome.identity) => Ok(()),
        ToClient::Welcome(wire::Welcome { identity, .. }) => Err(NoWelcome::Stranger(identity.to_string())),
        ToClient::Refused(wire::Refused { identity: Some(found), .. }) if !expected.is(found) => {
            Err(NoWelcome::Stranger(found.to_string()))
        }
        ToClient::Refused(refused) => Err(NoWelcome::Fault(refused.why.clone())),
        ToClient::Response(_) => Err(NoWelcome::garbage("an answer before the handshake")),
    }
}

impl Shared {
    /// Waits until the connection stands.
    async fn connected(self: Rc<Self>) -> Result<(), String> {
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
        let attempt = tokio::time::timeout(CONNECT_WITHIN, self.handshake()).await;
        let outcome = match attempt {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(NoWelcome::Fault(why))) => Err(why),
            Ok(Err(NoWelcome::Stranger(who))) => Err(self.target.stranger(&who)),
            Err(_) => Err("no answer to the handshake".into()),
        };
        let waiters = {
            let mut state = self.state.borrow_mut();
            state.next_attempt = began + CONNECT_EVERY;
            state.link = if outcome.is_ok() { Link::Up } else { Link::Down };
            std::mem::take(&mut state.connecting)
        };
        let told = outcome.as_ref().map(|_| ()).map_err(Clone::clone);
        for waiter in waiters {
            let _ = waiter.send(told.clone());
        }
        if let Ok((stream, frames)) = outcome {
            self.serve(stream, frames).await;
        }
    }

    async fn handshake(&self) -> Result<(TcpStream, FrameReader), NoWelcome> {
        // The harness's own limit is no failure of the node.
        let mut stream = TcpStream::connect(self.target.addr).await.inspect_err(limits::note)?;
        stream.set_nodelay(true)?;
        let expected = expected(&self.target.node);
        let mut hello = BytesMut::new();
        ToNode::Hello(wire::Hello::new(&*self.name, &expected)).encode(&mut hello);
        stream.write_all(&hello).await?;
        let mut frames = FrameReader::new();
        let mut buffer = vec![0; READ_BYTES];
        loop {
            if let Some(frame) = frames.next_frame().map_err(NoWelcome::garbage)? {
                let answer = ToClient::decode(&frame).map_err(NoWelcome::garbage)?;
                return answered(&answer, &expected).map(|()| (stream, frames));
            }
            match stream.read(&mut buffer).await? {
                0 => return Err(NoWelcome::Fault("closed during the handshake".into())),
                n => frames.push(&buffer[..n]),
            }
        }
    }

    /// Queues a request. From here on it may reach the node.
    fn send(&self, op: wire::OpId, request: &ToNode) -> oneshot::Receiver<Told> {
        let (send, receive) = oneshot::channel();
        let mut state = self.state.borrow_mut();
        if state.link != Link::Up {
            // The connection fell between the wait for it and here; unknown would be true too, but less.
            let _ = send.send(Told::Broken("fell before the request was written".into()));
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
            let _ = waiter.send(Told::Broken(why.clone()));
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
                            // Nobody waits for an answer that comes after the client gave up.
                            if let Some(waiter) = waiter {
                                let _ = waiter.send(Told::Response(Box::new(response)));
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
