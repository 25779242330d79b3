//! What a run leaves.

use crate::fault::Fault;
use crate::judge::Violation;
use crate::op_record::OpRecord;
use heckle_paxos::{Counters, Outcome, StateBytes};

/// What a run leaves.
#[derive(Debug, Clone)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// All operations in the order of their invocation, the final reads last.
    pub ops: Vec<OpRecord>,
    /// The faults that struck.
    pub faults: Vec<Fault>,
    /// What was found wrong; empty for a correct core.
    pub violations: Vec<Violation>,
    /// What each node counted, summed over its processes.
    pub counters: Vec<Counters>,
    /// State of each node that lives at the end.
    pub state_bytes: Vec<StateBytes>,
    /// Messages between nodes: sent, lost, delivered twice.
    pub messages: (u64, u64, u64),
    /// Syncs of all disks.
    pub syncs: u64,
    /// Events handled.
    pub events: u64,
    /// A hash over all events: two runs are the same iff it is equal.
    pub digest: u64,
    /// Virtual time at the end.
    pub end_ns: u64,
}

impl Report {
    /// Operations with this kind of outcome.
    #[must_use]
    pub fn count(&self, pick: impl Fn(&Outcome) -> bool) -> usize {
        self.ops.iter().filter(|op| op.outcome.as_ref().is_some_and(&pick)).count()
    }

    /// The first violation that clients can come to see.
    #[must_use]
    pub fn harm(&self) -> Option<&Violation> {
        self.violations.iter().find(|violation| violation.kind.harms_clients())
    }

    /// Operations that were applied.
    #[must_use]
    pub fn applied(&self) -> usize {
        self.count(|outcome| matches!(outcome, Outcome::Applied))
    }

    /// Operations of which the client does not know what became.
    #[must_use]
    pub fn unknown(&self) -> usize {
        self.ops.iter().filter(|op| matches!(op.outcome, None | Some(Outcome::Unknown { .. }))).count()
    }
}
