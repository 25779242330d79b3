//! Exhaustive search with a step budget. It is the oracle of the tests and confirms contradictions of a few ops.
//!
//! The search tries every order that respects real time, depth first, and remembers the pairs of (ops done, state) it
//! has visited (Lowe's memo). It shares no code with the chain checker or porcupine-rs. The budget also bounds the
//! memory, since every step remembers at most one pair.

use super::model::{State, step};
use super::{SearchOp, SearchRequest};
use rustc_hash::FxHashSet;

/// Maximum number of ops. It is limited because the search recurses once per op.
pub const MAX_OPS: usize = 2_048;

/// Searches for an order. Returns `Some(Some(order))` if one exists, `Some(None)` if none does, and `None` if the
/// budget of `steps` or [`MAX_OPS`] is exceeded.
pub fn order(request: &SearchRequest, steps: u64) -> Option<Option<Vec<u64>>> {
    if request.ops.len() > MAX_OPS {
        return None;
    }
    let mut ops: Vec<&SearchOp> = request.ops.iter().collect();
    ops.sort_by_key(|o| o.invoked);
    let done = vec![0u64; ops.len().div_ceil(64)];
    let mut search = Search { ops, done, seen: FxHashSet::default(), order: vec![], steps };
    match search.explore(&request.model.init()) {
        Step::Found => Some(Some(search.order.iter().map(|&i| search.ops[i].id).collect())),
        Step::Exhausted => Some(None),
        Step::OutOfSteps => None,
    }
}

struct Search<'a> {
    /// The ops, sorted by invocation.
    ops: Vec<&'a SearchOp>,
    /// One bit per op: whether it is in `order`.
    done: Vec<u64>,
    seen: FxHashSet<(Box<[u64]>, State)>,
    order: Vec<usize>,
    steps: u64,
}

enum Step {
    Found,
    Exhausted,
    OutOfSteps,
}

impl Search<'_> {
    fn open(&self, i: usize) -> bool {
        self.done[i / 64] & (1 << (i % 64)) == 0
    }

    fn explore(&mut self, state: &State) -> Step {
        // The next op must have been invoked no later than the first completion among the remaining ops.
        let deadline = (0..self.ops.len()).filter(|&i| self.open(i)).filter_map(|i| self.ops[i].completed).min();
        let Some(deadline) = deadline else { return Step::Found };
        if !self.seen.insert((self.done.clone().into_boxed_slice(), state.clone())) {
            return Step::Exhausted;
        }
        for i in 0..self.ops.len() {
            if self.ops[i].invoked > deadline {
                break;
            }
            if !self.open(i) {
                continue;
            }
            let Some(next) = step(state, &self.ops[i].call) else { continue };
            if self.steps == 0 {
                return Step::OutOfSteps;
            }
            self.steps -= 1;
            self.order.push(i);
            self.done[i / 64] |= 1 << (i % 64);
            match self.explore(&next) {
                Step::Exhausted => {
                    self.order.pop();
                    self.done[i / 64] &= !(1 << (i % 64));
                }
                ended @ (Step::Found | Step::OutOfSteps) => return ended,
            }
        }
        Step::Exhausted
    }
}
