//! Searches small keys in this process, so a history with a million keys does not start a million processes.

use super::{SearchAnswer, SearchReply, SearchRequest, SearchRunner, brute, child};

/// Maximum number of ops in a key that is tried here first.
const MAX_OPS: usize = 32;

/// Maximum number of brute-force steps per key, which bounds time and memory.
const STEPS: u64 = 20_000;

/// Tries brute force on small keys, and falls back to another runner if that is inconclusive.
pub(super) struct SmallFirst<'a>(pub(super) &'a dyn SearchRunner);

impl SearchRunner for SmallFirst<'_> {
    fn run(&self, request: &SearchRequest) -> SearchReply {
        if request.ops.len() > MAX_OPS {
            return self.0.run(request);
        }
        // Shrinking uses brute force anyway, with a separate budget.
        if request.shrink {
            return child::answer(request);
        }
        match brute::order(request, STEPS) {
            None => self.0.run(request),
            Some(order) => {
                let answer = if order.is_some() { SearchAnswer::Valid } else { SearchAnswer::Invalid };
                SearchReply { answer, order, core: vec![], certified: false, limit: None }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::{ModelCall, ModelKind, NoSearch, SearchOp};

    #[track_caller]
    fn check(ops: u64, read: i64, answer: SearchAnswer) {
        let write = |id| SearchOp { id, invoked: 2 * id, completed: Some(2 * id + 1), call: ModelCall::Write { new: id as i64 } };
        let mut all: Vec<SearchOp> = (1..ops).map(write).collect();
        let call = ModelCall::Read { value: Some(Some(read)) };
        all.push(SearchOp { id: ops, invoked: 2 * ops, completed: Some(2 * ops + 1), call });
        let request = SearchRequest { model: ModelKind::CasRegister, ops: all, shrink: false };
        assert_eq!(SmallFirst(&NoSearch).run(&request).answer, answer);
    }

    #[test]
    fn small_keys_need_no_other_runner_and_large_ones_do() {
        check(5, 4, SearchAnswer::Valid);
        check(5, 3, SearchAnswer::Invalid);
        check(MAX_OPS as u64 + 1, 3, SearchAnswer::GaveUp);
    }
}
