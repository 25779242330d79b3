//! Both roles of one node for all ranges, and the interface to Paxos.

use super::grantor::Grantor;
use super::holder::{AttemptPhase, HeldLease, Holder, LeaseAttempt, OtherLease};
use super::message::{LeaseBallot, LeaseBody, LeaseMessage};
use super::settings::{Forward, LeaseLimits, LeaseMode, LeaseSettings};
use super::{EndWhy, LeaseChange, LeaseEvent, RangeId};
use crate::ids::{Key, MonoTime, NodeId};
use crate::mutants::{Mutant, Mutants};
use crate::quorum::{Members, NodeSet};
use rand::{Rng, RngExt};

/// Work requested by leases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseAction {
    /// Send a message to another node.
    Send {
        /// The receiver.
        to: NodeId,
        /// The message.
        message: LeaseMessage,
    },
    /// Report a change of a lease to watchers.
    Event(LeaseEvent),
    /// Call [`Leases::timer`] for the range at this time or soon after.
    Timer {
        /// The range.
        range: RangeId,
        /// When to call.
        at: MonoTime,
    },
}

/// Why a grantor refuses a coordinator's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The conflicting lease. `None` if the grantor refuses because it recently restarted.
    pub holder: Option<LeaseBallot>,
    /// Remaining time by the grantor's clock, in nanoseconds.
    pub remaining_ns: u64,
}

/// The leases of one node. It uses no clock and no socket: times are arguments, and requested work is added to `out`.
#[derive(Debug, Clone)]
pub struct Leases {
    settings: LeaseSettings,
    /// Limits on grants, and on the wait after a restart.
    limits: LeaseLimits,
    /// Limits on the leases that an earlier process may have granted.
    inherited: LeaseLimits,
    mutants: Mutants,
    members: Members,
    me: u32,
    incarnation: u32,
    grantors: Vec<Grantor>,
    holders: Vec<Holder>,
    last_run: u64,
    booted: bool,
    /// Earliest time at which this node grants a lease.
    grants_from: MonoTime,
    /// Earliest time at which this node answers a Paxos prepare or accept.
    paxos_from: MonoTime,
    stopping: bool,
}

impl Leases {
    /// Creates the leases of the member at position `me`, not yet started.
    #[must_use]
    pub fn new(settings: LeaseSettings, members: Members, me: u32, mutants: Mutants) -> Self {
        let ranges = if settings.mode == LeaseMode::Off { 0 } else { usize::from(settings.ranges) };
        Self {
            settings,
            limits: LeaseLimits::default(),
            inherited: LeaseLimits::default(),
            mutants,
            members,
            me,
            incarnation: 0,
            grantors: vec![Grantor::default(); ranges],
            holders: vec![Holder::default(); ranges],
            last_run: 0,
            booted: false,
            grants_from: MonoTime(0),
            paxos_from: MonoTime(0),
            stopping: false,
        }
    }

    /// Replays persisted limits.
    pub fn recover(&mut self, limits: LeaseLimits) {
        self.inherited = self.inherited.max(limits);
    }

    /// Starts the process with this incarnation. Returns the limits that must be durable before anything is granted,
    /// unless they already are.
    pub fn start(&mut self, incarnation: u32) -> Option<LeaseLimits> {
        self.incarnation = incarnation;
        self.limits = self.inherited.max(self.settings.limits());
        (self.limits != self.inherited).then_some(self.limits)
    }

    /// Limits on the leases that may have been granted so far.
    #[must_use]
    pub fn limits(&self) -> LeaseLimits {
        self.limits
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &LeaseSettings {
        &self.settings
    }

    /// Sets the current time, and begins to wait out the grants of an earlier process. Those grants were also timed
    /// by this machine's monotonic clock, so a full term from now is enough.
    pub fn boot(&mut self, now: MonoTime) {
        if !self.booted {
            self.booted = true;
            if !self.mutants.has(Mutant::LeaseNoRestartWait) {
                self.grants_from = now.after_ns(self.inherited.longest_ns);
                self.paxos_from = now.after_ns(self.inherited.longest_read_ns);
            }
        }
    }

    /// The range of a key, if leases are on.
    #[must_use]
    pub fn range_of(&self, key: &Key) -> Option<RangeId> {
        (self.settings.mode != LeaseMode::Off).then(|| RangeId::of(key, self.settings.ranges))
    }

    /// The lease on which the node may rely at `now`, if any.
    #[must_use]
    pub fn held(&self, range: RangeId, now: MonoTime) -> Option<HeldLease> {
        self.holders.get(usize::from(range.0)).and_then(|holder| holder.holds(now))
    }

    /// The ranges held at `now`.
    pub fn all_held(&self, now: MonoTime) -> impl Iterator<Item = (RangeId, HeldLease)> + '_ {
        self.holders.iter().enumerate().filter_map(move |(at, holder)| {
            let range = RangeId(u16::try_from(at).expect("ranges are counted in u16"));
            holder.holds(now).map(|held| (range, held))
        })
    }

    /// Records that this node coordinates an operation in this range: requests the lease, or extends it once half of
    /// its time has passed. Nothing else requests leases, so idle ranges have no holder.
    pub fn touch<R: Rng + ?Sized>(&mut self, range: RangeId, now: MonoTime, rng: &mut R, out: &mut Vec<LeaseAction>) {
        let at = usize::from(range.0);
        if self.stopping || self.settings.mode == LeaseMode::Off || now < self.grants_from {
            return;
        }
        let other = self.other(range, now);
        let holder = &mut self.holders[at];
        // An attempt whose replies were lost must not block the next attempt.
        if holder.attempt.is_some_and(|attempt| now.since_ns(attempt.began) > self.settings.time_ns / 2) {
            holder.attempt = None;
        }
        let wanted = match holder.holds(now) {
            Some(held) => held.until.since_ns(now) <= self.settings.usable_ns() / 2 && holder.yield_at.is_none(),
            None => other.is_none(),
        };
        if wanted && holder.attempt.is_none() && now >= holder.not_before {
            self.begin_attempt(range, now, rng, out);
        }
    }

    /// The last known lease of another node on the range.
    #[must_use]
    pub fn other(&self, range: RangeId, now: MonoTime) -> Option<OtherLease> {
        let at = usize::from(range.0);
        let me = self.node();
        let granted = self.grantors.get(at)?.running(now).map(|grant| OtherLease { ballot: grant.ballot, until: grant.until });
        let seen = self.holders.get(at)?.seen.filter(|seen| now < seen.until);
        [granted, seen].into_iter().flatten().filter(|seen| seen.ballot.node != me).max_by_key(|seen| seen.ballot)
    }

    /// Records the lease of another node, from a grantor's refusal or from the holder itself.
    pub fn note_other(&mut self, range: RangeId, ballot: LeaseBallot, until: MonoTime) {
        self.last_run = self.last_run.max(ballot.run);
        if let Some(holder) = self.holders.get_mut(usize::from(range.0))
            && holder.seen.is_none_or(|seen| seen.ballot <= ballot)
        {
            holder.seen = Some(OtherLease { ballot, until });
        }
    }

    /// Records the holder's statement that it no longer holds the range.
    pub fn forget_other(&mut self, range: RangeId, node: NodeId) {
        if let Some(holder) = self.holders.get_mut(usize::from(range.0)) {
            holder.seen = holder.seen.filter(|seen| seen.ballot.node != node);
        }
    }

    /// Whether this node's acceptor must refuse a Paxos request: a prepare, or an accept.
    pub fn refuses(&mut self, range: RangeId, from: NodeId, accept: bool, now: MonoTime, out: &mut Vec<LeaseAction>) -> Option<Refusal> {
        if now < self.paxos_from {
            return Some(Refusal { holder: None, remaining_ns: self.paxos_from.since_ns(now) });
        }
        let turn_ns = self.settings.turn_ns();
        let grantor = self.grantors.get_mut(usize::from(range.0))?;
        let grant = grantor.running(now).filter(|grant| grant.ballot.node != from)?;
        // Under a lease for progress only, an accept from another node is harmless, since ballots decide. Under a
        // read lease it could choose an update that the holder's row does not have.
        if accept && grant.mode != LeaseMode::Read {
            return None;
        }
        if let Some(ballot) = grantor.note_refused(now, turn_ns) {
            let message = LeaseMessage { range, ballot, body: LeaseBody::Wanted };
            self.send_notice(ballot.node, message, now, out);
        }
        Some(Refusal { holder: Some(grant.ballot), remaining_ns: grant.until.since_ns(now) })
    }

    /// Whether the wait after a restart also covers Paxos requests for keys without leases, since leases may now be
    /// off.
    #[must_use]
    pub fn is_waiting_after_restart(&self, now: MonoTime) -> bool {
        now < self.paxos_from
    }

    /// Handles a message from another node.
    pub fn receive<R: Rng + ?Sized>(
        &mut self,
        from: NodeId,
        message: LeaseMessage,
        now: MonoTime,
        rng: &mut R,
        out: &mut Vec<LeaseAction>,
    ) {
        let Some(place) = self.members.place(from).filter(|place| *place != self.me) else {
            return;
        };
        if usize::from(message.range.0) >= self.grantors.len() || message.ballot.run > LeaseBallot::MAX_RUN {
            return;
        }
        self.last_run = self.last_run.max(message.ballot.run);
        match message.body {
            LeaseBody::Prepare | LeaseBody::Propose { .. } | LeaseBody::Release => {
                // A released range is free, so a node waiting for it may request it.
                if message.body == LeaseBody::Release {
                    let holder = &mut self.holders[usize::from(message.range.0)];
                    holder.seen = holder.seen.filter(|seen| seen.ballot != message.ballot);
                }
                // A node may only request or release leases for itself.
                if message.ballot.node == from
                    && let Some(body) = self.serve(message, now)
                {
                    out.push(LeaseAction::Send { to: from, message: LeaseMessage { body, ..message } });
                }
            }
            LeaseBody::Promise { .. } | LeaseBody::Granted | LeaseBody::Refused { .. } => self.answer(place, message, now, rng, out),
            LeaseBody::Wanted => self.on_wanted(message.range, now, out),
        }
    }

    /// Handles the timer of a range: a lease has ended or is due for release.
    pub fn timer(&mut self, range: RangeId, now: MonoTime, out: &mut Vec<LeaseAction>) {
        let Some(holder) = self.holders.get(usize::from(range.0)) else {
            return;
        };
        if holder.yield_at.is_some_and(|at| at <= now) && holder.holds(now).is_some() {
            self.step_down(range, now, EndWhy::Yielded, out);
        }
        self.note_expiry(range, now, out);
    }

    /// Releases all leases and requests no new ones, since the node is stopping.
    pub fn stop(&mut self, now: MonoTime, out: &mut Vec<LeaseAction>) {
        self.stopping = true;
        for at in 0..self.holders.len() {
            let range = RangeId(u16::try_from(at).expect("ranges are counted in u16"));
            self.note_expiry(range, now, out);
            self.step_down(range, now, EndWhy::Stopped, out);
        }
    }

    fn node(&self) -> NodeId {
        self.members.nodes()[self.me as usize]
    }

    fn tolerable_refusals(&self) -> u32 {
        self.members.count() - self.members.quorum()
    }

    /// The grantor's reply to a request. `None` if no reply is needed.
    fn serve(&mut self, message: LeaseMessage, now: MonoTime) -> Option<LeaseBody> {
        let LeaseMessage { range, ballot, body } = message;
        let grantor = &mut self.grantors[usize::from(range.0)];
        let waits = now < self.grants_from;
        match body {
            LeaseBody::Prepare | LeaseBody::Propose { .. } if waits => Some(LeaseBody::Refused { seen: LeaseBallot::ZERO, granted: None }),
            LeaseBody::Prepare => Some(grantor.prepare(now, ballot)),
            LeaseBody::Propose { time_ns, mode } => Some(grantor.propose(now, ballot, time_ns, mode, self.limits)),
            LeaseBody::Release => {
                grantor.release(ballot, self.mutants);
                None
            }
            LeaseBody::Promise { .. } | LeaseBody::Granted | LeaseBody::Refused { .. } | LeaseBody::Wanted => None,
        }
    }

    fn begin_attempt<R: Rng + ?Sized>(&mut self, range: RangeId, now: MonoTime, rng: &mut R, out: &mut Vec<LeaseAction>) {
        self.last_run += 1;
        let ballot = LeaseBallot { run: self.last_run, restarts: self.incarnation, node: self.node() };
        let attempt = LeaseAttempt { ballot, began: now, phase: AttemptPhase::Prepare, yes: NodeSet::EMPTY, no: NodeSet::EMPTY };
        self.holders[usize::from(range.0)].attempt = Some(attempt);
        self.broadcast(LeaseMessage { range, ballot, body: LeaseBody::Prepare }, now, rng, out);
    }

    /// Sends to all other nodes, then to this node itself.
    fn broadcast<R: Rng + ?Sized>(&mut self, message: LeaseMessage, now: MonoTime, rng: &mut R, out: &mut Vec<LeaseAction>) {
        let me = self.node();
        let others = self.members.nodes().iter().filter(|node| **node != me);
        out.extend(others.map(|to| LeaseAction::Send { to: *to, message }));
        if let Some(body) = self.serve(message, now) {
            self.answer(self.me, LeaseMessage { body, ..message }, now, rng, out);
        }
    }

    fn answer<R: Rng + ?Sized>(&mut self, place: u32, message: LeaseMessage, now: MonoTime, rng: &mut R, out: &mut Vec<LeaseAction>) {
        let (me, quorum, spare) = (self.node(), self.members.quorum(), self.tolerable_refusals());
        let LeaseMessage { range, ballot, body } = message;
        if let LeaseBody::Promise { granted: Some((other, left_ns)) } | LeaseBody::Refused { granted: Some((other, left_ns)), .. } = body
            && other.node != me
        {
            self.note_other(range, other, now.after_ns(left_ns));
        }
        if let LeaseBody::Refused { seen, .. } = body {
            self.last_run = self.last_run.max(seen.run.min(LeaseBallot::MAX_RUN));
        }
        let Some(attempt) = self.holders[usize::from(range.0)].attempt.as_mut().filter(|attempt| attempt.ballot == ballot) else {
            return;
        };
        match (body, attempt.phase) {
            // A grant to this process, or to an earlier one of this node, is not an obstacle.
            (LeaseBody::Promise { granted }, AttemptPhase::Prepare) if granted.is_none_or(|(held, _)| held.node == me) => {
                attempt.yes.insert(place);
                if attempt.yes.count() >= quorum {
                    // The holder's term starts before the request is sent, and a grantor's term starts later.
                    attempt.phase = AttemptPhase::Propose { sent: now };
                    (attempt.yes, attempt.no) = (NodeSet::EMPTY, NodeSet::EMPTY);
                    let body = LeaseBody::Propose { time_ns: self.settings.time_ns, mode: self.settings.mode };
                    self.broadcast(LeaseMessage { range, ballot, body }, now, rng, out);
                }
            }
            (LeaseBody::Granted, AttemptPhase::Propose { sent }) => {
                attempt.yes.insert(place);
                if attempt.yes.count() >= quorum {
                    self.on_granted(range, ballot, sent, now, out);
                }
            }
            (LeaseBody::Promise { .. }, AttemptPhase::Prepare) | (LeaseBody::Refused { .. }, _) => {
                attempt.no.insert(place);
                if attempt.no.count() > spare {
                    self.give_up(range, now, rng);
                }
            }
            (LeaseBody::Promise { .. } | LeaseBody::Granted, _) => {}
            (LeaseBody::Prepare | LeaseBody::Propose { .. } | LeaseBody::Release | LeaseBody::Wanted, _) => {}
        }
    }

    /// Handles a quorum of grants.
    fn on_granted(&mut self, range: RangeId, ballot: LeaseBallot, sent: MonoTime, now: MonoTime, out: &mut Vec<LeaseAction>) {
        self.holders[usize::from(range.0)].attempt = None;
        self.note_expiry(range, now, out);
        let believed_ns = if self.mutants.has(Mutant::LeaseIgnoresDrift) { self.settings.time_ns } else { self.settings.usable_ns() };
        let since = if self.mutants.has(Mutant::LeaseTimerAtAck) { now } else { sent };
        let until = since.after_ns(believed_ns);
        if until <= now {
            // The replies took longer than the lease.
            return;
        }
        let holder = &mut self.holders[usize::from(range.0)];
        let (what, from) = match holder.held {
            Some(held) => (LeaseChange::Extended, held.from),
            None => (LeaseChange::Acquired, now),
        };
        holder.held = Some(HeldLease { ballot, from, until });
        out.push(LeaseAction::Event(LeaseEvent { what, range, ballot, from, until }));
        out.push(LeaseAction::Timer { range, at: until });
    }

    /// Handles too many refusals: retries later, at a random time, so that nodes outbidding each other do not stay in
    /// lockstep.
    fn give_up<R: Rng + ?Sized>(&mut self, range: RangeId, now: MonoTime, rng: &mut R) {
        let turn_ns = self.settings.turn_ns();
        let holder = &mut self.holders[usize::from(range.0)];
        holder.attempt = None;
        holder.not_before = now.after_ns(turn_ns / 4 + rng.random_range(0..=turn_ns));
    }

    /// Handles a notice that other nodes' requests were refused because of this node's lease.
    fn on_wanted(&mut self, range: RangeId, now: MonoTime, out: &mut Vec<LeaseAction>) {
        let turn_ns = self.settings.turn_ns();
        let holder = &mut self.holders[usize::from(range.0)];
        let Some(held) = holder.holds(now) else {
            return;
        };
        if self.settings.forward == Forward::On {
            // Most of these nodes learned of the lease late, and forward to this one from then on. A node that keeps
            // being refused cannot reach this node, and would starve while all others are served.
            let since = holder.wanted.filter(|(_, last)| now.since_ns(*last) <= 3 * turn_ns).map_or(now, |(since, _)| since);
            holder.wanted = Some((since, now));
            if now.since_ns(since) < 4 * turn_ns {
                return;
            }
        }
        let at = now.max(held.from.after_ns(turn_ns));
        holder.yield_at = Some(holder.yield_at.map_or(at, |known| known.min(at)));
        if at <= now {
            self.step_down(range, now, EndWhy::Yielded, out);
        } else {
            out.push(LeaseAction::Timer { range, at });
        }
    }

    /// Stops using the lease, *then* releases it: nothing is done under the lease after the first line.
    fn step_down(&mut self, range: RangeId, now: MonoTime, why: EndWhy, out: &mut Vec<LeaseAction>) {
        let turn_ns = self.settings.turn_ns();
        let holder = &mut self.holders[usize::from(range.0)];
        let (held, attempt) = (holder.held.take(), holder.attempt.take());
        (holder.yield_at, holder.wanted) = (None, None);
        // Other nodes have been waiting, so they go first.
        holder.not_before = now.after_ns(2 * turn_ns);
        if let Some(HeldLease { ballot, from, .. }) = held {
            out.push(LeaseAction::Event(LeaseEvent { what: LeaseChange::Ended(why), range, ballot, from, until: now }));
        }
        let granted = held.map(|held| held.ballot).into_iter().chain(attempt.map(|attempt| attempt.ballot));
        for ballot in granted {
            let message = LeaseMessage { range, ballot, body: LeaseBody::Release };
            self.serve(message, now);
            let me = self.node();
            out.extend(self.members.nodes().iter().filter(|node| **node != me).map(|to| LeaseAction::Send { to: *to, message }));
        }
    }

    fn note_expiry(&mut self, range: RangeId, now: MonoTime, out: &mut Vec<LeaseAction>) {
        let holder = &mut self.holders[usize::from(range.0)];
        if let Some(HeldLease { ballot, from, until }) = holder.held.filter(|held| held.until <= now) {
            (holder.held, holder.yield_at, holder.wanted) = (None, None, None);
            out.push(LeaseAction::Event(LeaseEvent { what: LeaseChange::Ended(EndWhy::Expired), range, ballot, from, until }));
        }
    }

    fn send_notice(&mut self, to: NodeId, message: LeaseMessage, now: MonoTime, out: &mut Vec<LeaseAction>) {
        if to == self.node() {
            self.on_wanted(message.range, now, out);
        } else {
            out.push(LeaseAction::Send { to, message });
        }
    }
}
