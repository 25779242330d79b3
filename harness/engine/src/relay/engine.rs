//! The relay's thread: handles listeners, connections, timers and commands one at a time.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use heckle_faults::{End, Link, LinkEffect, Node};
use heckle_history::prng::Seed;
use heckle_loopback::LoopbackClaim;
use heckle_system_api::capability::{Framing, Greeting};

use super::connection::{Connection, ConnectionState};
use super::context::{Context, TimerOwner};
use super::direction::ConnectionKind;
use super::effect::{CountUnit, Evidence};
use super::lane::Close;
use super::poll::{Interest, Poller, Ready};
use super::raw::{DiallerQuery, Identification, Identifier, NoFraming, Owner, Sockets, v4};
use super::rules::{LinkId, RuleKey, Rules};
use super::socket::reset_on_close;
use super::{Command, Flow, Route};

/// Maximum number of open connections; each needs two descriptors. Any beyond it are reset.
const MAX_CONNECTIONS: usize = 4096;
/// Maximum number of connections accepted from one listener before the others get their turn.
const MAX_ACCEPTS_PER_ROUND: usize = 64;
/// Maximum number of connections waiting to be accepted by one listener. The kernel's limit may be lower.
const BACKLOG: i32 = 4096;
/// Pause of a listener after the process has run out of descriptors.
const PORT_PAUSE_NS: u64 = 10_000_000;
/// Interval at which a byte relay checks which targets listen. A check takes a few microseconds per listener.
const TARGET_CHECK_NS: u64 = 5_000_000;
/// Bit that marks the tokens of ports.
const PORT_BIT: u64 = 1 << 62;

/// A port that the relay listens on.
struct Port {
    route: Route,
    target: SocketAddr,
    address: SocketAddr,
    /// `None` while the port is closed.
    listener: Option<TcpListener>,
    /// The node and address that the port follows, if it is open only while its target listens.
    follows: Option<(Node, SocketAddrV4)>,
    /// The links of its connections, if the port determines them.
    kind: Option<ConnectionKind>,
    watched: Interest,
}

/// A connection whose dialler is not yet identified.
struct Unidentified {
    stream: TcpStream,
    to: Node,
    target: SocketAddr,
}

/// The kind of traffic on the links of a relay.
pub(super) enum Links {
    /// Messages of a known protocol.
    Frames(Arc<dyn Framing>),
    /// Byte streams.
    Bytes(ByteRelayParts),
}

/// Additional parts of a byte relay.
pub(super) struct ByteRelayParts {
    /// Finds addresses that diallers advertise.
    pub(super) greeting: Option<Arc<dyn Greeting>>,
    /// Identifies diallers.
    pub(super) identifier: Identifier,
    /// Reserves the address of the relay's ports.
    pub(super) claim: LoopbackClaim,
    /// Checks whether a target listens.
    pub(super) sockets: Sockets,
}

/// Listens at an address that belongs to the relay.
fn listen(at: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(at).map_err(|e| io::Error::new(e.kind(), format!("{at}: {e}")))?;
    // A burst of dials must not find the queue full: the kernel would retry the last step of a handshake only a second later.
    rustix::net::listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Whether the thread continues.
#[derive(PartialEq, Eq)]
enum LoopControl {
    Continue,
    Stop,
}

pub(super) struct Engine {
    inbox: Receiver<Command>,
    ctx: Context,
    ports: Vec<Port>,
    connections: BTreeMap<u64, Connection>,
    /// Connections on hold until their dialler is identified.
    unidentified: BTreeMap<u64, Unidentified>,
    /// Connections that are left unanswered until the fault ends.
    hung: Vec<(TcpStream, ConnectionKind)>,
    bytes: Option<ByteRelayParts>,
    next_id: u64,
}

impl Engine {
    pub(super) fn new(seed: Seed, poller: Poller, inbox: Receiver<Command>, links: Links) -> Engine {
        let (framing, bytes, counted): (Arc<dyn Framing>, _, _) = match links {
            Links::Frames(framing) => (framing, None, CountUnit::Frames),
            Links::Bytes(bytes) => (Arc::new(NoFraming), Some(bytes), CountUnit::Bytes),
        };
        let mut ctx = Context::new(poller, Rules::new(seed, counted), framing);
        ctx.greeting = bytes.as_ref().and_then(|bytes: &ByteRelayParts| bytes.greeting.clone());
        let (connections, unidentified) = (BTreeMap::new(), BTreeMap::new());
        Engine { inbox, ctx, ports: vec![], connections, unidentified, hung: vec![], bytes, next_id: 0 }
    }

    /// Runs until a stop command; dropping the engine closes everything.
    pub(super) fn run(mut self) {
        let mut ready = vec![];
        loop {
            let due = self.ctx.timers.first().map(|(due, _)| *due);
            let now = self.ctx.now();
            self.ctx.poller.arm(due, now);
            self.ctx.poller.wait(&mut ready);
            // Commands first: a cut that was requested before these bytes were read must stop them.
            if self.run_commands() == LoopControl::Stop {
                return;
            }
            self.fire_timers();
            for ready in &ready {
                if ready.token & PORT_BIT != 0 {
                    self.accept((ready.token & !PORT_BIT) as usize);
                } else {
                    self.socket_ready(*ready);
                }
            }
        }
    }

    fn run_commands(&mut self) -> LoopControl {
        // The caller waits for the answer. If it has given up, the send fails and the answer is dropped.
        while let Ok(command) = self.inbox.try_recv() {
            match command {
                Command::Open { route, target, answer } => drop(answer.send(self.open(route, target))),
                Command::Apply { id, links, effect, answer } => {
                    self.apply(id, &links, effect);
                    let _ = answer.send(());
                }
                Command::Evidence { id, answer } => drop(answer.send(self.ctx.rules.evidence(id))),
                Command::RemoveFault { id, answer } => drop(answer.send(self.remove_fault(id))),
                Command::Flow { link, answer } => drop(answer.send(self.flow(link))),
                Command::Identified { connection, found } => self.handle_identified(connection, found),
                Command::Stats { answer } => drop(answer.send(self.ctx.stats)),
                Command::Stop => return LoopControl::Stop,
            }
        }
        LoopControl::Continue
    }

    fn open(&mut self, route: Route, target: SocketAddr) -> io::Result<SocketAddr> {
        // A node may listen at several addresses; the dialler's socket distinguishes the connections to them.
        let is_open = |d: &Port| d.route == route && (!matches!(route, Route::Anyone { .. }) || d.target == target);
        if self.ports.iter().any(is_open) {
            return Err(io::Error::new(ErrorKind::AlreadyExists, format!("the relay already has a port for {route} at {target}")));
        }
        let unfit = match (route, &self.bytes) {
            (Route::Anyone { .. }, None) => Some("a relay of frames does not find out who dials"),
            (Route::Nodes { .. }, Some(_)) => Some("a relay of bytes has one port for all who dial a node"),
            (Route::Anyone { .. } | Route::Nodes { .. } | Route::Clients { .. }, _) => None,
        };
        if let Some(why) = unfit {
            return Err(io::Error::new(ErrorKind::InvalidInput, why));
        }
        // The port is held for the lifetime of the relay. It is on the target's own address, which only this
        // cluster uses. If all diallers share one port, it is on the relay's own address and has the target's
        // port number, since some systems use the same number for listening and for advertising.
        let at = match (&self.bytes, route) {
            (Some(bytes), Route::Anyone { .. }) => SocketAddr::from((bytes.claim.ip(), target.port())),
            // The target may be on another machine.
            (Some(bytes), Route::Clients { .. }) => SocketAddr::from((bytes.claim.ip(), 0)),
            _ => SocketAddr::from((target.ip(), 0)),
        };
        let listener = listen(at)?;
        let address = listener.local_addr()?;
        let kind = match route {
            Route::Nodes { from, to } => Some(ConnectionKind::Messages { forward: self.ctx.rules.link(Link::between(from, to)) }),
            Route::Clients { to } => {
                let [forward, backward] = self.link_pair(End::Clients, to);
                Some(match self.bytes {
                    Some(_) => ConnectionKind::Bytes { forward, backward },
                    None => ConnectionKind::Conversation { forward, backward },
                })
            }
            Route::Anyone { .. } => None,
        };
        let follows = match (&self.bytes, route) {
            // The kernel's report on other listeners is trusted only if it reports this one as listening.
            (Some(bytes), Route::Anyone { to }) if v4(address).and_then(|at| bytes.sockets.listens(at)) == Some(true) => {
                v4(target).map(|target| (to, target))
            }
            _ => None,
        };
        self.ctx.relayed.insert(target, address);
        self.ports.push(Port { route, target, address, listener: Some(listener), follows, kind, watched: Interest::NONE });
        self.watch_port(self.ports.len() - 1, Interest::READ);
        if follows.is_some() {
            self.follow_targets();
        }
        Ok(address)
    }

    /// Changes the events that the poller watches on a port, if the port is open.
    fn watch_port(&mut self, index: usize, wanted: Interest) {
        let port = &mut self.ports[index];
        if let Some(listener) = &port.listener {
            self.ctx.poller.watch(listener, PORT_BIT | index as u64, port.watched, wanted);
            port.watched = wanted;
        }
    }

    /// Opens and closes ports as their targets start and stop listening, and schedules the next check.
    fn follow_targets(&mut self) {
        for index in 0..self.ports.len() {
            let Port { address, follows, ref listener, .. } = self.ports[index];
            let (Some((to, target)), Some(bytes)) = (follows, &self.bytes) else { continue };
            let open = bytes.sockets.listens(target) != Some(false) || self.ctx.rules.is_cut_off(End::Node(to));
            match (open, listener.is_some()) {
                (true, false) => match listen(address) {
                    Ok(listener) => {
                        self.ports[index].listener = Some(listener);
                        self.watch_port(index, Interest::READ);
                    }
                    // Only this relay uses the address, so the process has run out of descriptors. The next check tries again.
                    Err(e) => crate::limits::note(&e),
                },
                (false, true) => {
                    self.watch_port(index, Interest::NONE);
                    self.ports[index].listener = None;
                }
                (true, true) | (false, false) => {}
            }
        }
        self.ctx.timers.retain(|(_, owner)| *owner != TimerOwner::FollowingPorts);
        let due = self.ctx.now() + TARGET_CHECK_NS;
        self.ctx.timers.insert((due, TimerOwner::FollowingPorts));
    }

    fn accept(&mut self, index: usize) {
        for _ in 0..MAX_ACCEPTS_PER_ROUND {
            let Some(listener) = &self.ports[index].listener else { return };
            match listener.accept() {
                Ok((stream, dialler)) => self.handle_accepted(index, stream, dialler),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock) => return,
                Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                Err(e) => {
                    crate::limits::note(&e);
                    // Out of descriptors or memory: the listener stays readable, so stop watching it for a while.
                    self.ctx.stats.rejected += 1;
                    self.watch_port(index, Interest::NONE);
                    let due = self.ctx.now() + PORT_PAUSE_NS;
                    self.ctx.timers.insert((due, TimerOwner::Port(index)));
                    return;
                }
            }
        }
    }

    fn handle_accepted(&mut self, index: usize, stream: TcpStream, dialler: SocketAddr) {
        let Port { route, target, kind, .. } = self.ports[index];
        self.ctx.stats.accepted += 1;
        let (Some(bytes), Route::Anyone { to }) = (&self.bytes, route) else {
            return kind.map_or((), |kind| self.add_connection(kind, target, stream));
        };
        let full = self.connections.len() + self.unidentified.len() >= MAX_CONNECTIONS;
        let dialled = stream.local_addr();
        let (false, Ok(dialled)) = (full, dialled) else {
            self.ctx.stats.rejected += 1;
            return reset_on_close(&stream);
        };
        bytes.identifier.submit(DiallerQuery { connection: self.next_id, to, dialler, dialled });
        self.unidentified.insert(self.next_id, Unidentified { stream, to, target });
        self.next_id += 1;
    }

    /// Continues with a connection once its dialler has been identified, or could not be.
    fn handle_identified(&mut self, connection: u64, found: Identification) {
        match found {
            Identification::Known(owner) => {
                let Some(Unidentified { stream, to, target }) = self.unidentified.remove(&connection) else { return };
                let from = match owner {
                    Owner::Node(node) => End::Node(node),
                    Owner::Clients => End::Clients,
                };
                let [forward, backward] = self.link_pair(from, to);
                self.ctx.stats.identified += 1;
                self.add_connection(ConnectionKind::Bytes { forward, backward }, target, stream);
            }
            Identification::Gone => {
                self.ctx.stats.gone_unidentified += 1;
                self.unidentified.remove(&connection);
            }
            // The connection stays on hold, since the run is about to end.
            Identification::Unknown => self.ctx.stats.unknown += 1,
        }
    }

    fn link_pair(&mut self, from: End, to: Node) -> [LinkId; 2] {
        let to = End::Node(to);
        [Link { from, to }, Link { from: to, to: from }].map(|link| self.ctx.rules.link(link))
    }

    fn add_connection(&mut self, kind: ConnectionKind, target: SocketAddr, stream: TcpStream) {
        let affected_by = |effect| kind.links().any(|l| self.ctx.rules.has(l, |e| e == effect));
        let (reset, hangs) = (affected_by(LinkEffect::Reset), affected_by(LinkEffect::Hang));
        let links: Vec<LinkId> = kind.links().collect();
        if reset {
            self.ctx.rules.count_reset(&links, None);
            return reset_on_close(&stream);
        }
        let full = self.connections.len() + self.hung.len() >= MAX_CONNECTIONS;
        if hangs && !full {
            self.ctx.rules.count_hung(&links);
            self.hung.push((stream, kind));
            return;
        }
        if full || stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true)).is_err() {
            self.ctx.stats.rejected += 1;
            return reset_on_close(&stream);
        }
        self.ctx.rules.count_blocked_connection(kind.forward());
        let id = self.next_id;
        self.next_id += 1;
        self.connections.insert(id, Connection::new(id, stream, target, kind));
        self.step_connection(id, |connection, ctx| connection.resume(ctx));
    }

    fn socket_ready(&mut self, ready: Ready) {
        // A connection that ended earlier in this round is not found, since ids are never reused.
        self.step_connection(ready.token >> 1, |connection, ctx| connection.ready((ready.token & 1) as usize, ready, ctx));
    }

    fn fire_timers(&mut self) {
        let now = self.ctx.now();
        while let Some((_, owner)) = self.ctx.timers.first().copied().filter(|(due, _)| *due <= now) {
            self.ctx.timers.pop_first();
            match owner {
                TimerOwner::FollowingPorts => self.follow_targets(),
                TimerOwner::Port(index) => self.watch_port(index, Interest::READ),
                TimerOwner::Direction(id, way) => self.step_connection(id, |connection, ctx| {
                    connection.timer_fired(way);
                    connection.resume(ctx)
                }),
            }
        }
    }

    /// Runs one step of a connection, and closes the connection if the step ends it.
    fn step_connection(&mut self, id: u64, act: impl FnOnce(&mut Connection, &mut Context) -> ConnectionState) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        match act(connection, &mut self.ctx) {
            ConnectionState::Open => {}
            ConnectionState::Closed(close) => self.close_connection(id, close),
        }
    }

    fn close_connection(&mut self, id: u64, close: Close) {
        if let Some(connection) = self.connections.remove(&id) {
            connection.close(close, &mut self.ctx);
        }
    }

    fn connections_on(&self, links: &[LinkId]) -> Vec<u64> {
        let touched = self.connections.iter().filter(|(_, c)| c.links().any(|l| links.contains(&l)));
        touched.map(|(id, _)| *id).collect()
    }

    fn apply(&mut self, fault: u64, links: &[Link], effect: LinkEffect) {
        let now = self.ctx.now();
        let rule = self.ctx.rules.apply(fault, links, effect, now);
        let links: Vec<LinkId> = links.iter().map(|l| self.ctx.rules.link(*l)).collect();
        for id in self.connections_on(&links) {
            match effect {
                LinkEffect::Reset | LinkEffect::Hang => self.reset(id, rule),
                LinkEffect::Cut => self.step_connection(id, |connection, ctx| {
                    connection.cut(rule, &links, &mut ctx.rules);
                    connection.resume(ctx)
                }),
                LinkEffect::Slow { .. }
                | LinkEffect::Delay { .. }
                | LinkEffect::Loss { .. }
                | LinkEffect::Duplicate { .. }
                | LinkEffect::Corrupt { .. }
                | LinkEffect::Reorder { .. } => {}
            }
        }
    }

    fn reset(&mut self, id: u64, rule: RuleKey) {
        if let Some(connection) = self.connections.get(&id) {
            let links: Vec<LinkId> = connection.links().collect();
            self.ctx.rules.count_reset(&links, Some(rule));
            self.close_connection(id, Close::Reset);
        }
    }

    fn remove_fault(&mut self, fault: u64) -> Evidence {
        for (rule, effect, links) in self.ctx.rules.remove_rules(fault) {
            for id in self.connections_on(&links) {
                self.step_connection(id, |connection, ctx| {
                    connection.release(rule, effect, &links, ctx);
                    connection.resume(ctx)
                });
            }
        }
        self.reset_hung();
        self.ctx.rules.archive(fault)
    }

    /// Resets hung connections that no active effect leaves unanswered any more: their diallers sent bytes long ago, which the
    /// target must not receive this late.
    fn reset_hung(&mut self) {
        let rules = &self.ctx.rules;
        let hangs = |kind: &ConnectionKind| kind.links().any(|l| rules.has(l, |e| e == LinkEffect::Hang));
        for (stream, _) in self.hung.extract_if(.., |(_, kind)| !hangs(kind)) {
            reset_on_close(&stream);
        }
    }

    fn flow(&mut self, link: Link) -> Flow {
        let id = self.ctx.rules.link(link);
        let carrying = || self.connections.values().filter(|c| c.links().any(|l| l == id));
        let (connections, waiting) = (carrying().count() as u32, carrying().map(|c| c.waiting(id)).sum());
        Flow { connections, waiting, ..*self.ctx.flow(id) }
    }
}
