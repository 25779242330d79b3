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
            self.send(&sender, as_acquired);
        }
        self.watchers.borrow_mut().push(sender);
    }

    pub(crate) fn report(&self, changed: &LeaseChanged) {
        self.watchers.borrow_mut().retain(|watcher| self.send(watcher, changed.clone()));
    }

    /// Returns whether the watcher is still connected. A change that does not fit into its queue is dropped and counted.
    fn send(&self, watcher: &mpsc::Sender<LeaseChanged>, changed: LeaseChanged) -> bool {
        match watcher.try_send(changed) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.lost.set(self.lost.get() + 1);
                true
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_that_do_not_fit_are_counted() {
        let watch = LeaseWatch::default();
        for range in 0..WATCHER_QUEUE as u16 + 3 {
            watch.held.borrow_mut().insert(range, LeaseChanged { range, ..LeaseChanged::default() });
        }
        let (sender, mut changes) = mpsc::channel(WATCHER_QUEUE);
        watch.watch(sender);
        assert_eq!(watch.lost.get(), 3, "more leases are held than the queue of a new watcher has room for");
        assert_eq!(changes.try_recv().map(|change| change.range), Ok(0));
        watch.report(&LeaseChanged::default());
        watch.report(&LeaseChanged::default());
        assert_eq!(watch.lost.get(), 4, "one place was free");
    }
}
