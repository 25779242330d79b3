//! Drops values and chains that no later event can legally observe.
//!
//! Let T be the invocation of the oldest open op. Every future observation was invoked at T or later. Therefore:
//! - A chain C can be dropped if some chain D has first(D) < T and first(C) < last(D): C precedes D, and another op
//!   that saw C would also make first(D) < last(C).
//! - A value can be dropped if its successor has first < T: another op that saw the value would be stale.
//! - An unknown CAS can be dropped if the value it expects was dropped: an op that saw its value would show that it
//!   took effect on a value that can no longer be observed legally.
//!
//! A later observation of a forgotten value or chain is therefore a violation. Only a resolved fate shows an effect
//! without being an observation, so fates of forgotten ops are ignored.

use super::key::{Chain, FIRST_FORGET_AT, KeyState, Node, Status};
use crate::linearizable::facts::{START, Time};
use heckle_history::Value;

/// Maximum capacity, as a multiple of the required size.
const MAX_SPARE_FACTOR: usize = 8;

impl KeyState {
    /// Forgets values. This visits all values in memory, so it runs only when their number has doubled.
    pub(super) fn forget(&mut self) {
        self.live_max = self.live_max.max(self.nodes.len());
        let horizon = self.horizon();
        let reach = Reach::of(self.chains.iter(), horizon);
        let chains = &self.chains;
        let chain_goes = |number: u64| {
            let at = chains.partition_point(|c| c.number < number);
            chains.get(at).is_none_or(|c| c.number != number || reach.covers(c))
        };
        let goes = |node: &Node| {
            let replaced = |next: Value| self.nodes.get(&Some(next)).is_none_or(|n| n.first < horizon);
            node.status == Status::Held && (chain_goes(node.chain) || node.next.is_some_and(replaced))
        };
        let gone: Vec<Option<Value>> = self.nodes.iter().filter(|(_, n)| goes(n)).map(|(v, _)| *v).collect();
        self.remove(gone);
        self.chains.retain(|c| !reach.covers(c));
        self.forget_unreachable();
        self.forget_at = (2 * self.nodes.len()).max(FIRST_FORGET_AT);
        if self.nodes.capacity() > MAX_SPARE_FACTOR * self.forget_at {
            self.nodes.shrink_to(self.forget_at);
        }
    }

    /// Drops unknown CAS ops whose expected value was dropped and, transitively, the CAS ops that expect values of
    /// dropped ops.
    fn forget_unreachable(&mut self) {
        loop {
            let hopeless = |n: &Node| n.status == Status::Unknown && n.knew && n.expects.is_some_and(|e| !self.nodes.contains_key(&e));
            let gone: Vec<Option<Value>> = self.nodes.iter().filter(|(_, n)| hopeless(n)).map(|(v, _)| *v).collect();
            if gone.is_empty() {
                return;
            }
            self.remove(gone);
        }
    }

    fn remove(&mut self, gone: Vec<Option<Value>>) {
        for value in gone {
            self.nodes.remove(&value);
        }
    }
}

/// The two greatest `last` among chains that started before the horizon. The second is used for the chain that has the
/// greatest.
struct Reach {
    greatest: (Time, u64),
    second: Time,
}

impl Reach {
    fn of<'c>(chains: impl Iterator<Item = &'c Chain>, horizon: Time) -> Self {
        let mut reach = Reach { greatest: (START, u64::MAX), second: START };
        for chain in chains.filter(|c| c.first < horizon) {
            if chain.last > reach.greatest.0 {
                reach.second = reach.greatest.0;
                reach.greatest = (chain.last, chain.number);
            } else {
                reach.second = reach.second.max(chain.last);
            }
        }
        reach
    }

    /// Returns whether some other chain that started before the horizon must come after `chain`.
    fn covers(&self, chain: &Chain) -> bool {
        let last = if chain.number == self.greatest.1 { self.second } else { self.greatest.0 };
        chain.first < last
    }
}
