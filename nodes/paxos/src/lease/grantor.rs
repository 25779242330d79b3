//! Who grants: for one range at one node, to whom it is granted and until when. In memory only.

use super::message::{LeaseBallot, LeaseBody};
use super::settings::{LeaseLimits, LeaseMode};
use crate::ids::MonoTime;
use crate::mutants::{Mutant, Mutants};

/// What a node has granted of one range.
#[derive(Debug, Clone, Copy)]
pub struct Grantor {
    promised: LeaseBallot,
    grant: Option<Grant>,
    /// The ballot whose holder was notified last that others wait, and when it may be notified again.
    notified: (LeaseBallot, MonoTime),
}

/// A grant that runs until it runs out, whatever happens, or until its holder gives it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// To whom, and at which ballot.
    pub ballot: LeaseBallot,
    /// Until when by this node's clock.
    pub until: MonoTime,
    /// What the holder may do.
    pub mode: LeaseMode,
}

impl Default for Grantor {
    fn default() -> Self {
        Self { promised: LeaseBallot::ZERO, grant: None, notified: (LeaseBallot::ZERO, MonoTime(0)) }
    }
}

impl Grantor {
    /// The grant that runs at `now`. Whether it runs is a comparison, so a late timer cannot prolong it.
    #[must_use]
    pub fn running(&self, now: MonoTime) -> Option<Grant> {
        self.grant.filter(|grant| now < grant.until)
    }

    /// Answers a prepare.
    pub fn prepare(&mut self, now: MonoTime, ballot: LeaseBallot) -> LeaseBody {
        // An equal one is a second copy, and the promise stands.
        if ballot < self.promised {
            return self.refusal(now);
        }
        self.promised = ballot;
        LeaseBody::Promise { granted: self.granted(now) }
    }

    /// Answers a propose: the one place where a grant is made.
    pub fn propose(&mut self, now: MonoTime, ballot: LeaseBallot, time_ns: u64, mode: LeaseMode, limits: LeaseLimits) -> LeaseBody {
        // Never while another node's grant runs, whatever was promised. Otherwise
        //   n1 prepares, n3 forgets its promise in a restart and waits, n3 grants to n2, n1's late propose arrives
        // would take from n2 what it believes in. A new process of the same node may: the old one is gone.
        let taken = self.running(now).is_some_and(|grant| grant.ballot.node != ballot.node);
        // After a restart this node waits for its limits and no longer.
        let longest = if mode == LeaseMode::Read { limits.longest_read_ns } else { limits.longest_ns };
        if ballot < self.promised || taken || time_ns > longest || mode == LeaseMode::Off {
            return self.refusal(now);
        }
        self.promised = ballot;
        let until = now.after_ns(time_ns);
        match &mut self.grant {
            // A second copy of a propose: it was granted from its first one on, more is not needed.
            Some(grant) if grant.ballot == ballot => {}
            // More time for the same holder never takes away what it has.
            Some(grant) if now < grant.until && grant.until > until => {
                *grant = Grant { ballot, until: grant.until, mode };
            }
            Some(_) | None => self.grant = Some(Grant { ballot, until, mode }),
        }
        LeaseBody::Granted
    }

    /// Takes a grant back, if it is exactly the one that its holder gives back.
    ///
    /// Otherwise
    ///   n1 releases ballot 4 (late on its way), n1 gets ballot 6, the release arrives
    /// would leave n1 with a lease that others can get as well.
    pub fn release(&mut self, ballot: LeaseBallot, mutants: Mutants) {
        let exact = self.grant.is_some_and(|grant| grant.ballot == ballot);
        if exact || mutants.has(Mutant::LeaseReleaseAny) {
            self.grant = None;
            // A second copy of the propose, late, is not granted again: that lease would not be used.
            self.promised = self.promised.max(LeaseBallot { run: ballot.run.saturating_add(1), ..LeaseBallot::ZERO });
        }
    }

    /// A request was refused because of the running grant. Says whether to notify its holder: for each
    /// ballot once in `every_ns`, since an answer to each would be a flood.
    pub fn turned_away(&mut self, now: MonoTime, every_ns: u64) -> Option<LeaseBallot> {
        let grant = self.running(now)?;
        let (ballot, again) = self.notified;
        if ballot == grant.ballot && now < again {
            return None;
        }
        self.notified = (grant.ballot, now.after_ns(every_ns));
        Some(grant.ballot)
    }

    fn granted(&self, now: MonoTime) -> Option<(LeaseBallot, u64)> {
        self.running(now).map(|grant| (grant.ballot, grant.until.since_ns(now)))
    }

    fn refusal(&self, now: MonoTime) -> LeaseBody {
        LeaseBody::Refused { seen: self.promised, granted: self.granted(now) }
    }
}
