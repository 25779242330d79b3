//! The command line: every verb and flag. This module only parses: `verbs` implements each verb. Modules, grouped by purpose:

mod run; // runs: run, rerun, demo, suite
mod compare; // settings or builds against each other: compare
mod sweep; // one plan along one axis: sweep
mod inspect; // results of earlier runs: check, explain, show, list, diff, trend, report, export
mod serve; // a page of all runs: serve
mod own; // testing a custom system: init, driver
mod node; // a single node: node, ctl
mod maintenance; // the tool itself and its disk usage: doctor, bench, capacity, mutants, gc, clean, completions

pub use compare::CompareArgs;
pub use inspect::{CheckArgs, DiffArgs, ExplainArgs, ExportArgs, ListArgs, ReportArgs, ShowArgs, TrendArgs};
pub use maintenance::{BenchArgs, BenchTarget, CapacityArgs, CleanArgs, CompletionsArgs, DoctorArgs, GcArgs, MutantsArgs};
pub use node::{Consistency, CtlArgs, CtlCommand, CtlIdentity, CtlTarget, NodeArgs, ValueForm};
pub use own::{DriverArgs, DriverCheckArgs, DriverWhat, InitArgs};
pub use run::{CheckerArg, DemoArgs, RerunArgs, RunArgs, SuiteArgs};
pub use serve::{Listen, ServeArgs};
pub use sweep::SweepArgs;

use crate::plan::settings::{ClusterSettings, FaultSettings, LoadSettings, Settings};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// The command line of `heckle`.
#[derive(Debug, Parser)]
#[command(
    name = "heckle",
    version,
    about = "Runs a real Paxos cluster under load and faults, and judges what happened",
    propagate_version = true
)]
pub struct Cli {
    /// The verb to run
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// In under a minute: a healthy run passes, then a planted bug is caught
    Demo(DemoArgs),
    /// Report what this machine can do and which faults can run on it
    Doctor(DoctorArgs),
    /// Launch a cluster, load it, inject faults, judge the history and draw plots
    Run(Box<RunArgs>),
    /// Judge a recorded history again
    Check(CheckArgs),
    /// Explain a counterexample in words
    Explain(ExplainArgs),
    /// Show a run's results
    Show(ShowArgs),
    /// List runs, suites, comparisons and sweeps
    List(ListArgs),
    /// Show all runs, suites and comparisons in a browser, read-only
    Serve(ServeArgs),
    /// Compare two runs: differing settings, figures with their ratio, verdicts
    Diff(DiffArgs),
    /// Print the completion script for a shell
    Completions(CompletionsArgs),
    /// Run the plan and seed of a run again
    Rerun(RerunArgs),
    /// Run a matrix of runs, such as every night; red only when something is wrong
    Suite(Box<SuiteArgs>),
    /// Write a page with the history of a suite, and list the figures that got worse
    Trend(TrendArgs),
    /// Remove the largest files of old runs; verdicts and figures stay
    Gc(GcArgs),
    /// Compare settings or builds by paired runs, with confidence intervals
    Compare(Box<CompareArgs>),
    /// Run a plan at several values of one setting: latency over throughput, waits over contention, the highest rate that holds
    Sweep(Box<SweepArgs>),
    /// Export a history in another tool's format, one file per key, or the figures of a run for Prometheus
    Export(ExportArgs),
    /// Write a run's report and plots again
    Report(ReportArgs),
    /// Measure the tables of the docs on this machine
    Bench(BenchArgs),
    /// Compute the bytes of memory and disk that a node needs, with the formula
    Capacity(CapacityArgs),
    /// List the planted bugs and what each breaks
    Mutants(MutantsArgs),
    /// End node processes that a killed harness left behind
    Clean(CleanArgs),
    /// Write a plan, a driver and a toy server to start from: test your own database
    Init(InitArgs),
    /// Check a client driver
    Driver(DriverArgs),
    /// Run one server process of the bundled system
    Node(Box<NodeArgs>),
    /// Talk to a node: read, write, cas, status
    Ctl(CtlArgs),
    /// Judge one key in a separate process with limits (started by `check`)
    #[command(hide = true)]
    SearchChild,
    /// Answer every request immediately, from memory, until stdin ends (started by `bench load`)
    #[command(hide = true)]
    NullNode {
        /// The address to listen on
        listen: std::net::SocketAddr,
    },
    /// Append and sync for a while (`bench etcd` starts three)
    #[command(hide = true)]
    SyncChild {
        /// The file to write, removed at the end
        file: PathBuf,
    },
    /// Write batches to a store, print how long they took, and end by a signal (started by `bench store`)
    #[command(hide = true)]
    StoreChild {
        /// The store to write to
        store: String,
        /// An empty folder
        folder: PathBuf,
        /// Records per batch
        per_batch: usize,
        /// Number of batches
        batches: usize,
    },
}

/// The folder of all runs.
#[derive(Debug, Clone, Default, Args)]
pub struct OutArg {
    /// The folder of all runs
    #[arg(long, default_value = heckle_results::run_folder::DEFAULT_OUT)]
    pub out: PathBuf,
}

/// The arms of a comparison or a sweep.
#[derive(Debug, Clone, Default, Args)]
pub struct ArmArgs {
    /// An arm, such as quick:rounds=fast or etcd:system=etcd; may be repeated, the first is the reference
    #[arg(long = "arm", value_name = "NAME:KEY=VALUE,…", action = clap::ArgAction::Append)]
    pub arms: Vec<String>,
    /// The seed of all runs and of their order: a number, or random [default: random]
    #[arg(long)]
    pub seed: Option<String>,
}

/// How much to print.
#[derive(Debug, Clone, Default, Args)]
pub struct OutputArgs {
    /// Print JSON on stdout
    #[arg(long)]
    pub json: bool,
    /// Print no progress, only the verdict
    #[arg(long)]
    pub quiet: bool,
}

/// The settings of a plan as flags: those of the engine, and those of each system that has settings.
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
    /// Converts the flags to the settings of a plan.
    pub fn settings(&self) -> Settings {
        let cluster = ClusterSettings { of_system: self.paxos.table(), ..self.cluster.clone() };
        Settings { cluster, load: self.load.clone(), faults: self.faults.clone(), ..Settings::default() }
    }
}
