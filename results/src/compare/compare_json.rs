//! The result of a comparison: the types of `compare.json`, schema `heckle.compare/1`. Pages and charts are drawn only from this
//! file. As in `results.json`, fields are only ever added, and names carry their units.

mod contrast; // the contrast of an arm with the reference, figure by figure

pub use contrast::{Contrast, DroppedPair, EffectIs, FigureResult};

use super::paired::Reading;
use super::phases::Phase;
use super::state::StateSizes;
use crate::experiment::{self, Disqualified, ExperimentHead};
use crate::measure::round;
use crate::results_json::RunVerdict;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the format that this crate writes and reads.
pub const SCHEMA: &str = "heckle.compare/1";

/// The complete result of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Comparison {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// `<UTC>-<4 hex>`, the name of the comparison folder.
    pub comparison_id: String,
    /// The fields shared by all kinds of experiments.
    #[serde(flatten)]
    pub head: ExperimentHead,
    /// The design, fixed before the first run.
    pub design: Design,
    /// The arms. The first one is the reference.
    pub arms: Vec<Arm>,
    /// Every run, in the order of execution.
    pub runs: Vec<Run>,
    /// The contrast of each arm with the reference.
    pub contrasts: Vec<Contrast>,
    /// Conditions for the validity of the figures.
    pub validity: Vec<Validity>,
    /// Successes of each client over time in one pair, for each arm.
    pub successes: Vec<SuccessMap>,
    /// Bytes of protocol state over time; absent if all arms have the same pruning and expiry.
    pub state: Option<StateSizes>,
}

/// The part of a comparison that is fixed before the first run, so that no choice depends on the results.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Design {
    /// Number of pairs of runs. With more than two arms, the number of rounds in which each arm runs once.
    pub pairs: u32,
    /// Minimum number of pairs that must remain for a claim.
    pub pairs_needed: u32,
    /// Whether both arms are the same, so that any difference is noise.
    pub aa: bool,
    /// How load is offered.
    pub load: LoadMode,
    /// Whether arms differ in pruning or expiry of state.
    pub state_differs: bool,
    /// Target rate in operations per second; absent in saturation.
    pub rate_per_s: Option<f64>,
    /// The figures on which claims are made.
    pub primary: Vec<String>,
    /// Kinds of faults that are injected in every run.
    pub faults: Vec<String>,
    /// Upper bound on the probability of any false claim of change.
    pub alpha: f64,
    /// Largest ratio, in either direction, that counts as the same.
    pub same_ratio: f64,
    /// Largest difference of shares that counts as the same.
    pub same_share: f64,
    /// Largest difference of Jain's index that counts as the same.
    pub same_index: f64,
    /// Time after its end for which a fault is assumed to have an effect.
    pub recovery_s: f64,
    /// Maximum share of the machine that other processes may use during a run.
    pub noise_limit: f64,
    /// Maximum share of operations that the harness may send late.
    pub late_limit: f64,
    /// The stopping rule of the comparison.
    pub stop_rule: String,
}

/// How load is offered. A comparison uses only one mode. At equal offered load a slow arm shows up in waiting times, at
/// saturation in goodput.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoadMode {
    /// Operations are due by the clock, in equal numbers in all arms.
    #[default]
    EqualOfferedLoad,
    /// Each client sends its next operation when the last one has completed.
    Saturation,
}

impl LoadMode {
    /// Returns its name in reports.
    pub fn words(self) -> &'static str {
        match self {
            LoadMode::EqualOfferedLoad => "equal offered load",
            LoadMode::Saturation => "saturation",
        }
    }
}

/// One variant in a comparison.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Arm {
    /// Name of the arm.
    pub name: String,
    /// Settings in addition to those that all arms share.
    pub settings: BTreeMap<String, String>,
    /// The violation of correctness that excludes the arm from all claims.
    pub disqualified: Option<Disqualified>,
    /// Number of intents in its runs that count.
    pub intents: u64,
    /// Number of these intents that never finished.
    pub unfinished: u64,
    /// Share of intents finished within a time, as pairs of milliseconds and share: the Kaplan-Meier estimate over its runs that
    /// count.
    pub finished_by: Vec<[f64; 2]>,
}

/// One run of a comparison.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Run {
    /// Number of the pair, from 1.
    pub pair: u32,
    /// Position within its pair, from 1.
    pub place: u32,
    /// Name of the arm.
    pub arm: String,
    /// The seed, shared with its pair.
    pub seed: String,
    /// Hash of the fault schedule, shared with its pair.
    pub schedule: String,
    /// Path of the run folder, relative to the comparison folder.
    pub path: String,
    /// The verdict on the run itself.
    pub verdict: RunVerdict,
    /// The exit code of the run itself.
    pub exit_code: i32,
    /// Intents (operations, if the workload has no intents) that were due in the load window and begun, per second.
    pub offered_per_s: f64,
    /// Operations sent per second.
    pub achieved_per_s: f64,
    /// Share of operations that the harness sent late.
    pub late_ratio: f64,
    /// Share of the machine that other processes used during the run; absent if unknown.
    pub others_cpu: Option<f64>,
    /// Why the run does not count.
    pub dropped: Option<Dropped>,
    /// The figures of the run, by phase.
    pub figures: BTreeMap<Phase, BTreeMap<String, Number>>,
}

/// A figure of one run.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Number {
    /// The value, or its lower bound.
    pub value: f64,
    /// Whether the value is a lower bound, because the run ended before the measured event.
    pub at_least: bool,
}

impl From<Reading> for Number {
    fn from(reading: Reading) -> Self {
        // Round to six digits: more would exceed the accuracy of the measurement and not survive a round trip.
        Number { value: round(reading.number(), 6), at_least: reading.censored() }
    }
}

impl From<Number> for Reading {
    fn from(number: Number) -> Self {
        if number.at_least { Reading::AtLeast(number.value) } else { Reading::Exact(number.value) }
    }
}

/// Why a run does not count.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Dropped {
    /// The category of the reason.
    pub kind: DropKind,
    /// The reason as text.
    pub why: String,
    /// The change that would make such a run count, with the flag. Empty if there is no known remedy.
    pub mend: String,
}

/// The categories of reasons for which a run does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DropKind {
    /// The harness sent too many operations late.
    Late,
    /// Other processes used too much of the machine.
    Noisy,
    /// The run was inconclusive.
    #[default]
    Inconclusive,
    /// The harness or the machine failed.
    Broken,
    /// The run was interrupted.
    Interrupted,
    /// The run did not take place.
    Missing,
}

impl DropKind {
    /// Returns its name in reports.
    pub fn word(self) -> &'static str {
        match self {
            DropKind::Late => "late",
            DropKind::Noisy => "noisy",
            DropKind::Inconclusive => "inconclusive",
            DropKind::Broken => "broken",
            DropKind::Interrupted => "interrupted",
            DropKind::Missing => "missing",
        }
    }
}

/// One condition for the validity of the figures.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Validity {
    /// Name of the condition.
    pub name: String,
    /// Whether the condition holds.
    pub passed: bool,
    /// An explanation as text.
    pub words: String,
}

/// Successes of each client over time in one run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SuccessMap {
    /// Name of the arm.
    pub arm: String,
    /// Number of the pair: the one with the median effect.
    pub pair: u32,
    /// Length of a slice.
    pub slice_s: f64,
    /// Clients, in the order of the rows.
    pub clients: Vec<String>,
    /// Number of successes, with a row per client and a column per slice.
    pub successes: Vec<Vec<u32>>,
}

impl Default for Comparison {
    fn default() -> Self {
        Comparison {
            schema: SCHEMA.into(),
            comparison_id: String::new(),
            head: ExperimentHead::default(),
            design: Design::default(),
            arms: vec![],
            runs: vec![],
            contrasts: vec![],
            validity: vec![],
            successes: vec![],
            state: None,
        }
    }
}

impl Comparison {
    /// Returns the text of `compare.json`.
    pub fn to_json(&self) -> String {
        experiment::to_text(self)
    }

    /// Parses the text of `compare.json`.
    ///
    /// # Errors
    /// A message that states what is wrong and where.
    pub fn from_json(text: &str) -> Result<Self, String> {
        experiment::parse(text, SCHEMA, |read: &Comparison| &read.schema)
    }
}
