//! A limit on the total size of replies that clients have not read yet.

use std::cell::Cell;
use std::rc::Rc;

/// The bytes waiting in all outboxes that share this budget.
#[derive(Debug)]
pub(crate) struct ReplyBudget {
    limit: usize,
    used: Cell<usize>,
}

impl ReplyBudget {
    pub(crate) fn new(limit: usize) -> Rc<ReplyBudget> {
        Rc::new(ReplyBudget { limit, used: Cell::new(0) })
    }

    /// Bytes currently waiting.
    pub(crate) fn used(&self) -> usize {
        self.used.get()
    }

    /// Whether an outbox that holds `own` bytes may take one more frame. Above the limit, and up to twice the limit,
    /// clients that have read all their replies are still served, and others are not.
    pub(crate) fn allows(&self, own: usize) -> bool {
        let used = self.used.get();
        used <= self.limit || (own == 0 && used <= self.limit.saturating_mul(2))
    }

    /// Records a change in the length of an outbox.
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
