//! The results of a run.

use crate::checker::Violation;
use crate::fault::Fault;
use crate::op_record::OpRecord;
use heckle_paxos::{Counters, Outcome, StateBytes};

/// The results of a run.
#[derive(Debug, Clone)]
pub struct Report {
    /// Seed of the run.
    pub seed: u64,
    /// All operations in order of invocation, with the final reads last.
    pub ops: Vec<OpRecord>,
    /// The faults that occurred.
    pub faults: Vec<Fault>,
    /// The violations found. Empty for a correct core.
    pub violations: Vec<Violation>,
    /// Counters of each node, summed over its processes.
    pub counters: Vec<Counters>,
    /// State sizes of each node that is alive at the end.
    pub state_bytes: Vec<StateBytes>,
    /// Messages between nodes: sent, lost, delivered twice.
    pub messages: (u64, u64, u64),
    /// Syncs of all disks.
    pub syncs: u64,
    /// Events handled.
    pub events: u64,
    /// A hash over all events. Equal hashes mean identical runs.
    pub digest: u64,
    /// Virtual time at the end.
    pub end_ns: u64,
}

impl Report {
    /// Number of operations whose outcome is accepted by `pick`.
    #[must_use]
    pub fn count(&self, pick: impl Fn(&Outcome) -> bool) -> usize {
        self.ops.iter().filter(|op| op.outcome.as_ref().is_some_and(&pick)).count()
    }

    /// The first violation that clients can observe.
    #[must_use]
    pub fn client_visible_violation(&self) -> Option<&Violation> {
        self.violations.iter().find(|violation| violation.kind.is_client_visible())
    }

    /// Number of operations that were applied.
    #[must_use]
    pub fn applied(&self) -> usize {
        self.count(|outcome| matches!(outcome, Outcome::Applied))
    }

    /// Number of operations whose outcome is unknown to their client.
    #[must_use]
    pub fn unknown(&self) -> usize {
        self.ops.iter().filter(|op| matches!(op.outcome, None | Some(Outcome::Unknown { .. }))).count()
    }
}
