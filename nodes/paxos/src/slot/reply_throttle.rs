//! Reply throttling: limits how many refused clients are answered at the same time.
//!
//! A proposal at a prepared ballot carries all waiting operations, but of many compare-and-sets that expect the same
//! value, only one can succeed. If all losers are answered together, all of them return, one succeeds, and so on:
//! each success costs as many attempts as there are clients. So after an update, only as many losers are answered, in
//! turn order, as are needed for one of them to return. The others keep waiting, and learn a newer value when their
//! turn comes. The number depends on how many of the recently answered clients have returned: if none have, all
//! losers are answered.
//!
//! Safety: a delayed operation has not begun. It is evaluated when it joins a proposal, as if it had just arrived.

use super::Slot;
use super::fair_queue::only_needs_value;
use crate::config::Queue;
use crate::coordinator::{Env, ProposalBuilder, Waiting};
use crate::ids::MonoTime;
use crate::request::Call;
use rand::Rng;

/// Maximum delay of an operation after its arrival, in nanoseconds. It is also limited to a quarter of the
/// operation's time limit.
const MAX_DELAY_NS: u64 = 50_000_000;

impl Slot {
    /// Handles operations that can only be refused: adds to the batch as many as should be answered now. The others
    /// keep waiting.
    pub(super) fn add_refused<R: Rng + ?Sized>(&mut self, refused: Vec<Waiting>, builder: &mut ProposalBuilder, env: &mut Env<'_, R>) {
        let mut places = if builder.has_update() { self.turns.returns.clients_to_answer() } else { usize::MAX };
        let mut kept = vec![];
        for waiting in refused {
            if builder.has_room(env) && (places > 0 || env.now >= max_delay(&waiting)) {
                places = places.saturating_sub(1);
                if let Some(op) = self.begin(waiting, env) {
                    builder.add_op(op, env);
                }
            } else {
                env.shared.counters.kept_back += 1;
                kept.push(waiting);
            }
        }
        for waiting in kept.into_iter().rev() {
            self.queue.push_front(waiting);
        }
    }
}

/// Whether this proposal can only refuse the operation.
pub(super) fn is_refused<R: Rng + ?Sized>(waiting: &Waiting, builder: &ProposalBuilder, env: &Env<'_, R>) -> bool {
    let condition = matches!(waiting.request.call, Call::Cas { .. });
    condition && env.shared.config.queue == Queue::Fair && only_needs_value(waiting, builder.value())
}

fn max_delay(waiting: &Waiting) -> MonoTime {
    waiting.arrived.after_ns(MAX_DELAY_NS.min(waiting.request.timeout_ns / 4))
}
