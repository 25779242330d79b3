//! The raw relay with real processes: nodes, their children, daemons, foreign programs, and this program as a client.

mod diallers; // identification of diallers
mod greeting; // addresses that a dialler advertises
mod faults; // effects of faults on bytes, and their evidence
mod program; // this test program, started again as the program of a node

use super::*;
use crate::relay::{Evidence, Relay, Route};
use heckle_faults::{Link, LinkEffect, Node};
use heckle_history::prng::Seed;
use heckle_system_api::capability::Greeting;
use program::Program;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Time within which expected data arrives, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long to wait for data that must not arrive.
const SILENCE: Duration = Duration::from_millis(80);

/// A relay with one port for n2, and a listener behind it.
struct Rig {
    run: String,
    relay: Relay,
    listener: TcpListener,
    address: SocketAddr,
    strangers: Receiver<String>,
}

impl Rig {
    fn new(name: &str) -> Rig {
        Rig::with_greeting(name, None)
    }

    fn with_greeting(name: &str, greeting: Option<Arc<dyn Greeting>>) -> Rig {
        let run = format!("{name}-{}", std::process::id());
        let (reports, strangers) = channel();
        let relay = Relay::start_raw(Seed(7), Owners::new(&run), greeting, OnUnknown::new(move |who| drop(reports.send(who))));
        let relay = relay.expect("a thread");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        rustix::net::listen(&listener, 4096).expect("a longer queue");
        let address = relay.open(Route::Anyone { to: Node(2) }, listener.local_addr().expect("bound")).expect("a port");
        Rig { run, relay, listener, address, strangers }
    }

    /// The environment of a node's processes.
    fn of(&self, node: &str) -> Vec<(String, String)> {
        Owners::environment(&self.run, node).map(|(name, value)| (name.to_owned(), value)).into()
    }

    fn client(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("the relay listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("an open socket");
        stream
    }

    /// Returns the target's end of the next connection, or `None` if none arrives in time.
    fn accept(&self, within: Duration) -> Option<TcpStream> {
        self.listener.set_nonblocking(true).expect("an open socket");
        let start = Instant::now();
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false).expect("an open socket");
                    stream.set_read_timeout(Some(PATIENCE)).expect("an open socket");
                    return Some(stream);
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock && start.elapsed() < within => {}
                Err(_) => return None,
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[track_caller]
    fn accepted(&self) -> TcpStream {
        self.accept(PATIENCE).unwrap_or_else(|| panic!("the target was not dialled: {:?}", self.relay.stats()))
    }

    #[track_caller]
    fn nothing_accepted(&self) {
        assert!(self.accept(SILENCE).is_none(), "the target was dialled");
    }

    fn apply(&self, links: &[&str], effect: LinkEffect) {
        let links: Vec<Link> = links.iter().map(|l| l.parse().expect("a link")).collect();
        self.relay.apply(1, &links, effect);
    }

    fn lift(&self) -> Evidence {
        self.relay.remove_fault(1)
    }

    /// Returns the bytes of a link according to the evidence.
    fn bytes(evidence: &Evidence, link: &str) -> u64 {
        evidence.bytes.get(&link.parse().expect("a link")).copied().unwrap_or(0)
    }
}

#[track_caller]
fn hear(stream: &mut TcpStream, bytes: &[u8]) {
    let mut got = vec![0; bytes.len()];
    stream.read_exact(&mut got).unwrap_or_else(|e| panic!("{} bytes never came: {e}", bytes.len()));
    assert!(got == bytes, "other bytes came: {}", got.escape_ascii());
}

#[track_caller]
fn hear_nothing(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(SILENCE)).expect("an open socket");
    let got = stream.read(&mut [0; 64]);
    assert!(matches!(&got, Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)), "{got:?}");
    stream.set_read_timeout(Some(PATIENCE)).expect("an open socket");
}

#[track_caller]
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
