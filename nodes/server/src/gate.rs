//! Holds back outgoing messages until the records on which they rely are durable.
//!
//! Safety: a message that relies on a record leaves only after that record is durable. If a promise were sent
//! earlier,
//!   promise(b=5) leaves, crash, restart without it, accept(b=4)
//! and two updates could be chosen.

use std::collections::BTreeMap;

use heckle_paxos::lease::LeaseMessage;
use heckle_paxos::{ClientToken, Diagnostics, IoId, Message, NodeId, Outcome};

/// A message or reply on its way out of the node.
#[derive(Debug)]
pub(crate) enum Outgoing {
    Send { to: NodeId, message: Message },
    SendLease { to: NodeId, message: LeaseMessage },
    Reply { token: ClientToken, outcome: Outcome, diagnostics: Box<Diagnostics> },
}

/// Holds back items that rely on batches not yet durable.
#[derive(Debug)]
pub(crate) struct Gate<T> {
    /// Waiting items, by the batch on which they rely.
    waiting: BTreeMap<u64, Vec<T>>,
    durable: IoId,
}

impl<T> Gate<T> {
    pub(crate) fn new() -> Gate<T> {
        Gate { waiting: BTreeMap::new(), durable: IoId(0) }
    }

    /// The newest batch known to be durable. All earlier batches are durable too.
    pub(crate) fn durable(&self) -> IoId {
        self.durable
    }

    /// Returns `item` if it may leave now, and keeps it otherwise.
    #[must_use]
    pub(crate) fn pass(&mut self, after: Option<IoId>, item: T) -> Option<T> {
        match after {
            Some(io) if io > self.durable => {
                self.waiting.entry(io.0).or_default().push(item);
                None
            }
            Some(_) | None => Some(item),
        }
    }

    /// Records that all batches up to `durable` are synced. Returns the items that may leave now, in the order of
    /// their batches.
    #[must_use]
    pub(crate) fn synced(&mut self, durable: IoId) -> Vec<T> {
        assert!(durable >= self.durable, "what is durable stays so");
        self.durable = durable;
        let later = self.waiting.split_off(&(durable.0 + 1));
        std::mem::replace(&mut self.waiting, later).into_values().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_wait_for_their_batch() {
        let mut gate = Gate::new();
        assert_eq!(gate.pass(None, "relies on nothing"), Some("relies on nothing"));
        for (io, item) in [(2, "b"), (1, "a"), (3, "d"), (2, "c")] {
            assert_eq!(gate.pass(Some(IoId(io)), item), None, "{item} relies on batch {io}");
        }
        for (durable, leaves) in [(0, &[][..]), (1, &["a"]), (1, &[]), (2, &["b", "c"]), (7, &["d"])] {
            assert_eq!(gate.synced(IoId(durable)), leaves, "once batch {durable} is synced");
        }
        assert_eq!(gate.pass(Some(IoId(7)), "synced"), Some("synced"));
        assert_eq!(gate.pass(Some(IoId(8)), "one batch early"), None);
    }
}
