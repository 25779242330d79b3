//! The result of a run: the types of `results.json`, schema `heckle.results/1`.
//!
//! Scripts and dashboards read this file, so fields are only ever added, names carry their units, and a field never changes its
//! meaning. Unknown fields from a later version are ignored, and fields missing from an earlier version get defaults. These types
//! mirror the checker's types instead of reusing them, because a file outlives the code that wrote it.

mod counted; // figures of operations, latency, faults and the system
mod judgement; // results of the checkers and the coverage rules

pub use crate::bottleneck::{Bottleneck, Strain};
pub use crate::fairness::Fairness;
pub use crate::stages::StageFigures;
pub use crate::totals::WindowCounts;
pub use counted::{FateCounts, Fault, HistoryInfo, LateEffects, Latency, Load, LoadUnit, OpCounts, Percentiles, SystemFigures};
pub use judgement::{Check, Coverage, CoverageRule, Crash, KeyVerdict, Linearizability, Violation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the format that this crate writes and reads.
pub const SCHEMA: &str = "heckle.results/1";

/// The complete result of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Results {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// `<UTC>-<4 hex>`, the name of the run folder.
    pub run_id: String,
    /// Whether the run has ended.
    pub status: Status,
    /// The verdict on the run.
    pub verdict: RunVerdict,
    /// The exit code of `heckle run`.
    pub exit_code: i32,
    /// Reasons for the verdict, the most important first.
    pub reasons: Vec<String>,
    /// Additional warnings.
    pub warnings: Vec<String>,
    /// Start time of the run, such as `2026-01-31T12:00:00Z`.
    pub started_utc: String,
    /// The harness process of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub harness: Option<Harness>,
    /// Duration of the whole run: load, faults, tail and check.
    pub wall_s: f64,
    /// The plan of the run.
    pub plan: PlanInfo,
    /// The seed, in hexadecimal: `0x…`.
    pub seed: String,
    /// The build of the tool.
    pub build: BuildInfo,
    /// The machine of the run.
    pub env: EnvInfo,
    /// Operation counts over the whole history: warm-up, load window, quiet tail and final reads.
    pub ops: OpCounts,
    /// The same counts by kind of operation. They add up to `ops`.
    pub ops_by_kind: BTreeMap<String, OpCounts>,
    /// Counts of the operations that were due in the load window, on which latency and gates are based. Absent in older files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowCounts>,
    /// The fates of operations with unknown outcomes.
    pub fates: FateCounts,
    /// The recorded history from which everything else is derived, and whether it is complete.
    pub history: HistoryInfo,
    /// The verdict on linearizability.
    pub linearizability: Linearizability,
    /// Nodes that crashed. Each is a violation of kind `crash`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub crashes: Vec<Crash>,
    /// Checks other than linearizability.
    pub checks: Vec<Check>,
    /// Whether enough happened for the verdict to be meaningful.
    pub coverage: Coverage,
    /// The load on the cluster.
    pub load: Load,
    /// Figures of each stage, if the load has stages. Stages that were never reached are missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageFigures>,
    /// Samples of the machine and the harness during the load; absent if none were taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strain: Option<Strain>,
    /// Bottlenecks outside the system under test, and the figures that they invalidate.
    pub bottlenecks: Vec<Bottleneck>,
    /// Latency of ok operations in the load window, by kind and for `all`.
    pub latency_ms: BTreeMap<String, Latency>,
    /// Fairness between clients, for workloads with intents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fairness: Option<Fairness>,
    /// Figures that the system reported, if any.
    #[serde(rename = "paxos", skip_serializing_if = "SystemFigures::is_empty")]
    pub system: SystemFigures,
    /// The faults that were injected.
    pub faults: Vec<Fault>,
    /// The gates of the plan.
    pub gates: Vec<Gate>,
    /// Paths of files in the run folder, by name.
    pub artifacts: BTreeMap<String, String>,
}

/// Whether a run has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The run is in progress, or the harness was killed.
    #[default]
    Running,
    /// The run ended as planned, or stopped at a violation.
    Done,
    /// Stopped by Ctrl-C or SIGTERM. The operations recorded so far are checked.
    Interrupted,
    /// The harness was killed before the run ended. Runs never write this status: readers infer it.
    Killed,
}

/// The harness process of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Harness {
    /// The process id.
    pub pid: u32,
    /// Start time of the process, in clock ticks since boot. It detects a reused process id.
    pub start_time: u64,
    /// The boot and the container in which the process id is valid.
    pub host: String,
}

/// The verdict on a whole run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunVerdict {
    /// Every check passed, and the run met its coverage rules.
    Valid,
    /// The system violated a guarantee.
    Invalid,
    /// The run was inconclusive.
    #[default]
    Unknown,
    /// The run was correct, but missed a gate of the plan.
    GateMissed,
    /// The harness or its machine failed.
    Error,
}

/// The verdict of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The property holds.
    Valid,
    /// The property is violated.
    Invalid,
    /// The check was inconclusive.
    #[default]
    Unknown,
}

/// The plan of a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PlanInfo {
    /// Name of the plan, and of the folder that contains the run folder.
    pub name: String,
    /// Hash of the resolved plan.
    pub hash: String,
    /// Labels by which a trend or a matrix groups runs.
    pub labels: BTreeMap<String, String>,
    /// The verdict that the plan expects.
    pub expect: Expect,
}

/// The verdict that a plan expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// The system is expected to be correct.
    #[default]
    Valid,
    /// The system has a planted bug that the run must find.
    Invalid,
}

/// The build of the tool.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BuildInfo {
    /// The commit; empty if unknown.
    pub git: String,
    /// Whether the sources differed from that commit at build time.
    pub dirty: bool,
}

/// Main figures of the machine. `env.json` contains the rest.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct EnvInfo {
    /// A hash that is equal on machines whose figures are comparable.
    pub fingerprint: String,
    /// Number of cores.
    pub cores: u32,
    /// 99th percentile of the time of a small synced append, if measured.
    pub fsync_p99_us: Option<f64>,
    /// Version of the system under test, unless it is bundled with the tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_version: Option<String>,
}

/// One gate of the plan.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Gate {
    /// The gate as written in the plan: `p99_ms<50`.
    pub expr: String,
    /// The measured figure; absent if the run has none.
    pub actual: Option<f64>,
    /// Whether the figure is within the gate.
    pub passed: bool,
    /// Whether the figure is meaningless because operations were sent late.
    pub void: bool,
}

impl Default for Results {
    fn default() -> Self {
        Results {
            schema: SCHEMA.into(),
            run_id: String::new(),
            status: Status::Running,
            verdict: RunVerdict::Unknown,
            // An unfinished run counts as inconclusive.
            exit_code: 2,
            reasons: vec![],
            warnings: vec![],
            started_utc: String::new(),
            harness: None,
            wall_s: 0.0,
            plan: PlanInfo::default(),
            seed: String::new(),
            build: BuildInfo::default(),
            env: EnvInfo::default(),
            ops: OpCounts::default(),
            ops_by_kind: BTreeMap::new(),
            window: None,
            fates: FateCounts::default(),
            history: HistoryInfo::default(),
            linearizability: Linearizability::default(),
            crashes: vec![],
            checks: vec![],
            coverage: Coverage::default(),
            load: Load::default(),
            stages: vec![],
            strain: None,
            bottlenecks: vec![],
            latency_ms: BTreeMap::new(),
            fairness: None,
            system: SystemFigures::default(),
            faults: vec![],
            gates: vec![],
            artifacts: BTreeMap::new(),
        }
    }
}

macro_rules! words {
    ($type:ty { $($variant:path => $word:literal),* $(,)? }) => {
        impl $type {
            /// Returns its name in files and reports.
            pub fn word(self) -> &'static str {
                match self { $($variant => $word),* }
            }
        }
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.word())
            }
        }
    };
}

words!(Status { Status::Running => "running", Status::Done => "done", Status::Interrupted => "interrupted", Status::Killed => "killed" });
words!(Verdict { Verdict::Valid => "valid", Verdict::Invalid => "invalid", Verdict::Unknown => "unknown" });
words!(RunVerdict {
    RunVerdict::Valid => "valid",
    RunVerdict::Invalid => "invalid",
    RunVerdict::Unknown => "unknown",
    RunVerdict::GateMissed => "gate_missed",
    RunVerdict::Error => "error",
});
