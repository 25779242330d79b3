//! Reports this node's leases to watchers, with times from the clock shared by all processes on the machine.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use tokio::sync::mpsc;

use crate::control::LeaseChanged;

/// Maximum number of changes that a watcher has not read yet. Further changes are dropped for this watcher and
/// counted.
pub(crate) const WATCHER_QUEUE: usize = 1_024;

/// The watchers, and the leases that this node holds.
#[derive(Debug, Default)]
pub(crate) struct LeaseWatch {
    watchers: RefCell<Vec<mpsc::Sender<LeaseChanged>>>,
    /// For each range, the lease as last reported.
    pub(crate) held: RefCell<BTreeMap<u16, LeaseChanged>>,
    /// Number of changes dropped because a watcher was too slow.
    pub(crate) lost: Cell<u64>,
}

impl LeaseWatch {
    /// Reports all further changes to a connection, beginning with the leases currently held.
    pub(crate) fn watch(&self, sender: mpsc::Sender<LeaseChanged>) {
        for held in self.held.borrow().values() {
            let as_acquired = LeaseChanged { what: "lease_acquired".to_owned(), ..held.clone() };
            // A new watcher's queue has room for more leases than a node is likely to hold.
            let _ = sender.try_send(as_acquired);
        }
        self.watchers.borrow_mut().push(sender);
    }

    pub(crate) fn report(&self, changed: &LeaseChanged) {
        self.watchers.borrow_mut().retain(|watcher| match watcher.try_send(changed.clone()) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.lost.set(self.lost.get() + 1);
                true
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        });
    }
}
