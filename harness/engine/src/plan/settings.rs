//! Everything a plan can say, once: the same fields are TOML keys and flags, `_` for `-`. All are optional here;
//! [`super::Plan`] is what is left when defaults, mutant, file and flags are laid over each other.

use super::units::{Rate, Span};
use clap::Args;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A plan as a file says it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Always `heckle.plan/1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// The plan's name, and of its folder under `results/runs`.
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
    /// `[system.NAME]`: settings of a system, by its keys; those of the system under test count. Or `[system]` with a `name`: a system
    /// that the plan describes.
    #[serde(skip_serializing_if = "toml::Table::is_empty")]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub system: toml::Table,
    /// What is asked of it.
    pub load: LoadSettings,
    /// What goes wrong meanwhile.
    pub faults: FaultSettings,
    /// Bounds on figures: `p99_ms = "<50"`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub gates: BTreeMap<String, String>,
    /// What must have happened for a verdict to count.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub coverage: BTreeMap<String, u64>,
    /// When somebody starves, where the workload has intents.
    #[serde(skip_serializing_if = "FairnessSettings::is_empty")]
    pub fairness: FairnessSettings,
    /// Faults at fixed times, instead of a drawn schedule. Plans of earlier releases call it `strike`.
    #[serde(rename = "fault", alias = "strike", skip_serializing_if = "Vec::is_empty")]
    pub injections: Vec<InjectionSettings>,
    /// What `heckle suite` makes of this plan; `heckle run` runs the plan alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suite: Option<SuiteSettings>,
    /// Planted bugs that a suite must catch.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub canary: Vec<CanarySettings>,
    /// What `heckle compare` holds against each other, the first being the reference.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arm: Vec<ArmSettings>,
}

/// What a plan expects of its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// The system is linearizable.
    Valid,
    /// It is not, and the judge finds it.
    Invalid,
}

/// `[cluster]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(default)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterSettings {
    /// System under test: bundled, etcd [default: bundled]
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
    /// Settings of the system under test, as plans of earlier releases say them here, and flags. They belong in `[system.NAME]`.
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
    /// Share of ops on the first key beyond its even part, 0 to 1 [default: 0]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hot: Option<f64>,
    /// The i-th key is asked for in proportion to 1/i^ZIPF, instead of --hot
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zipf: Option<f64>,
    /// Client connections; processes too, in the closed loop [default: 16]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clients: Option<u32>,
    /// Ops (intents, where the workload has them) a second, or max for the closed loop [default: 400, or the workload's]
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
    /// When a client gives up on an op [default: 1s]
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
    /// Bytes of a value [default: 8; 24 where something rides beside it]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_bytes: Option<u32>,
    /// Ops open at a time in the open loop [default: 2048]
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_in_flight: Option<u32>,
}

/// `[faults]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema, Args)]
#[serde(deny_unknown_fields, default)]
#[command(next_help_heading = "Faults")]
pub struct FaultSettings {
    /// Kinds of faults, comma-separated, or none [default: kill,pause,partition]
    #[arg(long = "faults", value_delimiter = ',', value_name = "KIND")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kinds: Option<Vec<String>>,
    /// From one fault to the next [default: duration / (kinds + 1)]
    #[arg(long = "fault-every")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<Span>,
    /// How long a fault lasts [default: 40 % of --fault-every]
    #[arg(long = "fault-for")]
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Span>,
    /// Order of the kinds: listed, shuffled [default: listed]
    #[arg(long = "fault-order")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// Distances between faults: even, random [default: even]
    #[arg(long = "fault-spacing")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spacing: Option<String>,
    /// Faults at a time, at most [default: 1]
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
    /// The longest wait of an intent while no fault is on; 5s by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_wait: Option<Span>,
    /// The least share that Jain's index over clients may have of what luck alone gives; 0.5 by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_jain: Option<f64>,
    /// The longest time without any success on a key while somebody waits and no fault is on; 2s by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_livelock: Option<Span>,
}

impl FairnessSettings {
    fn is_empty(&self) -> bool {
        *self == FairnessSettings::default()
    }
}

/// `[[fault]]`: one fault at a fixed time of the load window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InjectionSettings {
    /// When, counted from the beginning of the load window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Span>,
    /// At which point of the system's protocol, instead of a time. Not built yet: a plan that uses it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_point: Option<String>,
    /// Which kind of fault.
    #[serde(rename = "do")]
    pub kind: String,
    /// For how long.
    #[serde(rename = "for")]
    pub lasts: Span,
    /// What it hits, such as `["n2"]`, `["n1>n2"]` or, for a partition, `["n1", "n2|n3"]`; drawn by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub target: Vec<String>,
}

/// `[suite]`: a matrix of runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SuiteSettings {
    /// How long a sitting may take; a run that would go over it is not begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Span>,
    /// Runs a cell, each with a seed of its own [default: 1]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat: Option<u32>,
    /// Values by key of a plan: the matrix has a cell for each combination.
    #[schemars(with = "BTreeMap<String, Vec<serde_json::Value>>")]
    pub axes: BTreeMap<String, Vec<toml::Value>>,
    /// Combinations that are left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<BTreeMap<String, serde_json::Value>>")]
    pub exclude: Vec<BTreeMap<String, toml::Value>>,
    /// Variants by name, chosen with `--profile`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub profile: BTreeMap<String, ProfileSettings>,
}

/// `[suite.profile.NAME]`: what it says wins; an axis replaces the one of its key.
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

/// `[[canary]]`: a planted bug that a suite must catch, or the night is red.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CanarySettings {
    /// Which bug.
    pub mutant: String,
    /// Caught within this many runs [default: 1]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within_runs: Option<u32>,
    /// Settings by key, over the plan that exposes the bug.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub set: BTreeMap<String, toml::Value>,
}

/// `[[arm]]`: one of the compared, with the settings in which it differs, such as `nodes = 5`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ArmSettings {
    /// Its name, and of the folder of its runs.
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
    /// Words, times and all else.
    Text(String),
    /// A list of words.
    List(Vec<String>),
}

/// Lays `over` on `under`: what `over` says wins.
macro_rules! overlay {
    ($over:expr, $under:expr; $($field:ident),+) => {
        $( if $over.$field.is_some() { $under.$field.clone_from(&$over.$field); } )+
    };
}

/// The key of `[system]` that says that it describes a system.
const DESCRIBED: &str = "name";
/// The key of such a system for the folder in which its commands run.
const FOLDER: &str = "folder";

/// The setting by which a system plants a bug in its nodes, where it has any.
const MUTANT: &str = "mutant";

impl Settings {
    /// Whether `[system]` describes a system.
    pub fn describes_a_system(&self) -> bool {
        self.system.get(DESCRIBED).is_some_and(toml::Value::is_str)
    }

    /// The settings of the system with that table, wherever they stand.
    pub(super) fn of_system(&self, table: &str) -> toml::Table {
        let mut all = self.system.get(table).and_then(toml::Value::as_table).cloned().unwrap_or_default();
        all.extend(self.cluster.of_system.clone());
        all.extend(self.cluster.mutant.iter().map(|mutant| (MUTANT.to_owned(), mutant.clone().into())));
        all
    }

    /// Remembers the folder of the plan, which the commands of a described system run in, unless the plan names another. That may be
    /// relative to the plan's.
    pub fn set_folder(&mut self, plan: &std::path::Path) {
        if self.describes_a_system() {
            let named = self.system.get(FOLDER).and_then(toml::Value::as_str).unwrap_or_default();
            let whole = plan.join(named).to_string_lossy().into_owned();
            self.system.insert(FOLDER.into(), whole.into());
        }
    }

    /// Writes a system's settings down, nothing left to defaults.
    pub(super) fn set_of_system(&mut self, mut settings: toml::Table, table: &str) {
        self.cluster.mutant = settings.remove(MUTANT).and_then(|mutant| mutant.as_str().map(str::to_owned));
        self.cluster.of_system.clear();
        self.system = if settings.is_empty() { toml::Table::new() } else { toml::Table::from_iter([(table.to_owned(), settings.into())]) };
    }

    /// Lays `over` on top of these settings.
    #[must_use]
    pub fn overlaid(mut self, over: &Settings) -> Settings {
        overlay!(over, self; schema, name, expect, seed);
        let (c, o) = (&mut self.cluster, &over.cluster);
        overlay!(o, c; system, nodes, net, clock_offset, bin, mutant);
        let (l, o) = (&mut self.load, &over.load);
        overlay!(o, l; workload, mix, consistency, keys, hot, zipf, client_delay, intent_timeout, clients, rate, route, duration, warmup, op_timeout, value_bytes, max_in_flight);
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
            // What is laid over counts, whichever of the two tables the setting stood in.
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
        self.canary.extend(over.canary.clone());
        if !over.arm.is_empty() {
            self.arm.clone_from(&over.arm);
        }
        self
    }
}
