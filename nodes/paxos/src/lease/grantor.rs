//! The granting role, for one range at one node: the current grant and its end. Kept in memory only.

use super::message::{LeaseBallot, LeaseBody};
use super::settings::{LeaseLimits, LeaseMode};
use crate::ids::MonoTime;
use crate::mutants::{Mutant, Mutants};

/// A node's promise and grant for one range.
#[derive(Debug, Clone, Copy)]
pub struct Grantor {
    promised: LeaseBallot,
    grant: Option<Grant>,
    /// The ballot of the last [`LeaseBody::Wanted`] notice, and the earliest time of the next notice for that ballot.
    last_notice: (LeaseBallot, MonoTime),
}

/// A grant. It runs until it expires or its holder releases it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// The ballot of the grant, which also names its holder.
    pub ballot: LeaseBallot,
    /// When the grant ends, by this node's clock.
    pub until: MonoTime,
    /// What the holder may do under the grant.
    pub mode: LeaseMode,
}

impl Default for Grantor {
    fn default() -> Self {
        Self { promised: LeaseBallot::ZERO, grant: None, last_notice: (LeaseBallot::ZERO, MonoTime(0)) }
    }
}

impl Grantor {
    /// The grant that is running at `now`. It compares times, so a late timer cannot prolong a grant.
    #[must_use]
    pub fn running(&self, now: MonoTime) -> Option<Grant> {
        self.grant.filter(|grant| now < grant.until)
    }

    /// Handles a prepare. Returns the reply.
    pub fn prepare(&mut self, now: MonoTime, ballot: LeaseBallot) -> LeaseBody {
        // An equal ballot is a duplicate, and the promise stays valid.
        if ballot < self.promised {
            return self.refusal(now);
        }
        self.promised = ballot;
        LeaseBody::Promise { granted: self.granted(now) }
    }

    /// Handles a propose. Returns the reply. Grants are made only here.
    pub fn propose(&mut self, now: MonoTime, ballot: LeaseBallot, time_ns: u64, mode: LeaseMode, limits: LeaseLimits) -> LeaseBody {
        // Never grant while another node's grant is running, whatever was promised. Otherwise
        //   n1 prepares, n3 forgets its promise in a restart and waits, n3 grants to n2, n1's late propose arrives
        // would take away the lease that n2 relies on. A new process of the same node may get the grant, because the
        // old process has ended.
        let taken = self.running(now).is_some_and(|grant| grant.ballot.node != ballot.node);
        // After a restart this node waits only as long as its limits, so it must never grant more.
        let longest = if mode == LeaseMode::Read { limits.longest_read_ns } else { limits.longest_ns };
        if ballot < self.promised || taken || time_ns > longest || mode == LeaseMode::Off {
            return self.refusal(now);
        }
        self.promised = ballot;
        let until = now.after_ns(time_ns);
        match &mut self.grant {
            // A duplicate propose: the grant runs from the first copy and is not extended.
            Some(grant) if grant.ballot == ballot => {}
            // A further grant to the same holder never shortens its current one.
            Some(grant) if now < grant.until && grant.until > until => {
                *grant = Grant { ballot, until: grant.until, mode };
            }
            Some(_) | None => self.grant = Some(Grant { ballot, until, mode }),
        }
        LeaseBody::Granted
    }

    /// Ends the current grant if it is exactly the one being released.
    ///
    /// Otherwise
    ///   n1 releases ballot 4 (the message is late), n1 gets ballot 6, the release arrives
    /// would leave n1 holding a lease that other nodes can also get.
    pub fn release(&mut self, ballot: LeaseBallot, mutants: Mutants) {
        let exact = self.grant.is_some_and(|grant| grant.ballot == ballot);
        if exact || mutants.has(Mutant::LeaseReleaseAny) {
            self.grant = None;
            // A late duplicate of the propose must not be granted again: the grant would block the range without any
            // node using it.
            self.promised = self.promised.max(LeaseBallot { run: ballot.run.saturating_add(1), ..LeaseBallot::ZERO });
        }
    }

    /// Records that a request was refused because of the running grant. Returns the grant's ballot if its holder
    /// should be notified: at most once per `every_ns` and ballot, since a notice for each request would flood the
    /// holder.
    pub fn note_refused(&mut self, now: MonoTime, every_ns: u64) -> Option<LeaseBallot> {
        let grant = self.running(now)?;
        let (ballot, again) = self.last_notice;
        if ballot == grant.ballot && now < again {
            return None;
        }
        self.last_notice = (grant.ballot, now.after_ns(every_ns));
        Some(grant.ballot)
    }

    fn granted(&self, now: MonoTime) -> Option<(LeaseBallot, u64)> {
        self.running(now).map(|grant| (grant.ballot, grant.until.since_ns(now)))
    }

    fn refusal(&self, now: MonoTime) -> LeaseBody {
        LeaseBody::Refused { seen: self.promised, granted: self.granted(now) }
    }
}
