//! Counts and measurements of a run: operations, latency, faults, and figures of the system.

use heckle_checker::coverage::UNVERIFIED;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

/// Operation counts: `invoked = ok + failed + unknown`, `ok = applied + condition_not_met`; `open` is part of `unknown`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OpCounts {
    /// Operations sent.
    pub invoked: u64,
    /// Operations completed: reads, writes, applied CASes and refused CASes.
    pub ok: u64,
    /// Ok operations that took effect: reads, writes and applied CASes.
    pub applied: u64,
    /// CASes refused because their condition was not met.
    pub condition_not_met: u64,
    /// Operations proved not to have happened.
    pub failed: u64,
    /// Operations that may have happened, including those without a completion.
    pub unknown: u64,
    /// Unknown operations without a completion, still open at the end of the history.
    pub open: u64,
}

/// Identifies the history that was checked, by its end record.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HistoryInfo {
    /// Number of events according to the end record; 0 without one.
    pub events: u64,
    /// XXH3 of the decompressed bytes before the end record; empty if there is none.
    pub xxh3: String,
    /// Whether the end record exists and matches the bytes before it.
    pub whole: bool,
    /// The data that is missing or different. A run with a problem here is never valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// The fates of operations with unknown outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct FateCounts {
    /// Operations that took effect.
    pub applied: u64,
    /// Operations that did not take effect and never will.
    pub not_applied: u64,
    /// Operations whose fate could not be determined, including `evicted`.
    pub unresolved: u64,
    /// Operations that the system had already forgotten when their fate was queried.
    pub evicted: u64,
    /// Unknown writes whose effect was observed after their client had given up.
    pub late_effects: LateEffects,
}

/// Effects that were observed after their client had given up: by a read, by a CAS that built on them, or by a fate query. The
/// effect itself may have happened earlier.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LateEffects {
    /// Number of such operations.
    pub count: u64,
    /// Median time from giving up to the first observation.
    pub p50_ms: f64,
    /// 99th percentile of the time from giving up to the first observation.
    pub p99_ms: f64,
    /// Maximum time from giving up to the first observation.
    pub max_ms: f64,
}

/// The target load, and the load that was sent.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Load {
    /// The target rate; absent in a closed loop. The mean over the load window, if the load has stages.
    pub target_per_s: Option<f64>,
    /// Operations sent in the load window, per second. With intents, all attempts count.
    pub achieved_per_s: f64,
    /// The unit of `target_per_s`, `begun` and `late_ratio`: operations, or intents for workloads that have them.
    pub unit: LoadUnit,
    /// Operations sent in the load window. With intents, all attempts count.
    pub sent: u64,
    /// Units sent for the first time in the load window.
    pub begun: u64,
    /// `begun` per second of the load window, comparable with `target_per_s`.
    pub begun_per_s: f64,
    /// `begun_per_s` divided by `target_per_s`. Absent in a closed loop, when nothing was sent, and when the load was stopped
    /// early.
    pub achieved_ratio: Option<f64>,
    /// Units due before the load ended but never sent, because the in-flight limit was reached. No other figure includes them.
    pub unsent: u64,
    /// Share of `begun` that was sent over 5 ms late although the in-flight limit was not reached.
    pub late_ratio: f64,
    /// Whether the load was a closed loop at the maximum rate.
    pub max_rate: bool,
    /// The time that a client of the closed loop waits after an intent, if the plan sets one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub think_ms: Option<f64>,
    /// The reason why a limit of `--abort-on` ended the load early. Absent if none did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aborted: Option<String>,
    /// Length of the load window.
    pub window_s: f64,
}

/// Latency of one kind of operation.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Latency {
    /// Number of ok operations in the percentiles.
    pub ok: u64,
    /// Number of unknown outcomes, which are excluded from the percentiles. Their latency is at least the operation timeout.
    pub censored: u64,
    /// Completion time minus due time.
    pub from_intended: Percentiles,
    /// Completion time minus send time.
    pub from_invoked: Percentiles,
}

/// Percentiles in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Percentiles {
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 95th percentile; 0 in older files.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    pub p999: f64,
    /// Maximum.
    pub max: f64,
}

/// Figures that the system reported about the operations due in the load window, and its nodes about the whole run. A figure that
/// the system does not report is absent.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SystemFigures {
    /// Median number of attempts per operation.
    pub rounds_p50: Option<f64>,
    /// 99th percentile of attempts per operation.
    pub rounds_p99: Option<f64>,
    /// Number of times that any operation was outbid.
    pub preempted: u64,
    /// Number of unfinished updates of other operations that were completed first.
    pub repairs: u64,
    /// Round trips between nodes per operation.
    pub round_trips_per_op: Option<f64>,
    /// Syncs per operation and node.
    pub fsyncs_per_op: Option<f64>,
    /// Bytes of state on the fullest node, at their peak.
    pub state_bytes_max: Option<u64>,
    /// Bytes of state on the fullest node at the end.
    pub state_bytes_end: Option<u64>,
    /// Number of accepted copies that were pruned, over all nodes.
    pub pruned: Option<u64>,
    /// Number of decisions not pruned because a queue was full.
    pub prune_dropped: Option<u64>,
    /// Number of times that state of a key expired, over all keys and nodes.
    pub expired: Option<u64>,
}

impl SystemFigures {
    /// Whether the system reported no figures.
    pub fn is_empty(&self) -> bool {
        *self == SystemFigures::default()
    }
}

/// One injected fault.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Fault {
    /// Its id in the history.
    pub id: u64,
    /// Its kind, such as `kill` or `partition`.
    pub kind: String,
    /// Its targets, in the notation of the kind.
    pub targets: Vec<String>,
    /// Start time, since the start of the run.
    pub start_s: f64,
    /// End time, since the start of the run, or the end of the history if the fault never ended.
    pub end_s: f64,
    /// Whether there is evidence that it took effect.
    pub effective: bool,
    /// Whether its end was confirmed.
    pub healed: bool,
    /// Recovery time of the slowest affected node: from the end of the fault until the node completed an operation that was sent
    /// after the end. Only time in which some operation waited for the node counts. Absent if a node never recovered or none
    /// received operations.
    pub recovery_ms: Option<f64>,
    /// Evidence that it took effect.
    pub evidence: Map<String, Json>,
}

impl Fault {
    /// Whether the harness did not carry it out itself and has no evidence of its own, whatever it did.
    pub fn is_unverified(&self) -> bool {
        self.evidence.contains_key(UNVERIFIED)
    }

    /// A sentence about a fault that is not effective.
    pub fn lack_of_effect(&self) -> String {
        let fault = format!("fault {} ({} {})", self.id, self.kind, self.targets.join(" "));
        if self.is_unverified() {
            return format!(
                "{fault} is unverified: a command of the plan carried it out, and heckle has no evidence of its own that it took effect"
            );
        }
        format!("{fault} left no evidence of an effect")
    }
}

/// The unit that a rate counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LoadUnit {
    /// Each operation is due separately.
    #[default]
    Op,
    /// An intent is due, and its replies determine the further attempts.
    Intent,
}

impl LoadUnit {
    /// Returns the plural of the unit, as used in a rate.
    pub fn word(self) -> &'static str {
        match self {
            LoadUnit::Op => "ops",
            LoadUnit::Intent => "intents",
        }
    }
}
