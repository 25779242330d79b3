//! The types of a verdict. They serialise to the form used in `results.json`.

use crate::linearizable::certificate::Contradiction;
use heckle_history::{Nanos, OpId};
use serde::Serialize;

/// The conclusion of a check. `Unknown` is not `Valid`: it means that a limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Proved to hold. The variants are ordered by precedence in a merge.
    Valid,
    /// Neither proved nor refuted within the limits.
    Unknown,
    /// Proved not to hold.
    Invalid,
}

impl Verdict {
    /// Merges the verdicts of two parts: invalid takes precedence over unknown, and unknown over valid.
    ///
    /// ```
    /// use heckle_checker::Verdict;
    /// assert_eq!(Verdict::Valid.merge(Verdict::Unknown), Verdict::Unknown);
    /// assert_eq!(Verdict::Invalid.merge(Verdict::Unknown), Verdict::Invalid);
    /// ```
    #[must_use]
    pub fn merge(self, other: Verdict) -> Verdict {
        self.max(other)
    }

    /// Merges the verdicts of any number of parts; returns valid if there are none.
    pub fn merge_all(parts: impl IntoIterator<Item = Verdict>) -> Verdict {
        parts.into_iter().fold(Verdict::Valid, Verdict::merge)
    }

    /// The name used in files and reports.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Valid => "valid",
            Verdict::Unknown => "unknown",
            Verdict::Invalid => "invalid",
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// The way in which a history contradicts its model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ViolationKind {
    /// A value was read after a newer value was known to hold.
    StaleRead,
    /// An acknowledged update was overwritten by another update that was based on an older value.
    LostUpdate,
    /// Two updates took effect on the same value, and at least one of them was never acknowledged.
    Fork,
    /// A value was observed that no op writes.
    ReadOfNeverWritten,
    /// A value was observed before the op that writes it was invoked.
    FutureRead,
    /// By real time, each of two values must precede the other.
    RealTimeCycle,
    /// A value was observed although the op that writes it is known not to have happened.
    AbortedRead,
    /// The history is valid if the resolved fates are ignored, and invalid if they are used.
    FateContradicted,
    /// A CAS was refused although it found the value it expected.
    RefusedThoughMet,
    /// Several CAS ops form a cycle: each found the value that only the previous one writes.
    CasCycle,
    /// An element that was added once is present twice.
    Duplicate,
    /// Elements were removed or listed in a different order from the one in which they were added.
    OutOfOrder,
    /// A dequeue reported an empty queue although the queue was not empty.
    FalseEmpty,
    /// Two clients held a lock at the same time.
    TwoHolders,
    /// A lock was released by a client that did not hold it.
    NotHeld,
    /// A later holder of a lock got a fencing token that is not higher than the previous one.
    TokenWentBack,
    /// A read of a counter returned more than the sum of all increments.
    CountTooHigh,
    /// The search found no order; it does not distinguish kinds of violation.
    NotLinearizable,
}

impl ViolationKind {
    /// All kinds; the tests contain an example history for each.
    pub const ALL: [ViolationKind; 18] = [
        ViolationKind::StaleRead,
        ViolationKind::LostUpdate,
        ViolationKind::Fork,
        ViolationKind::ReadOfNeverWritten,
        ViolationKind::FutureRead,
        ViolationKind::RealTimeCycle,
        ViolationKind::AbortedRead,
        ViolationKind::FateContradicted,
        ViolationKind::RefusedThoughMet,
        ViolationKind::CasCycle,
        ViolationKind::Duplicate,
        ViolationKind::OutOfOrder,
        ViolationKind::FalseEmpty,
        ViolationKind::TwoHolders,
        ViolationKind::NotHeld,
        ViolationKind::TokenWentBack,
        ViolationKind::CountTooHigh,
        ViolationKind::NotLinearizable,
    ];

    /// The name used in files and reports.
    pub fn word(self) -> &'static str {
        match self {
            ViolationKind::StaleRead => "stale_read",
            ViolationKind::LostUpdate => "lost_update",
            ViolationKind::Fork => "fork",
            ViolationKind::ReadOfNeverWritten => "read_of_never_written",
            ViolationKind::FutureRead => "future_read",
            ViolationKind::RealTimeCycle => "real_time_cycle",
            ViolationKind::AbortedRead => "aborted_read",
            ViolationKind::FateContradicted => "fate_contradicted",
            ViolationKind::RefusedThoughMet => "refused_though_met",
            ViolationKind::CasCycle => "cas_cycle",
            ViolationKind::Duplicate => "duplicate",
            ViolationKind::OutOfOrder => "out_of_order",
            ViolationKind::FalseEmpty => "false_empty",
            ViolationKind::TwoHolders => "two_holders",
            ViolationKind::NotHeld => "not_held",
            ViolationKind::TokenWentBack => "token_went_back",
            ViolationKind::CountTooHigh => "count_too_high",
            ViolationKind::NotLinearizable => "not_linearizable",
        }
    }

    /// Returns a description of the kind, in one clause.
    pub fn meaning(self) -> &'static str {
        match self {
            ViolationKind::StaleRead => "an old state was seen after a newer one was certain",
            ViolationKind::LostUpdate => "an acknowledged update vanished",
            ViolationKind::Fork => "two different updates took effect on the same state, so there were two versions of it",
            ViolationKind::ReadOfNeverWritten => "something was seen that no operation ever wrote",
            ViolationKind::FutureRead => "something was seen before the operation that wrote it had begun",
            ViolationKind::RealTimeCycle => "two values must each have come before the other",
            ViolationKind::AbortedRead => "something was seen whose operation failed",
            ViolationKind::FateContradicted => "the fate reported for an unknown outcome contradicts what clients saw",
            ViolationKind::RefusedThoughMet => "a compare-and-set was refused although it found what it expected",
            ViolationKind::CasCycle => "compare-and-sets each found what only another of them writes",
            ViolationKind::Duplicate => "an element that was put in once is there twice",
            ViolationKind::OutOfOrder => "elements are in another order than that in which they were put in",
            ViolationKind::FalseEmpty => "a queue was found empty that was not",
            ViolationKind::TwoHolders => "two clients held a lock at the same time",
            ViolationKind::NotHeld => "a lock was released by a client that did not hold it",
            ViolationKind::TokenWentBack => "a later holder of a lock got a fencing token that is not higher",
            ViolationKind::CountTooHigh => "a counter was read higher than all increments together",
            ViolationKind::NotLinearizable => "no order of the operations explains every answer",
        }
    }
}

impl std::fmt::Display for ViolationKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// One contradiction, reduced to a few ops for readability.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Violation {
    /// Number within the run, from 1; also the name of its folder, such as `violations/1`.
    pub id: u32,
    /// The affected key.
    pub key: String,
    /// The kind of contradiction.
    pub kind: ViolationKind,
    /// The ops that suffice to prove the violation, ordered by invocation.
    pub ops: Vec<OpId>,
    /// When the last observation involved completed. No checker could have detected the violation earlier.
    pub shown_at: Nanos,
    /// The explanation in prose.
    pub explanation: Explanation,
    /// Whether a second, independent engine confirmed that these ops contradict the model.
    pub certified: bool,
    /// The proof as data, for the verifier. Absent for a violation found by the search or by the online judge.
    #[serde(skip)]
    pub contradiction: Option<Contradiction>,
}

/// The explanation of a violation in prose.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Explanation {
    /// A summary in one sentence.
    pub summary: String,
    /// The effect on a user of the system: which acknowledged update was lost, what happened in between and who saw it.
    /// `None` if no acknowledged update is proved to be missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub story: Option<String>,
    /// The steps of the argument, each about one or two ops.
    pub steps: Vec<String>,
    /// Context: faults, node events and figures reported by the system at the time. They are not part of the proof.
    pub nearby: Vec<String>,
    /// Why the violation was to be expected: some ops on the key bypassed consensus. `None` if all of them used consensus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// The engine that produced a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// The chain checker.
    Chain,
    /// The scan for an object other than a register.
    Scan,
    /// The porcupine-rs search, in a child process with limits.
    Search,
    /// Chain checker and search, which agreed.
    Both,
}

/// The result of checking a key's verdict with a second, independent engine, or the reason why there was no such check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SecondOpinion {
    /// The search reached the same verdict.
    Agreed,
    /// Brute force confirmed that the ops of the contradiction have no valid order.
    Refuted,
    /// Brute force could not refute the ops of the contradiction within its step limit.
    NotRefuted,
    /// The search reached the opposite verdict: one of the engines has a bug.
    Disagreed,
    /// The search reached this limit.
    GaveUp(String),
    /// The key has too many ops for a search to be worthwhile.
    TooLarge {
        /// Maximum number of ops in a key that gets a second opinion.
        up_to: u64,
    },
    /// Only one engine was requested, or only one applies.
    NotAsked,
}

impl SecondOpinion {
    /// Describes the result, or returns `none` with the reason.
    pub fn words(&self) -> String {
        match self {
            SecondOpinion::Agreed => "the search agrees".into(),
            SecondOpinion::Refuted => "brute force refutes the contradiction too".into(),
            SecondOpinion::NotRefuted => "none: the contradiction is too large for brute force".into(),
            SecondOpinion::Disagreed => "the search disagrees".into(),
            SecondOpinion::GaveUp(limit) => format!("none: {limit}"),
            SecondOpinion::TooLarge { up_to } => format!("none: more than {up_to} ops"),
            SecondOpinion::NotAsked => "none: only one engine was asked, or applies".into(),
        }
    }

    /// Returns whether a second engine confirmed the verdict.
    pub fn confirms(&self) -> bool {
        matches!(self, SecondOpinion::Agreed | SecondOpinion::Refuted)
    }
}

/// The verdict on one key.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KeyReport {
    /// Name of the key.
    pub key: String,
    /// Number of ops on the key.
    pub ops: u64,
    /// The verdict.
    pub verdict: Verdict,
    /// The engine that reached the verdict.
    pub engine: Engine,
    /// The verdict without resolved fates; absent if no fate was queried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict_without_fates: Option<Verdict>,
    /// Why the chain checker does not apply to the key, naming the op that rules it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outside: Option<String>,
    /// The limit that left the verdict unknown, or the second opinion that is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The result of the second engine.
    pub second_opinion: SecondOpinion,
}

/// The verdict on all keys.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Linearizability {
    /// Verdict merged over the keys.
    pub verdict: Verdict,
    /// `Chain` if it judged every key, `Both` if every key was cross-checked, else `Search`.
    pub checker: Engine,
    /// Duration of the check without second opinions, in milliseconds. Filled in by the caller, which has the clock.
    pub check_ms: Option<u64>,
    /// Duration of the second opinions, if any, in milliseconds. Filled in by the caller, which has the clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_opinion_ms: Option<u64>,
    /// When the online judge reported a violation, in milliseconds since the start of the run. Filled in by the caller.
    pub detected_ms: Option<u64>,
    /// Merged verdict without resolved fates; absent if no fate was queried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict_without_fates: Option<Verdict>,
    /// One report per key.
    pub keys: Vec<KeyReport>,
    /// The first contradiction found on each key, so at most one per key.
    pub violations: Vec<Violation>,
}
