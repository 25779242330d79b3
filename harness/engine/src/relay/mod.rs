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
mod rules; // which rules strike which link; dice; evidence
mod splitter; // where a frame ends

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use heckle_faults::{End, Link, LinkEffect, Node};
use heckle_history::prng::Seed;
use heckle_system_api::capability::Framing;

pub use effect::{Evidence, MeasuredDelay};
use poll::Waker;

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
}

impl Route {
    /// The link of the forward direction.
    pub fn forward(self) -> Link {
        match self {
            Route::Nodes { from, to } => Link::between(from, to),
            Route::Clients { to } => Link { from: End::Clients, to: End::Node(to) },
        }
    }

    /// The link of the backward direction; a connection between nodes carries none.
    pub fn backward(self) -> Option<Link> {
        match self {
            Route::Nodes { .. } => None,
            Route::Clients { to } => Some(Link { from: End::Node(to), to: End::Clients }),
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
}

/// What the handle asks of the thread.
enum Command {
    Open { route: Route, target: SocketAddr, answer: SyncSender<io::Result<SocketAddr>> },
    Apply { id: u64, links: Vec<Link>, effect: LinkEffect, answer: SyncSender<()> },
    Evidence { id: u64, answer: SyncSender<Evidence> },
    Lift { id: u64, answer: SyncSender<Evidence> },
    Flow { link: Link, answer: SyncSender<Flow> },
    Stats { answer: SyncSender<Stats> },
    Stop,
}

/// A running relay. Dropping it closes every connection and port and joins its thread.
#[derive(Debug)]
pub struct Relay {
    commands: SyncSender<Command>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Starts the relay's thread. Each link draws from its own stream of `seed`; `framing` tells where a message ends.
    ///
    /// # Errors
    /// If the kernel refuses a thread or one of three descriptors.
    pub fn start(seed: Seed, framing: Arc<dyn Framing>) -> io::Result<Relay> {
        let (commands, inbox) = sync_channel(COMMAND_QUEUE);
        let (poller, waker) = poll::Poller::new()?;
        let engine = engine::Engine::new(seed, poller, inbox, framing);
        let thread = std::thread::Builder::new().name("relay".into()).spawn(move || engine.run())?;
        Ok(Relay { commands, waker, thread: Some(thread) })
    }

    /// Opens a port on loopback; what connects there is forwarded to `target`. `target` need not listen yet.
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
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
