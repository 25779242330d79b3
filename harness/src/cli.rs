//! The command line: every verb and flag. Parsing only; what a verb does stands in `verbs`.

use crate::plan::settings::{ClusterSettings, FaultSettings, LoadSettings};
use crate::plan::units::{Expiry, Span};
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Everything `heckle` can be asked.
#[derive(Debug, Parser)]
#[command(
    name = "heckle",
    version,
    about = "Runs a real Paxos cluster under load and faults, and judges what happened",
    propagate_version = true
)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Under a minute: a healthy run passes, then a planted bug is caught
    Demo(DemoArgs),
    /// What this machine can do, and which faults can run on it
    Doctor(DoctorArgs),
    /// Launch a cluster, load it, strike it, judge it, draw it
    Run(Box<RunArgs>),
    /// Judge a recorded history again
    Check(CheckArgs),
    /// A counterexample in words
    Explain(ExplainArgs),
    /// Show a run's results
    Show(ShowArgs),
    /// List runs
    List(ListArgs),
    /// Two runs side by side: settings that differ, figures with their ratio, verdicts
    Diff(DiffArgs),
    /// What a shell needs to complete verbs and flags
    Completions(CompletionsArgs),
    /// Run the plan and seed of a run again
    Rerun(RerunArgs),
    /// Run a matrix of runs: every night, red only when something is wrong
    Suite(Box<SuiteArgs>),
    /// The nights of a suite as a page, and which figures tripped
    Trend(TrendArgs),
    /// Remove what old runs need most room for; verdicts and figures stay
    Gc(GcArgs),
    /// A history in another tool's format, one file a key
    Export(ExportArgs),
    /// Write a run's report and pictures anew
    Report(ReportArgs),
    /// The tables of the README, measured now
    Bench(BenchArgs),
    /// The planted bugs, and what each breaks
    Mutants(MutantsArgs),
    /// End node processes that a killed harness left behind
    Clean(CleanArgs),
    /// Be one server process of the bundled system
    Node(Box<NodeArgs>),
    /// Talk to a node: read, write, cas, status
    Ctl(CtlArgs),
    /// Judge one key in a process of its own, with limits (what `check` launches)
    #[command(hide = true)]
    SearchChild,
    /// Append and sync for a while (what `bench etcd` launches three of)
    #[command(hide = true)]
    SyncChild {
        /// The file, removed at the end
        file: PathBuf,
    },
}

/// Where runs are kept.
#[derive(Debug, Clone, Args)]
pub struct OutArg {
    /// The folder of all runs
    #[arg(long, default_value = "results/runs")]
    pub out: PathBuf,
}

/// How much is said.
#[derive(Debug, Clone, Args)]
pub struct VoiceArgs {
    /// Data as JSON on stdout
    #[arg(long)]
    pub json: bool,
    /// No progress, only the verdict
    #[arg(long)]
    pub quiet: bool,
}

/// Which engine judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CheckerArg {
    /// The chain checker, with a cross-check of small keys and the search for what is outside its fragment
    Auto,
    /// The chain checker alone
    Chain,
    /// porcupine-rs alone
    Porcupine,
    /// Both, on every key
    Both,
}

/// `heckle run`.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub struct RunArgs {
    /// A plan file; flags override it
    pub plan: Option<PathBuf>,
    /// The system under test
    #[command(flatten)]
    pub cluster: ClusterSettings,
    /// The load
    #[command(flatten)]
    pub load: LoadSettings,
    /// The faults
    #[command(flatten)]
    pub faults: FaultSettings,
    /// What fixes every choice: a number, or random [default: random]
    #[arg(long, help_heading = "Run")]
    pub seed: Option<String>,
    /// A schedule of faults instead of the drawn one (JSON Lines)
    #[arg(long, help_heading = "Run")]
    pub schedule: Option<PathBuf>,
    /// A bound on a figure, such as 'p99_ms<50'; may be repeated
    #[arg(long, help_heading = "Run", value_name = "EXPR")]
    pub gate: Vec<String>,
    /// Go on after a violation
    #[arg(long, help_heading = "Run")]
    pub keep_going: bool,
    /// Which engine judges
    #[arg(long, help_heading = "Run", value_enum, default_value = "auto")]
    pub checker: CheckerArg,
    /// Where the run is kept
    #[command(flatten)]
    pub out: OutArg,
    /// How much is said
    #[command(flatten)]
    pub voice: VoiceArgs,
}

/// `heckle suite`.
#[derive(Debug, Args)]
pub struct SuiteArgs {
    /// A plan file with `[suite.axes]` and `[[canary]]`
    pub plan: PathBuf,
    /// A variant that the plan names under [suite.profile.NAME]
    #[arg(long)]
    pub profile: Option<String>,
    /// Part i of n, for several machines: i/n
    #[arg(long)]
    pub shard: Option<String>,
    /// How long this sitting may take, such as 90m; a run that would go over it is not begun
    #[arg(long)]
    pub budget: Option<Span>,
    /// What the seeds of all runs are made from: a number, or random [default: random]
    #[arg(long)]
    pub seed: Option<String>,
    /// Begin anew, even if a suite of this matrix was interrupted
    #[arg(long)]
    pub fresh: bool,
    /// A heckle binary of an earlier build: figures that tripped are confirmed against it by interleaved pairs
    #[arg(long, value_name = "PATH")]
    pub baseline_bin: Option<PathBuf>,
    /// Where suites and runs are kept
    #[command(flatten)]
    pub out: OutArg,
    /// How much is said
    #[command(flatten)]
    pub voice: VoiceArgs,
}

/// `heckle trend`.
#[derive(Debug, Args)]
pub struct TrendArgs {
    /// The suite's name; not needed where there is only one
    pub name: Option<String>,
    /// Where suites are kept
    #[command(flatten)]
    pub out: OutArg,
    /// How much is said
    #[command(flatten)]
    pub voice: VoiceArgs,
}

/// `heckle gc`.
#[derive(Debug, Args)]
pub struct GcArgs {
    /// Runs whose files are all kept, newest first [default: 50]
    #[arg(long)]
    pub keep: Option<usize>,
    /// Failed runs whose files are all kept, newest first, whatever the other limits say [default: 20]
    #[arg(long)]
    pub keep_failed: Option<usize>,
    /// Only runs older than this, such as 72h
    #[arg(long)]
    pub older_than: Option<Span>,
    /// Stop when everything fits into this many bytes: 500M, 20G
    #[arg(long)]
    pub max_size: Option<String>,
    /// Remove; without it the runs are only listed
    #[arg(long)]
    pub delete: bool,
    /// Where runs are kept
    #[command(flatten)]
    pub out: OutArg,
    /// How much is said
    #[command(flatten)]
    pub voice: VoiceArgs,
}

/// `heckle check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// A run (folder, id, prefix, latest, latest-failed) or a history file, plain or zstd
    pub target: String,
    /// Which engine judges
    #[arg(long, value_enum, default_value = "auto")]
    pub checker: CheckerArg,
    /// The file's format: jepsen-edn, knossos-json, porcupine-log, csv [default: heckle's own]
    #[arg(long)]
    pub format: Option<String>,
    /// What a foreign history's keys are: cas-register, set, queue, counter, mutex, text [default: cas-register]
    #[arg(long, requires = "format")]
    pub model: Option<String>,
    /// Unknown instead of a warning where the history is too thin to tell anything
    #[arg(long)]
    pub strict: bool,
    /// Where runs are kept
    #[command(flatten)]
    pub out: OutArg,
    /// How much is said
    #[command(flatten)]
    pub voice: VoiceArgs,
}

/// `heckle show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// A run: folder, id, prefix, latest, latest-failed
    #[arg(default_value = "latest")]
    pub run: String,
    /// The slowest ops instead, and why each was slow
    #[arg(long, value_name = "N", conflicts_with_all = ["during", "clients", "json"])]
    pub slowest: Option<usize>,
    /// What every fault did to latency and timeouts instead, node by node
    #[arg(long, conflicts_with_all = ["clients", "json"])]
    pub during: bool,
    /// The clients instead, the one that waited longest first
    #[arg(long, conflicts_with = "json")]
    pub clients: bool,
    /// Where runs are kept
    #[command(flatten)]
    pub out: OutArg,
    /// How much is said
    #[command(flatten)]
    pub voice: VoiceArgs,
}

/// `heckle diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// A run: folder, id, prefix, latest, latest-failed
    pub a: String,
    /// The run to be compared with it
    #[arg(default_value = "latest")]
    pub b: String,
    /// Where runs are kept
    #[command(flatten)]
    pub out: OutArg,
    /// How much is said
    #[command(flatten)]
    pub voice: VoiceArgs,
}

/// `heckle completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Which shell
    pub shell: clap_complete::Shell,
}

/// `heckle list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Where runs are kept
    #[command(flatten)]
    pub out: OutArg,
    /// How much is said
    #[command(flatten)]
    pub voice: VoiceArgs,
}

/// `heckle rerun`.
#[derive(Debug, Args)]
pub struct RerunArgs {
    /// A run: folder, id, prefix, latest, latest-failed
    #[arg(default_value = "latest")]
    pub run: String,
    /// How often
    #[arg(long, default_value_t = 1)]
    pub times: u32,
    /// Where runs are kept
    #[command(flatten)]
    pub out: OutArg,
    /// How much is said
    #[command(flatten)]
    pub voice: VoiceArgs,
}

/// `heckle node`. The same fields are the keys of its configuration file, `_` for `-`; whatever is absent here and
/// there has the default that its help names.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeArgs {
    /// A TOML file whose keys are these flags, `_` for `-`; flags override it
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// This node: n1, n2 … (needed)
    #[arg(long)]
    pub id: Option<String>,
    /// The cluster's name; nodes and data of another are refused (needed)
    #[arg(long)]
    pub cluster_id: Option<String>,
    /// Where peers connect [default: 127.0.0.1:0]
    #[arg(long)]
    pub peer_listen: Option<std::net::SocketAddr>,
    /// Where clients connect [default: 127.0.0.1:0]
    #[arg(long)]
    pub client_listen: Option<std::net::SocketAddr>,
    /// Where the control channel listens; loopback only [default: 127.0.0.1:0]
    #[arg(long)]
    pub control_listen: Option<std::net::SocketAddr>,
    /// Where GET /metrics is answered, as Prometheus text: a port of 127.0.0.1, or an address [default: nowhere]
    #[arg(long, value_name = "PORT|ADDR")]
    pub metrics_listen: Option<String>,
    /// Another node and where this one reaches it: n2=127.0.0.1:7001; once for each
    #[arg(long, value_name = "NODE=ADDR")]
    pub peer: Vec<String>,
    /// The data folder (needed)
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Seed of the node's random choices [default: 0]
    #[arg(long)]
    pub seed: Option<String>,
    /// Rounds of Paxos: classic, merged, async-learn, fast [default: classic]
    #[arg(long)]
    pub rounds: Option<String>,
    /// After losing a ballot: uniform, none, adaptive [default: uniform]
    #[arg(long)]
    pub backoff: Option<String>,
    /// How long an operation may go on losing ballots before it is answered [default: as long as its own time limit]
    #[arg(long)]
    pub contention_timeout: Option<crate::plan::units::Span>,
    /// Leases on ranges of keys, the same on all nodes: off, priority, read [default: off]
    #[arg(long)]
    pub lease: Option<String>,
    /// How long a lease is granted for [default: 2s]
    #[arg(long)]
    pub lease_time: Option<crate::plan::units::Span>,
    /// How far monotonic clocks may drift, as 0.1% [default: 0.1%]
    #[arg(long)]
    pub lease_drift: Option<String>,
    /// Into how many ranges keys fall [default: 16]
    #[arg(long)]
    pub lease_ranges: Option<u16>,
    /// Hand operations to the holder of the lease: off, on [default: off]
    #[arg(long)]
    pub forward: Option<String>,
    /// Drop accepted copies once every replica has learned: on, off [default: on]
    #[arg(long)]
    pub prune: Option<String>,
    /// Age at which the Paxos state of a key expires: off, or a time such as 10s [default: off]
    #[arg(long)]
    pub paxos_ttl: Option<Expiry>,
    /// Client connections; one more is refused [default: 1024]
    #[arg(long)]
    pub max_clients: Option<u32>,
    /// Open operations of one connection; one more is answered as too many [default: 4096]
    #[arg(long)]
    pub max_in_flight: Option<u32>,
    /// Operations that wait for one key; one more is answered as busy [default: 1024]
    #[arg(long)]
    pub max_queue: Option<u32>,
    /// How long open operations may take to end at a clean stop [default: 500ms]
    #[arg(long)]
    pub stop_grace: Option<crate::plan::units::Span>,
    /// A planted bug; may be repeated
    #[arg(long)]
    pub mutant: Vec<String>,
    /// End when standard input ends
    #[arg(long)]
    pub exit_on_stdin_eof: bool,
    /// End when this process is no longer the parent
    #[arg(long)]
    pub parent_pid: Option<u32>,
}

/// `heckle ctl`.
#[derive(Debug, Args)]
pub struct CtlArgs {
    /// What to ask
    #[command(subcommand)]
    pub ask: CtlAsk,
}

/// What `heckle ctl` can ask of a node.
#[derive(Debug, Subcommand)]
pub enum CtlAsk {
    /// Read a key, linearizably
    Read {
        /// The key
        key: String,
        /// Which node, and how it is asked
        #[command(flatten)]
        to: CtlTo,
    },
    /// Set a key, whatever it was
    Write {
        /// The key
        key: String,
        /// The value
        value: String,
        /// Which node, and how it is asked
        #[command(flatten)]
        to: CtlTo,
    },
    /// Set a key if it has the expected value; exits 3 if it has another
    Cas {
        /// The key
        key: String,
        /// The value to set
        value: String,
        /// The value that must be there
        #[arg(long, value_name = "VALUE", required_unless_present = "absent")]
        expect: Option<String>,
        /// The key must never have been written
        #[arg(long, conflicts_with = "expect")]
        absent: bool,
        /// Which node, and how it is asked
        #[command(flatten)]
        to: CtlTo,
    },
    /// Read a key without Paxos: the newest of what a replica, or a quorum of them, has
    Get {
        /// The key
        key: String,
        /// How many replicas must answer: the one asked, or a quorum
        #[arg(long, value_enum, default_value = "quorum")]
        consistency: Consistency,
        /// Which node, and how it is asked
        #[command(flatten)]
        to: CtlTo,
    },
    /// Set a key without Paxos, last write wins; not to be mixed with write and cas on one key
    Put {
        /// The key
        key: String,
        /// The value
        value: String,
        /// How many replicas must have it
        #[arg(long, value_enum, default_value = "quorum")]
        consistency: Consistency,
        /// Which node, and how it is asked
        #[command(flatten)]
        to: CtlTo,
    },
    /// What became of a write or CAS; if it did not happen, it never will. Exits 4 then, and 2 where nobody can tell
    Fate {
        /// Its id as answers and histories print it: c7.1, or c7.1@300.n2.5 if it says when it was born
        op_id: String,
        /// The key it was sent for
        #[arg(long)]
        key: String,
        /// Which node, and how it is asked
        #[command(flatten)]
        to: CtlTo,
    },
    /// A node's figures; --node is its control address here
    Status {
        /// The control address of a node, which its ready line names
        #[arg(long, value_name = "ADDR")]
        node: std::net::SocketAddr,
        /// When to give up
        #[arg(long, default_value = "2s")]
        timeout: crate::plan::units::Span,
        /// Data as JSON on stdout
        #[arg(long)]
        json: bool,
    },
}

/// How many replicas take part in a put or get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Consistency {
    /// One
    One,
    /// A quorum
    Quorum,
}

/// How a value is written on the command line and shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ValueForm {
    /// As UTF-8 text; bytes that are none are shown escaped
    Text,
    /// As the numbers that `heckle run` writes: 8 bytes, highest first, then whatever follows
    Number,
}

/// Which node, and how it is asked.
#[derive(Debug, Clone, Args)]
pub struct CtlTo {
    /// The client address of a node, which its ready line names
    #[arg(long, value_name = "ADDR")]
    pub node: std::net::SocketAddr,
    /// When to give up
    #[arg(long, default_value = "2s")]
    pub timeout: crate::plan::units::Span,
    /// How values are written
    #[arg(long = "as", value_enum, default_value = "text")]
    pub form: ValueForm,
    /// Data as JSON on stdout
    #[arg(long)]
    pub json: bool,
}

/// `heckle demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Where the runs are kept
    #[command(flatten)]
    pub out: OutArg,
    /// No progress
    #[arg(long)]
    pub quiet: bool,
}

/// `heckle doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Where runs would be kept: their disk is measured
    #[command(flatten)]
    pub out: OutArg,
    /// How much is said
    #[command(flatten)]
    pub voice: VoiceArgs,
}

/// `heckle explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// A run: folder, id, prefix, latest, latest-failed
    #[arg(default_value = "latest-failed")]
    pub run: String,
    /// Which of its violations
    #[arg(long, default_value_t = 1)]
    pub violation: u32,
    /// Where runs are kept
    #[command(flatten)]
    pub out: OutArg,
}

/// `heckle clean`.
#[derive(Debug, Args)]
pub struct CleanArgs {
    /// Where runs are kept
    #[command(flatten)]
    pub out: OutArg,
}

/// `heckle report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// A run: folder, id, prefix, latest, latest-failed
    #[arg(default_value = "latest")]
    pub run: String,
    /// Where runs are kept
    #[command(flatten)]
    pub out: OutArg,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BenchWhat {
    /// Asked delay and loss against measured, and what the relay costs
    Faults,
    /// The judge, batch and online, with porcupine-rs beside it
    Check,
    /// The bundled server beside etcd, where it is built in, and both against the limits of this machine
    Etcd,
    /// One operation in the core alone; with --against, this build beside another
    Core,
}

/// `heckle bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Which table
    #[arg(value_enum)]
    pub what: BenchWhat,
    /// The longest history of `bench check`
    #[arg(long, default_value_t = 10_000_000)]
    pub max_ops: usize,
    /// When `bench check` stops porcupine-rs
    #[arg(long, default_value = "60s")]
    pub search_for: crate::plan::units::Span,
    /// Repetitions of `bench etcd`; medians are told
    #[arg(long, default_value_t = 5)]
    pub repetitions: u32,
    /// How long each load of `bench etcd` lasts
    #[arg(long, default_value = "3s")]
    pub load_for: crate::plan::units::Span,
    /// Another build of heckle, measured in turn with this one by `bench core`
    #[arg(long, value_name = "PROGRAM")]
    pub against: Option<PathBuf>,
    /// Where `bench etcd` keeps the data of its clusters meanwhile
    #[command(flatten)]
    pub out: OutArg,
    /// Data as JSON on stdout, of `bench etcd` and `bench core`
    #[arg(long)]
    pub json: bool,
}

/// `heckle mutants`.
#[derive(Debug, Args)]
pub struct MutantsArgs {
    /// How much is said
    #[command(flatten)]
    pub voice: VoiceArgs,
}

/// `heckle export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// A run (folder, id, prefix, latest, latest-failed) or a history file
    pub target: String,
    /// jepsen-edn, knossos-json, porcupine-log or csv
    #[arg(long)]
    pub format: String,
    /// The folder for the files, one a key
    #[arg(long, default_value = ".")]
    pub to: PathBuf,
    /// Where runs are kept
    #[command(flatten)]
    pub out: OutArg,
}
