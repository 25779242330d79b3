//! Connections of one kind, some of which have not identified themselves. When a new connection finds no room, the
//! connection that has gone longest without identifying itself is evicted: otherwise idle connections from strangers
//! could lock everyone out.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::sync::Notify;

/// The open connections of one kind.
#[derive(Debug, Default)]
pub(crate) struct Lobby {
    count: Cell<usize>,
    next: Cell<u64>,
    /// Connections that have not identified themselves, oldest first.
    unidentified: RefCell<BTreeMap<u64, Rc<Notify>>>,
}

/// The place of one connection. Dropping it makes room for another.
#[derive(Debug)]
pub(crate) struct Place {
    lobby: Rc<Lobby>,
    number: u64,
    evicted: Rc<Notify>,
}

impl Lobby {
    /// Number of open connections.
    pub(crate) fn count(&self) -> usize {
        self.count.get()
    }

    /// Admits a connection if fewer than `most` are open, or if one can be evicted.
    pub(crate) fn admit(self: &Rc<Lobby>, most: usize) -> Option<Place> {
        if self.count.get() >= most {
            let (_, evicted) = self.unidentified.borrow_mut().pop_first()?;
            evicted.notify_one();
        }
        let (number, evicted) = (self.next.get(), Rc::<Notify>::default());
        self.next.set(number + 1);
        self.count.set(self.count.get() + 1);
        self.unidentified.borrow_mut().insert(number, Rc::clone(&evicted));
        Some(Place { lobby: Rc::clone(self), number, evicted })
    }
}

impl Place {
    /// Records that the connection has identified itself, so that it is never evicted.
    pub(crate) fn keep(&self) {
        self.lobby.unidentified.borrow_mut().remove(&self.number);
    }

    /// Waits until the connection is evicted. Never returns once it is kept.
    pub(crate) async fn evicted(&self) {
        self.evicted.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.keep();
        self.lobby.count.set(self.lobby.count.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unidentified_connections_are_evicted() {
        let lobby = Rc::<Lobby>::default();
        let known = lobby.admit(2).unwrap();
        known.keep();
        let stranger = lobby.admit(2).unwrap();
        let newer = lobby.admit(2).unwrap();
        // The evicted connection closes as soon as its task runs.
        assert_eq!(lobby.count(), 3);
        drop(stranger);
        newer.keep();
        assert!(lobby.admit(2).is_none(), "no connection makes room");
        drop((known, newer));
        assert_eq!(lobby.count(), 0);
        assert!(lobby.admit(1).is_some());
    }
}
