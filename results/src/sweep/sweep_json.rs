//! The result of a sweep: the types of `sweep.json`, schema `heckle.sweep/1`. Pages and charts are drawn from this file alone. As in
//! `results.json`, fields are only ever added, and names carry their units.

use crate::compare::compare_json::Disqualified;
use crate::results_json::{BuildInfo, EnvInfo, Gate, Harness, RunVerdict, Status};
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
    /// Name of the preset or the plan.
    pub name: String,
    /// Whether the sweep has ended. One that is still `running` without a process was killed; `heckle sweep --resume` continues it.
    pub status: Status,
    /// The exit code of `heckle sweep`.
    pub exit_code: i32,
    /// The conclusions, a sentence each, the most severe first.
    pub verdict: Vec<String>,
    /// At most three sentences that need no chart; empty if the figures support none.
    pub answer: Vec<String>,
    /// When the sweep began, such as `2026-01-31T12:00:00Z`.
    pub started_utc: String,
    /// Duration of the sweep, without the time between its sessions.
    pub wall_s: f64,
    /// Number of sessions: 1, and one more for each time it was resumed.
    pub sessions: u32,
    /// The seed that determines the seeds and the order of all runs, in hexadecimal: `0x…`.
    pub seed: String,
    /// The command that repeats the sweep.
    pub again: String,
    /// The harness process of the last session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<Harness>,
    /// The build of the tool.
    pub build: BuildInfo,
    /// Build profile: `release` or `debug`.
    pub build_profile: String,
    /// The machine of the sweep.
    pub env: EnvInfo,
    /// The design, fixed before the first run.
    pub design: Design,
    /// The arms; the first is the reference.
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
    /// Paths of files in the sweep folder, by name.
    pub artifacts: BTreeMap<String, String>,
}

/// The part of a sweep that is fixed before the first run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Design {
    /// The setting that varies, by its key in plans: `rate`, `clients`, `keys`, `zipf`, `hot`, `value_bytes`, `nodes` or `op_timeout`.
    pub axis: String,
    /// How the values are spaced, and so how the axis is drawn.
    pub spacing: Spacing,
    /// The values, in rising order. With `find_max`, the two ends of the range.
    pub values: Vec<AxisValue>,
    /// Number of runs per point.
    pub repeats: u32,
    /// Whether rates are chosen by bisection instead of from `values`.
    pub find_max: bool,
    /// The bisection of an arm stops when the lowest failing rate is at most this factor above the highest that holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolution: Option<f64>,
    /// The limits on figures that a point must hold: `p99_ms<50`.
    pub slo: Vec<String>,
    /// The share of the asked rate that must be answered.
    pub answered_limit: f64,
    /// Share of the machine that other processes may use during a run before the run counts as limited by them.
    pub noise_limit: f64,
    /// The asked rate of all points, if it is not the axis; absent in a closed loop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_per_s: Option<f64>,
    /// Whether clients have intents, that is, retry until they succeed. Throughput then counts intents.
    pub intents: bool,
    /// What the arms differ in, in words; absent if the plan does not say.
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
    /// Which of the repeats it is, from 1.
    pub repeat: u32,
    /// The seed of the run. Arms share it at the same value and repeat.
    pub seed: String,
    /// Path of the run folder, relative to the sweep folder.
    pub path: String,
    /// The verdict on the run.
    pub verdict: RunVerdict,
    /// The exit code of the run.
    pub exit_code: i32,
    /// Why the run does not count, if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_counted: Option<String>,
    /// Why the run is no evidence of correctness although its figures count, such as too little contention.
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

/// A figure over the repeats of a point.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The lowest value.
    pub min: f64,
    /// The highest value.
    pub max: f64,
    /// Number of runs with this figure.
    pub n: u32,
}

/// One point of a curve.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Point {
    /// Name of the arm.
    pub arm: String,
    /// The value of the axis.
    pub value: AxisValue,
    /// Number of runs that count.
    pub counted: u32,
    /// Number of runs that do not count.
    pub not_counted: u32,
    /// Why, for the first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
    /// Bottlenecks outside the system under test that affected at least half of the runs that count, each with the number of runs
    /// affected. A point with any is drawn hollow: its figures describe this machine rather than the system.
    pub limited_by: BTreeMap<String, u32>,
    /// Number of runs that count, held all limits of the design and were answered at the asked rate.
    pub held: u32,
    /// Number of runs that missed a limit or were not answered at the asked rate. Inconclusive runs are among them: a system that
    /// answers almost nothing leaves too little to judge.
    pub missed: u32,
    /// The figures, by name.
    pub figures: BTreeMap<String, Spread>,
}

/// The first value of the axis at which an arm misses a limit or does not answer at the asked rate.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Knee {
    /// Name of the arm.
    pub arm: String,
    /// The value; absent if the arm holds all limits up to the last value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<AxisValue>,
    /// The last value below it; absent if the knee is at the first value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_good: Option<AxisValue>,
    /// What was missed there, in words.
    pub why: String,
    /// Bottlenecks outside the system under test at the knee: it may be the knee of this machine.
    pub limited_by: Vec<String>,
}

/// The highest rate that an arm sustains.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Maximum {
    /// Name of the arm.
    pub arm: String,
    /// The highest rate at which most runs held, with all lower tested rates; absent if even the lowest rate of the range fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_per_s: Option<f64>,
    /// The highest rate at which, and below which, every run held: the lower end of the interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low_per_s: Option<f64>,
    /// The lowest rate at which, and above which, no run held: the upper end. Absent if there is none in the range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high_per_s: Option<f64>,
    /// Whether the bisection has reached its resolution or an end of the range.
    pub complete: bool,
    /// Bottlenecks outside the system under test at the lowest rate that failed.
    pub limited_by: Vec<String>,
}

impl Default for Sweep {
    fn default() -> Self {
        Sweep {
            schema: SCHEMA.into(),
            sweep_id: String::new(),
            name: String::new(),
            status: Status::Running,
            // An unfinished sweep counts as inconclusive.
            exit_code: 2,
            verdict: vec![],
            answer: vec![],
            started_utc: String::new(),
            wall_s: 0.0,
            sessions: 1,
            seed: String::new(),
            again: String::new(),
            owner: None,
            build: BuildInfo::default(),
            build_profile: String::new(),
            env: EnvInfo::default(),
            design: Design::default(),
            arms: vec![],
            runs: vec![],
            points: vec![],
            knees: vec![],
            maxima: vec![],
            artifacts: BTreeMap::new(),
        }
    }
}

impl Sweep {
    /// Returns the text of `sweep.json`.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("strings, numbers and maps with string keys serialize") + "\n"
    }

    /// Parses the text of `sweep.json`.
    ///
    /// # Errors
    /// A message that says what is wrong and where.
    pub fn from_json(text: &str) -> Result<Self, String> {
        let read: Sweep = serde_json::from_str(text).map_err(|e| e.to_string())?;
        if read.schema == SCHEMA {
            Ok(read)
        } else {
            Err(format!("schema `{}` is not `{SCHEMA}`, the one this version reads", read.schema))
        }
    }

    /// Returns the points of an arm, by value.
    pub fn points_of<'a>(&'a self, arm: &'a str) -> impl Iterator<Item = &'a Point> + Clone {
        self.points.iter().filter(move |p| p.arm == arm)
    }

    /// Returns the arms that have runs, with their places among all arms.
    pub fn running_arms(&self) -> impl Iterator<Item = (usize, &Arm)> + Clone {
        self.arms.iter().enumerate().filter(|(_, arm)| arm.left_out.is_none())
    }
}

impl Point {
    /// Whether most of its runs held all limits.
    pub fn holds(&self) -> bool {
        self.held > self.missed
    }

    /// Whether at least half of its runs missed a limit. A point whose runs decide nothing neither holds nor misses.
    pub fn misses(&self) -> bool {
        self.missed > 0 && self.missed >= self.held
    }

    /// Returns the median of a figure.
    pub fn median(&self, figure: &str) -> Option<f64> {
        self.figures.get(figure).map(|s| s.median)
    }
}
