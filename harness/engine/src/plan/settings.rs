//! Every setting that a plan can contain. The same fields are TOML keys and flags, with `_` for `-`. All are optional
//! here; [`super::Plan`] is the result of merging defaults, mutant, file and flags.

mod experiments; // settings of suites, sweeps and arms

pub use experiments::{ArmSettings, ArmValue, CanarySettings, ProfileSettings, SuiteSettings, SweepSettings};

use super::abort::AbortRule;
use super::units::{Rate, Span};
use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The contents of a plan file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Always `heckle.plan/1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Name of the plan and of its folder under `results/runs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `valid`, or `invalid` for a canary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expect>,
    /// The seed, `0x…`, or `random`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<String>,
    /// The system under test.
    pub cluster: ClusterSettings,
    /// `[system.NAME]`: settings of a system, by key. Only the settings of the system under test apply. Or `[system]` with a `name`: a
    /// system described by the plan.
    #[serde(skip_serializing_if = "toml::Table::is_empty")]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub system: toml::Table,
    /// The load on the system.
    pub load: LoadSettings,
    /// The faults during the load.
    pub faults: FaultSettings,
    /// Limits on figures: `p99_ms = "<50"`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub gates: BTreeMap<String, String>,
    /// Coverage rules that must be met for a verdict to count.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub coverage: BTreeMap<String, u64>,
    /// Limits beyond which a client counts as starved, for workloads with intents.
    #[serde(skip_serializing_if = "FairnessSettings::is_empty")]
    pub fairness: FairnessSettings,
    /// Faults at fixed times or at points of the protocol, instead of a drawn schedule. Plans of earlier releases call it `strike`.
    #[serde(rename = "fault", alias = "strike", skip_serializing_if = "Vec::is_empty")]
    pub injections: Vec<InjectionSettings>,
    /// The matrix for `heckle suite`; `heckle run` runs the plan alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suite: Option<SuiteSettings>,
    /// The axis and limits for `heckle sweep`; `heckle run` runs the plan alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sweep: Option<SweepSettings>,
    /// Planted bugs that a suite must catch.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub canary: Vec<CanarySettings>,
    /// The variants that `heckle compare` and `heckle sweep` compare. The first one is the reference.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arm: Vec<ArmSettings>,
}

/// Expected verdict of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// The system is linearizable.
    Valid,
    /// The system is not linearizable, and the judge finds the violation.
    Invalid,
}

/// `[cluster]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(default)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterSettings {
    /// System under test: bundled, etcd, zookeeper, redis [default: bundled]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// Node processes [default: 3]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<u16>,
    /// Network between processes: relay, direct [default: relay]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub net: Option<String>,
    /// Fixed wall-clock offset of one node: n3:-2s is two seconds behind [default: none, or the workload's]
    #[arg(long, alias = "slow-clock", value_name = "NODE:OFFSET", allow_hyphen_values = true)]
    #[serde(alias = "slow_clock", skip_serializing_if = "Option::is_none")]
    pub clock_offset: Option<String>,
    /// Program that the nodes run, such as another build of heckle [default: this one]
    #[arg(long, value_name = "PATH")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bin: Option<PathBuf>,
    /// A planted bug for all nodes; loads the plan that exposes it unless flags override (`heckle mutants` lists them)
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mutant: Option<String>,
    /// Settings of the system under test, from flags or from plans of earlier releases. They now belong in `[system.NAME]`.
    #[arg(skip)]
    #[serde(flatten)]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub of_system: toml::Table,
}

/// `[load]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields, default)]
#[command(next_help_heading = "Load")]
pub struct LoadSettings {
    /// What clients do [default: cas-register]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload: Option<String>,
    /// Shares of ops, for workloads cas-register [default: cas=60,read=30,write=10] and mixed, which has get and put as well
    /// [default: cas=30,read=20,write=0,get=25,put=25]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mix: Option<String>,
    /// How many replicas take part in a get or put, for workload mixed: one, quorum [default: quorum]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consistency: Option<String>,
    /// Keys in use [default: 4, or what the workload needs]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<u32>,
    /// Additional share of ops on the first key, 0 to 1 [default: 0]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hot: Option<f64>,
    /// Skew of the keys, instead of --hot: the i-th key is chosen in proportion to 1/i^ZIPF
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zipf: Option<f64>,
    /// Client connections; processes too, in the closed loop [default: 16]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clients: Option<u32>,
    /// Ops (intents, where the workload has them) per second, or max for the closed loop [default: 400, or the workload's]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Which node a client talks to: pinned, random, holder (the one that serves the key, if the system reports it) [default: pinned]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The load window [default: 30s]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<Span>,
    /// Load before the window, judged but not measured [default: 3s]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup: Option<Span>,
    /// Time after which a client gives up on an op [default: 1s]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub op_timeout: Option<Span>,
    /// Network delay between the first client and the nodes, each way [default: 0s, or the workload's]
    #[arg(long, alias = "far")]
    #[serde(alias = "far", skip_serializing_if = "Option::is_none")]
    pub client_delay: Option<Span>,
    /// How long a client retries before it gives up an intent, where the workload has intents [default: 30s]
    #[arg(long, alias = "patience")]
    #[serde(alias = "patience", skip_serializing_if = "Option::is_none")]
    pub intent_timeout: Option<Span>,
    /// Bytes of a value [default: 8; 24 if the workload has payloads]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_bytes: Option<u32>,
    /// Maximum number of open ops in the open loop [default: 2048]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_in_flight: Option<u32>,
    /// Time that a client of the closed loop waits after an op or intent [default: 0s]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub think: Option<Span>,
    /// End the load early, as a missed gate, if a figure is beyond a limit in each of some seconds: 'p99_ms>500 for 5s'; may be repeated
    #[arg(long, value_name = "EXPR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abort_on: Option<Vec<AbortRule>>,
    /// `[[load.stage]]`: parts of the load window, each with its own rate or number of clients. Their sum is the duration.
    #[arg(skip)]
    #[serde(rename = "stage", skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageSettings>,
}

/// `[[load.stage]]`: a part of the load window with its own rate or number of clients.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StageSettings {
    /// Length of the stage.
    #[serde(rename = "for")]
    pub lasts: Span,
    /// Ops (intents, where the workload has them) per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Active clients of the closed loop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clients: Option<u32>,
    /// Whether the load changes linearly from the previous stage's value to this stage's value [default: false]
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ramp: bool,
}

/// `[faults]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields, default)]
#[command(next_help_heading = "Faults")]
pub struct FaultSettings {
    /// Kinds of faults, comma-separated; all for each kind that a correct system survives, beyond for the others, or none [default: kill,pause,partition]
    #[arg(long = "faults", value_delimiter = ',', value_name = "KIND")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kinds: Option<Vec<String>>,
    /// Time from one fault to the next [default: duration / (kinds + 1)]
    #[arg(long = "fault-every")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<Span>,
    /// How long a fault lasts [default: 40 % of --fault-every]
    #[arg(long = "fault-for")]
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Span>,
    /// Order of the kinds: listed, shuffled [default: listed; shuffled with all or beyond]
    #[arg(long = "fault-order")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// Distances between faults: even, random [default: even]
    #[arg(long = "fault-spacing")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spacing: Option<String>,
    /// Maximum number of concurrent faults [default: 1]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_at_once: Option<u32>,
    /// Calm after the load, before the final reads [default: 6s]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet_tail: Option<Span>,
}

/// `[fairness]`: limits of the check `starvation`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FairnessSettings {
    /// The longest wait of an intent while no fault is active; 5s by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_wait: Option<Span>,
    /// The minimum of Jain's index over clients, relative to its value under pure chance; 0.5 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_jain: Option<f64>,
    /// The longest time without any success on a key while a client waits and no fault is active; 2s by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_livelock: Option<Span>,
}

impl FairnessSettings {
    fn is_empty(&self) -> bool {
        *self == FairnessSettings::default()
    }
}

/// `[[fault]]`: one fault, at a fixed time of the load window or when a node reaches a point of its protocol.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InjectionSettings {
    /// Time since the start of the load window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Span>,
    /// Point of the system's protocol, instead of a time: the fault begins when a node reaches it (`heckle doctor --points`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_point: Option<String>,
    /// Time since the start of the load window from which on the fault waits for its point; 0s by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Span>,
    /// Which hit of its point begins the fault; 1, the next one, by default. Each node counts its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hit: Option<u32>,
    /// Kind of the fault.
    #[serde(rename = "do")]
    pub kind: String,
    /// Duration of the fault.
    #[serde(rename = "for")]
    pub lasts: Span,
    /// The target, such as `["n2"]`, `["n1>n2"]` or, for a partition, `["n1", "n2|n3"]`; drawn by default. With a point also
    /// `"sender"`, the node that reached it.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "one_or_many")]
    #[schemars(with = "OneOrMany")]
    pub target: Vec<String>,
}

/// One word, or a list of them.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a word or a list of words, such as \"sender\" or [\"n2\"]")]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

fn one_or_many<'de, D: serde::Deserializer<'de>>(given: D) -> Result<Vec<String>, D::Error> {
    Ok(match OneOrMany::deserialize(given)? {
        OneOrMany::One(word) => vec![word],
        OneOrMany::Many(words) => words,
    })
}

/// Merges `over` into `under`: values in `over` win.
macro_rules! overlay {
    ($over:expr, $under:expr; $($field:ident),+) => {
        $( if $over.$field.is_some() { $under.$field.clone_from(&$over.$field); } )+
    };
}

/// The key of `[system]` that is present if the table describes a system.
const DESCRIBED_KEY: &str = "name";
/// The key of a described system for the folder in which its commands run.
const FOLDER_KEY: &str = "folder";

/// The setting with which a system plants a bug in its nodes, if it supports any.
const MUTANT_KEY: &str = "mutant";

impl Settings {
    /// Whether `[system]` describes a system.
    pub fn describes_a_system(&self) -> bool {
        self.system.get(DESCRIBED_KEY).is_some_and(toml::Value::is_str)
    }

    /// Returns the settings of the system with that table, from both places that may hold them.
    pub(super) fn system_settings(&self, table: &str) -> toml::Table {
        let mut all = self.system.get(table).and_then(toml::Value::as_table).cloned().unwrap_or_default();
        all.extend(self.cluster.of_system.clone());
        all.extend(self.cluster.mutant.iter().map(|mutant| (MUTANT_KEY.to_owned(), mutant.clone().into())));
        all
    }

    /// Stores the folder of the plan, in which the commands of a described system run. If the plan names another folder, it may be
    /// relative to the plan's.
    pub fn set_folder(&mut self, plan: &std::path::Path) {
        if self.describes_a_system() {
            let named = self.system.get(FOLDER_KEY).and_then(toml::Value::as_str).unwrap_or_default();
            let whole = plan.join(named).to_string_lossy().into_owned();
            self.system.insert(FOLDER_KEY.into(), whole.into());
        }
    }

    /// Stores a system's settings, with every default filled in.
    pub(super) fn set_system_settings(&mut self, mut settings: toml::Table, table: &str) {
        self.cluster.mutant = settings.remove(MUTANT_KEY).and_then(|mutant| mutant.as_str().map(str::to_owned));
        self.cluster.of_system.clear();
        self.system = if settings.is_empty() { toml::Table::new() } else { toml::Table::from_iter([(table.to_owned(), settings.into())]) };
    }

    /// Merges `over` into these settings; values in `over` win.
    #[must_use]
    pub fn overlaid(mut self, over: &Settings) -> Settings {
        overlay!(over, self; schema, name, expect, seed);
        let (c, o) = (&mut self.cluster, &over.cluster);
        overlay!(o, c; system, nodes, net, clock_offset, bin, mutant);
        let (l, o) = (&mut self.load, &over.load);
        overlay!(o, l; workload, mix, consistency, keys, hot, zipf, client_delay, intent_timeout, clients, rate, route, duration, warmup, op_timeout, value_bytes, max_in_flight, think, abort_on);
        if !over.load.stages.is_empty() {
            self.load.stages.clone_from(&over.load.stages);
        }
        let (f, o) = (&mut self.faults, &over.faults);
        overlay!(o, f; kinds, every, lasts, order, spacing, max_at_once, quiet_tail);
        let (f, o) = (&mut self.fairness, &over.fairness);
        overlay!(o, f; max_wait, min_jain, max_livelock);
        for (name, over) in &over.system {
            let (Some(over), Some(under)) =
                (over.as_table(), self.system.entry(name.clone()).or_insert(toml::Table::new().into()).as_table_mut())
            else {
                self.system.insert(name.clone(), over.clone());
                continue;
            };
            // The value in `over` wins, no matter which of the two tables held the setting.
            over.keys().for_each(|key| drop(self.cluster.of_system.remove(key)));
            under.extend(over.clone());
        }
        self.cluster.of_system.extend(over.cluster.of_system.clone());
        self.gates.extend(over.gates.clone());
        self.coverage.extend(over.coverage.clone());
        if !over.injections.is_empty() {
            self.injections.clone_from(&over.injections);
        }
        if over.suite.is_some() {
            self.suite.clone_from(&over.suite);
        }
        if over.sweep.is_some() {
            self.sweep.clone_from(&over.sweep);
        }
        self.canary.extend(over.canary.clone());
        if !over.arm.is_empty() {
            self.arm.clone_from(&over.arm);
        }
        self
    }
}
