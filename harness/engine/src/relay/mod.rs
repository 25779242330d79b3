//! The relay: a process-local TCP proxy on loopback that carries every directed link between nodes, and between
//! clients and nodes. It can cut and delay links, drop, duplicate and reorder messages, and reset connections. It
//! needs no privileges: one thread runs one `epoll` loop.
//!
//! **What a link is.** Messages from node n1 to n2 travel only on the connection that n1 opened to n2, so the forward
//! direction of that connection *is* the link `n1>n2`; the bytes in the other direction are the reply to the
//! handshake and belong to the connection, not to `n2>n1`. A client's connection carries two links: `clients>n1`
//! forward and `n1>clients` backward.
//!
//! **Frames, not bytes.** The relay forwards whole frames, which it finds only by their headers, so that the protocol
//! under test sees message faults: a frame is lost, late or duplicated, but never torn. Bytes that do not form a frame
//! pass through as raw bytes, since it is the node that must reply to nonsense, not the relay. They can be cut and
//! delayed, but are never partly dropped.
//!
//! **The rules.**
//! - *Cut*, node link: messages that arrive, and those still waiting in the relay, are lost. Handshakes and closes
//!   are held and delivered at heal, so a link dialled during the cut opens as soon as the cut ends. New connections
//!   are accepted and left hanging, just as a dial into a partition hangs: a refusal would convey information that
//!   cannot cross a cut wire.
//! - *Cut*, client link: everything is held and delivered in order at heal, since TCP loses nothing in the middle
//!   of a connection. A request may thus take effect long after its client gave up, which is worth testing.
//! - *Delay* keeps the order; *loss* spares handshakes; *duplicate* and *reorder* affect node links only and do
//!   nothing on a client link, whose frames are an ordered conversation.
//! - *Reset* closes with RST, immediately and whenever a connection is opened again.
//! - When a delay or a reordering ends, frames held back only by it are released immediately, in order.
//! - Rules combine: delays add up, chances are drawn one after the other, a cut overrides all others.
//! - A refusal by the target appears to the dialler as a reset right after the dial, which is the closest that a
//!   relay can come to a refusal.
//! - Backpressure is per direction: a stalled reader stops only its own writer.
//!
//! Why not tokio: its timers round to whole milliseconds and fire about 1.1 ms late. A `timerfd` in the same
//! `epoll` as the sockets is as precise as the kernel's wake-ups, without spinning on cores that the nodes need.

mod connection; // one relayed connection: two sockets, two directions
mod context; // state shared by all connections
mod direction; // one direction of a connection
pub mod effect; // the measured effects of rules
mod engine; // the thread: listeners, connections, timers, commands
mod lane; // the queue of one direction
mod poll; // safe wrappers of epoll, timerfd and eventfd
pub mod raw; // byte links, whose diallers are identified by their sockets
mod rules; // which rules apply to which link; random decisions; evidence
mod socket; // dials, writes and resets of one socket
mod splitter; // finds the ends of frames

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
use heckle_system_api::capability::{Framing, Greeting};

pub use effect::{CountUnit, Evidence, MeasuredDelay};
use poll::Waker;
use raw::{OnUnknown, Owners};

/// Capacity of the queue of commands. Each caller waits for its answer, so this bounds the number of callers, not the amount of work.
const COMMAND_QUEUE: usize = 64;

/// The diallers and the target of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Route {
    /// `from` dials `to`; carries the link `from>to`.
    Nodes {
        /// The node that dials.
        from: Node,
        /// The node that listens.
        to: Node,
    },
    /// Clients dial `to`; carries `clients>to` and `to>clients`.
    Clients {
        /// The node that listens.
        to: Node,
    },
    /// Nodes and clients dial `to`; carries the links between `to` and each dialler. For [`raw`] relays.
    Anyone {
        /// The node that listens.
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

/// Traffic of a link so far. A frame counts once the receiver's socket has accepted all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flow {
    /// Frames delivered: messages, requests, responses and handshakes (pieces of a raw stream count too).
    pub frames: u64,
    /// Bytes delivered.
    pub bytes: u64,
    /// When the last frame was delivered.
    pub last: Option<Instant>,
    /// Open connections that carry this link.
    pub connections: u32,
    /// Frames waiting in the relay (bytes in a byte relay).
    pub waiting: u64,
}

/// Counters of the relay's connections, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Connections accepted.
    pub accepted: u64,
    /// Connections that the target refused.
    pub refused_by_target: u64,
    /// Directions in which some bytes did not form a frame.
    pub unframed: u64,
    /// Connections reset because too many were open or the process was out of descriptors.
    pub rejected: u64,
    /// Connections whose dialler was identified by its socket.
    pub identified: u64,
    /// Connections whose dialler was gone before it was identified; dropped.
    pub gone_unidentified: u64,
    /// Connections whose dialler could not be identified; on hold.
    pub unknown: u64,
}

/// Commands from the handle to the relay's thread.
enum Command {
    Open { route: Route, target: SocketAddr, answer: SyncSender<io::Result<SocketAddr>> },
    Apply { id: u64, links: Vec<Link>, effect: LinkEffect, answer: SyncSender<()> },
    Evidence { id: u64, answer: SyncSender<Evidence> },
    RemoveFault { id: u64, answer: SyncSender<Evidence> },
    Flow { link: Link, answer: SyncSender<Flow> },
    Identified { connection: u64, found: raw::Identification },
    Stats { answer: SyncSender<Stats> },
    Stop,
}

/// A running relay. Dropping it closes every connection and port and joins its thread.
#[derive(Debug)]
pub struct Relay {
    commands: SyncSender<Command>,
    waker: Waker,
    threads: Vec<JoinHandle<()>>,
    /// The registry of node processes, in a byte relay.
    owners: Option<Owners>,
}

impl Relay {
    /// Starts the relay's thread. Each link draws from its own random stream, derived from `seed`. `framing` finds the ends of messages.
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

    /// Starts a byte relay, whose ports all use [`Route::Anyone`]. `owners` identifies the diallers, and `greeting` finds the
    /// addresses that they advertise.
    ///
    /// # Errors
    /// If the kernel refuses one of two threads or of three descriptors, or no loopback address can be claimed.
    pub fn start_raw(seed: Seed, owners: Owners, greeting: Option<Arc<dyn Greeting>>, on_unknown: OnUnknown) -> io::Result<Relay> {
        let (commands, inbox) = sync_channel(COMMAND_QUEUE);
        let (poller, waker) = poll::Poller::new()?;
        let (to_engine, wakes) = (commands.clone(), waker.clone());
        let answer = move |connection, found| {
            let sent = to_engine.send(Command::Identified { connection, found });
            wakes.wake();
            sent.is_ok()
        };
        let (identifier, identifying) = raw::Identifier::start(owners.clone(), on_unknown, answer)?;
        let bytes = engine::ByteRelayParts { greeting, identifier, claim: LoopbackClaim::new()?, sockets: raw::Sockets::new() };
        let engine = engine::Engine::new(seed, poller, inbox, engine::Links::Bytes(bytes));
        let thread = std::thread::Builder::new().name("relay".into()).spawn(move || engine.run())?;
        // The engine ends first, which closes the input of the other thread.
        Ok(Relay { commands, waker, threads: vec![thread, identifying], owners: Some(owners) })
    }

    /// Returns the unit of the evidence.
    pub fn counted(&self) -> CountUnit {
        if self.owners.is_some() { CountUnit::Bytes } else { CountUnit::Frames }
    }

    /// Returns the registry of node processes, if this relay identifies diallers.
    pub fn owners(&self) -> Option<Owners> {
        self.owners.clone()
    }

    /// Opens a port on loopback and forwards its connections to `target`, which need not be listening yet. A
    /// [`Route::Anyone`] port has the same number as `target`, on the relay's own address.
    ///
    /// # Errors
    /// If no port is free, or `route` is already open.
    pub fn open(&self, route: Route, target: SocketAddr) -> io::Result<SocketAddr> {
        self.ask(|answer| Command::Open { route, target, answer })
    }

    /// Applies `effect` to `links` as part of fault `id`. The effect is active when this returns. One fault may apply
    /// several effects. Links without traffic are affected as soon as they carry some.
    pub fn apply(&self, id: u64, links: &[Link], effect: LinkEffect) {
        self.ask(|answer| Command::Apply { id, links: links.to_vec(), effect, answer });
    }

    /// Removes all effects of fault `id` and returns their evidence. A second call returns the same evidence. For an
    /// unknown fault the evidence is empty.
    pub fn remove_fault(&self, id: u64) -> Evidence {
        self.ask(|answer| Command::RemoveFault { id, answer })
    }

    /// Returns the evidence of fault `id` so far.
    pub fn evidence(&self, id: u64) -> Evidence {
        self.ask(|answer| Command::Evidence { id, answer })
    }

    /// Returns the traffic of `link` so far. To verify that traffic passes again after a heal, compare two values.
    pub fn flow(&self, link: Link) -> Flow {
        self.ask(|answer| Command::Flow { link, answer })
    }

    /// Returns the relay's own counters.
    pub fn stats(&self) -> Stats {
        self.ask(|answer| Command::Stats { answer })
    }

    /// # Panics
    /// If the relay's thread is gone, which only a panic in it can cause. Without the thread no fault can be
    /// injected or lifted, so nothing recorded from then on would be meaningful.
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
        // The send fails only if the thread is already gone. If it panicked, the panic has already been printed.
        let _ = self.commands.send(Command::Stop);
        self.waker.wake();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
