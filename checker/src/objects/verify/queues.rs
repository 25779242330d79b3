//! Rules of a queue. They apply to an item only if at most one op enqueues it.

use super::super::{NEVER, Rule};
use super::Case;
use crate::search::{ModelCall, ModelKind, SearchOp};
use rustc_hash::FxHashSet;

/// The facts about one item.
struct Item<'q> {
    enqueue: &'q SearchOp,
    dequeue: Option<&'q SearchOp>,
    /// Time by which the item was certainly enqueued.
    in_by: u64,
    /// Time before which no op that could have dequeued the item was invoked.
    out_from: u64,
}

impl<'q> Case<'q> {
    pub(super) fn queue(&self, rule: &Rule) -> Result<bool, String> {
        if self.model != ModelKind::Queue {
            return Err("only a queue is judged by it".to_owned());
        }
        Ok(match rule {
            Rule::DequeuedTwice { one, two } => match (&self.op(*one).call, &self.op(*two).call) {
                (ModelCall::Dequeue { item: Some(Some(a)) }, ModelCall::Dequeue { item: Some(Some(b)) }) => {
                    one != two && a == b && self.adders(*a).count() <= 1
                }
                _ => false,
            },
            Rule::OutOfOrder { first, second } => {
                let (first, second) = (self.item(*first)?, self.item(*second)?);
                let out = second.dequeue.and_then(|d| d.completed).ok_or("the second item is not seen to be out")?;
                first.in_by < second.enqueue.invoked && out < first.out_from
            }
            Rule::TooFewDequeues { items, by } => self.overdrawn(items, *by)?,
            Rule::FalseEmpty { dequeue, items } => {
                let empty = self.op(*dequeue);
                let (ModelCall::Dequeue { item: Some(None) }, Some(over)) = (&empty.call, empty.completed) else { return Ok(false) };
                let mut at = empty.invoked;
                for item in items {
                    let item = self.item(*item)?;
                    if item.in_by >= at || item.out_from <= at {
                        return Ok(false);
                    }
                    at = item.out_from;
                }
                at > over
            }
            _ => false,
        })
    }

    /// Returns the invocation times of dequeues with an unknown answer.
    fn unknown_dequeues(&self) -> impl Iterator<Item = u64> {
        let unknown = |op: &&SearchOp| matches!(op.call, ModelCall::Dequeue { item: None });
        self.ops.iter().filter(unknown).map(|op| op.invoked)
    }

    fn item(&self, item: i64) -> Result<Item<'q>, String> {
        let mut adders = self.adders(item);
        let (Some(enqueue), None) = (adders.next(), adders.next()) else {
            return Err(format!("not exactly one op enqueues {item}"));
        };
        let takes = |op: &&SearchOp| matches!(op.call, ModelCall::Dequeue { item: Some(Some(i)) } if i == item);
        let dequeue = self.ops.iter().find(takes);
        let over = dequeue.and_then(|d| d.completed);
        let in_by = enqueue.completed.unwrap_or(NEVER).min(over.unwrap_or(NEVER));
        let out_from = dequeue.map_or_else(|| self.unknown_dequeues().min().unwrap_or(NEVER), |d| d.invoked);
        Ok(Item { enqueue, dequeue, in_by, out_from })
    }

    fn overdrawn(&self, items: &[i64], by: u64) -> Result<bool, String> {
        // `latest` is the latest invocation of a dequeue that found the queue empty by then, or of an enqueue whose item
        // was dequeued by then. All items enqueued before it must have been dequeued too.
        let (mut seen, mut repeated) = (FxHashSet::default(), FxHashSet::default());
        for op in self.ops {
            if let ModelCall::Enqueue { item } = op.call
                && !seen.insert(item)
            {
                repeated.insert(item);
            }
        }
        let mut out = FxHashSet::default();
        let mut begun = vec![];
        for op in self.ops.iter().filter(|op| op.completed.is_some_and(|t| t <= by)) {
            match op.call {
                ModelCall::Dequeue { item: Some(Some(item)) } if !repeated.contains(&item) => drop(out.insert(item)),
                ModelCall::Dequeue { item: Some(None) } => begun.push(op.invoked),
                _ => {}
            }
        }
        let later = |op: &&SearchOp| matches!(op.call, ModelCall::Enqueue { item } if out.contains(&item));
        begun.extend(self.ops.iter().filter(later).map(|op| op.invoked));
        let latest = begun.into_iter().max().ok_or("nothing was out by then")?;
        let mut distinct = FxHashSet::default();
        for &item in items {
            let found = self.item(item)?;
            if found.dequeue.is_some() || found.in_by >= latest || !distinct.insert(item) {
                return Ok(false);
            }
        }
        Ok(self.unknown_dequeues().filter(|invoked| *invoked <= by).count() < items.len())
    }
}
