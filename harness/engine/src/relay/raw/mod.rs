//! The raw relay: any protocol over TCP, with one port for each address at which a node listens. Peers and clients alike dial that
//! port, so a connection does not say whose it is. The relay finds out: by the socket that dialled, and by the process that owns it.
//!
//! 1. A connection is accepted and held: nothing of it is read or passed on.
//! 2. Its dialler's socket is looked up by the exact pair of addresses, which gives the socket's inode ([`sockets`]).
//! 3. The process that has the inode open is a node's, or a client's: the harness and its drivers ([`owners`]).
//! 4. The socket is looked up again. Only if it is still the same one is the connection let through, with a link for each direction.
//!
//! A port listens only while its node does: who dials a node that is down is refused, and tries again as it would without a relay. Were it
//! let in first and reset then, it could take that for the end of a conversation. While a cut is on the port stays open, since a cut wire
//! refuses nothing.
//!
//! A dialler that is gone before that is dropped and counted. A dialler that stays unknown ends the run: were it taken for a client, a cut
//! between two nodes might cut nothing.
//!
//! **What a fault does to bytes.** TCP loses, repeats and reorders nothing, so neither does a fault: what cannot pass is held in order and
//! delivered at heal. During a cut a new connection is accepted and held, since a relay cannot keep a connect from succeeding; the target
//! does not see it before the heal. Evidence counts bytes, by directed link.

mod identify; // the thread that finds out who dials
pub mod owners; // which process belongs to which node
mod probe; // whether all of this works on this machine
mod sockets; // from a pair of addresses to a socket's inode

pub use owners::{Owner, Owners};
pub use probe::probe;

pub(super) use identify::{Found, Identifier, Question};
pub(super) use sockets::{Sockets, v4};

use heckle_system_api::capability::{Framing, Piece};
use std::fmt;
use std::sync::Arc;

/// Called once for each dialler that stays unknown, with what is known of it.
#[derive(Clone)]
pub struct OnUnknown(Arc<dyn Fn(String) + Send + Sync>);

impl OnUnknown {
    /// Calls `act` with a sentence.
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

/// A stream in which no message begins or ends.
pub(crate) struct NoFraming;

impl Framing for NoFraming {
    fn next(&self, _: &[u8]) -> Piece {
        Piece::Foreign
    }
}

#[cfg(test)]
mod tests;
