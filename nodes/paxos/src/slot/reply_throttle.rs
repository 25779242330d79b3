//! Reply throttling: how many failed compare-and-sets are answered at once.
//!
//! A proposal at a ballot at hand carries all that waits, but one compare-and-set of many that expect the same value can
//! win. If all losers are answered at once they all retry, one wins, and so on: each success costs as many attempts as
//! there are clients. So behind an update only as many are answered as it takes for one of them to retry, those whose
//! turn it is; the others stay queued, and see a newer value when it is their turn. How many that is follows from the share
//! of refused clients that retried lately: where none does, all of them are answered.
//!
//! Safety: an operation whose reply is delayed has not begun. It is evaluated when it joins a proposal, as if it had just arrived.

use super::Slot;
use super::fair_queue::only_shown;
use crate::config::Queue;
use crate::coordinator::{Env, ProposalBuilder, Waiting};
use crate::ids::MonoTime;
use crate::request::Call;
use rand::Rng;

/// No reply is delayed longer than this after the operation came, nor longer than a quarter of its time limit.
const LONGEST_NS: u64 = 50_000_000;

impl Slot {
    /// Operations that can only be refused: as many as are answered now join the proposal, the others stay queued.
    pub(super) fn add_refused<R: Rng + ?Sized>(&mut self, refused: Vec<Waiting>, builder: &mut ProposalBuilder, env: &mut Env<'_, R>) {
        let mut places = if builder.has_update() { self.turns.returns.enough() } else { usize::MAX };
        let mut kept = vec![];
        for waiting in refused {
            if builder.has_room(env) && (places > 0 || env.now >= kept_until(&waiting)) {
                places = places.saturating_sub(1);
                if let Some(op) = self.begin(waiting, env) {
                    builder.add(op, env);
                }
            } else {
                env.shared.counters.throttled += 1;
                kept.push(waiting);
            }
        }
        for waiting in kept.into_iter().rev() {
            self.queue.push_front(waiting);
        }
    }
}

/// Whether all that an operation can get from this proposal is a refusal.
pub(super) fn is_refused<R: Rng + ?Sized>(waiting: &Waiting, builder: &ProposalBuilder, env: &Env<'_, R>) -> bool {
    let condition = matches!(waiting.request.call, Call::Cas { .. });
    condition && env.shared.config.queue == Queue::Fair && only_shown(waiting, builder.value())
}

fn kept_until(waiting: &Waiting) -> MonoTime {
    waiting.arrived.after_ns(LONGEST_NS.min(waiting.request.timeout_ns / 4))
}
