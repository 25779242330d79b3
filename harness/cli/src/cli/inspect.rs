//! Verbs that read the results of runs: `check`, `explain`, `show`, `list`, `diff`, `trend`, `report`, `export`.

use super::{CheckerArg, OutArg, OutputArgs};
use clap::Args;
use heckle_results::filter::{Ended, Kind};
use std::path::PathBuf;

/// `heckle check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// A run (folder, id, prefix, latest, latest-failed) or a history file, plain or zstd
    pub target: String,
    /// Which checker judges the history [default: as in the run; auto for a separate file]
    #[arg(long, value_enum)]
    pub checker: Option<CheckerArg>,
    /// The file's format: jepsen-edn, knossos-json, porcupine-log, csv [default: heckle's own]
    #[arg(long)]
    pub format: Option<String>,
    /// The type of the keys in a foreign history: cas-register, set, list-append, queue, counter, mutex, owner-mutex, fenced-mutex,
    /// text [default: cas-register]
    #[arg(long, requires = "format")]
    pub model: Option<String>,
    /// Where a foreign history's keys come from: field (`:key`), pair (`[key value]`), auto (either) [default: auto]
    #[arg(long, requires = "format", value_name = "FROM")]
    pub key_from: Option<String>,
    /// The value of a foreign register, counter or text before its first update, such as 0
    #[arg(long, requires = "format", value_name = "VALUE")]
    pub initial: Option<String>,
    /// Skip lines and ops of a foreign history that cannot be parsed, and count them, instead of refusing the file
    #[arg(long, requires = "format")]
    pub lenient: bool,
    /// Largest history to read, after decompression: 500M, 20G [default: 4G, or half of the available memory if that is less; 1G or a
    /// sixth for foreign formats]
    #[arg(long, value_name = "BYTES")]
    pub max_bytes: Option<String>,
    /// Return unknown instead of a warning if the history is too short to be conclusive
    #[arg(long)]
    pub strict: bool,
    /// The folder of all runs
    #[command(flatten)]
    pub out: OutArg,
    /// How much to print
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `heckle explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// A run: folder, id, prefix, latest, latest-failed
    #[arg(default_value = "latest-failed")]
    pub run: String,
    /// The number of the violation
    #[arg(long, default_value_t = 1)]
    pub violation: u32,
    /// The folder of all runs
    #[command(flatten)]
    pub out: OutArg,
}

/// `heckle show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// A run: folder, id, prefix, latest, latest-failed; or a comparison or sweep: folder, id
    #[arg(default_value = "latest")]
    pub run: String,
    /// Show the slowest ops instead, and why each was slow
    #[arg(long, value_name = "N", conflicts_with_all = ["during", "clients", "json"])]
    pub slowest: Option<usize>,
    /// Show the effect of every fault on latency and timeouts instead, per node
    #[arg(long, conflicts_with_all = ["clients", "json"])]
    pub during: bool,
    /// Show the clients instead, longest wait first
    #[arg(long, conflicts_with = "json")]
    pub clients: bool,
    /// The folder of all runs
    #[command(flatten)]
    pub out: OutArg,
    /// How much to print
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `heckle list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// List comparisons only
    #[arg(long, conflicts_with = "kind")]
    pub comparisons: bool,
    /// Only these: run, suite, comparison, sweep [default: run with --json, otherwise all of them]
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub kind: Vec<Kind>,
    /// Only plans, suites, comparisons and sweeps of this name, in which `*` stands for any letters; repeatable
    #[arg(long, value_name = "NAME")]
    pub plan: Vec<String>,
    /// Only entries with this outcome: valid, invalid, unknown, gate_missed, error, running, interrupted, killed, failed (any exit
    /// code other than 0)
    #[arg(long, value_name = "VERDICT", value_delimiter = ',')]
    pub verdict: Vec<Ended>,
    /// Only entries that began since then: an age such as 2h or 7d, or a UTC date such as 2026-01-31 or 2026-01-31T12:00
    #[arg(long, value_name = "AGE|DATE")]
    pub since: Option<String>,
    /// Also list the runs of suites, comparisons and sweeps
    #[arg(long)]
    pub all: bool,
    /// The folder of all runs
    #[command(flatten)]
    pub out: OutArg,
    /// How much to print
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `heckle diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// A run: folder, id, prefix, latest, latest-failed
    pub a: String,
    /// The run to compare it with
    #[arg(default_value = "latest")]
    pub b: String,
    /// The folder of all runs
    #[command(flatten)]
    pub out: OutArg,
    /// How much to print
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `heckle trend`.
#[derive(Debug, Args)]
pub struct TrendArgs {
    /// The suite's name; optional if there is only one
    pub name: Option<String>,
    /// The folder of all suites
    #[command(flatten)]
    pub out: OutArg,
    /// How much to print
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `heckle report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// A run: folder, id, prefix, latest, latest-failed; or a comparison or sweep: folder, id
    #[arg(default_value = "latest")]
    pub run: String,
    /// The folder of all runs
    #[command(flatten)]
    pub out: OutArg,
}

/// `heckle export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// A run (folder, id, prefix, latest, latest-failed) or a history file
    pub target: String,
    /// Formats of histories: jepsen-edn, knossos-json, porcupine-log, csv. Figures of a run: prometheus
    #[arg(long)]
    pub format: String,
    /// The folder for the files: one per key, or one of figures [default: the current folder; figures are printed]
    #[arg(long)]
    pub to: Option<PathBuf>,
    /// Overwrite existing files
    #[arg(long)]
    pub force: bool,
    /// The folder of all runs
    #[command(flatten)]
    pub out: OutArg,
}
