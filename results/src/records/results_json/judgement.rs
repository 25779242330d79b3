//! Results of the checkers and the coverage rules.

use super::Verdict;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

/// The verdict on linearizability.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Linearizability {
    /// The verdict on all keys together.
    pub verdict: Verdict,
    /// The engine used: `chain`, `search`, `both`, or `scan` for objects other than registers.
    pub checker: String,
    /// Duration of the check, without second opinions.
    pub check_ms: f64,
    /// Duration of second opinions by another engine; absent if there were none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_opinion_ms: Option<f64>,
    /// Time at which the online judge detected the first violation, since the start of the run.
    pub detected_ms: Option<f64>,
    /// The verdict without using fates, if requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict_without_fates: Option<Verdict>,
    /// The verdict on each key.
    pub keys: Vec<KeyVerdict>,
    /// Violations, each with its reason.
    pub violations: Vec<Violation>,
}

/// The verdict on one key.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct KeyVerdict {
    /// The key.
    pub key: String,
    /// Number of operations on it.
    pub ops: u64,
    /// The verdict.
    pub verdict: Verdict,
    /// The verdict without using fates, if requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict_without_fates: Option<Verdict>,
    /// Why the verdict is unknown, or why another engine had to check the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The verdict of a second engine, or `none: ` and the reason; absent in older files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_opinion: Option<String>,
    /// Whether a second engine reached the same verdict.
    pub confirmed: bool,
}

/// A contradiction in the history.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Violation {
    /// Its number, from 1; also the name of its folder below `violations/`.
    pub id: u32,
    /// The key.
    pub key: String,
    /// Its kind, such as `stale_read` or `lost_update`.
    pub kind: String,
    /// The meaning of the kind, in one clause.
    pub meaning: String,
    /// The operations that contradict each other.
    pub ops: Vec<u64>,
    /// The argument in one sentence.
    pub words: String,
    /// The loss for a user of the system: which acknowledged update, when it was acknowledged, which fault came in between,
    /// and which client read the old value. Absent unless an acknowledged update is proved to be missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub story: Option<String>,
    /// The argument step by step.
    pub steps: Vec<String>,
    /// Events near it in time: context, not proof.
    pub nearby: Vec<String>,
    /// Why the violation was to be expected, if operations on the key bypassed consensus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Whether a second, independent engine agreed.
    pub certified: bool,
    /// Its folder, relative to the run folder.
    pub path: String,
}

/// A node that crashed: an assertion, a panic, an abort, a memory fault or an unrequested exit.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Crash {
    /// Its number, continuing those of the linearizability violations; also the name of its folder below `violations/`.
    pub id: u32,
    /// Always `crash`.
    pub kind: String,
    /// Name of the node.
    pub node: String,
    /// Time at which the crash was noticed, since the start of the run.
    pub t_s: f64,
    /// How the process ended, such as `signal 6 (SIGABRT)`.
    pub how: String,
    /// The assertion or panic message in its log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
    /// The last lines of the node's log.
    pub log: Vec<String>,
    /// A description in one sentence.
    pub words: String,
    /// Its folder, relative to the run folder.
    pub path: String,
}

/// One check other than linearizability.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Check {
    /// Name of the check, such as `availability` or `durability`.
    pub name: String,
    /// Its verdict.
    pub verdict: Verdict,
    /// The result as text.
    pub words: String,
    /// Its figures, with units in their names.
    pub figure: Map<String, Json>,
}

/// Whether enough happened for a conclusive run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Coverage {
    /// Whether all rules were met.
    pub passed: bool,
    /// The result of each rule.
    pub rules: Vec<CoverageRule>,
}

/// One event that must have happened a number of times.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CoverageRule {
    /// Name of the rule, such as `ok_cas_during:partition`.
    pub id: String,
    /// The required count.
    pub need: u64,
    /// The actual count.
    pub got: u64,
    /// `got >= need`.
    pub passed: bool,
}

impl CoverageRule {
    /// Returns the reason to give for an inconclusive run when this rule is not met.
    pub(crate) fn unmet_reason(&self) -> String {
        format!("too little happened: {} is {}, at least {} needed", self.id, self.got, self.need)
    }
}
