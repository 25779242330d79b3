//! The outcome of the runs of a sweep: points, knees and maxima.

use super::AxisValue;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
    /// The reason why the first of them does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
    /// Bottlenecks outside the system under test that affected at least half of the runs that count, each with the number of runs
    /// affected. A point with any is drawn hollow: its figures describe this machine rather than the system.
    pub limited_by: BTreeMap<String, u32>,
    /// Number of runs that count, met all limits of the design and were answered at the target rate.
    pub held: u32,
    /// Number of runs that missed a limit or were not answered at the target rate. Inconclusive runs are among them: a system
    /// that answers almost nothing leaves too little to judge.
    pub missed: u32,
    /// The figures, by name.
    pub figures: BTreeMap<String, Spread>,
}

/// The first value of the axis at which an arm misses a limit or does not answer at the target rate.
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
    /// Description of the limits missed there.
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
    /// The highest rate at which most runs held, as they did at all lower tested rates. Absent if even the lowest rate of the range fails.
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

impl Point {
    /// Whether most of its runs met all limits.
    pub fn holds(&self) -> bool {
        self.held > self.missed
    }

    /// Whether at least half of its runs missed a limit. A point whose runs are all inconclusive neither holds nor misses.
    pub fn misses(&self) -> bool {
        self.missed > 0 && self.missed >= self.held
    }

    /// Returns the median of a figure.
    pub fn median(&self, figure: &str) -> Option<f64> {
        self.figures.get(figure).map(|s| s.median)
    }
}
