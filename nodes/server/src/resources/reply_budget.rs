//! Replies that clients have not read yet. Together they have a limit of bytes.

use std::cell::Cell;
use std::rc::Rc;

/// The bytes that wait in all outboxes that share this budget.
#[derive(Debug)]
pub(crate) struct ReplyBudget {
    limit: usize,
    used: Cell<usize>,
}

impl ReplyBudget {
    pub(crate) fn new(limit: usize) -> Rc<ReplyBudget> {
        Rc::new(ReplyBudget { limit, used: Cell::new(0) })
    }

    /// Bytes that wait at the moment.
    pub(crate) fn used(&self) -> usize {
        self.used.get()
    }

    /// Whether an outbox that holds `own` bytes may take one more frame. Above the limit, clients that read their
    /// replies are still served, up to twice the limit; those that have left some unread are not.
    pub(crate) fn allows(&self, own: usize) -> bool {
        let used = self.used.get();
        used <= self.limit || (own == 0 && used <= self.limit.saturating_mul(2))
    }

    /// Records that an outbox has changed its length.
    pub(crate) fn changed(&self, before: usize, after: usize) {
        self.used.set(self.used.get() + after - before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn above_the_limit_only_clients_that_read_are_served() {
        let budget = ReplyBudget::new(100);
        assert!(budget.allows(50));
        budget.changed(0, 101);
        assert!(!budget.allows(1) && budget.allows(0));
        budget.changed(0, 100);
        assert!(!budget.allows(0), "twice the limit is the end");
        budget.changed(101, 0);
        assert!(budget.allows(100));
        assert_eq!(budget.used(), 100);
    }
}
