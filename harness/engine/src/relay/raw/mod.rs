//! The raw relay: any protocol over TCP, with one port for each address at which a node listens. Peers and clients
//! dial the same port, so a connection does not show who opened it. The relay identifies the dialler by its socket
//! and by the process that owns the socket.
//!
//! 1. A connection is accepted and held: none of its bytes are read or forwarded.
//! 2. Its dialler's socket is looked up by the exact pair of addresses, which gives the socket's inode (`sockets`).
//! 3. The process that has the inode open belongs to a node, or to a client: the harness and its drivers
//!    (`owners`).
//! 4. The socket is looked up again. Only if it is still the same one is the connection forwarded, with a link for
//!    each direction.
//!
//! A port listens only while its node does. A dialler of a node that is down is refused, and tries again as it would
//! without a relay. If the connection were accepted and then reset, the dialler could take that for the end of a
//! conversation. While a link to the node is cut, the port stays open, since a cut wire refuses nothing. A dialler that
//! is not cut off then waits up to a second for the node to listen, before its connection is reset.
//!
//! Some nodes begin a connection with an address at which they want to be dialled back. The system's
//! [`Greeting`](heckle_system_api::capability::Greeting) finds it, and the relay puts its own port there.
//!
//! A dialler that is gone before step 4 is dropped and counted. A dialler that stays unknown ends the run: if it
//! counted as a client, a cut between two nodes might cut nothing.
//!
//! **What a fault does to bytes.** TCP does not lose, repeat or reorder bytes, so neither does a fault: blocked bytes
//! are held in order and delivered at heal. During a cut a new connection is accepted and held, since a relay cannot
//! keep a connect from succeeding; the target does not see it before the heal. Evidence counts bytes, by directed
//! link.

mod identify; // the thread that identifies diallers
pub mod owners; // which process belongs to which node
mod probe; // checks whether identification works on this machine
mod sockets; // from a pair of addresses to a socket's inode

pub use owners::{Owner, Owners};
pub use probe::probe;

pub(super) use identify::{DiallerQuery, Identification, Identifier};
pub(super) use sockets::{Sockets, v4};

use heckle_system_api::capability::{Framing, Piece};
use std::fmt;
use std::sync::Arc;

/// Callback for each dialler that stays unknown, with a description of it.
#[derive(Clone)]
pub struct OnUnknown(Arc<dyn Fn(String) + Send + Sync>);

impl OnUnknown {
    /// Wraps a callback that takes a sentence.
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
