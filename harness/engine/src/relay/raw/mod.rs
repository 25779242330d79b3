//! The raw relay: any protocol over TCP, with one port for each address at which a node listens. Peers and clients
//! dial the same port, so a connection alone does not reveal who opened it. The relay identifies the dialler by
//! its socket and by the process that owns the socket.
//!
//! 1. A connection is accepted and held: none of its bytes are read or forwarded.
//! 2. Its dialler's socket is looked up by the exact pair of addresses, which gives the socket's inode (`sockets`).
//! 3. The process that has the inode open is attributed to a node, or to the clients, which are the harness
//!    and its drivers (`owners`).
//! 4. The socket is looked up again. The connection is forwarded only if the socket is still the same, with one
//!    link per direction.
//!
//! A port listens only while its node does. Dialling a node that is down is refused, so the dialler tries again as it
//! would without a relay. If the connection were accepted and then reset, the dialler could take that for the end of a
//! conversation. While a link to the node is cut, the port stays open, since a cut wire refuses nothing. A dialler that
//! is not cut off then waits up to a second for the node to listen, before its connection is reset.
//!
//! Some nodes begin a connection by advertising an address for dialling back. The system's
//! [`Greeting`](heckle_system_api::capability::Greeting) finds it, and the relay replaces it with its own port.
//!
//! If the dialler is gone before step 4, its connection is dropped and counted. A dialler that cannot be
//! identified ends the run: if it were treated as a client, a cut between two nodes might have no effect.
//!
//! **What a fault does to bytes.** TCP does not lose, repeat or reorder bytes, so neither does a fault: blocked bytes
//! are held in order and delivered at heal. During a cut a new connection is accepted and held, since a relay cannot
//! keep a connect from succeeding; the target does not see it before the heal. Evidence counts bytes, by directed
//! link.

mod identify; // the thread that identifies diallers
pub mod owners; // which process belongs to which node
mod probe; // checks whether identification works on this machine
mod sockets; // finds a socket's inode by its pair of addresses

pub use owners::{Owner, Owners};
pub use probe::probe;

pub(super) use identify::{DiallerQuery, Identification, Identifier};
pub(super) use sockets::{Sockets, v4};

use heckle_system_api::capability::{Framing, Piece};
use std::fmt;
use std::sync::Arc;

/// Callback for each dialler that cannot be identified. Receives a description of the dialler.
#[derive(Clone)]
pub struct OnUnknown(Arc<dyn Fn(String) + Send + Sync>);

impl OnUnknown {
    /// Wraps a callback that takes the description.
    pub fn new(act: impl Fn(String) + Send + Sync + 'static) -> Self {
        OnUnknown(Arc::new(act))
    }

    fn call(&self, what: String) {
        (self.0)(what);
    }
}

impl fmt::Debug for OnUnknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnUnknown")
    }
}

/// The framing of a stream without message boundaries.
pub(crate) struct NoFraming;

impl Framing for NoFraming {
    fn next(&self, _: &[u8]) -> Piece {
        Piece::Foreign
    }
}

#[cfg(test)]
mod tests;
