//! What the checkers and the coverage rules say of a run.

use super::Verdict;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

/// The verdict on linearizability.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Linearizability {
    /// Of all keys together.
    pub verdict: Verdict,
    /// Which engine: `chain`, `search`, `both` or, for what is no register, `scan`.
    pub checker: String,
    /// How long the check took, second opinions not counted.
    pub check_ms: f64,
    /// How long second opinions of another engine took; absent if none was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_opinion_ms: Option<f64>,
    /// When the live judge saw the first violation, counted from the start of the run.
    pub detected_ms: Option<f64>,
    /// The verdict if no fate were known, where one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict_without_fates: Option<Verdict>,
    /// Key by key.
    pub keys: Vec<KeyVerdict>,
    /// Each with its reason.
    pub violations: Vec<Violation>,
}

/// The verdict on one key.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct KeyVerdict {
    /// Which.
    pub key: String,
    /// How many ops it saw.
    pub ops: u64,
    /// The verdict.
    pub verdict: Verdict,
    /// The verdict if no fate were known, where one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict_without_fates: Option<Verdict>,
    /// Which limit left it unknown, or why another engine had to judge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What a second engine said, or `none: ` and why not; absent in older files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_opinion: Option<String>,
    /// A second engine came to the same verdict.
    pub confirmed: bool,
}

/// A contradiction in the history.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Violation {
    /// From 1, the folder below `violations/`.
    pub id: u32,
    /// The key it is on.
    pub key: String,
    /// `stale_read`, `lost_update` …
    pub kind: String,
    /// What the kind means, in one clause.
    pub meaning: String,
    /// The ops that contradict each other.
    pub ops: Vec<u64>,
    /// The argument in one sentence.
    pub words: String,
    /// What a user of the system lost: which acknowledged update, when it was acknowledged, which fault came in between,
    /// who saw the old value. Absent where no acknowledged update is proved to be missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub story: Option<String>,
    /// The argument step by step.
    pub steps: Vec<String>,
    /// What was going on around it: context, not proof.
    pub nearby: Vec<String>,
    /// Why it had to be expected, where ops of the key bypassed consensus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// A second, independent engine agreed.
    pub certified: bool,
    /// Its folder, relative to the run's.
    pub path: String,
}

/// A node that ended by its own fault: an assertion, a panic, an abort, a memory fault, an exit that was not asked for.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Crash {
    /// Counted on from the violations of linearizability; the folder below `violations/`.
    pub id: u32,
    /// Always `crash`.
    pub kind: String,
    /// Which node.
    pub node: String,
    /// When its end was seen, since the start of the run.
    pub t_s: f64,
    /// How it ended: `signal 6 (SIGABRT)`.
    pub how: String,
    /// The assertion or panic that it logged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
    /// The last lines of its log.
    pub log: Vec<String>,
    /// What happened in one sentence.
    pub words: String,
    /// Its folder, relative to the run's.
    pub path: String,
}

/// One check beside linearizability.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Check {
    /// `availability`, `durability` …
    pub name: String,
    /// What it says.
    pub verdict: Verdict,
    /// The same for a person.
    pub words: String,
    /// Its figures, units in their names.
    pub figure: Map<String, Json>,
}

/// Whether enough happened.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Coverage {
    /// All rules passed.
    pub passed: bool,
    /// Rule by rule.
    pub rules: Vec<CoverageRule>,
}

/// One thing that must have happened so often.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CoverageRule {
    /// `ok_cas_during:partition` …
    pub id: String,
    /// How often at least.
    pub need: u64,
    /// How often it did.
    pub got: u64,
    /// `got >= need`.
    pub passed: bool,
}

impl CoverageRule {
    /// Why a rule that was not met leaves a run inconclusive.
    pub(crate) fn missed(&self) -> String {
        format!("too little happened: {} is {}, at least {} needed", self.id, self.got, self.need)
    }
}
