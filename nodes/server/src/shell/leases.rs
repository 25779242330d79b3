//! Reports lease changes to watchers.

use heckle_paxos::lease::{LeaseChange, LeaseEvent, LeaseMode};

use super::Shell;
use crate::clock;
use crate::control::LeaseChanged;

impl Shell {
    /// Reports that a lease has changed. Converts its times from the node's own, possibly skewed, clock.
    pub(crate) fn lease_changed(&self, event: &LeaseEvent) {
        let raw_ns = clock::raw_mono_ns();
        let (now, until_ns) = {
            let clock = self.clock.borrow();
            // A stopped clock never reaches the end of the lease.
            let until_ns = clock.real_ns_until(event.until).map_or(u64::MAX, |left_ns| raw_ns.saturating_add(left_ns));
            (clock.mono(), until_ns)
        };
        let mut held = self.leases.held.borrow_mut();
        let from_ns = match held.get(&event.range.0) {
            Some(known) if event.what != LeaseChange::Acquired => known.from_ns,
            Some(_) | None => raw_ns,
        };
        let (what, until_ns, why) = match event.what {
            LeaseChange::Acquired => ("lease_acquired", until_ns, None),
            LeaseChange::Extended => ("lease_extended", until_ns, None),
            // The lease ended when it ran out, even if that is noticed later.
            LeaseChange::Ended(why) => ("lease_ended", raw_ns.saturating_sub(now.since_ns(event.until)), Some(why.name().to_owned())),
        };
        let mode = self.options.lease.mode;
        let changed = LeaseChanged {
            node: self.name.clone(),
            what: what.to_owned(),
            range: event.range.0,
            ballot: event.ballot.to_string(),
            from_ns,
            until_ns,
            why,
            reads: mode == LeaseMode::Read,
        };
        self.log.info(what, &[("range", &event.range.0), ("ballot", &event.ballot), ("until_ns", &until_ns)]);
        self.leases.report(&changed);
        match event.what {
            LeaseChange::Acquired | LeaseChange::Extended => held.insert(event.range.0, changed),
            LeaseChange::Ended(_) => held.remove(&event.range.0),
        };
    }
}
