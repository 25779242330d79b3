//! A connection of one client.

use std::cell::RefCell;
use std::rc::Rc;

use rustc_hash::FxHashSet;

use crate::net::Outbox;

/// A client connection after its handshake.
#[derive(Debug)]
pub(crate) struct ClientConnection {
    pub(crate) number: u64,
    pub(crate) name: String,
    pub(crate) outbox: Rc<Outbox>,
    /// Ids of the clients with an open operation on this connection.
    pub(crate) open: RefCell<FxHashSet<u64>>,
}

impl ClientConnection {
    pub(crate) fn outbox(&self) -> Rc<Outbox> {
        Rc::clone(&self.outbox)
    }
}
