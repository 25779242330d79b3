//! What a run came to: the types of `results.json`, schema `heckle.results/1`.
//!
//! Scripts and dashboards read this file, so fields are only ever added, units sit in the names and `passed` is true
//! for good. Reading denies nothing: what a later version adds is passed over, what an earlier one lacks is empty.
//! These are twins of the checker's types, not the types themselves: a file outlives the code that wrote it.

mod judgement; // what the checkers and the coverage rules say

pub use crate::bottleneck::{Bottleneck, Strain};
pub use crate::fairness::Fairness;
pub use crate::totals::{LoadUnit, WindowCounts};
pub use judgement::{Check, Coverage, CoverageRule, Crash, KeyVerdict, Linearizability, Violation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;

/// The version of the format this crate writes and reads.
pub const SCHEMA: &str = "heckle.results/1";

/// Everything a run came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Results {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// `<UTC>-<4 hex>`, the name of its folder.
    pub run_id: String,
    /// Whether the run is over.
    pub status: Status,
    /// What it came to.
    pub verdict: RunVerdict,
    /// The exit code of `heckle run`.
    pub exit_code: i32,
    /// Why, in words; the first is the most important.
    pub reasons: Vec<String>,
    /// What it was found worth saying beside the verdict.
    pub warnings: Vec<String>,
    /// When it began, `2026-01-31T12:00:00Z`.
    pub started_utc: String,
    /// The process that does or did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub harness: Option<Harness>,
    /// How long it took from start to end of load, faults, tail and check.
    pub wall_s: f64,
    /// The plan.
    pub plan: PlanInfo,
    /// The seed, `0x…`.
    pub seed: String,
    /// The tool.
    pub build: BuildInfo,
    /// The machine.
    pub env: EnvInfo,
    /// Counts of ops over the whole history: warm-up, load window, quiet tail and final reads.
    pub ops: OpCounts,
    /// The same by kind of op; they add up to `ops`.
    pub ops_by_kind: BTreeMap<String, OpCounts>,
    /// Counts of the ops that were due in the load window, which latency and gates are about; absent in older files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowCounts>,
    /// What unknown outcomes turned out to be.
    pub fates: FateCounts,
    /// The recorded history that all of this is derived from, and whether it is whole.
    pub history: HistoryInfo,
    /// The verdict on linearizability.
    pub linearizability: Linearizability,
    /// Nodes that ended by their own fault: each is a violation of the kind `crash`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub crashes: Vec<Crash>,
    /// The other checks.
    pub checks: Vec<Check>,
    /// Whether enough happened for the verdict to mean something.
    pub coverage: Coverage,
    /// What was asked of the cluster.
    pub load: Load,
    /// What machine and harness went through under load; absent where it was not sampled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strain: Option<Strain>,
    /// What held the run back besides the system under test, and what that makes worthless.
    pub bottlenecks: Vec<Bottleneck>,
    /// Latency of ok ops in the load window by kind of op, and of `all`.
    pub latency_ms: BTreeMap<String, Latency>,
    /// Who got how much, where the workload has intents.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fairness: Option<Fairness>,
    /// What the system reported, if it did.
    #[serde(rename = "paxos", skip_serializing_if = "SystemFigures::is_empty")]
    pub system: SystemFigures,
    /// The disturbances.
    pub faults: Vec<Fault>,
    /// The limits the plan set.
    pub gates: Vec<Gate>,
    /// Files by name, relative to the run folder.
    pub artifacts: BTreeMap<String, String>,
}

/// Whether a run is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Going on, or the harness died.
    #[default]
    Running,
    /// Over as planned, or stopped at a violation.
    Done,
    /// Ctrl-C or SIGTERM; what was recorded is judged.
    Interrupted,
    /// Its harness is gone without having ended it. Never written by a run: readers see it.
    Killed,
}

/// The process that a run belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Harness {
    /// Its id.
    pub pid: u32,
    /// When it was started, in clock ticks since boot: an id alone may be another's by now.
    pub start_time: u64,
    /// The boot and the container in which that id counts.
    pub host: String,
}

/// What a run came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunVerdict {
    /// Every check passed and the run was not vacuous.
    Valid,
    /// Something happened that must not.
    Invalid,
    /// It cannot be told.
    #[default]
    Unknown,
    /// Correct, but outside a limit of the plan.
    GateMissed,
    /// The harness or the machine failed.
    Error,
}

/// What one check says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It holds.
    Valid,
    /// It does not.
    Invalid,
    /// It cannot be told.
    #[default]
    Unknown,
}

/// Which plan.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PlanInfo {
    /// Its name, also the name of the folder above the run's.
    pub name: String,
    /// A hash of the resolved plan.
    pub hash: String,
    /// What a trend or a matrix groups by.
    pub labels: BTreeMap<String, String>,
    /// The verdict the plan expects.
    pub expect: Expect,
}

/// The verdict a plan expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// The system holds.
    #[default]
    Valid,
    /// A bug is planted, and the run is to find it.
    Invalid,
}

/// Which build of the tool.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BuildInfo {
    /// The commit, empty where it is not known.
    pub git: String,
    /// Whether the program's sources differed from that commit when it was built.
    pub dirty: bool,
}

/// The machine in three figures; `env.json` has the rest.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct EnvInfo {
    /// Equal for machines whose figures may be compared.
    pub fingerprint: String,
    /// Cores.
    pub cores: u32,
    /// The 99th percentile of a small synced append, where it was measured.
    pub fsync_p99_us: Option<f64>,
    /// Version of the system under test, where it is not the program itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_version: Option<String>,
}

/// Counts of ops: `invoked = ok + failed + unknown`, `ok = applied + condition_not_met`, `open` is a part of `unknown`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OpCounts {
    /// Sent.
    pub invoked: u64,
    /// Answered: reads, writes, applied CAS and refused CAS.
    pub ok: u64,
    /// Ok ones that did what they asked: reads, writes and applied CAS.
    pub applied: u64,
    /// CAS that were refused.
    pub condition_not_met: u64,
    /// Proved not to have happened.
    pub failed: u64,
    /// May have happened; also ops without a completion.
    pub unknown: u64,
    /// Of the unknown: those without a completion, still open when the history ends.
    pub open: u64,
}

/// Which history the results are of: its end record, as it was read when it was judged.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HistoryInfo {
    /// Events, as its end record counts them; 0 where there is none.
    pub events: u64,
    /// XXH3 of its decompressed bytes before the end record; empty where there is none.
    pub xxh3: String,
    /// Its end record is there and agrees with what stands before it.
    pub whole: bool,
    /// What is missing or differs; such a run is never valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What unknown outcomes turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FateCounts {
    /// They happened.
    pub applied: u64,
    /// They never will.
    pub not_applied: u64,
    /// Asked without a telling answer, those of `evicted` included.
    pub unresolved: u64,
    /// Asked too late: the system no longer remembered.
    pub evicted: u64,
    /// Unknown writes whose effect came to light after their client had given up, and how long after.
    pub late_effects: LateEffects,
}

/// Effects that came to light after their client had given up: by a read, by a CAS built upon them, or by an answer about
/// their fate. They took effect at that time at the latest.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LateEffects {
    /// How many.
    pub count: u64,
    /// From giving up to the first evidence.
    pub p50_ms: f64,
    /// From giving up to the first evidence.
    pub p99_ms: f64,
    /// From giving up to the first evidence.
    pub max_ms: f64,
}

/// What was asked of the cluster, and what was sent.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Load {
    /// Asked; absent in a closed loop.
    pub target_per_s: Option<f64>,
    /// Ops sent in the load window by its length; with intents, all their attempts.
    pub achieved_per_s: f64,
    /// What `target_per_s`, `begun` and `late_ratio` count: ops, or intents where the workload has them.
    pub unit: LoadUnit,
    /// Ops sent in the load window; with intents, all their attempts.
    pub sent: u64,
    /// Of `unit`: sent for the first time in the load window.
    pub begun: u64,
    /// `begun` by the length of the load window: what `target_per_s` is to be compared with.
    pub begun_per_s: f64,
    /// `begun_per_s` by `target_per_s`; absent in a closed loop, where nothing was sent, and where the load was stopped early.
    pub achieved_ratio: Option<f64>,
    /// Of `unit`: due before the load ended and never sent, since the in-flight limit left no room; not in any other figure.
    pub unsent: u64,
    /// Share of `begun` that was sent over 5 ms after it was due although the in-flight limit was not reached.
    pub late_ratio: f64,
    /// Closed loop, as fast as it goes.
    pub max_rate: bool,
    /// The length of the load window.
    pub window_s: f64,
}

/// Latency of one kind of op.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Latency {
    /// Ok ops that are in the percentiles.
    pub ok: u64,
    /// Unknown outcomes that are not: their latency is at least the op timeout, and nobody knows how long.
    pub censored: u64,
    /// Completion minus when it was due.
    pub from_intended: Percentiles,
    /// Completion minus when it was sent.
    pub from_invoked: Percentiles,
}

/// Percentiles in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Percentiles {
    /// Median.
    pub p50: f64,
    /// 90 %.
    pub p90: f64,
    /// 99 %.
    pub p99: f64,
    /// 99.9 %.
    pub p999: f64,
    /// The slowest.
    pub max: f64,
}

/// What the system reported: about the ops due in the load window, and by its nodes about the whole run. A figure is absent where
/// the system has none.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SystemFigures {
    /// Attempts an op took.
    pub rounds_p50: Option<f64>,
    /// Attempts an op took.
    pub rounds_p99: Option<f64>,
    /// How often an op was outbid, over all.
    pub preempted: u64,
    /// Unfinished updates of others that were finished first, over all.
    pub repairs: u64,
    /// Round trips between nodes an op.
    pub round_trips_per_op: Option<f64>,
    /// Syncs of all nodes by ops by nodes.
    pub fsyncs_per_op: Option<f64>,
    /// Bytes of state on the fullest node.
    pub state_bytes_max: Option<u64>,
    /// The same at the end.
    pub state_bytes_end: Option<u64>,
    /// Accepted copies that were pruned, over all nodes.
    pub pruned: Option<u64>,
    /// Decisions that were not pruned, since a queue was full.
    pub prune_dropped: Option<u64>,
    /// Keys of which something has expired, once for each time, over all nodes.
    pub expired: Option<u64>,
}

impl SystemFigures {
    /// Whether the system reported nothing.
    pub fn is_empty(&self) -> bool {
        *self == SystemFigures::default()
    }
}

/// One disturbance.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Fault {
    /// As in the history.
    pub id: u64,
    /// `kill`, `partition` …
    pub kind: String,
    /// Whom it struck, in the kind's notation.
    pub targets: Vec<String>,
    /// Since the start of the run.
    pub start_s: f64,
    /// When it was lifted; the end of the history if it never was.
    pub end_s: f64,
    /// There is evidence that it took effect.
    pub effective: bool,
    /// It was seen to be over.
    pub healed: bool,
    /// How long the slowest struck node was asked from the lift until it answered ok an op that was sent after it; absent if
    /// one never did, or none was asked. Time in which no op waited for it is not counted.
    pub recovery_ms: Option<f64>,
    /// What showed that it took effect.
    pub evidence: Map<String, Json>,
}

/// One limit of the plan.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Gate {
    /// As it was written: `p99_ms<50`.
    pub expr: String,
    /// The figure; absent where the run has none.
    pub actual: Option<f64>,
    /// Whether the figure is within the limit.
    pub passed: bool,
    /// The load ran late, so that the figure says nothing.
    pub void: bool,
}

impl Default for Results {
    fn default() -> Self {
        Results {
            schema: SCHEMA.into(),
            run_id: String::new(),
            status: Status::Running,
            verdict: RunVerdict::Unknown,
            // What a reader of a half-made run is to believe: inconclusive.
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
            /// The word for it in files and reports.
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
