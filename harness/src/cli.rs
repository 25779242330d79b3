//! The command line: every verb and flag. Parsing only; what a verb does stands in `verbs`.

use crate::plan::settings::{ClusterSettings, FaultSettings, LoadSettings};
use clap::{Args, Parser, Subcommand, ValueEnum};
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
    /// Run the plan and seed of a run again
    Rerun(RerunArgs),
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
    /// Judge one key in a process of its own, with limits (what `check` launches)
    #[command(hide = true)]
    SearchChild,
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
    /// Where runs are kept
    #[command(flatten)]
    pub out: OutArg,
    /// How much is said
    #[command(flatten)]
    pub voice: VoiceArgs,
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

/// `heckle node`.
#[derive(Debug, Args)]
pub struct NodeArgs {
    /// This node: n1, n2 …
    #[arg(long)]
    pub id: String,
    /// The cluster's name; nodes and data of another are refused
    #[arg(long)]
    pub cluster_id: String,
    /// Where peers connect
    #[arg(long, default_value = "127.0.0.1:0")]
    pub peer_listen: std::net::SocketAddr,
    /// Where clients connect
    #[arg(long, default_value = "127.0.0.1:0")]
    pub client_listen: std::net::SocketAddr,
    /// Where the control channel listens; loopback only
    #[arg(long, default_value = "127.0.0.1:0")]
    pub control_listen: std::net::SocketAddr,
    /// Another node and where this one reaches it: n2=127.0.0.1:7001; once for each
    #[arg(long, value_name = "NODE=ADDR")]
    pub peer: Vec<String>,
    /// The data folder
    #[arg(long)]
    pub data: PathBuf,
    /// Seed of the node's random choices
    #[arg(long, default_value = "0")]
    pub seed: String,
    /// Rounds of Paxos
    #[arg(long, default_value = "classic", value_parser = ["classic"])]
    pub rounds: String,
    /// After losing a ballot
    #[arg(long, default_value = "uniform", value_parser = ["uniform", "none"])]
    pub backoff: String,
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
