//! The relay's thread: doors, connections, timers and commands, one at a time.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use heckle_faults::{End, Link, LinkEffect, Node};
use heckle_history::prng::Seed;
use heckle_loopback::LoopbackClaim;
use heckle_system_api::capability::Framing;

use super::connection::{Carries, Connection, Life};
use super::context::{Context, Sleeper};
use super::effect::{Counted, Evidence};
use super::lane::Close;
use super::poll::{Interest, Poller, Ready};
use super::raw::{Found, Identifier, NoFraming, Owner, Question, Sockets, v4};
use super::rules::{LinkId, RuleKey, Rules};
use super::socket::reset_on_close;
use super::{Command, Flow, Route};

/// Connections open at the same time; each costs two descriptors. More are turned away with a reset.
const CONNECTIONS_AT_MOST: usize = 4096;
/// Connections accepted at one door before the others get their turn.
const ACCEPTS_AT_ONCE: usize = 64;
/// Connections that wait to be accepted at one door; the kernel may have a lower bound of its own.
const BACKLOG: i32 = 4096;
/// How long a door stays shut when the process is out of descriptors.
const DOOR_SHUT_NS: u64 = 10_000_000;
/// How often a relay of bytes looks which targets listen: a question to the kernel of some microseconds for each door.
const FOLLOW_EVERY_NS: u64 = 5_000_000;
/// Tokens of doors have this bit; those of connections do not.
const DOOR: u64 = 1 << 62;

/// A port that the relay listens on.
struct Door {
    route: Route,
    target: SocketAddr,
    address: SocketAddr,
    /// None while the door is closed.
    listener: Option<TcpListener>,
    /// Whose it is, if it is open only while its target listens.
    follows: Option<(Node, SocketAddrV4)>,
    /// The links of its connections, where the port says whose they are.
    carries: Option<Carries>,
    watched: Interest,
}

/// A connection of which it is not known yet who dialled it.
struct Unidentified {
    stream: TcpStream,
    to: Node,
    target: SocketAddr,
}

/// What a relay's links carry.
pub(super) enum Links {
    /// Messages of a known form.
    Frames(Arc<dyn Framing>),
    /// Bytes.
    Bytes(ForBytes),
}

/// What a relay of bytes has besides.
pub(super) struct ForBytes {
    /// Finds out who dials.
    pub(super) identifier: Identifier,
    /// Keeps the address of its ports.
    pub(super) claim: LoopbackClaim,
    /// Says whether a target listens.
    pub(super) sockets: Sockets,
}

/// Listens at an address of the relay's.
fn listen(at: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(at).map_err(|e| io::Error::new(e.kind(), format!("{at}: {e}")))?;
    // A burst of dials must not find the queue full: the kernel would repeat the last step of a handshake only after a second.
    rustix::net::listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Whether the thread goes on.
#[derive(PartialEq, Eq)]
enum Going {
    On,
    Stops,
}

pub(super) struct Engine {
    inbox: Receiver<Command>,
    ctx: Context,
    doors: Vec<Door>,
    connections: BTreeMap<u64, Connection>,
    /// Held until it is known who dialled.
    unidentified: BTreeMap<u64, Unidentified>,
    bytes: Option<ForBytes>,
    next_id: u64,
}

impl Engine {
    pub(super) fn new(seed: Seed, poller: Poller, inbox: Receiver<Command>, links: Links) -> Engine {
        let (framing, bytes, counted): (Arc<dyn Framing>, _, _) = match links {
            Links::Frames(framing) => (framing, None, Counted::Frames),
            Links::Bytes(bytes) => (Arc::new(NoFraming), Some(bytes), Counted::Bytes),
        };
        let ctx = Context::new(poller, Rules::new(seed, counted), framing);
        let (connections, unidentified) = (BTreeMap::new(), BTreeMap::new());
        Engine { inbox, ctx, doors: vec![], connections, unidentified, bytes, next_id: 0 }
    }

    /// Runs until told to stop; everything closes as it is dropped.
    pub(super) fn run(mut self) {
        let mut ready = vec![];
        loop {
            let due = self.ctx.timers.first().map(|(due, _)| *due);
            let now = self.ctx.now();
            self.ctx.poller.arm(due, now);
            self.ctx.poller.wait(&mut ready);
            // Commands first: a cut that was asked for before these bytes were read stops them.
            if self.obey() == Going::Stops {
                return;
            }
            self.fire_timers();
            for ready in &ready {
                if ready.token & DOOR != 0 {
                    self.accept((ready.token & !DOOR) as usize);
                } else {
                    self.socket_ready(*ready);
                }
            }
        }
    }

    fn obey(&mut self) -> Going {
        // Whoever asked waits for the answer; if it gave up, the answer goes nowhere.
        while let Ok(command) = self.inbox.try_recv() {
            match command {
                Command::Open { route, target, answer } => drop(answer.send(self.open(route, target))),
                Command::Apply { id, links, effect, answer } => {
                    self.apply(id, &links, effect);
                    let _ = answer.send(());
                }
                Command::Evidence { id, answer } => drop(answer.send(self.ctx.rules.evidence(id))),
                Command::Lift { id, answer } => drop(answer.send(self.lift(id))),
                Command::Flow { link, answer } => drop(answer.send(self.flow(link))),
                Command::Identified { connection, found } => self.identified(connection, found),
                Command::Stats { answer } => drop(answer.send(self.ctx.stats)),
                Command::Stop => return Going::Stops,
            }
        }
        Going::On
    }

    fn open(&mut self, route: Route, target: SocketAddr) -> io::Result<SocketAddr> {
        // A node may listen at several addresses; what dials them is told apart by the socket.
        let is_open = |d: &Door| d.route == route && (!matches!(route, Route::Anyone { .. }) || d.target == target);
        if self.doors.iter().any(is_open) {
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
        // The door is held as long as the relay lives. It is on the target's own address, which is the cluster's alone; where all dial one
        // port, on an address of the relay's own, with the target's number: some systems know one number for what they listen on and
        // what they tell others.
        let at = match (&self.bytes, route) {
            (Some(bytes), Route::Anyone { .. }) => SocketAddr::from((bytes.claim.ip(), target.port())),
            _ => SocketAddr::from((target.ip(), 0)),
        };
        let listener = listen(at)?;
        let address = listener.local_addr()?;
        let carries = match route {
            Route::Nodes { from, to } => Some(Carries::Messages { forward: self.ctx.rules.link(Link::between(from, to)) }),
            Route::Clients { to } => {
                let [forward, backward] = self.both_ways(End::Clients, to);
                Some(Carries::Conversation { forward, backward })
            }
            Route::Anyone { .. } => None,
        };
        let follows = match (&self.bytes, route) {
            // Only where the kernel says of this very door that it listens is it to be believed of others.
            (Some(bytes), Route::Anyone { to }) if v4(address).and_then(|at| bytes.sockets.listens(at)) == Some(true) => {
                v4(target).map(|target| (to, target))
            }
            _ => None,
        };
        self.doors.push(Door { route, target, address, listener: Some(listener), follows, carries, watched: Interest::NONE });
        self.watch_door(self.doors.len() - 1, Interest::READ);
        if follows.is_some() {
            self.follow_targets();
        }
        Ok(address)
    }

    /// Watches a door, if it is open.
    fn watch_door(&mut self, index: usize, wanted: Interest) {
        let door = &mut self.doors[index];
        if let Some(listener) = &door.listener {
            self.ctx.poller.watch(listener, DOOR | index as u64, door.watched, wanted);
            door.watched = wanted;
        }
    }

    /// Opens and closes doors as their targets begin and cease to listen, and comes back soon.
    fn follow_targets(&mut self) {
        for index in 0..self.doors.len() {
            let Door { address, follows, ref listener, .. } = self.doors[index];
            let (Some((to, target)), Some(bytes)) = (follows, &self.bytes) else { continue };
            let open = bytes.sockets.listens(target) != Some(false) || self.ctx.rules.is_cut_off(End::Node(to));
            match (open, listener.is_some()) {
                (true, false) => match listen(address) {
                    Ok(listener) => {
                        self.doors[index].listener = Some(listener);
                        self.watch_door(index, Interest::READ);
                    }
                    // Nothing but this relay has the address: what is short is descriptors, and the next look tries again.
                    Err(e) => crate::limits::note(&e),
                },
                (false, true) => {
                    self.watch_door(index, Interest::NONE);
                    self.doors[index].listener = None;
                }
                (true, true) | (false, false) => {}
            }
        }
        self.ctx.timers.retain(|(_, sleeper)| *sleeper != Sleeper::Doors);
        let due = self.ctx.now() + FOLLOW_EVERY_NS;
        self.ctx.timers.insert((due, Sleeper::Doors));
    }

    fn accept(&mut self, index: usize) {
        for _ in 0..ACCEPTS_AT_ONCE {
            let Some(listener) = &self.doors[index].listener else { return };
            match listener.accept() {
                Ok((stream, dialler)) => self.accepted(index, stream, dialler),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock) => return,
                Err(e) if matches!(e.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                Err(e) => {
                    crate::limits::note(&e);
                    // Out of descriptors or memory: the listener stays readable, so look away for a while.
                    self.ctx.stats.turned_away += 1;
                    self.watch_door(index, Interest::NONE);
                    let due = self.ctx.now() + DOOR_SHUT_NS;
                    self.ctx.timers.insert((due, Sleeper::Door(index)));
                    return;
                }
            }
        }
    }

    fn accepted(&mut self, index: usize, stream: TcpStream, dialler: SocketAddr) {
        let Door { route, target, carries, .. } = self.doors[index];
        self.ctx.stats.accepted += 1;
        let (Some(bytes), Route::Anyone { to }) = (&self.bytes, route) else {
            return carries.map_or((), |carries| self.admit(carries, target, stream));
        };
        let full = self.connections.len() + self.unidentified.len() >= CONNECTIONS_AT_MOST;
        let dialled = stream.local_addr();
        let (false, Ok(dialled)) = (full, dialled) else {
            self.ctx.stats.turned_away += 1;
            return reset_on_close(&stream);
        };
        bytes.identifier.ask(Question { connection: self.next_id, to, dialler, dialled });
        self.unidentified.insert(self.next_id, Unidentified { stream, to, target });
        self.next_id += 1;
    }

    /// It is known who dialled, or that it will not be known.
    fn identified(&mut self, connection: u64, found: Found) {
        match found {
            Found::Known(owner) => {
                let Some(Unidentified { stream, to, target }) = self.unidentified.remove(&connection) else { return };
                let from = match owner {
                    Owner::Node(node) => End::Node(node),
                    Owner::Clients => End::Clients,
                };
                let [forward, backward] = self.both_ways(from, to);
                self.ctx.stats.identified += 1;
                self.admit(Carries::Bytes { forward, backward }, target, stream);
            }
            Found::Gone => {
                self.ctx.stats.gone_unidentified += 1;
                self.unidentified.remove(&connection);
            }
            // It stays held: the run ends.
            Found::Unknown => self.ctx.stats.unknown += 1,
        }
    }

    fn both_ways(&mut self, from: End, to: Node) -> [LinkId; 2] {
        let to = End::Node(to);
        [Link { from, to }, Link { from: to, to: from }].map(|link| self.ctx.rules.link(link))
    }

    fn admit(&mut self, carries: Carries, target: SocketAddr, stream: TcpStream) {
        let reset = carries.links().any(|l| self.ctx.rules.has(l, |e| e == LinkEffect::Reset));
        if reset {
            let links: Vec<LinkId> = carries.links().collect();
            self.ctx.rules.reset(&links, None);
            return reset_on_close(&stream);
        }
        let full = self.connections.len() >= CONNECTIONS_AT_MOST;
        if full || stream.set_nonblocking(true).and_then(|()| stream.set_nodelay(true)).is_err() {
            self.ctx.stats.turned_away += 1;
            return reset_on_close(&stream);
        }
        self.ctx.rules.blocked_connection(carries.forward());
        let id = self.next_id;
        self.next_id += 1;
        self.connections.insert(id, Connection::new(id, stream, target, carries));
        self.go_on(id, |connection, ctx| connection.resume(ctx));
    }

    fn socket_ready(&mut self, ready: Ready) {
        // A connection that ended earlier in this round is not found, as its number is never used again.
        self.go_on(ready.token >> 1, |connection, ctx| connection.ready((ready.token & 1) as usize, ready, ctx));
    }

    fn fire_timers(&mut self) {
        let now = self.ctx.now();
        while let Some((_, sleeper)) = self.ctx.timers.first().copied().filter(|(due, _)| *due <= now) {
            self.ctx.timers.pop_first();
            match sleeper {
                Sleeper::Doors => self.follow_targets(),
                Sleeper::Door(index) => self.watch_door(index, Interest::READ),
                Sleeper::Way(id, way) => self.go_on(id, |connection, ctx| {
                    connection.timer_fired(way);
                    connection.resume(ctx)
                }),
            }
        }
    }

    /// Lets one connection act, and buries it if that was its end.
    fn go_on(&mut self, id: u64, act: impl FnOnce(&mut Connection, &mut Context) -> Life) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        match act(connection, &mut self.ctx) {
            Life::Goes => {}
            Life::Over(close) => self.bury(id, close),
        }
    }

    fn bury(&mut self, id: u64, close: Close) {
        if let Some(connection) = self.connections.remove(&id) {
            connection.close(close, &mut self.ctx);
        }
    }

    fn on_links(&self, links: &[LinkId]) -> Vec<u64> {
        let touched = self.connections.iter().filter(|(_, c)| c.links().any(|l| links.contains(&l)));
        touched.map(|(id, _)| *id).collect()
    }

    fn apply(&mut self, fault: u64, links: &[Link], effect: LinkEffect) {
        let now = self.ctx.now();
        let rule = self.ctx.rules.apply(fault, links, effect, now);
        let links: Vec<LinkId> = links.iter().map(|l| self.ctx.rules.link(*l)).collect();
        for id in self.on_links(&links) {
            match effect {
                LinkEffect::Reset => self.reset(id, rule),
                LinkEffect::Cut => self.go_on(id, |connection, ctx| {
                    connection.cut(rule, &links, &mut ctx.rules);
                    connection.resume(ctx)
                }),
                LinkEffect::Slow { .. }
                | LinkEffect::Delay { .. }
                | LinkEffect::Loss { .. }
                | LinkEffect::Duplicate { .. }
                | LinkEffect::Reorder { .. } => {}
            }
        }
    }

    fn reset(&mut self, id: u64, rule: RuleKey) {
        if let Some(connection) = self.connections.get(&id) {
            let links: Vec<LinkId> = connection.links().collect();
            self.ctx.rules.reset(&links, Some(rule));
            self.bury(id, Close::Reset);
        }
    }

    fn lift(&mut self, fault: u64) -> Evidence {
        for (rule, effect, links) in self.ctx.rules.take_off(fault) {
            for id in self.on_links(&links) {
                self.go_on(id, |connection, ctx| {
                    connection.lifted(rule, effect, &links, ctx);
                    connection.resume(ctx)
                });
            }
        }
        self.ctx.rules.settle(fault)
    }

    fn flow(&mut self, link: Link) -> Flow {
        let id = self.ctx.rules.link(link);
        let carrying = || self.connections.values().filter(|c| c.links().any(|l| l == id));
        let (connections, waiting) = (carrying().count() as u32, carrying().map(|c| c.waiting(id)).sum());
        Flow { connections, waiting, ..*self.ctx.flow(id) }
    }
}
