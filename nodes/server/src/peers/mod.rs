//! Connections between nodes.
//!
//! Messages from n1 to n2 travel only on the connection that n1 opened to n2, so that a relay on that link can cut
//! one direction but not the other. A message is dropped and counted if its peer has no connection or a full queue:
//! Paxos tolerates loss, and a queue that outlives a partition delivers only stale messages.

mod handshake;
#[cfg(test)]
mod nonsense_tests;
pub(crate) mod links;

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use heckle_paxos::{Event, NodeId as CoreNodeId};
use rand::RngExt;
use tokio::net::{TcpListener, TcpStream};

use self::links::Link;
use crate::amnesia::Position;
use crate::client_protocol::ProtocolError;
use crate::frame::{Frame, FrameKind, encode_frame_with};
use crate::net::{Incoming, Outbox, ReadError};
use crate::shell::{Shell, increment};
use crate::wire;
use crate::wire::positions::{Positions, decode_beat, decode_positions, encode_positions};

/// First wait before a reconnect. The wait doubles up to a maximum. Both are short, since relays and restarts cut
/// links often.
const MIN_RECONNECT_DELAY: Duration = Duration::from_millis(20);
const MAX_RECONNECT_DELAY: Duration = Duration::from_millis(200);
/// Wait after the peer refused the connection. The reason is unlikely to go away soon.
const REFUSED_RECONNECT_DELAY: Duration = Duration::from_secs(1);
/// Time between the heartbeats on a link. Heartbeats ensure that a cut link is always noticed, both by a node waiting for
/// a reply on it and by a tester checking that the cut took effect. They also carry positions: see [`crate::amnesia`].
const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(250);
/// Time limit for a connect and its handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_millis(1_000);
/// While a peer is unreachable, one failure in this many is logged.
const LOG_EVERY: u64 = 100;

/// Why a link was not established.
#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error(transparent)]
    Ended(#[from] ReadError),
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    #[error("{0}")]
    Refused(String),
    #[error("no connection and handshake within {} ms", HANDSHAKE_TIMEOUT.as_millis())]
    Timeout,
}

impl From<std::io::Error> for LinkError {
    fn from(cause: std::io::Error) -> LinkError {
        LinkError::Ended(cause.into())
    }
}

/// Starts the tasks of all links.
pub(crate) fn spawn(shell: &Rc<Shell>, listener: TcpListener) {
    for link in shell.peers.links.values() {
        tokio::task::spawn_local(keep_connected(Rc::clone(shell), Rc::clone(link)));
    }
    tokio::task::spawn_local(accept_all(Rc::clone(shell), listener));
    tokio::task::spawn_local(save_positions(Rc::clone(shell)));
}

/// Writes the positions seen of other nodes, in case no other batch includes them.
async fn save_positions(shell: Rc<Shell>) {
    loop {
        tokio::time::sleep(HEARTBEAT_INTERVAL).await;
        shell.save_positions();
    }
}

/// Keeps a connection to one peer open, and reconnects whenever it breaks.
async fn keep_connected(shell: Rc<Shell>, link: Rc<Link>) {
    let mut wait = MIN_RECONNECT_DELAY;
    let mut failures: u64 = 0;
    let mut refused = None;
    loop {
        let attempt = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake::connect(&shell, &link)).await;
        let pause = match attempt.unwrap_or(Err(LinkError::Timeout)) {
            Ok(incoming) => {
                (wait, failures, refused) = (MIN_RECONNECT_DELAY, 0, None);
                let why = serve_outbound(&shell, &link, incoming).await;
                shell.log.warn("peer_link_lost", &[("peer", &link.id), ("why", &why)]);
                MIN_RECONNECT_DELAY
            }
            Err(error) => {
                shell.note_unreachable(link.id);
                // A reason given by the peer is logged immediately, even after a period in which the peer was
                // unreachable.
                let says = matches!(error, LinkError::Refused(_) | LinkError::Protocol(_)).then(|| error.to_string());
                let is_new = says.is_some() && says != refused;
                refused = says.or(refused);
                if is_new || failures.is_multiple_of(LOG_EVERY) {
                    shell.log.warn("peer_unreachable", &[("peer", &link.id), ("addr", &link.addr), ("why", &error)]);
                }
                failures += 1;
                wait = (wait * 2).min(MAX_RECONNECT_DELAY);
                if matches!(error, LinkError::Refused(_) | LinkError::Protocol(_)) { REFUSED_RECONNECT_DELAY } else { wait }
            }
        };
        // Wait up to a quarter longer, so that nodes cut off together do not reconnect in lockstep.
        let extra = shell.rng.borrow_mut().random_range(0..=pause.as_millis() as u64 / 4);
        tokio::time::sleep(pause + Duration::from_millis(extra)).await;
    }
}

/// Serves a connection until it ends. The other side sends nothing after its welcome, so reading only detects the end
/// of the connection.
async fn serve_outbound(shell: &Shell, link: &Link, (mut incoming, outbox): (Incoming, Rc<Outbox>)) -> String {
    let why = tokio::select! {
        read = incoming.next_frame() => match read {
            Ok(frame) => format!("an unexpected {:?} frame", frame.kind),
            Err(ended) => ended.to_string(),
        },
        written = outbox.write_when_possible() => written.err().map_or("closed here".to_owned(), |cause| cause.to_string()),
        () = send_heartbeats(shell, &outbox) => unreachable!("it beats for as long as the link stands"),
    };
    outbox.close();
    *link.outbox.borrow_mut() = None;
    why
}

/// Sends heartbeats, the first one immediately, since it carries the positions this node has seen.
async fn send_heartbeats(shell: &Shell, outbox: &Outbox) {
    loop {
        let positions = shell.positions();
        // A full outbox needs no heartbeat.
        let _ = outbox.push(|out| encode_frame_with(FrameKind::PeerBeat, out, |out| encode_positions(&positions, out)));
        outbox.flush();
        tokio::time::sleep(HEARTBEAT_INTERVAL).await;
    }
}

async fn accept_all(shell: Rc<Shell>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, addr)) if shell.peers.unidentified.get() < shell.descriptors.unidentified_peers => {
                tokio::task::spawn_local(serve_inbound(Rc::clone(&shell), stream, addr));
            }
            Ok((_, addr)) => {
                increment(&shell.counts.bad_connections);
                shell.log.warn("peer_refused", &[("addr", &addr), ("why", &"too many connections without a handshake")]);
            }
            Err(cause) => {
                // The process has most likely run out of file descriptors: wait until some are closed.
                shell.log.error("peer_accept_failed", &[("why", &cause)]);
                tokio::time::sleep(MAX_RECONNECT_DELAY).await;
            }
        }
    }
}

async fn serve_inbound(shell: Rc<Shell>, stream: TcpStream, addr: SocketAddr) {
    let unidentified = &shell.peers.unidentified;
    unidentified.set(unidentified.get() + 1);
    let greeted = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake::accept(&shell, stream)).await;
    unidentified.set(unidentified.get() - 1);
    let (link, greeted, mut incoming, ended) = match greeted.unwrap_or(Err(LinkError::Timeout)) {
        Ok(greeted) => greeted,
        Err(error) => {
            increment(&shell.counts.bad_connections);
            shell.log.warn("peer_refused", &[("addr", &addr), ("why", &error)]);
            return;
        }
    };
    let why = tokio::select! {
        why = read_messages(&shell, &link, &greeted, &mut incoming) => {
            if !matches!(why, DisconnectReason::Ended(ReadError::Closed | ReadError::CutShort { .. } | ReadError::Io(_))) {
                increment(&shell.counts.bad_connections);
            }
            why
        }
        () = ended.notified() => if link.impossible.replace(false) {
            increment(&shell.counts.bad_connections);
            DisconnectReason::Impossible
        } else {
            DisconnectReason::Replaced
        },
    };
    let mut current = link.inbound.borrow_mut();
    if current.as_ref().is_some_and(|current| Rc::ptr_eq(current, &ended)) {
        *current = None;
    }
    shell.log.warn("peer_gone", &[("peer", &link.id), ("why", &why)]);
}

/// Why a connection from a peer was closed.
#[derive(Debug, thiserror::Error)]
enum DisconnectReason {
    #[error(transparent)]
    Ended(#[from] ReadError),
    #[error("an unexpected {0:?} frame")]
    Unexpected(FrameKind),
    #[error(transparent)]
    Garbled(#[from] wire::WireError),
    #[error("it sent a message that no correct node sends")]
    Impossible,
    #[error("a newer connection took its place")]
    Replaced,
}

/// Reads the messages of the process `greeted`.
async fn read_messages(shell: &Rc<Shell>, link: &Link, greeted: &Position, incoming: &mut Incoming) -> DisconnectReason {
    let from = CoreNodeId(link.id.number());
    loop {
        loop {
            let frame = match incoming.next_buffered() {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(error) => return ReadError::from(error).into(),
            };
            let event = match decode_event(from, &frame) {
                Ok((Some(positions), _)) if !shell.hear(link.id, greeted, &positions) => return DisconnectReason::Replaced,
                Ok((_, event)) => event,
                Err(reason) => return reason,
            };
            if let Some(event) = event.filter(|_| shell.voting.get()) {
                increment(&link.received);
                shell.receive(event, frame.payload.len());
            }
        }
        shell.inbox.has_room().await;
        if let Err(ended) = incoming.read_more().await {
            return ended.into();
        }
    }
}

/// The positions and the message in a frame from another node.
fn decode_event(from: CoreNodeId, frame: &Frame) -> Result<(Option<Positions>, Option<Event>), DisconnectReason> {
    match frame.kind {
        FrameKind::PeerMessage => {
            let (positions, rest) = decode_positions(&frame.payload)?;
            let message = wire::message::decode_message(rest)?;
            Ok((Some(positions), Some(Event::Peer { from, message })))
        }
        FrameKind::PeerLease => Ok((None, Some(Event::PeerLease { from, message: wire::lease::decode_lease(&frame.payload)? }))),
        FrameKind::PeerBeat => Ok((Some(decode_beat(&frame.payload)?), None)),
        unexpected => Err(DisconnectReason::Unexpected(unexpected)),
    }
}
