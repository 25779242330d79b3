//! Who is told a value first, where many wait for one key only to be refused.
//!
//! A proposal at a ballot at hand carries all that waits, but one compare-and-set of many that expect the same value can
//! win. If the losers are all told at once they all come back, one wins, and so on: each success costs as many attempts as
//! there are clients. So behind an update only as many are told as it takes for one of them to come back, those whose
//! turn it is; the others wait where they are, and learn a newer value when it is their turn. How many that is follows from
//! how many of those told lately did come back: all of them are told where nobody does.
//!
//! Safety: an operation that is kept back has not begun. It is judged when it goes along, as if it had come just then.

use super::Slot;
use super::fair_queue::only_shown;
use crate::config::Queue;
use crate::coordinator::{Env, ProposalBuilder, Waiting};
use crate::ids::MonoTime;
use crate::request::Call;
use rand::Rng;

/// Nobody is kept back longer than this after it came, nor longer than a quarter of its time limit.
const LONGEST_NS: u64 = 50_000_000;

impl Slot {
    /// What waits only to be refused: as many as are told now go along, the others wait on.
    pub(super) fn board_refused<R: Rng + ?Sized>(&mut self, refused: Vec<Waiting>, builder: &mut ProposalBuilder, env: &mut Env<'_, R>) {
        let mut places = if builder.has_update() { self.turns.returns.enough() } else { usize::MAX };
        let mut kept = vec![];
        for waiting in refused {
            if builder.has_room(env) && (places > 0 || env.now >= kept_until(&waiting)) {
                places = places.saturating_sub(1);
                if let Some(op) = self.begin(waiting, env) {
                    builder.board(op, env);
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

/// Whether all that an operation can get from this proposal is a refusal.
pub(super) fn is_refused<R: Rng + ?Sized>(waiting: &Waiting, builder: &ProposalBuilder, env: &Env<'_, R>) -> bool {
    let condition = matches!(waiting.request.call, Call::Cas { .. });
    condition && env.shared.config.queue == Queue::Fair && only_shown(waiting, builder.value())
}

fn kept_until(waiting: &Waiting) -> MonoTime {
    waiting.arrived.after_ns(LONGEST_NS.min(waiting.request.timeout_ns / 4))
}
