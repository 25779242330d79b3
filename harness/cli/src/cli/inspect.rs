//! Verbs that look at what runs left: `check`, `explain`, `show`, `list`, `diff`, `trend`, `report`, `export`.

use super::{CheckerArg, OutArg, VoiceArgs};
use clap::Args;
use std::path::PathBuf;

/// `heckle check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// A run (folder, id, prefix, latest, latest-failed) or a history file, plain or zstd
    pub target: String,
    /// Which engine judges [default: the run's own, and auto for a file that is no run's]
    #[arg(long, value_enum)]
    pub checker: Option<CheckerArg>,
    /// The file's format: jepsen-edn, knossos-json, porcupine-log, csv [default: heckle's own]
    #[arg(long)]
    pub format: Option<String>,
    /// What a foreign history's keys are: cas-register, set, list-append, queue, counter, mutex, owner-mutex, fenced-mutex, text [default: cas-register]
    #[arg(long, requires = "format")]
    pub model: Option<String>,
    /// Where a foreign history's keys come from: field (`:key`), pair (`[key value]`), auto (either) [default: auto]
    #[arg(long, requires = "format", value_name = "FROM")]
    pub key_from: Option<String>,
    /// The value of a foreign register, counter or text before its first update, such as 0
    #[arg(long, requires = "format", value_name = "VALUE")]
    pub initial: Option<String>,
    /// Pass over lines and ops of a foreign history that are not understood, and count them, instead of refusing the file
    #[arg(long, requires = "format")]
    pub lenient: bool,
    /// Longest history that is read, after decompression: 500M, 20G [default: 4G, or half of the available memory if that is less; of foreign formats 1G, or a sixth]
    #[arg(long, value_name = "BYTES")]
    pub max_bytes: Option<String>,
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

/// `heckle show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// A run: folder, id, prefix, latest, latest-failed; or a comparison: folder, id
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

/// `heckle list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Comparisons alone, without runs
    #[arg(long)]
    pub comparisons: bool,
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

/// `heckle report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// A run: folder, id, prefix, latest, latest-failed; or a comparison: folder, id
    #[arg(default_value = "latest")]
    pub run: String,
    /// Where runs are kept
    #[command(flatten)]
    pub out: OutArg,
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
    /// Replace files that are there already
    #[arg(long)]
    pub force: bool,
    /// Where runs are kept
    #[command(flatten)]
    pub out: OutArg,
}
