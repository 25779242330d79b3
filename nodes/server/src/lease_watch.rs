//! Sends this node's lease changes to watchers, in times that all processes of the machine share.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use tokio::sync::mpsc;

use crate::control::LeaseChanged;

/// Changes that a watcher has not read yet; more are lost for it and counted.
pub(crate) const WATCHER_QUEUE: usize = 1_024;

/// Who watches, and what is held.
#[derive(Debug, Default)]
pub(crate) struct LeaseWatch {
    watchers: RefCell<Vec<mpsc::Sender<LeaseChanged>>>,
    /// By range: the lease as it was sent last.
    pub(crate) held: RefCell<BTreeMap<u16, LeaseChanged>>,
    /// Changes that a watcher was too slow for.
    pub(crate) lost: Cell<u64>,
}

impl LeaseWatch {
    /// Tells a connection of all changes from now on, and of what is held already.
    pub(crate) fn watch(&self, sender: mpsc::Sender<LeaseChanged>) {
        for held in self.held.borrow().values() {
            let as_acquired = LeaseChanged { what: "lease_acquired".to_owned(), ..held.clone() };
            // The queue of a new watcher has room for more ranges than there can be in use at a time.
            let _ = sender.try_send(as_acquired);
        }
        self.watchers.borrow_mut().push(sender);
    }

    pub(crate) fn tell(&self, changed: &LeaseChanged) {
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
