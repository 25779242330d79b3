//! The relay over real loopback sockets, with fake nodes that exchange frames.

mod connections; // properties of relayed connections at both ends
mod faults; // effects of faults on frames, and their evidence

use std::cell::Cell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use heckle_faults::{Link, LinkEffect, Node};
use heckle_history::prng::Seed;
use heckle_server::frame::{FrameKind, FrameReader, HEADER_LEN, encode_frame};

use super::{Evidence, Relay, Route};

/// Time within which expected data arrives, even on a busy machine.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(20);
/// How long to wait for data that must not arrive.
const SILENCE: Duration = Duration::from_millis(60);

fn link(text: &str) -> Link {
    text.parse().unwrap()
}

fn nodes(from: u16, to: u16) -> Route {
    Route::Nodes { from: Node(from), to: Node(to) }
}

fn clients(to: u16) -> Route {
    Route::Clients { to: Node(to) }
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn frame(kind: FrameKind, payload: &[u8]) -> BytesMut {
    let mut out = BytesMut::new();
    encode_frame(kind, payload, &mut out);
    out
}

/// Waits until `done` returns true. Panics if it takes too long.
#[track_caller]
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < ARRIVAL_TIMEOUT, "{what}: not within {ARRIVAL_TIMEOUT:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// How a read from a connection ended.
#[derive(Debug, PartialEq, Eq)]
enum Quiet {
    Open,
    Closed,
    Reset,
}

/// One end of a connection that carries frames.
struct Peer {
    socket: TcpStream,
    reader: FrameReader,
}

impl Peer {
    fn new(socket: TcpStream) -> Peer {
        socket.set_nodelay(true).unwrap();
        Peer { socket, reader: FrameReader::new() }
    }

    #[track_caller]
    fn say(&mut self, kind: FrameKind, payload: &[u8]) {
        self.socket.write_all(&frame(kind, payload)).unwrap();
    }

    /// Sends numbers as messages between nodes.
    #[track_caller]
    fn say_numbers(&mut self, numbers: impl IntoIterator<Item = u64>) {
        for n in numbers {
            self.say(FrameKind::PeerMessage, &n.to_le_bytes());
        }
    }

    /// Reads for at most `limit`. Passes every complete, valid frame to `each` until it returns false.
    fn read(&mut self, limit: Duration, mut each: impl FnMut(FrameKind, &[u8]) -> bool) -> Quiet {
        let start = Instant::now();
        let mut buffer = vec![0; 64 << 10];
        loop {
            while let Some(frame) = self.reader.next_frame().expect("only whole frames come through") {
                if !each(frame.kind, &frame.payload) {
                    return Quiet::Open;
                }
            }
            let left = limit.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Quiet::Open;
            }
            self.socket.set_read_timeout(Some(left)).unwrap();
            match self.socket.read(&mut buffer) {
                Ok(0) => return Quiet::Closed,
                Ok(n) => self.reader.push(&buffer[..n]),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
                Err(_) => return Quiet::Reset,
            }
        }
    }

    #[track_caller]
    fn hear(&mut self, kind: FrameKind, payload: &[u8]) {
        let mut heard = None;
        let state = self.read(ARRIVAL_TIMEOUT, |k, p| {
            heard = Some((k, p.to_vec()));
            false
        });
        assert_eq!(heard, Some((kind, payload.to_vec())), "connection: {state:?}");
    }

    /// Returns the numbers received, up to and including `last`.
    #[track_caller]
    fn hear_numbers(&mut self, last: u64) -> Vec<u64> {
        let mut numbers = vec![];
        self.read(ARRIVAL_TIMEOUT, |_, payload| {
            numbers.push(u64::from_le_bytes(payload.try_into().unwrap()));
            *numbers.last().unwrap() != last
        });
        assert_eq!(numbers.last(), Some(&last), "the last number never came");
        numbers
    }

    #[track_caller]
    fn hear_nothing(&mut self) {
        let state = self.read(SILENCE, |kind, _| panic!("{kind:?} came through"));
        assert_eq!(state, Quiet::Open);
    }

    #[track_caller]
    fn hear_end(&mut self) -> Quiet {
        let state = self.read(ARRIVAL_TIMEOUT, |kind, _| panic!("{kind:?} came instead of the end"));
        assert_ne!(state, Quiet::Open, "the connection never ended");
        state
    }
}

/// A relay with several ports, each with a listener behind it.
struct Rig {
    relay: Relay,
    doors: Vec<(Route, TcpListener, SocketAddr)>,
    faults: Cell<u64>,
}

impl Rig {
    fn new(routes: &[Route]) -> Rig {
        let relay = Relay::start(Seed(7), std::sync::Arc::new(heckle_system_paxos::PaxosFraming)).unwrap();
        let open = |route: &Route| {
            let (listener, target) = listener();
            let address = relay.open(*route, target).unwrap();
            (*route, listener, address)
        };
        let doors = routes.iter().map(open).collect();
        Rig::of(relay, doors)
    }

    fn of(relay: Relay, doors: Vec<(Route, TcpListener, SocketAddr)>) -> Rig {
        Rig { relay, doors, faults: Cell::new(1_000) }
    }

    fn door(&self, route: Route) -> &(Route, TcpListener, SocketAddr) {
        self.doors.iter().find(|(r, ..)| *r == route).unwrap()
    }

    fn dial(&self, route: Route) -> Peer {
        Peer::new(TcpStream::connect(self.door(route).2).unwrap())
    }

    #[track_caller]
    fn accept(&self, route: Route) -> Peer {
        let listener = &self.door(route).1;
        listener.set_nonblocking(true).unwrap();
        let mut got = None;
        until("the target is dialled", || {
            got = listener.accept().ok();
            got.is_some()
        });
        let socket = got.unwrap().0;
        socket.set_nonblocking(false).unwrap();
        Peer::new(socket)
    }

    #[track_caller]
    fn expect_no_dial(&self, route: Route) {
        let listener = &self.door(route).1;
        listener.set_nonblocking(true).unwrap();
        std::thread::sleep(SILENCE);
        assert_eq!(listener.accept().map(drop).map_err(|e: io::Error| e.kind()), Err(ErrorKind::WouldBlock));
    }

    /// Returns both ends of a connection after its handshake.
    #[track_caller]
    fn connect(&self, route: Route) -> (Peer, Peer) {
        let (mut near, mut far) = (self.dial(route), self.accept(route));
        let (hello, welcome) = match route {
            Route::Nodes { .. } => (FrameKind::PeerHello, FrameKind::PeerWelcome),
            Route::Clients { .. } | Route::Anyone { .. } => (FrameKind::ClientHello, FrameKind::ClientWelcome),
        };
        near.say(hello, b"hello");
        far.hear(hello, b"hello");
        far.say(welcome, b"welcome");
        near.hear(welcome, b"welcome");
        (near, far)
    }

    /// Applies the fault, runs `act`, and lifts the fault.
    fn during(&self, links: &[&str], effect: LinkEffect, act: impl FnOnce()) -> Evidence {
        let links: Vec<Link> = links.iter().map(|l| link(l)).collect();
        self.faults.set(self.faults.get() + 1);
        self.relay.apply(self.faults.get(), &links, effect);
        act();
        self.relay.remove_fault(self.faults.get())
    }

    /// Returns the evidence so far of the fault applied by [`Rig::during`].
    fn current_evidence(&self) -> Evidence {
        self.relay.evidence(self.faults.get())
    }
}
