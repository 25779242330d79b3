//! The words of a judgement. `results.json` repeats them, so each serialises as it is written there.

use crate::linearizable::certificate::Contradiction;
use heckle_history::{Nanos, OpId};
use serde::Serialize;

/// What a check concludes. `Unknown` is not `Valid`: it names a limit that was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Proved to hold. The order of the variants is the order of merging.
    Valid,
    /// Neither proved nor refuted within the limits.
    Unknown,
    /// Proved not to hold.
    Invalid,
}

impl Verdict {
    /// The verdict of two parts: invalid beats unknown beats valid.
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

    /// The verdict of many parts; of none, valid.
    pub fn merge_all(parts: impl IntoIterator<Item = Verdict>) -> Verdict {
        parts.into_iter().fold(Verdict::Valid, Verdict::merge)
    }

    /// The word for it in files and reports.
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

/// How a history contradicts its model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ViolationKind {
    /// A value was read after a later one had been established.
    StaleRead,
    /// An acknowledged update vanished under another that was built on an older value.
    LostUpdate,
    /// Two updates took effect on one and the same value, and at least one was never acknowledged.
    Fork,
    /// A value was observed that no op writes.
    ReadOfNeverWritten,
    /// A value was observed before the op that writes it was invoked.
    FutureRead,
    /// Real time forces two values to each come before the other.
    RealTimeCycle,
    /// A value was observed whose op is known not to have happened.
    AbortedRead,
    /// Without the answers about fates the history is valid; with them it is not.
    FateContradicted,
    /// A CAS was refused although it saw what it expected.
    RefusedThoughMet,
    /// CAS ops each found what only the other one writes.
    CasCycle,
    /// An element is there twice that was put in once.
    Duplicate,
    /// Elements came out, or are listed, in another order than that in which they were put in.
    OutOfOrder,
    /// A queue was found empty that was not.
    FalseEmpty,
    /// Two clients held a lock at the same time.
    TwoHolders,
    /// A lock was released by a client that did not hold it.
    NotHeld,
    /// A later holder of a lock got a fencing token that is not higher.
    TokenWentBack,
    /// A counter was read higher than all increments together.
    CountTooHigh,
    /// The search found no order; it does not tell kinds apart.
    NotLinearizable,
}

impl ViolationKind {
    /// Every kind: tests hold a drawn history for each.
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

    /// The word for it in files and reports.
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

    /// What it means, in one clause.
    pub fn meaning(self) -> &'static str {
        match self {
            ViolationKind::StaleRead => "an old state was seen after a newer one was certain",
            ViolationKind::LostUpdate => "an acknowledged update vanished",
            ViolationKind::Fork => "two different updates took effect on the same state, so there were two versions of it",
            ViolationKind::ReadOfNeverWritten => "something was seen that no operation ever wrote",
            ViolationKind::FutureRead => "something was seen before the operation that wrote it had begun",
            ViolationKind::RealTimeCycle => "two values must each have come before the other",
            ViolationKind::AbortedRead => "something was seen whose operation failed",
            ViolationKind::FateContradicted => "what clients were told later about unknown outcomes contradicts what was seen",
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

/// One contradiction, small enough to be read by a person.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Violation {
    /// Counted from 1 in a judgement; names the folder `violations/1`.
    pub id: u32,
    /// The key it happened on.
    pub key: String,
    /// How it contradicts the model.
    pub kind: ViolationKind,
    /// The ops that suffice to show it, by invocation.
    pub ops: Vec<OpId>,
    /// When the last observation that is part of it completed: no checker could have told earlier.
    pub shown_at: Nanos,
    /// The argument in words.
    pub explanation: Explanation,
    /// Whether a second, independent engine agreed that these ops contradict the model.
    pub certified: bool,
    /// The argument as data, for the verifier. Absent for a violation found by search or online.
    #[serde(skip)]
    pub contradiction: Option<Contradiction>,
}

/// A violation in words.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Explanation {
    /// One sentence.
    pub summary: String,
    /// What a user of the system lost: which acknowledged update, what came in between, who saw it. `None` where no
    /// acknowledged update is proved to be missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub story: Option<String>,
    /// The steps of the argument, each about one or two ops.
    pub steps: Vec<String>,
    /// What was going on around it: faults, nodes, what the system reported. Context, not proof.
    pub nearby: Vec<String>,
    /// Why it had to be expected: the ops of the key bypassed consensus. `None` if all of them went through it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// What produced a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// The chain checker.
    Chain,
    /// The scan of an object that is no register.
    Scan,
    /// porcupine-rs, in a child process with limits.
    Search,
    /// Both, and they agreed.
    Both,
}

/// What a second, independent engine said of a key's verdict, or why it was not asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SecondOpinion {
    /// The search came to the same verdict.
    Agreed,
    /// Brute force refuted the ops of the contradiction again.
    Refuted,
    /// Brute force could not refute the ops of the contradiction within its steps.
    NotRefuted,
    /// The search came to the other verdict: one of the engines is broken.
    Disagreed,
    /// The search met a limit, this one.
    GaveUp(String),
    /// The key has too many ops for a search to be worth its time.
    TooLarge {
        /// Keys of at most this many ops are asked about.
        up_to: u64,
    },
    /// Only one engine was asked for, or only one applies.
    NotAsked,
}

impl SecondOpinion {
    /// In words: what was said, or `none`, with the reason.
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

    /// Whether a second engine confirmed the verdict.
    pub fn confirms(&self) -> bool {
        matches!(self, SecondOpinion::Agreed | SecondOpinion::Refuted)
    }
}

/// The verdict on one key.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KeyReport {
    /// Its name.
    pub key: String,
    /// How many ops it has.
    pub ops: u64,
    /// The verdict.
    pub verdict: Verdict,
    /// Who gave it.
    pub engine: Engine,
    /// The verdict if no fate were known; absent if none was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict_without_fates: Option<Verdict>,
    /// Why the chain checker does not apply, naming the op.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outside: Option<String>,
    /// Which limit left the verdict unknown, or whose second opinion is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What a second engine said of it.
    pub second_opinion: SecondOpinion,
}

/// The verdict on all keys.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Linearizability {
    /// Merged over the keys.
    pub verdict: Verdict,
    /// Chain if it judged every key, both if each was cross-checked, else search.
    pub checker: Engine,
    /// How long judging took, second opinions not counted; the caller has the clock.
    pub check_ms: Option<u64>,
    /// How long second opinions took, if any was asked for; the caller has the clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_opinion_ms: Option<u64>,
    /// When the online judge spoke, in milliseconds of the run; the caller knows.
    pub detected_ms: Option<u64>,
    /// Merged verdict if no fate were known; absent if none was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict_without_fates: Option<Verdict>,
    /// Key by key.
    pub keys: Vec<KeyReport>,
    /// At most one a key: the first contradiction found on it.
    pub violations: Vec<Violation>,
}
