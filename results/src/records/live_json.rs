//! The state of a run in progress: the types of `live.json`, schema `heckle.live/1`. The run replaces the file about once a second and
//! removes it at its end. It is only for display: all results are computed from the history.

use crate::buckets::Buckets;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the format.
pub const SCHEMA: &str = "heckle.live/1";
/// Name of the file.
pub const FILE: &str = "live.json";
/// Maximum size of a file to read.
pub const MAX_BYTES: u64 = 512 * 1024;
/// Maximum number of points: one per second, so they cover the last five minutes.
pub const MAX_POINTS: usize = 300;
/// Maximum number of faults. The newest is last.
pub const MAX_FAULTS: usize = 100;

/// The state of a run in progress.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LiveRun {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// The run id.
    pub run_id: String,
    /// Name of the plan.
    pub plan: String,
    /// Number of times that the file has been written.
    pub writes: u64,
    /// Display name of the current phase.
    pub phase: String,
    /// Whether operations are being sent, so that rate and latency are meaningful.
    pub has_load: bool,
    /// Time since the start of the run.
    pub now_s: f64,
    /// Start of the load window.
    pub window_start_s: f64,
    /// End of the load window.
    pub window_end_s: f64,
    /// End of the quiet tail, which is followed by judging and drawing.
    pub tail_end_s: f64,
    /// The target rate; absent in a closed loop and for a load in stages.
    pub target_per_s: Option<f64>,
    /// The unit of the target rate: `op`, or `intent` for workloads with intents.
    pub target_unit: String,
    /// Operations so far, by kind and outcome.
    pub ops: BTreeMap<String, LiveOps>,
    /// Latency of ok operations so far, by kind, from the due time.
    pub latency: BTreeMap<String, Buckets>,
    /// The last few minutes, with about one point per second.
    pub points: Vec<Point>,
    /// The latest faults, oldest first.
    pub faults: Vec<LiveFault>,
    /// State of the online judge.
    pub judge: JudgeState,
    /// The reason for an early stop of the run, if any.
    pub stopping: Option<String>,
}

/// Operations by outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LiveOps {
    /// Operations sent.
    pub invoked: u64,
    /// Ok operations that took effect: reads, writes and applied CASes.
    pub applied: u64,
    /// CASes refused because their condition was not met.
    pub condition_not_met: u64,
    /// Operations proved not to have happened.
    pub failed: u64,
    /// Operations of unknown outcome.
    pub unknown: u64,
}

/// About a second of the run: counts since the previous point.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Point {
    /// End of the interval, since the start of the run.
    pub t_s: f64,
    /// Length of the interval.
    pub length_s: f64,
    /// Operations sent in the interval, and operations that ended in it.
    #[serde(flatten)]
    pub ops: LiveOps,
    /// Median latency of ok operations that ended in it; absent if there were none.
    pub p50_ms: Option<f64>,
    /// 99th percentile of the same.
    pub p99_ms: Option<f64>,
}

/// A fault that was injected.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LiveFault {
    /// Kind and targets.
    pub label: String,
    /// Start time, since the start of the run.
    pub began_s: f64,
    /// Time at which it ended and its end was confirmed. Absent while the fault is active.
    pub ended_s: Option<f64>,
}

/// State of the online judge. The verdict is decided after the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JudgeState {
    /// The run is not judged online.
    #[default]
    Off,
    /// No violation so far.
    NoViolation,
    /// A violation was found or a node crashed, so the run stops.
    Violation,
}

impl Default for LiveRun {
    fn default() -> Self {
        LiveRun {
            schema: SCHEMA.into(),
            run_id: String::new(),
            plan: String::new(),
            writes: 0,
            phase: String::new(),
            has_load: false,
            now_s: 0.0,
            window_start_s: 0.0,
            window_end_s: 0.0,
            tail_end_s: 0.0,
            target_per_s: None,
            target_unit: "op".into(),
            ops: BTreeMap::new(),
            latency: BTreeMap::new(),
            points: vec![],
            faults: vec![],
            judge: JudgeState::Off,
            stopping: None,
        }
    }
}

impl LiveOps {
    /// Adds the counts of another kind of operation.
    pub fn plus(self, other: LiveOps) -> LiveOps {
        LiveOps {
            invoked: self.invoked.saturating_add(other.invoked),
            applied: self.applied.saturating_add(other.applied),
            condition_not_met: self.condition_not_met.saturating_add(other.condition_not_met),
            failed: self.failed.saturating_add(other.failed),
            unknown: self.unknown.saturating_add(other.unknown),
        }
    }

    /// Returns the counts since `before`.
    pub fn since(self, before: LiveOps) -> LiveOps {
        LiveOps {
            invoked: self.invoked.saturating_sub(before.invoked),
            applied: self.applied.saturating_sub(before.applied),
            condition_not_met: self.condition_not_met.saturating_sub(before.condition_not_met),
            failed: self.failed.saturating_sub(before.failed),
            unknown: self.unknown.saturating_sub(before.unknown),
        }
    }

    /// Returns the number of operations that have ended.
    pub fn ended(self) -> u64 {
        [self.applied, self.condition_not_met, self.failed, self.unknown].into_iter().fold(0, u64::saturating_add)
    }
}

impl LiveRun {
    /// Returns the text of the file, on one line.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("numbers and strings serialize")
    }

    /// Parses the text of the file. Returns `None` for a file of another version, or one not written by a run.
    pub fn from_json(text: &str) -> Option<Self> {
        // Every field has a default, so require the schema explicitly. It is the first field that a run writes.
        let is_one = text.strip_prefix("{\"schema\":\"").is_some_and(|rest| rest.starts_with(&format!("{SCHEMA}\"")));
        let run: LiveRun = serde_json::from_str(text).ok().filter(|_| is_one)?;
        (run.points.len() <= MAX_POINTS && run.faults.len() <= MAX_FAULTS).then_some(run)
    }

    /// Returns the counts of operations of all kinds.
    pub fn all_ops(&self) -> LiveOps {
        self.ops.values().fold(LiveOps::default(), |sum, ops| sum.plus(*ops))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_round_trips_and_others_are_ignored() {
        let point = Point { ops: LiveOps { invoked: 3, ..LiveOps::default() }, p50_ms: Some(1.5), ..Point::default() };
        let run = LiveRun { points: vec![point], judge: JudgeState::Violation, ..LiveRun::default() };
        let text = run.to_json();
        assert!(!text.contains('\n') && text.contains("\"judge\":\"violation\""), "{text}");
        assert_eq!(LiveRun::from_json(&text), Some(run.clone()));
        let many = LiveRun { points: vec![point; MAX_POINTS + 1], ..run.clone() };
        let other = text.replace("heckle.live/1", "heckle.live/2");
        for bad in ["", "{", "{}", "[]", "{\"schema\":1}", &other, &many.to_json()] {
            assert_eq!(LiveRun::from_json(bad), None, "{bad}");
        }
        let full = LiveRun {
            points: vec![
                Point { t_s: 123_456.789, length_s: 1.000_123, p50_ms: Some(1.234_567), p99_ms: Some(123.456_7), ..point };
                MAX_POINTS
            ],
            faults: vec![LiveFault { label: "x".repeat(1_000), ..LiveFault::default() }; MAX_FAULTS],
            ..run
        };
        assert!((full.to_json().len() as u64) < MAX_BYTES, "the largest file is read: {}", full.to_json().len());
    }
}
