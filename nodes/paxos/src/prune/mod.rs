//! Pruning, off the critical path: drops accepted copies once every replica has learned a decision.
//!
//! The coordinator of a decision keeps it in a bounded queue until its key has had no newer decision for a while.
//! (The copies of a hot key are overwritten anyway, and a newer decision replaces the older one in the queue.) By
//! then, the replies to the learn round have shown which replicas have the row, and the row is resent to the others.
//! When all n replicas have it durably, they are all asked to drop the copy, and when all n have done so, the slot is
//! freed. A node that is down keeps slots occupied, and is asked about each of them less and less often. If no slot
//! is free, a decision is not pruned at all, and this is counted.
//!
//! **Why it is safe.** A replica drops only a copy at or below its own learned ballot, and every reader ignores such
//! a copy, since its content is in the row. The ballots are kept. If they were dropped as well,
//!   chosen(b=4), learn(4) to r3 is late, chosen(b=5) and learned by all, prune, learn(4) arrives
//! would bring back the older row (Scylla #6154, mutant `prune-drops-ballot`).

pub(crate) mod queue;

use self::queue::{Slot, Step};
use crate::ballot::Ballot;
use crate::coordinator::Env;
use crate::ids::{Key, OpId};
use crate::message::{Body, Tag};
use crate::mutants::Mutant;
use crate::quorum::NodeSet;
use crate::record::StateBytes;
use crate::row::Row;
use rand::Rng;
use std::cmp::Reverse;

pub use self::queue::PRUNE_SLOT_BYTES;

/// Maximum number of slots checked per turn, which limits the messages sent in one turn.
const SLOTS_PER_TURN: usize = 256;
/// An unanswered slot is retried after `prune_after_ns`, doubled at most this many times.
const MAX_DOUBLINGS: u32 = 6;

impl<R: Rng + ?Sized> Env<'_, R> {
    /// Enqueues a decision: this node has coordinated the choice of this row for `key`.
    pub(crate) fn enqueue_prune(&mut self, key: &Key, row: &Row) {
        let config = &self.shared.config;
        if config.prune == crate::config::Prune::Off {
            return;
        }
        let (due, limit) = (self.now.after_ns(config.prune_after_ns), config.prune_queue);
        let queue = &mut self.shared.prune;
        if let Some(slot) = queue.slot(key) {
            if row.learned > slot.row.learned {
                slot.row = row.clone();
                (slot.step, slot.tries, slot.due) = (Step::Learning(NodeSet::EMPTY), 0, due);
            }
            return;
        }
        if queue.len() >= limit {
            self.shared.counters.prune_dropped += 1;
            return;
        }
        let at = queue.free.pop().unwrap_or_else(|| {
            queue.slots.push(None);
            u32::try_from(queue.slots.len() - 1).expect("the limit is far below 2^32")
        });
        queue.by_key.insert(key.clone(), at);
        queue.uses += 1;
        queue.due.push(Reverse((due, at, queue.uses)));
        let fresh = Slot { key: key.clone(), row: row.clone(), number: queue.uses, step: Step::Learning(NodeSet::EMPTY), tries: 0, due };
        self.shared.state.replace(&StateBytes::default(), &StateBytes { queue: fresh.bytes(), ..StateBytes::default() });
        self.shared.prune.slots[at as usize] = Some(fresh);
    }

    /// Records that the member at `place` has durably learned a row at `learned` or above.
    pub(crate) fn note_learned(&mut self, key: &Key, place: u32, learned: Ballot) {
        if let Some(Slot { row, step: Step::Learning(members), .. }) = self.shared.prune.slot(key)
            && learned >= row.learned
        {
            members.insert(place);
        }
    }

    /// Records that the member at `place` has dropped its copy at or below `pruned`.
    pub(crate) fn note_pruned(&mut self, key: &Key, place: u32, pruned: Ballot) {
        let all = self.shared.members.count();
        let Some(Slot { row, step: Step::Pruning(members), .. }) = self.shared.prune.slot(key) else {
            return;
        };
        if pruned != row.learned {
            return;
        }
        members.insert(place);
        if members.count() == all {
            self.free_slot(key);
        }
    }

    fn free_slot(&mut self, key: &Key) {
        let queue = &mut self.shared.prune;
        let Some(at) = queue.by_key.remove(key) else {
            return;
        };
        if self.shared.config.mutants.has(Mutant::PruneLeak) {
            return;
        }
        if let Some(slot) = queue.slots[at as usize].take() {
            queue.free.push(at);
            self.shared.state.replace(&StateBytes { queue: slot.bytes(), ..StateBytes::default() }, &StateBytes::default());
        }
    }

    /// Advances the slots that are due. `learned_here` returns the ballot of this node's own row.
    pub(crate) fn prune_due(&mut self, learned_here: impl Fn(&Key) -> Ballot) {
        for _ in 0..SLOTS_PER_TURN {
            let queue = &mut self.shared.prune;
            if queue.next_at().is_none_or(|at| at > self.now) {
                return;
            }
            let Some(Reverse((_, at, number))) = queue.due.pop() else {
                return;
            };
            // The slot was freed, is in use again, or was leaked by a mutant. This entry no longer applies.
            let Some(slot) = queue.slots[at as usize].as_ref().filter(|slot| slot.number == number) else {
                continue;
            };
            if queue.by_key.get(&slot.key) != Some(&at) {
                continue;
            }
            if slot.due > self.now {
                let due = slot.due;
                queue.due.push(Reverse((due, at, number)));
                continue;
            }
            let key = slot.key.clone();
            self.prune_step(&key, at, learned_here(&key));
        }
    }

    fn prune_step(&mut self, key: &Key, at: u32, learned_here: Ballot) {
        let all = self.shared.members.count();
        let after_ns = self.shared.config.prune_after_ns;
        let Some(slot) = self.shared.prune.slots[at as usize].as_mut() else {
            return;
        };
        if learned_here > slot.row.learned {
            // Another coordinator has made a newer decision, so the key is in that coordinator's queue.
            self.free_slot(key);
            return;
        }
        if let Step::Learning(members) = slot.step
            && members.count() == all
        {
            (slot.step, slot.tries) = (Step::Pruning(NodeSet::EMPTY), 0);
        }
        let again = slot.tries > 0;
        slot.due = self.now.after_ns(after_ns << slot.tries.min(MAX_DOUBLINGS));
        slot.tries += 1;
        let (due, row, number) = (slot.due, slot.row.clone(), slot.number);
        let ballot = row.learned;
        let (body, heard) = match slot.step {
            Step::Learning(members) => (Body::Learn { row }, members),
            Step::Pruning(members) => (Body::Prune { ballot }, members),
        };
        self.shared.prune.due.push(Reverse((due, at, number)));
        self.shared.counters.prune_resends += u64::from(again || matches!(body, Body::Learn { .. }));
        // This tag belongs to no operation: attempts of operations begin at 1.
        let tag = Tag { op: OpId { client: 0, seq: 0 }, attempt: 0, incarnation: self.shared.clock.incarnation(), ballot };
        self.broadcast(key, tag, &body, heard, None, None);
    }
}
