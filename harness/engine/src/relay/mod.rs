//! The relay: every directed link between nodes, and between clients and nodes, passes through it, and here it
//! can be cut, delayed, made lossy, doubled, shuffled or reset. It needs no rights: it is a process-local TCP
//! proxy on loopback, one thread around one `epoll`.
//!
//! **What a link is.** What node n1 says to n2 travels only on the connection that n1 opened to n2, so the
//! forward direction of that connection *is* the link `n1>n2`; the bytes that come back on it are the answer to
//! the handshake and belong to the connection, not to `n2>n1`. A client's connection carries two links:
//! `clients>n1` forward and `n1>clients` backward.
//!
//! **Frames, not bytes.** Whole frames are forwarded, found by their headers alone, so that the protocol under
//! test sees message faults: a frame is lost, late or doubled, never torn. What is no frame passes as raw bytes
//! (the node has to answer nonsense, not the relay), can be cut and delayed, and is never dropped piecewise.
//!
//! **The rules.**
//! - *Cut*, node link: messages that arrive, and those still waiting in the relay, are gone. Handshakes and
//!   closings are held and delivered at heal, so a link that was dialled during the cut comes up at once when it
//!   ends. New connections are accepted and left hanging, as a dial into a partition hangs; a refusal would
//!   tell the node what a cut wire cannot tell.
//! - *Cut*, client link: everything is held, and delivered in order at heal: TCP loses nothing in the middle of
//!   a connection. A request may so take effect long after its client gave up, which is worth testing.
//! - *Delay* keeps the order; *loss* spares handshakes; *duplicate* and *reorder* strike node links only and do
//!   nothing on a client link, whose frames are an ordered conversation.
//! - *Reset* closes with RST, at once and whenever a connection comes back.
//! - Lifting a delay or a reordering lets out at once, in order, what only it held back.
//! - Rules stack: delays add up, chances are drawn one after the other, a cut beats all.
//! - A target that refuses shows as a reset right after the dial: closest to a refusal that a relay can get.
//! - Backpressure is per direction: a reader that does not read stops its own writer and nobody else.
//!
//! Why not tokio: its timers round to whole milliseconds and fire about 1.1 ms late. A `timerfd` in the same
//! `epoll` as the sockets is exact to the kernel's wake-up, without spinning on the cores that the nodes need.

mod connection; // one relayed connection: two sockets, two directions
mod context; // what all connections share
pub mod effect; // what a rule does to a link, and what it is shown to have done
mod engine; // the thread: listeners, connections, timers, commands
mod lane; // what waits inside one direction, and when it may leave
mod poll; // epoll, timerfd and eventfd behind a safe face
pub mod raw; // links that carry bytes: who dials is found by the socket
mod rules; // which rules strike which link; dice; evidence
mod socket; // dials, writes and resets of one socket
mod splitter; // where a frame ends

#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use heckle_faults::{Link, LinkEffect, Node};
use heckle_history::prng::Seed;
use heckle_loopback::LoopbackClaim;
use heckle_system_api::capability::Framing;

pub use effect::{Counted, Evidence, MeasuredDelay};
use poll::Waker;
use raw::{OnUnknown, Owners};

/// Commands waiting for the relay's thread. Each caller waits for its answer, so this bounds callers, not work.
const COMMAND_QUEUE: usize = 64;

/// Which connections come in at one port of the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Route {
    /// `from` dials `to`; carries the link `from>to`.
    Nodes {
        /// Who dials.
        from: Node,
        /// Who listens.
        to: Node,
    },
    /// Clients dial `to`; carries `clients>to` and `to>clients`.
    Clients {
        /// Who listens.
        to: Node,
    },
    /// Nodes and clients dial `to`; carries the links between it and whoever dialled. For [`raw`] relays.
    Anyone {
        /// Who listens.
        to: Node,
    },
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Route::Nodes { from, to } => write!(f, "{from}>{to}"),
            Route::Clients { to } => write!(f, "clients>{to}"),
            Route::Anyone { to } => write!(f, "all who dial {to}"),
        }
    }
}

/// What a link has carried so far. A frame counts once the receiver's socket has taken all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flow {
    /// Frames delivered: messages, requests, responses and handshakes (pieces of a raw stream count too).
    pub frames: u64,
    /// Bytes delivered.
    pub bytes: u64,
    /// When the last of them was delivered.
    pub last: Option<Instant>,
    /// Connections open now that carry this link.
    pub connections: u32,
    /// Frames that wait in the relay, or bytes in a relay of bytes.
    pub waiting: u64,
}

/// What happened at the edges of the relay, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections whose target refused.
    pub refused_by_target: u64,
    /// Directions in which something came that is no frame.
    pub unframed: u64,
    /// Connections turned away because too many were open, or the process was out of descriptors.
    pub turned_away: u64,
    /// Connections whose dialler was found by its socket.
    pub identified: u64,
    /// Connections whose dialler was gone before it was found; dropped.
    pub gone_unidentified: u64,
    /// Connections whose dialler stayed unknown; held.
    pub unknown: u64,
}

/// What the handle asks of the thread.
enum Command {
    Open { route: Route, target: SocketAddr, answer: SyncSender<io::Result<SocketAddr>> },
    Apply { id: u64, links: Vec<Link>, effect: LinkEffect, answer: SyncSender<()> },
    Evidence { id: u64, answer: SyncSender<Evidence> },
    Lift { id: u64, answer: SyncSender<Evidence> },
    Flow { link: Link, answer: SyncSender<Flow> },
    Identified { connection: u64, found: raw::Found },
    Stats { answer: SyncSender<Stats> },
    Stop,
}

/// A running relay. Dropping it closes every connection and port and joins its thread.
#[derive(Debug)]
pub struct Relay {
    commands: SyncSender<Command>,
    waker: Waker,
    threads: Vec<JoinHandle<()>>,
    /// Of a relay of bytes: whose the processes are that dial.
    owners: Option<Owners>,
}

impl Relay {
    /// Starts the relay's thread. Each link draws from its own stream of `seed`; `framing` tells where a message ends.
    ///
    /// # Errors
    /// If the kernel refuses a thread or one of three descriptors.
    pub fn start(seed: Seed, framing: Arc<dyn Framing>) -> io::Result<Relay> {
        let (commands, inbox) = sync_channel(COMMAND_QUEUE);
        let (poller, waker) = poll::Poller::new()?;
        let engine = engine::Engine::new(seed, poller, inbox, engine::Links::Frames(framing));
        let thread = std::thread::Builder::new().name("relay".into()).spawn(move || engine.run())?;
        Ok(Relay { commands, waker, threads: vec![thread], owners: None })
    }

    /// Starts a relay of bytes, whose ports are of [`Route::Anyone`]: who dials is one of `owners`.
    ///
    /// # Errors
    /// If the kernel refuses one of two threads or of three descriptors, or no loopback address can be claimed.
    pub fn start_raw(seed: Seed, owners: Owners, on_unknown: OnUnknown) -> io::Result<Relay> {
        let (commands, inbox) = sync_channel(COMMAND_QUEUE);
        let (poller, waker) = poll::Poller::new()?;
        let (to_engine, wakes) = (commands.clone(), waker.clone());
        let answer = move |connection, found| {
            let sent = to_engine.send(Command::Identified { connection, found });
            wakes.wake();
            sent.is_ok()
        };
        let (identifier, identifying) = raw::Identifier::start(owners.clone(), on_unknown, answer)?;
        let bytes = engine::ForBytes { identifier, claim: LoopbackClaim::new()?, sockets: raw::Sockets::new() };
        let engine = engine::Engine::new(seed, poller, inbox, engine::Links::Bytes(bytes));
        let thread = std::thread::Builder::new().name("relay".into()).spawn(move || engine.run())?;
        // The engine ends first: with it goes what the other thread waits for.
        Ok(Relay { commands, waker, threads: vec![thread, identifying], owners: Some(owners) })
    }

    /// What its evidence counts.
    pub fn counted(&self) -> Counted {
        if self.owners.is_some() { Counted::Bytes } else { Counted::Frames }
    }

    /// Where the processes of nodes are registered, if the relay finds out who dials.
    pub fn owners(&self) -> Option<Owners> {
        self.owners.clone()
    }

    /// Opens a port on loopback; what connects there is forwarded to `target`. `target` need not listen yet. A port of [`Route::Anyone`]
    /// has the number of `target`, on an address of the relay's own.
    ///
    /// # Errors
    /// If no port is free, or `route` is open already.
    pub fn open(&self, route: Route, target: SocketAddr) -> io::Result<SocketAddr> {
        self.ask(|answer| Command::Open { route, target, answer })
    }

    /// Puts `effect` on `links` as part of fault `id`; it holds when this returns. One fault may put several
    /// effects. Links that carry nothing yet are struck as soon as they do.
    pub fn apply(&self, id: u64, links: &[Link], effect: LinkEffect) {
        self.ask(|answer| Command::Apply { id, links: links.to_vec(), effect, answer });
    }

    /// Takes all effects of fault `id` away and says what they did. Called again it says the same again; for an
    /// unknown fault the evidence is empty.
    pub fn lift(&self, id: u64) -> Evidence {
        self.ask(|answer| Command::Lift { id, answer })
    }

    /// What fault `id` has done so far.
    pub fn evidence(&self, id: u64) -> Evidence {
        self.ask(|answer| Command::Evidence { id, answer })
    }

    /// What `link` has carried: after a heal, compare to see that traffic really flows again.
    pub fn flow(&self, link: Link) -> Flow {
        self.ask(|answer| Command::Flow { link, answer })
    }

    /// Counters of the relay itself.
    pub fn stats(&self) -> Stats {
        self.ask(|answer| Command::Stats { answer })
    }

    /// # Panics
    /// If the relay's thread is gone, which only a broken invariant in it (a panic, already printed) can cause:
    /// without it no fault can be injected or lifted, and nothing recorded from here on would mean anything.
    fn ask<T>(&self, command: impl FnOnce(SyncSender<T>) -> Command) -> T {
        let (answer, reply): (_, Receiver<T>) = sync_channel(1);
        let sent = self.commands.send(command(answer));
        self.waker.wake();
        assert!(sent.is_ok(), "the relay's thread is gone");
        reply.recv().expect("the relay's thread answers every command")
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // A send fails only if the thread is gone already; a panic in it was printed when it happened.
        let _ = self.commands.send(Command::Stop);
        self.waker.wake();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
