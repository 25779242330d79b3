//! The settings of suites, sweeps and comparisons: tables that a single run does not use.

use crate::plan::units::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `[suite]`: a matrix of runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SuiteSettings {
    /// Time limit of a session; a run that would exceed it is not started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Span>,
    /// Number of runs per cell, each with a different seed [default: 1]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat: Option<u32>,
    /// Values by key of a plan: the matrix has a cell for each combination.
    #[schemars(with = "BTreeMap<String, Vec<serde_json::Value>>")]
    pub axes: BTreeMap<String, Vec<toml::Value>>,
    /// Combinations to exclude.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<BTreeMap<String, serde_json::Value>>")]
    pub exclude: Vec<BTreeMap<String, toml::Value>>,
    /// Variants by name, chosen with `--profile`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub profile: BTreeMap<String, ProfileSettings>,
}

/// `[suite.profile.NAME]`: its settings override those of the suite; an axis replaces the one with the same key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProfileSettings {
    /// As in `[suite]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Span>,
    /// As in `[suite]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat: Option<u32>,
    /// As in `[suite]`.
    #[schemars(with = "BTreeMap<String, Vec<serde_json::Value>>")]
    pub axes: BTreeMap<String, Vec<toml::Value>>,
}

/// `[sweep]`: the same plan at several values of one setting.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SweepSettings {
    /// The setting that varies and its values: `rate=100..8000`, `clients=1..32:6`, `keys=1,4,16`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over: Option<String>,
    /// Number of runs per point [default: 3]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeats: Option<u32>,
    /// Limits on figures that a point must meet, by default `p99_ms<50`
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub slo: Vec<String>,
    /// Time limit of the sweep, from which the length of each point follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Span>,
    /// The feature that the first arm lacks and the others have, such as `a cache`. If given, the sweep ends with an answer in sentences.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// `[[canary]]`: a planted bug that a suite must catch, or the suite is red.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CanarySettings {
    /// The planted bug.
    pub mutant: String,
    /// Number of runs within which it must be caught [default: 1]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_runs: Option<u32>,
    /// Settings by key, applied to the plan that exposes the bug.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub set: BTreeMap<String, toml::Value>,
}

/// `[[arm]]`: one variant of a comparison, with the settings that distinguish it, such as `nodes = 5`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ArmSettings {
    /// Name of the arm and of the folder of its runs.
    pub name: String,
    /// Any key of `[cluster]`, `[load]` or `[faults]`.
    #[serde(flatten)]
    pub settings: BTreeMap<String, ArmValue>,
}

/// A value of a setting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ArmValue {
    /// A whole number.
    Whole(i64),
    /// A number.
    Number(f64),
    /// Any other value, such as a word or a time.
    Text(String),
    /// A list of words.
    List(Vec<String>),
}
