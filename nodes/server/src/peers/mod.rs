//! Connections between nodes.
//!
//! Messages from n1 to n2 travel only on the connection that n1 opened to n2, so that a relay on that link can cut one
//! direction and not the other. A message for a peer without a connection, or beyond its queue, is
//! dropped and counted: Paxos tolerates loss, and a queue that outlives a partition delivers only stale messages.

pub(crate) mod links;

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use heckle_paxos::{Event, NodeId as CoreNodeId};
use rand::RngExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use self::links::Link;
use crate::client_protocol::{ProtocolError, Refused, decode_message, encode_message};
use crate::frame::{Frame, FrameKind, encode_frame_with};
use crate::net::{Ended, Incoming, Outbox, tune};
use crate::options::NodeId;
use crate::shell::{Shell, bump};
use crate::storage::folder::KnownPeer;
use crate::wire;
use crate::wire::peer::{LeaseTerms, PEER_PROTOCOL, PeerHello};

/// First wait before connecting again; it doubles up to the next. Short, since relays and restarts cut links often.
const RECONNECT_FIRST: Duration = Duration::from_millis(20);
const RECONNECT_LONGEST: Duration = Duration::from_millis(200);
/// Wait after a refusal: it will not mend itself soon.
const RECONNECT_REFUSED: Duration = Duration::from_secs(1);
/// A link that carried nothing for so long carries a beat, so that a link that is cut is always missed: by a
/// coordinator that waits for an answer, and by a test that looks for the effect of a cut.
const BEAT_AFTER: Duration = Duration::from_millis(250);
/// Longest wait for a connection and its handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_millis(1_000);
/// Connections from peers that have not introduced themselves yet.
const MAX_STRANGERS: usize = 128;
/// While a peer cannot be reached, one failure in this many is logged.
const LOG_EVERY: u64 = 100;

/// Why a link could not be set up.
#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error(transparent)]
    Ended(#[from] Ended),
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
}

/// Connects to one peer, again and again, for ever.
async fn keep_connected(shell: Rc<Shell>, link: Rc<Link>) {
    let mut wait = RECONNECT_FIRST;
    let mut failures: u64 = 0;
    loop {
        let attempt = tokio::time::timeout(HANDSHAKE_TIMEOUT, connect(&shell, &link)).await;
        let pause = match attempt.unwrap_or(Err(LinkError::Timeout)) {
            Ok(incoming) => {
                (wait, failures) = (RECONNECT_FIRST, 0);
                let why = serve_outbound(&link, incoming).await;
                shell.log.warn("peer_link_lost", &[("peer", &link.id), ("why", &why)]);
                RECONNECT_FIRST
            }
            Err(error) => {
                if failures.is_multiple_of(LOG_EVERY) {
                    shell.log.warn("peer_unreachable", &[("peer", &link.id), ("addr", &link.addr), ("why", &error)]);
                }
                failures += 1;
                wait = (wait * 2).min(RECONNECT_LONGEST);
                if matches!(error, LinkError::Refused(_) | LinkError::Protocol(_)) { RECONNECT_REFUSED } else { wait }
            }
        };
        // Up to a quarter more, so that nodes cut off together do not come back in step.
        let extra = shell.rng.borrow_mut().random_range(0..=pause.as_millis() as u64 / 4);
        tokio::time::sleep(pause + Duration::from_millis(extra)).await;
    }
}

async fn connect(shell: &Rc<Shell>, link: &Rc<Link>) -> Result<(Incoming, Rc<Outbox>), LinkError> {
    let stream = TcpStream::connect(link.addr).await?;
    tune(&stream)?;
    let stream = Rc::new(stream);
    let outbox = Outbox::new(Rc::clone(&stream), shell.options.limits.peer_outbound_bytes);
    let mut incoming = Incoming::new(stream);
    let _ = outbox.push(|out| encode_message(FrameKind::PeerHello, &shell.hello_to(link.id), out));
    outbox.drained().await;
    let frame = incoming.next_frame().await?;
    let welcome = expect_hello(&frame, FrameKind::PeerWelcome)?;
    check_hello(shell, &welcome, Some(link.id)).map_err(LinkError::Refused)?;
    remember(shell, link, &welcome);
    bump(&link.connects);
    *link.outbox.borrow_mut() = Some(Rc::clone(&outbox));
    shell.log.info("peer_connected", &[("peer", &link.id), ("addr", &link.addr), ("incarnation", &welcome.incarnation)]);
    Ok((incoming, outbox))
}

/// Lives as long as the connection. The other side sends nothing after its welcome, so reading only finds the end.
async fn serve_outbound(link: &Rc<Link>, (mut incoming, outbox): (Incoming, Rc<Outbox>)) -> String {
    let why = tokio::select! {
        read = incoming.next_frame() => match read {
            Ok(frame) => format!("an unexpected {:?} frame", frame.kind),
            Err(ended) => ended.to_string(),
        },
        written = outbox.write_when_possible() => written.err().map_or("closed here".to_owned(), |cause| cause.to_string()),
        () = beat(link, &outbox) => unreachable!("it beats for as long as the link stands"),
    };
    outbox.close();
    *link.outbox.borrow_mut() = None;
    why
}

/// Sends a beat whenever nothing else was sent for a while.
async fn beat(link: &Link, outbox: &Outbox) {
    let mut sent = link.sent.get();
    loop {
        tokio::time::sleep(BEAT_AFTER).await;
        if sent == link.sent.get() {
            // A full outbox has enough to carry.
            let _ = outbox.push(|out| encode_frame_with(FrameKind::PeerBeat, out, |_| ()));
            outbox.flush();
        }
        sent = link.sent.get();
    }
}

async fn accept_all(shell: Rc<Shell>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, addr)) if shell.peers.strangers.get() < MAX_STRANGERS => {
                tokio::task::spawn_local(serve_inbound(Rc::clone(&shell), stream, addr));
            }
            Ok((_, addr)) => {
                bump(&shell.counts.bad_connections);
                shell.log.warn("peer_refused", &[("addr", &addr), ("why", &"too many connections without a handshake")]);
            }
            Err(cause) => {
                // Out of descriptors, most likely: wait for some to be closed.
                shell.log.error("peer_accept_failed", &[("why", &cause)]);
                tokio::time::sleep(RECONNECT_LONGEST).await;
            }
        }
    }
}

async fn serve_inbound(shell: Rc<Shell>, stream: TcpStream, addr: SocketAddr) {
    let strangers = &shell.peers.strangers;
    strangers.set(strangers.get() + 1);
    let greeted = tokio::time::timeout(HANDSHAKE_TIMEOUT, greet(&shell, stream)).await;
    strangers.set(strangers.get() - 1);
    let (link, mut incoming, ended) = match greeted.unwrap_or(Err(LinkError::Timeout)) {
        Ok(greeted) => greeted,
        Err(error) => {
            bump(&shell.counts.bad_connections);
            shell.log.warn("peer_refused", &[("addr", &addr), ("why", &error)]);
            return;
        }
    };
    let why = tokio::select! {
        why = read_messages(&shell, &link, &mut incoming) => {
            if !matches!(why, Gone::Ended(Ended::Closed | Ended::CutShort { .. } | Ended::Io(_))) {
                bump(&shell.counts.bad_connections);
            }
            why
        }
        () = ended.notified() => Gone::Replaced,
    };
    let mut current = link.inbound.borrow_mut();
    if current.as_ref().is_some_and(|current| Rc::ptr_eq(current, &ended)) {
        *current = None;
    }
    shell.log.warn("peer_gone", &[("peer", &link.id), ("why", &why)]);
}

/// Checks who connected, and answers.
async fn greet(shell: &Rc<Shell>, stream: TcpStream) -> Result<(Rc<Link>, Incoming, Rc<Notify>), LinkError> {
    tune(&stream)?;
    let stream = Rc::new(stream);
    let outbox = Outbox::new(Rc::clone(&stream), shell.options.limits.peer_outbound_bytes);
    let mut incoming = Incoming::new(stream);
    let greeting = match incoming.next_frame().await {
        Ok(frame) => expect_hello(&frame, FrameKind::PeerHello)
            .map_err(LinkError::from)
            .and_then(|hello| check_hello(shell, &hello, None).map_err(LinkError::Refused).map(|()| hello)),
        Err(ended) => Err(ended.into()),
    };
    let hello = match greeting {
        Ok(hello) => hello,
        Err(error) => {
            // Nodes of every release read the reason; one that is no peer at all learns whom it has found.
            let identity = matches!(error, LinkError::Protocol(ProtocolError::WrongKind { .. })).then(|| shell.identity());
            let refused = Refused { why: error.to_string(), identity };
            let _ = outbox.push(|out| refused.encode(out));
            outbox.drained().await;
            return Err(error);
        }
    };
    let link = Rc::clone(shell.peers.link(hello.from).expect("the check knows all peers"));
    let _ = outbox.push(|out| encode_message(FrameKind::PeerWelcome, &shell.hello_to(link.id), out));
    outbox.drained().await;
    remember(shell, &link, &hello);
    let ended = Rc::new(Notify::new());
    if let Some(older) = link.inbound.borrow_mut().replace(Rc::clone(&ended)) {
        older.notify_one();
    }
    Ok((link, incoming, ended))
}

/// Why a peer is not listened to any more.
#[derive(Debug, thiserror::Error)]
enum Gone {
    #[error(transparent)]
    Ended(#[from] Ended),
    #[error("an unexpected {0:?} frame")]
    Unexpected(FrameKind),
    #[error(transparent)]
    Garbled(#[from] wire::WireError),
    #[error("a newer connection took its place")]
    Replaced,
}

async fn read_messages(shell: &Rc<Shell>, link: &Link, incoming: &mut Incoming) -> Gone {
    let from = CoreNodeId(link.id.number());
    loop {
        loop {
            let frame = match incoming.next_buffered() {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(error) => return Ended::from(error).into(),
            };
            let event = match frame.kind {
                FrameKind::PeerMessage => wire::message::decode_message(&frame.payload).map(|message| Event::Peer { from, message }),
                FrameKind::PeerLease => wire::lease::decode_lease(&frame.payload).map(|message| Event::PeerLease { from, message }),
                FrameKind::PeerBeat => continue,
                unexpected => return Gone::Unexpected(unexpected),
            };
            match event {
                Ok(event) => {
                    bump(&link.received);
                    shell.receive(event);
                }
                Err(error) => return error.into(),
            }
        }
        shell.inbox.has_room().await;
        if let Err(ended) = incoming.read_more().await {
            return ended.into();
        }
    }
}

fn expect_hello(frame: &Frame, expected: FrameKind) -> Result<PeerHello, ProtocolError> {
    match frame.kind {
        FrameKind::Refused => {
            let refused = Refused::decode(&frame.payload)?;
            Err(ProtocolError::Refused { why: refused.why })
        }
        found if found == expected => decode_message("peer handshake", &frame.payload),
        found => Err(ProtocolError::WrongKind { found, expected: "the handshake of a node" }),
    }
}

impl Shell {
    fn hello_to(&self, to: NodeId) -> PeerHello {
        PeerHello {
            protocol: PEER_PROTOCOL,
            cluster: self.options.cluster_id.clone(),
            from: self.options.id.number(),
            to: to.number(),
            folder: self.folder_identity.borrow().folder,
            incarnation: self.incarnation,
            lease: LeaseTerms::from(&self.options.lease),
        }
    }
}

/// Whether this is a node to talk to; `expected` is set where this node chose the address.
fn check_hello(shell: &Shell, hello: &PeerHello, expected: Option<NodeId>) -> Result<(), String> {
    let me = shell.options.id;
    if hello.protocol != PEER_PROTOCOL {
        return Err(format!("it speaks peer protocol {}, {me} speaks {PEER_PROTOCOL}: use one release", hello.protocol));
    }
    if hello.cluster != shell.options.cluster_id {
        return Err(format!("it belongs to cluster {:?}, {me} to {:?}", hello.cluster, shell.options.cluster_id));
    }
    if hello.from == me.number() {
        return Err(format!("it calls itself {me} too: two nodes have one id, or {me} has its own address as a peer's"));
    }
    if hello.to != me.number() {
        return Err(format!("it looks for n{}, this is {me}: check the addresses of the peers", hello.to));
    }
    let Some(link) = shell.peers.link(hello.from) else {
        return Err(format!("n{} is not one of the peers that {me} was started with", hello.from));
    };
    if expected.is_some_and(|expected| expected != link.id) {
        return Err(format!("{} answered instead: check the addresses of the peers", link.id));
    }
    let lease = LeaseTerms::from(&shell.options.lease);
    if !lease.fits(&hello.lease) {
        return Err(format!(
            "{} was started with leases {}, and {me} with leases {lease}: give all nodes the same, or turn leases off on one \
             of them first",
            link.id, hello.lease
        ));
    }
    match link.known.get() {
        Some(known) if known.folder != hello.folder => Err(format!(
            "{} came with another data folder than before: its disk was wiped or replaced, and with it what it \
             promised. It must not vote under its old name",
            link.id
        )),
        Some(known) if known.incarnation > hello.incarnation => Err(format!(
            "{} came as incarnation {} after {} was seen: its disk was rolled back, and with it what it promised. \
             It must not vote under its old name",
            link.id, hello.incarnation, known.incarnation
        )),
        Some(_) | None => Ok(()),
    }
}

fn remember(shell: &Shell, link: &Link, hello: &PeerHello) {
    let known = KnownPeer { folder: hello.folder, incarnation: hello.incarnation };
    if link.known.replace(Some(known)) != Some(known) {
        shell.peers.learned.notify_one();
    }
}
