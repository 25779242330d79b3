//! One node's leases, with the test playing all other nodes.

use heckle_paxos::lease::{
    Forward, LeaseAction, LeaseBallot, LeaseBody, LeaseChange, LeaseMessage, LeaseMode, LeaseSettings, Leases, RangeId,
};
use heckle_paxos::quorum::Members;
use heckle_paxos::{MonoTime, Mutants, NodeId};
use rand::SeedableRng;
use rand_pcg::Pcg64;

pub(crate) const MS: u64 = 1_000_000;
pub(crate) const LEASE_MS: u64 = 400;
pub(crate) const TURN_MS: u64 = LEASE_MS / 16;
pub(crate) const RANGE: RangeId = RangeId(0);

pub(crate) fn ballot(run: u64, node: u16) -> LeaseBallot {
    LeaseBallot { run, restarts: 1, node: NodeId(node) }
}

pub(crate) fn at(ms: u64) -> MonoTime {
    MonoTime(ms * MS)
}

/// The last nanosecond before `ms`.
pub(crate) fn before(ms: u64) -> MonoTime {
    MonoTime(ms * MS - 1)
}

pub(crate) fn settings(forward: Forward) -> LeaseSettings {
    LeaseSettings { mode: LeaseMode::Read, time_ns: LEASE_MS * MS, drift_ppm: 0, ranges: 1, forward }
}

/// The leases of n1, and their pending actions.
pub(crate) struct Node {
    pub(crate) leases: Leases,
    pub(crate) rng: Pcg64,
    pub(crate) out: Vec<LeaseAction>,
}

impl Node {
    pub(crate) fn new(members: u16, settings: LeaseSettings) -> Node {
        let members = Members::new((1..=members).map(NodeId).collect(), Mutants::NONE);
        let mut leases = Leases::new(settings, members, 0, Mutants::NONE);
        leases.start(1);
        leases.boot(at(0));
        Node { leases, rng: Pcg64::seed_from_u64(1), out: vec![] }
    }

    pub(crate) fn touch(&mut self, now: MonoTime) {
        self.leases.touch(RANGE, now, &mut self.rng, &mut self.out);
    }

    pub(crate) fn timer(&mut self, now: MonoTime) {
        self.leases.timer(RANGE, now, &mut self.out);
    }

    pub(crate) fn receive(&mut self, from: u16, ballot: LeaseBallot, body: LeaseBody, now: MonoTime) {
        let message = LeaseMessage { range: RANGE, ballot, body };
        self.leases.receive(NodeId(from), message, now, &mut self.rng, &mut self.out);
    }

    /// Requests the range. n2 (and n1 itself) grant it at the same moment.
    pub(crate) fn acquire(&mut self, now: MonoTime) -> LeaseBallot {
        self.touch(now);
        let asked = self.asked().expect("a free range is asked for");
        self.receive(2, asked, LeaseBody::Promise { granted: None }, now);
        self.receive(2, asked, LeaseBody::Granted, now);
        assert!(self.holds(now), "two of three granted it");
        self.out.clear();
        asked
    }

    pub(crate) fn holds(&self, now: MonoTime) -> bool {
        self.leases.held(RANGE, now).is_some()
    }

    /// The ballot of a prepare sent since the last call.
    pub(crate) fn asked(&mut self) -> Option<LeaseBallot> {
        let is_prepare = |action: &LeaseAction| match action {
            LeaseAction::Send { message, .. } if message.body == LeaseBody::Prepare => Some(message.ballot),
            _ => None,
        };
        let asked = self.out.iter().find_map(is_prepare);
        self.out.clear();
        asked
    }

    /// Bodies sent since the last call, with their receivers, and the lease changes.
    #[allow(clippy::type_complexity)] // Callers destructure it immediately.
    pub(crate) fn effects(&mut self) -> (Vec<(u16, LeaseBallot, LeaseBody)>, Vec<(LeaseChange, MonoTime)>) {
        let (mut sent, mut changes) = (vec![], vec![]);
        for action in self.out.drain(..) {
            match action {
                LeaseAction::Send { to, message } => sent.push((to.0, message.ballot, message.body)),
                LeaseAction::Event(event) => changes.push((event.what, event.until)),
                LeaseAction::Timer { .. } => {}
            }
        }
        (sent, changes)
    }

    pub(crate) fn timers(&self) -> Vec<MonoTime> {
        self.out.iter().filter_map(|action| if let LeaseAction::Timer { at, .. } = action { Some(*at) } else { None }).collect()
    }
}
