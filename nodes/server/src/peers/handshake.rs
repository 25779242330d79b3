//! The handshake of a connection between two nodes: proofs of the cluster's secret, then identities. See
//! [`crate::wire::peer`].

use std::rc::Rc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::LinkError;
use super::links::Link;
use crate::amnesia::Position;
use crate::client_protocol::{ProtocolError, Refused, decode_message, encode_message};
use crate::frame::{Frame, FrameKind, MAX_PAYLOAD};
use crate::net::{Incoming, Outbox, set_socket_options};
use crate::options::{NodeId, quorum_of};
use crate::secret::{self, Proof, is_equal};
use crate::shell::{Shell, increment};
use crate::wire::peer::{Handshake, LeaseTerms, PEER_PROTOCOL, PeerChallenge, PeerHello, PeerOpen, Side};

/// Dials a peer and completes the handshake.
pub(super) async fn connect(shell: &Rc<Shell>, link: &Rc<Link>) -> Result<(Incoming, Rc<Outbox>), LinkError> {
    let stream = TcpStream::connect(link.addr).await?;
    set_socket_options(&stream)?;
    let stream = Rc::new(stream);
    let outbox = Outbox::new(Rc::clone(&stream), shell.options.limits.peer_outbound_bytes, &shell.peer_bytes);
    let mut incoming = Incoming::new(stream, None);
    let welcome = match dial(shell, link, &mut incoming, &outbox).await {
        Ok(welcome) => welcome,
        Err(error) => {
            if let LinkError::Refused(why) = &error {
                // The other side should also log the reason.
                let _ = outbox.push(|out| Refused::new(why).encode(out));
                outbox.wait_until_drained().await;
            }
            return Err(error);
        }
    };
    increment(&link.connects);
    *link.outbox.borrow_mut() = Some(Rc::clone(&outbox));
    shell.log.info("peer_connected", &[("peer", &link.id), ("addr", &link.addr), ("incarnation", &welcome.incarnation())]);
    Ok((incoming, outbox))
}

async fn dial(shell: &Shell, link: &Link, incoming: &mut Incoming, outbox: &Outbox) -> Result<PeerHello, LinkError> {
    let me = shell.options.id;
    let nonce = secret::random()?;
    let open = PeerOpen { protocol: PEER_PROTOCOL, from: me.number(), to: link.id.number(), nonce };
    send(outbox, FrameKind::PeerHello, &open).await;
    let challenge: PeerChallenge = receive(me, &incoming.next_frame().await?, FrameKind::PeerWelcome)?;
    let handshake = Handshake { dialer: me.number(), listener: link.id.number(), dialer_nonce: nonce, listener_nonce: challenge.nonce };
    let expected = shell.options.secret.as_ref().map(|secret| handshake.challenge_proof(secret));
    check_proof(me, link.id, expected, challenge.proof)?;
    send(outbox, FrameKind::PeerHello, &shell.hello_to(link.id, &handshake, Side::Dialer)).await;
    let welcome: PeerHello = receive(me, &incoming.next_frame().await?, FrameKind::PeerWelcome)?;
    check_hello(shell, &handshake, Side::Listener, &welcome, link)?;
    shell.meet(link.id, &welcome).map_err(LinkError::Refused)?;
    link.incarnation.set(welcome.incarnation());
    Ok(welcome)
}

/// Completes the handshake with a node that has connected. Also returns the position of its process.
pub(super) async fn accept(shell: &Rc<Shell>, stream: TcpStream) -> Result<(Rc<Link>, Position, Incoming, Rc<Notify>), LinkError> {
    set_socket_options(&stream)?;
    let stream = Rc::new(stream);
    let outbox = Outbox::new(Rc::clone(&stream), shell.options.limits.peer_outbound_bytes, &shell.peer_bytes);
    let mut incoming = Incoming::new(stream, None);
    let (link, hello, handshake) = match answer(shell, &mut incoming, &outbox).await {
        Ok(answered) => answered,
        Err(error) => {
            // Nodes of every release can read the reason. A client that is not a node also gets this node's identity.
            let identity = matches!(error, LinkError::Protocol(ProtocolError::WrongKind { .. })).then(|| shell.identity());
            let refused = Refused { why: error.to_string(), identity };
            let _ = outbox.push(|out| refused.encode(out));
            outbox.wait_until_drained().await;
            return Err(error);
        }
    };
    let met = shell.meet(link.id, &hello);
    // If the other node has lost part of its state, the welcome proves it.
    send(&outbox, FrameKind::PeerWelcome, &shell.hello_to(link.id, &handshake, Side::Listener)).await;
    let greeted = met.map_err(LinkError::Refused)?;
    link.incarnation.set(hello.incarnation());
    incoming.set_max_payload(MAX_PAYLOAD);
    let ended = Rc::new(Notify::new());
    if let Some(older) = link.inbound.borrow_mut().replace(Rc::clone(&ended)) {
        older.notify_one();
    }
    Ok((link, greeted, incoming, ended))
}

async fn answer(shell: &Shell, incoming: &mut Incoming, outbox: &Outbox) -> Result<(Rc<Link>, PeerHello, Handshake), LinkError> {
    let me = shell.options.id;
    let open: PeerOpen = receive(me, &incoming.next_frame().await?, FrameKind::PeerHello)?;
    let link = Rc::clone(addressee(shell, open.from, open.to)?);
    let nonce = secret::random()?;
    let handshake = Handshake { dialer: open.from, listener: me.number(), dialer_nonce: open.nonce, listener_nonce: nonce };
    let proof = shell.options.secret.as_ref().map(|secret| handshake.challenge_proof(secret));
    send(outbox, FrameKind::PeerWelcome, &PeerChallenge { protocol: PEER_PROTOCOL, nonce, proof }).await;
    let hello: PeerHello = receive(me, &incoming.next_frame().await?, FrameKind::PeerHello)?;
    check_hello(shell, &handshake, Side::Dialer, &hello, &link)?;
    Ok((link, hello, handshake))
}

async fn send<T: Serialize>(outbox: &Outbox, kind: FrameKind, message: &T) {
    let _ = outbox.push(|out| encode_message(kind, message, out));
    outbox.wait_until_drained().await;
}

fn receive<T: DeserializeOwned>(me: NodeId, frame: &Frame, expected: FrameKind) -> Result<T, LinkError> {
    match frame.kind {
        FrameKind::Refused => Err(ProtocolError::Refused { why: Refused::decode(&frame.payload)?.why }.into()),
        found if found == expected => match postcard::take_from_bytes::<u32>(&frame.payload) {
            Ok((protocol, _)) if protocol != PEER_PROTOCOL => {
                Err(LinkError::Refused(format!("it speaks peer protocol {protocol}, {me} speaks {PEER_PROTOCOL}: use one release")))
            }
            Ok(_) | Err(_) => Ok(decode_message("peer handshake", &frame.payload)?),
        },
        found => Err(ProtocolError::WrongKind { found, expected: "the handshake of a node" }.into()),
    }
}

/// The link to the node that has connected, if each node expects the other.
fn addressee(shell: &Shell, from: u16, to: u16) -> Result<&Rc<Link>, LinkError> {
    let me = shell.options.id;
    let refused = |why: String| Err(LinkError::Refused(why));
    if from == me.number() {
        return refused(format!("it calls itself {me} too: two nodes have one id, or {me} has its own address in its list of peers"));
    }
    if to != me.number() {
        return refused(format!("it looks for n{to}, this is {me}: check the addresses of the peers"));
    }
    match shell.peers.link(from) {
        Some(link) => Ok(link),
        None => refused(format!("n{from} is not one of the peers that {me} was started with")),
    }
}

/// Compares the proof that a node has sent with the expected one.
fn check_proof(me: NodeId, peer: NodeId, expected: Option<Proof>, found: Option<Proof>) -> Result<(), LinkError> {
    const REMEDY: &str = "give all nodes of the cluster the same --cluster-secret-file";
    let why = match (expected, found) {
        (None, None) => return Ok(()),
        (Some(expected), Some(found)) if is_equal(&expected, &found) => return Ok(()),
        (Some(_), Some(_)) => format!("{peer} and {me} have different cluster secrets: {REMEDY}"),
        (Some(_), None) => format!("{peer} has no cluster secret, and {me} has one: {REMEDY}"),
        (None, Some(_)) => format!("{peer} has a cluster secret, and {me} has none: {REMEDY}"),
    };
    Err(LinkError::Refused(why))
}

impl Shell {
    fn hello_to(&self, to: NodeId, handshake: &Handshake, side: Side) -> PeerHello {
        let (members, witness) = (self.options.members(), self.witness.borrow());
        let mut hello = PeerHello {
            protocol: PEER_PROTOCOL,
            cluster: self.options.cluster_id.clone(),
            from: self.options.id.number(),
            to: to.number(),
            folder: witness.history().folder,
            processes: witness.history().processes.clone(),
            batch: self.disk.synced(),
            seen: witness.of(to),
            lease: LeaseTerms::from(&self.options.lease),
            quorum: quorum_of(members.len()),
            members: members.into_iter().map(NodeId::number).collect(),
            proof: None,
        };
        hello.proof = self.options.secret.as_ref().map(|secret| handshake.hello_proof(secret, side, &hello));
        hello
    }
}

/// Whether the other side, which sent this hello, is the peer of this link.
fn check_hello(shell: &Shell, handshake: &Handshake, side: Side, hello: &PeerHello, link: &Link) -> Result<(), LinkError> {
    let me = shell.options.id;
    let expected = shell.options.secret.as_ref().map(|secret| handshake.hello_proof(secret, side, hello));
    check_proof(me, link.id, expected, hello.proof)?;
    if hello.cluster != shell.options.cluster_id {
        let why = format!("it belongs to cluster {:?}, {me} to {:?}", hello.cluster, shell.options.cluster_id);
        return Err(LinkError::Refused(why));
    }
    if addressee(shell, hello.from, hello.to)?.id != link.id {
        return Err(LinkError::Refused(format!("n{} answered instead: check the addresses of the peers", hello.from)));
    }
    check_agreement(shell, hello, link).map_err(LinkError::Refused)
}

/// Whether the two nodes agree on the settings that all nodes must share.
fn check_agreement(shell: &Shell, hello: &PeerHello, link: &Link) -> Result<(), String> {
    let me = shell.options.id;
    let members: Vec<u16> = shell.options.members().into_iter().map(NodeId::number).collect();
    let quorum = quorum_of(members.len());
    if (&hello.members, hello.quorum) != (&members, quorum) {
        // Otherwise, two parts of a cluster could each have a quorum of their own.
        return Err(format!(
            "{} counts {} with a quorum of {}, and {me} counts {} with a quorum of {quorum}: start all nodes with the same list of nodes. \
             The members of a cluster cannot be changed",
            link.id,
            names(&hello.members),
            hello.quorum,
            names(&members),
        ));
    }
    let lease = LeaseTerms::from(&shell.options.lease);
    if !lease.is_compatible(&hello.lease) {
        return Err(format!(
            "{} was started with leases {}, and {me} with leases {lease}: give all nodes the same, or turn leases off on one \
             of them first",
            link.id, hello.lease
        ));
    }
    Ok(())
}

fn names(members: &[u16]) -> String {
    members.iter().map(|number| format!("n{number}")).collect::<Vec<_>>().join(" ")
}
