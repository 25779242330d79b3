//! Verbs that start runs: `run`, `rerun`, `demo`, `suite`.

use super::{OutArg, OutputArgs, PlanFlags};
use crate::plan::units::Span;
use clap::{Args, ValueEnum};
use heckle_workloads::registry;
use std::path::PathBuf;

/// The tables of workloads and fault kinds in `heckle run --help`.
fn lists() -> String {
    let workloads = registry::WORKLOADS.iter().map(|workload| (workload.name.to_owned(), workload.about.to_owned()));
    let faults = heckle_faults::registry::all(&[]).into_iter().map(|kind| (kind.to_string(), kind.about(&[])));
    let table =
        |rows: &mut dyn Iterator<Item = (String, String)>| rows.map(|(name, about)| format!("  {name:<20} {about}\n")).collect::<String>();
    format!(
        "Workloads:\n{}\nFaults:\n{}  kill:ROLE and so on    the same, aimed at the node that has a role; `heckle doctor` lists what each system has\n",
        table(&mut workloads.into_iter()),
        table(&mut faults.into_iter())
    )
}

/// `heckle run`.
#[derive(Debug, Args)]
#[command(args_override_self = true, after_help = lists())]
pub struct RunArgs {
    /// A plan file, or an embedded plan such as mutants/no-backoff (a wrong name lists them); flags override it
    pub plan: Option<PathBuf>,
    /// Settings of a plan
    #[command(flatten)]
    pub settings: PlanFlags,
    /// The seed of all random choices: a number, or random [default: random]
    #[arg(long, help_heading = "Run")]
    pub seed: Option<String>,
    /// A file with a fault schedule (JSON Lines), instead of a random one
    #[arg(long, help_heading = "Run")]
    pub schedule: Option<PathBuf>,
    /// A limit on a figure, such as 'p99_ms<50'; may be repeated
    #[arg(long, help_heading = "Run", value_name = "EXPR")]
    pub gate: Vec<String>,
    /// Continue after a violation
    #[arg(long, help_heading = "Run")]
    pub keep_going: bool,
    /// Which checker judges the history
    #[arg(long, help_heading = "Run", value_enum, default_value = "auto")]
    pub checker: CheckerArg,
    /// The folder of all runs
    #[command(flatten)]
    pub out: OutArg,
    /// How much to print
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Which checker judges the history.
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

/// `heckle rerun`.
#[derive(Debug, Args)]
pub struct RerunArgs {
    /// A run: folder, id, prefix, latest, latest-failed
    #[arg(default_value = "latest")]
    pub run: String,
    /// How many times to run it
    #[arg(long, default_value_t = 1)]
    pub times: u32,
    /// Run the program that the plan names, even if the run came from another machine
    #[arg(long)]
    pub allow_programs: bool,
    /// The folder of all runs
    #[command(flatten)]
    pub out: OutArg,
    /// How much to print
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `heckle demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// The folder of all runs
    #[command(flatten)]
    pub out: OutArg,
    /// Print no progress
    #[arg(long)]
    pub quiet: bool,
}

/// `heckle suite`.
#[derive(Debug, Args)]
pub struct SuiteArgs {
    /// A plan file with `[suite.axes]` and `[[canary]]`, or an embedded plan: quick, nightly
    pub plan: PathBuf,
    /// A variant that the plan defines under [suite.profile.NAME]
    #[arg(long)]
    pub profile: Option<String>,
    /// Run part i of n, to split the suite over several machines: i/n
    #[arg(long)]
    pub shard: Option<String>,
    /// How long this session may take, such as 90m; a run that would exceed it is not started
    #[arg(long)]
    pub budget: Option<Span>,
    /// How many cells must have run for the suite to be green; all canaries must have [default: half of the cells]
    #[arg(long, value_name = "N")]
    pub min_cells: Option<u32>,
    /// The seed that the seeds of all runs derive from: a number, or random [default: random]
    #[arg(long)]
    pub seed: Option<String>,
    /// Start from scratch, even if a suite of this matrix was interrupted
    #[arg(long)]
    pub fresh: bool,
    /// A heckle binary of an earlier build; figures that got worse are confirmed against it by interleaved pairs
    #[arg(long, value_name = "PATH")]
    pub baseline_bin: Option<PathBuf>,
    /// The folder of all suites and runs
    #[command(flatten)]
    pub out: OutArg,
    /// How much to print
    #[command(flatten)]
    pub output: OutputArgs,
}
