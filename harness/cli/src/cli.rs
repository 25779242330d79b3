//! The command line: every verb and flag. Parsing only; what a verb does stands in `verbs`. Modules by what verbs are for:

mod run; // runs: run, rerun, demo, suite
mod compare; // settings or builds against each other: compare
mod inspect; // what runs left: check, explain, show, list, diff, trend, report, export
mod own; // a system of one's own: init, driver
mod node; // one node by hand: node, ctl
mod maintenance; // the tool and its room: doctor, bench, capacity, mutants, gc, clean, completions

pub use compare::CompareArgs;
pub use inspect::{CheckArgs, DiffArgs, ExplainArgs, ExportArgs, ListArgs, ReportArgs, ShowArgs, TrendArgs};
pub use maintenance::{BenchArgs, BenchWhat, CapacityArgs, CleanArgs, CompletionsArgs, DoctorArgs, GcArgs, MutantsArgs};
pub use node::{Consistency, CtlArgs, CtlAsk, CtlTo, CtlWho, NodeArgs, ValueForm};
pub use own::{DriverArgs, DriverCheckArgs, DriverWhat, InitArgs};
pub use run::{CheckerArg, DemoArgs, RerunArgs, RunArgs, SuiteArgs};

use crate::plan::settings::{ClusterSettings, FaultSettings, LoadSettings, Settings};
use clap::{Args, Parser, Subcommand};
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
    /// Compare settings or builds by paired runs, with intervals and honest words
    Compare(Box<CompareArgs>),
    /// A history in another tool's format, one file a key
    Export(ExportArgs),
    /// Write a run's report and pictures anew
    Report(ReportArgs),
    /// The tables of the docs, measured now
    Bench(BenchArgs),
    /// Bytes of memory and disk that a node needs, with the formula
    Capacity(CapacityArgs),
    /// The planted bugs, and what each breaks
    Mutants(MutantsArgs),
    /// End node processes that a killed harness left behind
    Clean(CleanArgs),
    /// Write a plan, a driver and a toy server to start from: test your own database
    Init(InitArgs),
    /// Check a client driver
    Driver(DriverArgs),
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
    /// Write batches to a store, tell how long they took, and die by a signal (what `bench store` launches)
    #[command(hide = true)]
    StoreChild {
        /// Which store
        store: String,
        /// An empty folder
        folder: PathBuf,
        /// Records in a batch
        per_batch: usize,
        /// Batches
        batches: usize,
    },
}

/// Where runs are kept.
#[derive(Debug, Clone, Default, Args)]
pub struct OutArg {
    /// The folder of all runs
    #[arg(long, default_value = heckle_results::run_folder::DEFAULT_OUT)]
    pub out: PathBuf,
}

/// How much is said.
#[derive(Debug, Clone, Default, Args)]
pub struct VoiceArgs {
    /// Data as JSON on stdout
    #[arg(long)]
    pub json: bool,
    /// No progress, only the verdict
    #[arg(long)]
    pub quiet: bool,
}

/// The settings of a plan as flags: those of the engine, and those of each system that has any.
#[derive(Debug, Clone, Default, Args)]
pub struct PlanFlags {
    /// The system under test
    #[command(flatten)]
    pub cluster: ClusterSettings,
    /// Settings of the bundled server
    #[command(flatten)]
    pub paxos: heckle_system_paxos::Flags,
    /// The load
    #[command(flatten)]
    pub load: LoadSettings,
    /// The faults
    #[command(flatten)]
    pub faults: FaultSettings,
}

impl PlanFlags {
    /// The same as a plan says it.
    pub fn settings(&self) -> Settings {
        let cluster = ClusterSettings { of_system: self.paxos.table(), ..self.cluster.clone() };
        Settings { cluster, load: self.load.clone(), faults: self.faults.clone(), ..Settings::default() }
    }
}
