//! Connections from clients.

pub(crate) mod connection;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use self::connection::ClientConnection;
use crate::client_protocol::{
    Call, Diagnostics, ExpectedNode, Hello, Identity, Limits, MAX_CLIENT_NAME, MAX_KEY, MAX_REQUEST, MAX_VALUE, OpId, Outcome, PROTOCOL,
    Reason, Refused, Request, Response, ToClient, ToNode, Welcome,
};
use crate::frame::FrameError;
use crate::net::{Incoming, Outbox, ReadError, set_socket_options};
use crate::options::MAX_CLUSTER_ID;
use crate::resources::Place;
use crate::shell::{Shell, increment, request_size};

/// Time limit for a client's hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum wait for the client to read a last reply.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
/// Pause after a failed accept. The usual cause is a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why a connection is closed.
#[derive(Debug, thiserror::Error)]
enum CloseReason {
    #[error(transparent)]
    Ended(#[from] ReadError),
    #[error("{0}")]
    Refused(String),
    /// The client expects a different node.
    #[error("this is {found}, and the client expects {expected}: check the address")]
    Mistaken { found: Identity, expected: ExpectedNode },
    #[error("it did not read its answers: {queued} bytes wait")]
    SlowReader { queued: usize },
}

impl From<FrameError> for CloseReason {
    fn from(error: FrameError) -> CloseReason {
        CloseReason::Ended(error.into())
    }
}

/// Accepts clients until the node ends.
pub(crate) async fn accept_all(shell: Rc<Shell>, listener: TcpListener) {
    let mut next = 0;
    loop {
        match listener.accept().await {
            Ok((stream, addr)) => {
                next += 1;
                tokio::task::spawn_local(serve(Rc::clone(&shell), stream, addr, next));
            }
            Err(cause) => {
                shell.log.error("client_accept_failed", &[("why", &cause)]);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(shell: Rc<Shell>, stream: TcpStream, addr: SocketAddr, number: u64) {
    if let Err(cause) = set_socket_options(&stream) {
        shell.log.warn("client_refused", &[("addr", &addr), ("why", &cause)]);
        return;
    }
    let stream = Rc::new(stream);
    let outbox = Outbox::new(Rc::clone(&stream), shell.options.limits.client_outbound_bytes, &shell.replies);
    let mut incoming = Incoming::new(Rc::clone(&stream), Some(shell.partial_frames.share()));
    let limit = shell.descriptors.clients;
    let result = if let Some(place) = shell.client_lobby.admit(limit) {
        tokio::select! {
            result = serve_client(&shell, &mut incoming, &outbox, &place, addr, number) => result,
            () = place.evicted() => Err(CloseReason::Refused("it said nothing, and others wait: the node is full".to_owned())),
        }
    } else {
        if shell.refusals.get() >= shell.descriptors.refusals {
            // Too many refusals are pending to send this one a reason.
            increment(&shell.counts.bad_connections);
            return;
        }
        Err(CloseReason::Refused(format!("{limit} clients are connected to {} already: that is its limit", shell.options.id)))
    };
    drop(incoming);
    let left_open = shell.clients.borrow_mut().remove(&number).is_some_and(|client| !client.open.borrow().is_empty());
    if left_open {
        shell.client_gone(number);
    }
    match result {
        Ok(()) | Err(CloseReason::Ended(ReadError::Closed)) => {}
        Err(why) => {
            increment(if matches!(why, CloseReason::SlowReader { .. }) {
                &shell.counts.slow_readers
            } else {
                &shell.counts.bad_connections
            });
            shell.log.warn("client_closed", &[("addr", &addr), ("why", &why)]);
            shell.refusals.set(shell.refusals.get() + 1);
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, send_close_reason(&shell, &stream, &outbox, &why)).await;
            shell.refusals.set(shell.refusals.get() - 1);
        }
    }
    outbox.close();
}

/// Sends the reason in a form that the other side can read: a frame for a heckle client, a line of text for anything
/// else.
async fn send_close_reason(shell: &Shell, stream: &TcpStream, outbox: &Outbox, why: &CloseReason) {
    let text = format!("heckle {}: {why}", shell.options.id);
    match why {
        CloseReason::Ended(ReadError::Frame(error @ FrameError::WrongMagic { .. })) => {
            let line = if error.looks_like_http() {
                let body = format!("{text}\nThis port speaks the heckle client protocol, not HTTP.\n");
                let head = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length";
                format!("{head}: {}\r\n\r\n{body}", body.len())
            } else {
                format!("{text}\n")
            };
            let _ = outbox.push(|out| out.extend_from_slice(line.as_bytes()));
        }
        CloseReason::Ended(ReadError::Frame(_) | ReadError::Evicted { .. }) | CloseReason::Refused(_) => {
            let _ = outbox.push(|out| Refused::new(text).encode(out));
        }
        CloseReason::Mistaken { found, expected: _ } => {
            let _ = outbox.push(|out| Refused { why: text, identity: Some(found.clone()) }.encode(out));
        }
        CloseReason::Ended(ReadError::Closed | ReadError::CutShort { .. } | ReadError::Io(_)) | CloseReason::SlowReader { .. } => return,
    }
    outbox.wait_until_drained().await;
    // Unread bytes from the client would turn the close into a reset, which would discard the reply.
    let _ = socket2::SockRef::from(stream).shutdown(std::net::Shutdown::Write);
    let mut rest = [0; 4_096];
    while stream.readable().await.is_ok() {
        match stream.try_read(&mut rest) {
            Ok(0) => return,
            Ok(_) => {}
            Err(cause) if cause.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

/// Serves one client until the connection ends.
async fn serve_client(
    shell: &Rc<Shell>,
    incoming: &mut Incoming,
    outbox: &Rc<Outbox>,
    place: &Place,
    addr: SocketAddr,
    number: u64,
) -> Result<(), CloseReason> {
    let hello = tokio::time::timeout(HELLO_TIMEOUT, read_hello(incoming)).await;
    let hello = hello.unwrap_or_else(|_| Err(CloseReason::Refused(format!("no hello within {HELLO_TIMEOUT:?}"))))?;
    incoming.set_max_payload(MAX_REQUEST);
    let (found, expected) = (shell.identity(), hello.expected());
    if !expected.is(&found) {
        return Err(CloseReason::Mistaken { found, expected });
    }
    place.keep();
    let connection = Rc::new(ClientConnection { number, name: hello.client, outbox: Rc::clone(outbox), open: RefCell::default() });
    let limits = &shell.options.limits;
    let welcome = Welcome {
        protocol: PROTOCOL,
        identity: found,
        incarnation: u64::from(shell.incarnation),
        limits: Limits {
            max_key: MAX_KEY as u32,
            max_value: MAX_VALUE as u32,
            max_frame: MAX_REQUEST as u32,
            max_in_flight: u32::try_from(limits.in_flight_per_connection).unwrap_or(u32::MAX),
        },
    };
    shell.send_to_client(&connection, &ToClient::Welcome(welcome));
    shell.flush_all();
    shell.log.info("client_connected", &[("addr", &addr), ("client", &connection.name)]);
    shell.clients.borrow_mut().insert(number, Rc::clone(&connection));
    tokio::select! {
        result = read_requests(shell, &connection, incoming) => result,
        written = outbox.write_when_possible() => match written {
            // The connection was closed by this node. Unless the node is ending, only a full buffer causes that.
            Ok(()) => Err(CloseReason::SlowReader { queued: outbox.len() }),
            Err(cause) => Err(ReadError::from(cause).into()),
        },
    }
}

async fn read_hello(incoming: &mut Incoming) -> Result<Hello, CloseReason> {
    let frame = incoming.next_frame().await?;
    match ToNode::decode(&frame) {
        Ok(ToNode::Hello(hello)) if hello.client.len() > MAX_CLIENT_NAME => {
            Err(CloseReason::Refused(format!("a client name of {} bytes is over the limit of {MAX_CLIENT_NAME}", hello.client.len())))
        }
        Ok(ToNode::Hello(hello)) if expected_len(&hello) > MAX_CLUSTER_ID => Err(CloseReason::Refused(format!(
            "names of the expected node of {} bytes are over the limit of {MAX_CLUSTER_ID}",
            expected_len(&hello)
        ))),
        Ok(ToNode::Hello(hello)) => Ok(hello),
        Ok(ToNode::Request(_)) => Err(CloseReason::Refused("a request before the hello".to_owned())),
        Err(error) => Err(CloseReason::Refused(error.to_string())),
    }
}

/// Length in bytes of the longer of the two expected names. No node has a name longer than the limit, and longer
/// names must not reach the log.
fn expected_len(hello: &Hello) -> usize {
    [&hello.cluster, &hello.node].into_iter().flatten().map(String::len).max().unwrap_or(0)
}

async fn read_requests(shell: &Rc<Shell>, connection: &ClientConnection, incoming: &mut Incoming) -> Result<(), CloseReason> {
    loop {
        while let Some(frame) = incoming.next_buffered()? {
            match ToNode::decode(&frame) {
                Ok(ToNode::Request(request)) => take_request(shell, connection, request),
                Ok(ToNode::Hello(_)) => return Err(CloseReason::Refused("a second hello".to_owned())),
                Err(error) => return Err(CloseReason::Refused(error.to_string())),
            }
        }
        // Send the replies that did not involve the core.
        shell.flush_all();
        shell.inbox.has_room().await;
        incoming.read_more().await?;
    }
}

fn take_request(shell: &Rc<Shell>, connection: &ClientConnection, request: Request) {
    let op = request.op;
    if let Some(outcome) = refusal(shell, connection, &request) {
        shell.counts.ops(|ops| {
            *ops.of(&outcome) += 1;
        });
        let response = Response { op, outcome, diagnostics: Diagnostics::default() };
        shell.send_to_client(connection, &ToClient::Response(response));
        return;
    }
    connection.open.borrow_mut().insert(op.client);
    shell.begin_op(connection.number, request);
}

/// The reply to a request refused before it reaches the core, or `None`.
fn refusal(shell: &Shell, connection: &ClientConnection, request: &Request) -> Option<Outcome> {
    if let Some(why) = request.broken_rule() {
        return Some(Outcome::Invalid { why });
    }
    let open = connection.open.borrow();
    if open.contains(&request.op.client) {
        let OpId { client, .. } = request.op;
        return Some(Outcome::Invalid { why: format!("client {client} has an open operation on this connection") });
    }
    let turned_away = |why| match request.call {
        // "Not applied" would be misread as a statement about the queried operation.
        Call::Fate { .. } => Outcome::Unknown { why },
        Call::Read | Call::Write { .. } | Call::Cas { .. } | Call::Put { .. } | Call::Get { .. } => Outcome::NotApplied { why },
    };
    if open.len() >= shell.options.limits.in_flight_per_connection {
        return Some(turned_away(Reason::TooManyInFlight));
    }
    if shell.request_bytes.get() + request_size(request) > shell.options.limits.request_bytes {
        return Some(turned_away(Reason::Busy));
    }
    shell.stopper.is_stopping().then(|| turned_away(Reason::Stopping))
}
