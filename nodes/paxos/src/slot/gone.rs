//! Operations whose client has disconnected.

use super::{Slot, refuse};
use crate::coordinator::{Coordination, Env};
use crate::forward::Origin;
use crate::ids::{ClientToken, MonoTime};
use crate::request::NotAppliedWhy;
use rand::Rng;

/// How long an operation that has proposed its update may continue without its client, in nanoseconds. Giving it up
/// immediately would be just as safe, but an unfinished proposal costs the next operation on the key a repair.
const FINISH_NS: u64 = 1_000_000_000;

impl Slot {
    /// Ends the operation of a client that has disconnected, immediately or soon. A reply is still emitted, since the
    /// shell expects one for each request.
    pub(crate) fn on_client_gone<R: Rng + ?Sized>(&mut self, token: ClientToken, env: &mut Env<'_, R>) {
        let origin = Origin::Client(token);
        if let Some(at) = self.queue.iter().position(|waiting| waiting.origin == origin) {
            if let Some(waiting) = self.queue.remove(at) {
                refuse(waiting, NotAppliedWhy::TimeoutInQueue, env);
            }
        } else if let Some(op) = self.active.iter_mut().chain(&mut self.retries).find(|op| op.origin == origin) {
            op.shorten(env);
        } else if let Some(op) = self.forwarded.iter_mut().find(|op| op.waiting.origin == origin) {
            op.waiting.deadline = env.now;
            env.timer(op.waiting.timer, env.now);
        } else if let Some(op) = self.plain_ops.iter_mut().find(|op| op.token == token) {
            op.deadline = env.now;
            env.timer(op.timer, env.now);
        } else if let Some(batch) = &mut self.batch
            && let Some(op) = batch.members.iter_mut().find(|op| op.origin == origin)
        {
            op.deadline = op.deadline.min(env.now.after_ns(FINISH_NS));
            batch.deadline = batch.deadline.min(op.deadline);
            self.arm_batch_timer(env);
        }
    }
}

impl Coordination {
    /// Moves the time limit to now, or to a little later if the operation may have proposed something.
    fn shorten<R: Rng + ?Sized>(&mut self, env: &mut Env<'_, R>) {
        let grace_ns = if self.has_proposed_nothing() { 0 } else { FINISH_NS };
        self.deadline = self.deadline.min(env.now.after_ns(grace_ns));
        self.armed = MonoTime(u64::MAX);
        self.arm(env);
    }
}
