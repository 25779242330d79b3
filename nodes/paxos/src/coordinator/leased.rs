//! What leases change for a coordinator: being turned away, and reading locally.

use super::env::Env;
use super::lease_state::Fresh;
use super::state::Coordination;
use crate::action::Action;
use crate::ids::{Key, MonoTime, NodeId, TimerId};
use crate::lease::holder::Held;
use crate::lease::{Forward, LeaseAction, LeaseBallot, LeaseBody, LeaseChange, LeaseMessage, LeaseMode, Leases, RangeId};
use crate::message::{Body, Message, RequestKind};
use crate::request::Outcome;
use rand::{Rng, RngExt};

/// Names the timers of leases: no key has this place.
pub(crate) const LEASE_TIMERS: u32 = u32::MAX - 1;

impl Coordination {
    /// A round that asks a quorum begins: remembers whether it is sent under a lease.
    ///
    /// **Why a row may be read locally** until `until` once such a round has its quorum. Let it be at ballot b, sent
    /// after a quorum G had granted the lease, and let an update of another node be chosen at b' later than that. Its
    /// accepts have a member g in common with G, which accepts nothing of others while its grant runs, so g had
    /// accepted before it granted. The other's promises are older still, so older than every answer to this round; its
    /// promising quorum has a member in common with this round's, which promised b' first, so b' < b. And everything
    /// chosen below b is in the row that this round was judged on or left behind (claim 1). It must be *this* grant:
    /// an extension may be granted by another quorum, and between two of them an accept could slip through. So the
    /// row is read for as long as the grant runs that was there, and not longer because of a later one.
    pub(super) fn note_lease<R: Rng + ?Sized>(&mut self, env: &Env<'_, R>) {
        self.leased.busy = None;
        self.leased.under = match env.shared.config.lease.mode {
            LeaseMode::Read => env.own_lease(&self.request.key),
            LeaseMode::Off | LeaseMode::Priority => None,
        };
    }

    /// It goes along in a proposal at a ballot promised before, a quorum round like any other.
    pub(super) fn note_batch<R: Rng + ?Sized>(&mut self, env: &Env<'_, R>) {
        self.leased.proposed = true;
        self.note_lease(env);
    }

    /// What is known of the own row now that the operation has ended or left. If its answer rests on a quorum, the
    /// row stays the newest while the lease runs that the round was sent under. If nothing was proposed, all is as
    /// before. Else something may be accepted somewhere that the row does not have.
    pub(crate) fn fresh_after(&self, outcome: Option<&Outcome>, before: Option<Fresh>) -> Option<Fresh> {
        match outcome {
            Some(Outcome::Applied | Outcome::Read { .. } | Outcome::ConditionNotMet { .. } | Outcome::Fate { .. }) => {
                self.leased.under.map(|under| Fresh { under, row: self.leased.row })
            }
            Some(Outcome::NotApplied { .. } | Outcome::Unknown { .. } | Outcome::Invalid { .. }) | None => {
                before.filter(|_| !self.leased.proposed)
            }
        }
    }

    /// Whether nothing that it has proposed can be on its way, so that reads of the own row need not wait for it.
    pub(crate) fn is_quiet(&self) -> bool {
        !self.leased.proposed
    }

    /// A grantor has turned a request away.
    pub(super) fn note_busy<R: Rng + ?Sized>(&mut self, holder: Option<LeaseBallot>, remaining_ns: u64, env: &mut Env<'_, R>) {
        let most = env.shared.config.lease.time_ns;
        self.leased.remaining_ns = remaining_ns.min(most);
        self.leased.busy = Some(self.leased.busy.flatten().max(holder));
        if let (Some(ballot), Some(range)) = (holder, env.shared.leases.range_of(&self.request.key)) {
            let until = env.now.after_ns(remaining_ns.min(most));
            env.shared.leases.note_other(range, ballot, until);
        }
    }

    /// The attempt got no quorum. If a lease is why, says how long to wait before the next one; the operation may
    /// leave for the holder instead.
    pub(super) fn held_off<R: Rng + ?Sized>(&mut self, env: &mut Env<'_, R>) -> Option<u64> {
        let holder = self.leased.busy.take()?;
        env.shared.counters.held_off += 1;
        if let Some(holder) = holder.filter(|_| !self.leased.past.stays()) {
            self.leased.leaves = env.may_forward(holder).then_some(holder);
        }
        // The lease may be given back at any time, so its end is not waited for; and not all together.
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
                // What may be granted must be durable before anything is, and so must the number of this process.
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

    /// A message about leases arrived.
    pub(crate) fn lease_message(&mut self, from: NodeId, message: LeaseMessage) {
        self.shared.counters.messages_received += 1;
        match message.body {
            LeaseBody::Promise { .. } | LeaseBody::Granted | LeaseBody::Refused { .. } => self.shared.heard.answered(from),
            LeaseBody::Prepare | LeaseBody::Propose { .. } | LeaseBody::Release | LeaseBody::Wanted => {}
        }
        self.with_leases(|leases, now, rng, out| leases.receive(from, message, now, rng, out));
    }

    /// A timer of leases went off.
    pub(crate) fn lease_timer(&mut self, serial: u32) {
        if let Ok(range) = u16::try_from(serial) {
            self.with_leases(|leases, now, _, out| leases.timer(RangeId(range), now, out));
        }
    }

    /// The node stops.
    pub(crate) fn stop_leases(&mut self) {
        self.with_leases(|leases, now, _, out| leases.stop(now, out));
    }

    /// An operation on this key is coordinated here.
    pub(crate) fn touch_lease(&mut self, key: &Key) {
        if let Some(range) = self.shared.leases.range_of(key) {
            self.with_leases(|leases, now, rng, out| leases.touch(range, now, rng, out));
        }
    }

    /// The own lease on the key's range that runs now.
    pub(crate) fn own_lease(&self, key: &Key) -> Option<Held> {
        let range = self.shared.leases.range_of(key)?;
        self.shared.leases.held(range, self.now)
    }

    /// The holder to hand an operation to at once, without asking the grantors: another node holds the range.
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

    /// Whether operations are handed to this holder: not to one from which nothing comes back. What it is handed would
    /// be unknown; what waits for its lease to run out is not.
    fn may_forward(&self, holder: LeaseBallot) -> bool {
        let config = &self.shared.config;
        let patience_ns = config.resend_after_ns.saturating_mul(2);
        config.lease.forward == Forward::On
            && self.shared.members.place(holder.node).is_some_and(|place| place != self.shared.me)
            && !self.shared.heard.is_silent(holder.node, self.now, patience_ns)
    }

    /// What is known of a holder's lease from its own answer.
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

    /// The answer to a request of Paxos that a lease forbids, or a wait after a restart.
    pub(crate) fn turned_away(&mut self, from: NodeId, message: &Message) -> Option<Message> {
        let (request, accept) = match &message.body {
            Body::Prepare { .. } => (RequestKind::Prepare, false),
            Body::Propose { .. } => (RequestKind::Propose, true),
            Body::Read { .. }
            | Body::Learn { .. }
            | Body::Chosen
            | Body::Promise { .. }
            | Body::RowRead { .. }
            | Body::Accepted
            | Body::Learned { .. }
            | Body::Prune { .. }
            | Body::Pruned { .. }
            | Body::Reject { .. }
            | Body::Busy { .. }
            | Body::Forward(_)
            | Body::Forwarded(_)
            | Body::NotHolder { .. }
            | Body::Put { .. }
            | Body::PutDone
            | Body::Get
            | Body::Got { .. } => return None,
        };
        let range = match self.shared.leases.range_of(&message.key) {
            Some(range) => range,
            // Leases are off by now, and the wait for those of an earlier process is not.
            None if self.shared.leases.waits(self.now) => RangeId(0),
            None => return None,
        };
        let refusal = self.with_leases(|leases, now, _, out| leases.refuses(range, from, accept, now, out))?;
        self.shared.counters.busy_given += 1;
        let body = Body::Busy { request, holder: refusal.holder, remaining_ns: refusal.remaining_ns };
        Some(Message { key: message.key.clone(), tag: message.tag, body })
    }

    /// Sends to another node.
    pub(crate) fn send_to(&mut self, to: NodeId, key: &Key, tag: crate::message::Tag, body: Body) {
        if let Some(place) = self.shared.members.place(to) {
            self.send(place, key, tag, body);
        }
    }
}
