//! The result of a sweep: the types of `sweep.json`, schema `heckle.sweep/1`. Pages and charts are drawn only from this file. As in
//! `results.json`, fields are only ever added, and names carry their units.

mod outcome; // points, knees and maxima

pub use outcome::{Knee, Maximum, Point, Spread};

use crate::experiment::{self, Disqualified, ExperimentHead};
use crate::results_json::{Gate, Harness, RunVerdict};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the format that this crate writes and reads.
pub const SCHEMA: &str = "heckle.sweep/1";

/// The complete result of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Sweep {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// `<UTC>-<4 hex>`, the name of the sweep folder.
    pub sweep_id: String,
    /// The fields shared by all kinds of experiments.
    #[serde(flatten)]
    pub head: ExperimentHead,
    /// Number of sessions: 1, and one more for each time it was resumed.
    pub sessions: u32,
    /// The harness process of the last session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Harness>,
    /// The design, fixed before the first run.
    pub design: Design,
    /// The arms. The first one is the reference.
    pub arms: Vec<Arm>,
    /// Every completed run, in the order of execution.
    pub runs: Vec<Run>,
    /// One point per arm and value with at least one completed run, by arm and then by value.
    pub points: Vec<Point>,
    /// The knee of each arm.
    pub knees: Vec<Knee>,
    /// The highest rate that each arm sustains, with `--find-max`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub maxima: Vec<Maximum>,
}

/// The part of a sweep that is fixed before the first run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Design {
    /// The setting that varies, by its key in plans: `rate`, `clients`, `keys`, `zipf`, `hot`, `value_bytes`, `nodes` or `op_timeout`.
    pub axis: String,
    /// Spacing of the values, which also determines the scale of the axis.
    pub spacing: Spacing,
    /// The values, in ascending order. With `find_max`, the two ends of the range.
    pub values: Vec<AxisValue>,
    /// Number of runs per point.
    pub repeats: u32,
    /// Whether rates are chosen by bisection instead of from `values`.
    pub find_max: bool,
    /// The bisection of an arm stops when the lowest failing rate is at most this factor above the highest sustained rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolution: Option<f64>,
    /// The limits on figures that a point must hold: `p99_ms<50`.
    pub slo: Vec<String>,
    /// Minimum share of the target rate that must be answered.
    pub answered_limit: f64,
    /// Share of the machine beyond which other processes count as a limit of a run.
    pub noise_limit: f64,
    /// The target rate of all points, if it is not the axis. Absent in a closed loop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_per_s: Option<f64>,
    /// Whether clients have intents, that is, retry until they succeed. Throughput then counts intents.
    pub intents: bool,
    /// The difference between the arms, as text. Absent if the plan does not state it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Length of the load before the window of each run.
    pub warmup_s: f64,
    /// Length of the load window of each run, the same for all points.
    pub window_s: f64,
    /// Maximum number of runs.
    pub runs: u32,
    /// Estimated duration of one run with start, judgement and charts.
    pub run_s: f64,
    /// Time limit of the whole sweep, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_s: Option<f64>,
}

/// How the values of an axis are spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Spacing {
    /// By equal differences.
    #[default]
    Linear,
    /// By equal ratios.
    Geometric,
}

/// One value of the axis.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AxisValue {
    /// The value as in a plan: `400`, `0.5`, `200ms`.
    pub text: String,
    /// The value as a number; times are in milliseconds.
    pub number: f64,
}

/// One arm of a sweep.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Arm {
    /// Name of the arm.
    pub name: String,
    /// Settings in addition to those that all arms share.
    pub settings: BTreeMap<String, String>,
    /// The system under test.
    pub system: String,
    /// Why the arm has no runs, if it has none: its system is not installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_out: Option<String>,
    /// The violation of correctness that ended the runs of this arm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disqualified: Option<Disqualified>,
}

/// One completed run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Run {
    /// Name of the arm.
    pub arm: String,
    /// The value of the axis.
    pub value: AxisValue,
    /// Number of the repeat, from 1.
    pub repeat: u32,
    /// The seed of the run. Arms share it at the same value and repeat.
    pub seed: String,
    /// Path of the run folder, relative to the sweep folder.
    pub path: String,
    /// The verdict on the run.
    pub verdict: RunVerdict,
    /// The exit code of the run.
    pub exit_code: i32,
    /// The reason why the run does not count, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_counted: Option<String>,
    /// The reason why the run is not evidence of correctness although its figures count, such as too little contention.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_evidence: Option<String>,
    /// Bottlenecks outside the system under test, by the names of `bottlenecks` in `results.json`, and `other_processes`.
    pub limited_by: Vec<String>,
    /// Share of the machine that other processes used during the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub others_cpu: Option<f64>,
    /// The limits of the design, evaluated.
    pub slo: Vec<Gate>,
    /// The figures of the run, by name: see [`super::figures::FIGURES`].
    pub figures: BTreeMap<String, f64>,
    /// Duration of the whole run with start, judgement and charts.
    pub wall_s: f64,
}

impl Default for Sweep {
    fn default() -> Self {
        Sweep {
            schema: SCHEMA.into(),
            sweep_id: String::new(),
            head: ExperimentHead::default(),
            sessions: 1,
            owner: None,
            design: Design::default(),
            arms: vec![],
            runs: vec![],
            points: vec![],
            knees: vec![],
            maxima: vec![],
        }
    }
}

impl Sweep {
    /// Returns the text of `sweep.json`.
    pub fn to_json(&self) -> String {
        experiment::to_text(self)
    }

    /// Parses the text of `sweep.json`.
    ///
    /// # Errors
    /// A message that states what is wrong and where.
    pub fn from_json(text: &str) -> Result<Self, String> {
        experiment::parse(text, SCHEMA, |read: &Sweep| &read.schema)
    }

    /// Returns the points of an arm, by value.
    pub fn points_of<'a>(&'a self, arm: &'a str) -> impl Iterator<Item = &'a Point> + Clone {
        self.points.iter().filter(move |p| p.arm == arm)
    }

    /// Returns the arms that have runs, with their indices among all arms.
    pub fn running_arms(&self) -> impl Iterator<Item = (usize, &Arm)> + Clone {
        self.arms.iter().enumerate().filter(|(_, arm)| arm.left_out.is_none())
    }
}
