//! The effects of leases on a coordinator: refused requests, and local reads.

use super::env::Env;
use super::lease_state::FreshRow;
use super::state::Coordination;
use crate::action::Action;
use crate::ids::{Key, MonoTime, NodeId, TimerId};
use crate::lease::holder::HeldLease;
use crate::lease::{Forward, LeaseAction, LeaseBallot, LeaseBody, LeaseChange, LeaseMessage, LeaseMode, Leases, RangeId};
use crate::message::possible::is_possible_lease;
use crate::message::{Body, Message, RequestKind};
use crate::request::Outcome;
use rand::{Rng, RngExt};

/// Slot number in the ids of lease timers. No key has this number.
pub(crate) const LEASE_TIMERS: u32 = u32::MAX - 1;

impl Coordination {
    /// Called at the start of a quorum round: remembers whether it is sent under a lease.
    ///
    /// **Why a row may be read locally** until `until` once such a round has reached its quorum. Let the round have
    /// ballot b, sent after a quorum G had granted the lease, and let an update of another node be chosen later, at
    /// b'. The quorum that accepts the update shares a member g with G. While its grant runs, g accepts nothing from
    /// other nodes, so g accepted the update before it granted. The promises for b' are older still, so they precede
    /// every reply to this round. The quorum that promised b' shares a member with this round's quorum, and that
    /// member promised b' first, so b' < b. And everything chosen below b is in the row that this round was evaluated
    /// on or produced (claim 1). It must be *this* grant: an extension may be granted by another quorum, and an
    /// accept could slip in between the two. So the row is read only while that grant runs, and a later grant does
    /// not prolong this.
    pub(super) fn note_lease<R: Rng + ?Sized>(&mut self, env: &Env<'_, R>) {
        self.leased.busy = None;
        self.leased.under = match env.shared.config.lease.mode {
            LeaseMode::Read => env.own_lease(&self.request.key),
            LeaseMode::Off | LeaseMode::Priority => None,
        };
    }

    /// Called when the operation joins a proposal at a ballot promised in advance, which is a quorum round like any
    /// other.
    pub(super) fn note_batch<R: Rng + ?Sized>(&mut self, env: &Env<'_, R>) {
        self.leased.proposed = true;
        self.note_lease(env);
    }

    /// What is known about this node's own row after the operation has ended or been forwarded. If the outcome is
    /// based on a quorum, the row remains the newest while the lease under which the round was sent is running. If
    /// nothing was proposed, nothing changes. Otherwise some replica may have accepted an update that is missing from
    /// the row.
    pub(crate) fn fresh_after(&self, outcome: Option<&Outcome>, before: Option<FreshRow>) -> Option<FreshRow> {
        match outcome {
            Some(Outcome::Applied | Outcome::Read { .. } | Outcome::ConditionNotMet { .. } | Outcome::Fate { .. }) => {
                self.leased.under.map(|under| FreshRow { under, row: self.leased.row })
            }
            Some(Outcome::NotApplied { .. } | Outcome::Unknown { .. } | Outcome::Invalid { .. }) | None => {
                before.filter(|_| !self.leased.proposed)
            }
        }
    }

    /// Whether no proposal of the operation can be in flight. Local reads then need not wait for the operation.
    pub(crate) fn has_proposed_nothing(&self) -> bool {
        !self.leased.proposed
    }

    /// A grantor has refused a request.
    pub(super) fn note_busy<R: Rng + ?Sized>(&mut self, holder: Option<LeaseBallot>, remaining_ns: u64, env: &mut Env<'_, R>) {
        let most = env.shared.config.lease.time_ns;
        self.leased.remaining_ns = remaining_ns.min(most);
        self.leased.busy = Some(self.leased.busy.flatten().max(holder));
        if let (Some(ballot), Some(range)) = (holder, env.shared.leases.range_of(&self.request.key)) {
            let until = env.now.after_ns(remaining_ns.min(most));
            env.shared.leases.note_other(range, ballot, until);
        }
    }

    /// Called when the attempt has failed to reach a quorum. If the cause is a lease, returns how long to wait before
    /// the next attempt, unless the operation is forwarded to the holder.
    pub(super) fn on_lease_refusal<R: Rng + ?Sized>(&mut self, env: &mut Env<'_, R>) -> Option<u64> {
        let holder = self.leased.busy.take()?;
        env.shared.counters.held_off += 1;
        if let Some(holder) = holder.filter(|_| !self.leased.history.must_stay()) {
            self.leased.forward_to = env.may_forward(holder).then_some(holder);
        }
        // The lease may be released at any time, so the wait does not last until its end. It is random, so that the
        // operations do not all retry simultaneously.
        let turn_ns = env.shared.config.lease.turn_ns();
        let longest = turn_ns.min(self.leased.remaining_ns).max(turn_ns / 8).max(1);
        Some(longest / 2 + env.rng.random_range(0..=longest / 2))
    }
}

impl<R: Rng + ?Sized> Env<'_, R> {
    fn with_leases<T>(&mut self, act: impl FnOnce(&mut Leases, MonoTime, &mut R, &mut Vec<LeaseAction>) -> T) -> T {
        let mut wanted = std::mem::take(&mut self.shared.lease_out);
        let result = act(&mut self.shared.leases, self.now, self.rng, &mut wanted);
        for action in wanted.drain(..) {
            self.carry_out(action);
        }
        self.shared.lease_out = wanted;
        result
    }

    fn carry_out(&mut self, action: LeaseAction) {
        match action {
            LeaseAction::Send { to, message } => {
                // The lease limits and this process's incarnation must be durable before anything is granted.
                let after = (self.shared.birth > self.shared.durable).then_some(self.shared.birth);
                self.shared.counters.messages_sent += 1;
                self.out.push(Action::SendLease { to, message, after });
            }
            LeaseAction::Event(event) => {
                let counters = &mut self.shared.counters;
                match event.what {
                    LeaseChange::Acquired => counters.leases_acquired += 1,
                    LeaseChange::Extended => counters.leases_extended += 1,
                    LeaseChange::Ended(_) => counters.leases_ended += 1,
                }
                self.out.push(Action::Lease(event));
            }
            LeaseAction::Timer { range, at } => self.timer(TimerId { slot: LEASE_TIMERS, serial: u32::from(range.0) }, at),
        }
    }

    /// Handles a message about leases.
    pub(crate) fn lease_message(&mut self, from: NodeId, message: LeaseMessage) {
        self.shared.counters.messages_received += 1;
        if !is_possible_lease(&message) {
            self.shared.counters.messages_refused += 1;
            return;
        }
        match message.body {
            LeaseBody::Promise { .. } | LeaseBody::Granted | LeaseBody::Refused { .. } => self.shared.reply_tracker.note_reply(from),
            LeaseBody::Prepare | LeaseBody::Propose { .. } | LeaseBody::Release | LeaseBody::Wanted => {}
        }
        self.with_leases(|leases, now, rng, out| leases.receive(from, message, now, rng, out));
    }

    /// Handles a lease timer that has expired.
    pub(crate) fn lease_timer(&mut self, serial: u32) {
        if let Ok(range) = u16::try_from(serial) {
            self.with_leases(|leases, now, _, out| leases.timer(RangeId(range), now, out));
        }
    }

    /// Releases all leases, because the node is stopping.
    pub(crate) fn stop_leases(&mut self) {
        self.with_leases(|leases, now, _, out| leases.stop(now, out));
    }

    /// Records that this node coordinates an operation on this key.
    pub(crate) fn touch_lease(&mut self, key: &Key) {
        if let Some(range) = self.shared.leases.range_of(key) {
            self.with_leases(|leases, now, rng, out| leases.touch(range, now, rng, out));
        }
    }

    /// This node's current lease on the key's range, if any.
    pub(crate) fn own_lease(&self, key: &Key) -> Option<HeldLease> {
        let range = self.shared.leases.range_of(key)?;
        self.shared.leases.held(range, self.now)
    }

    /// The known holder of the range, if an operation can be forwarded to it directly.
    pub(crate) fn known_holder(&self, key: &Key) -> Option<LeaseBallot> {
        if self.shared.config.lease.forward == Forward::Off {
            return None;
        }
        let range = self.shared.leases.range_of(key)?;
        if self.shared.leases.held(range, self.now).is_some() {
            return None;
        }
        let other = self.shared.leases.other(range, self.now)?;
        self.may_forward(other.ballot).then_some(other.ballot)
    }

    /// Whether operations are forwarded to this holder. Nothing is forwarded to a silent holder, since the outcomes
    /// would be unknown. Operations that wait for its lease to run out do not have that problem.
    fn may_forward(&self, holder: LeaseBallot) -> bool {
        let config = &self.shared.config;
        let patience_ns = config.resend_after_ns.saturating_mul(2);
        config.lease.forward == Forward::On
            && self.shared.members.place(holder.node).is_some_and(|place| place != self.shared.me)
            && !self.shared.reply_tracker.is_silent(holder.node, self.now, patience_ns)
    }

    /// Updates what this node knows about a holder's lease, from the holder's own reply.
    pub(crate) fn note_holder(&mut self, key: &Key, lease: Option<(LeaseBallot, u64)>, node: NodeId) {
        let Some(range) = self.shared.leases.range_of(key) else {
            return;
        };
        match lease {
            Some((ballot, left_ns)) if ballot.node == node => {
                let until = self.now.after_ns(left_ns.min(self.shared.config.lease.time_ns));
                self.shared.leases.note_other(range, ballot, until);
            }
            Some(_) | None => self.shared.leases.forget_other(range, node),
        }
    }

    /// The reply to a Paxos request refused because of a lease or the wait after a restart. `None` if it is not
    /// refused.
    pub(crate) fn lease_refusal(&mut self, from: NodeId, message: &Message) -> Option<Message> {
        // A lease only restricts who may prepare and propose.
        let (request, accept) = if let Body::Prepare { .. } = message.body {
            (RequestKind::Prepare, false)
        } else if let Body::Propose { .. } = message.body {
            (RequestKind::Propose, true)
        } else {
            return None;
        };
        let range = match self.shared.leases.range_of(&message.key) {
            Some(range) => range,
            // Leases are now off, but those granted by an earlier process may still be running.
            None if self.shared.leases.is_waiting_after_restart(self.now) => RangeId(0),
            None => return None,
        };
        let refusal = self.with_leases(|leases, now, _, out| leases.refuses(range, from, accept, now, out))?;
        self.shared.counters.busy_given += 1;
        let body = Body::Busy { request, holder: refusal.holder, remaining_ns: refusal.remaining_ns };
        Some(Message { key: message.key.clone(), tag: message.tag, body })
    }

    /// Sends a message to another node.
    pub(crate) fn send_to(&mut self, to: NodeId, key: &Key, tag: crate::message::Tag, body: Body) {
        if let Some(place) = self.shared.members.place(to) {
            self.send(place, key, tag, body);
        }
    }
}
