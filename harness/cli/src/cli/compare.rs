//! `heckle compare` on the command line.

use super::{ArmArgs, OutArg, OutputArgs, PlanFlags};
use clap::Args;
use std::path::PathBuf;

/// `heckle compare`.
#[derive(Debug, Clone, Default, Args)]
#[command(args_override_self = true)]
pub struct CompareArgs {
    /// A plan file with its arms as `[[arm]]` entries, or an embedded plan such as presets/lease; flags override it
    pub plan: Option<PathBuf>,
    /// A built-in experiment that needs no plan: lease, lease-lock, rounds, backoff, ttl, state
    #[arg(long, help_heading = "Comparison", conflicts_with = "plan")]
    pub preset: Option<String>,
    /// Number of pairs of runs; fewer than 8 support no claim [default: 10]
    #[arg(long, help_heading = "Comparison")]
    pub pairs: Option<u32>,
    /// Compare the first arm with itself, which shows the noise
    #[arg(long, help_heading = "Comparison")]
    pub aa: bool,
    /// Drop a run if other processes use more than this share of the machine during it; 1 never drops [default: 0.25]
    #[arg(long, help_heading = "Comparison", value_name = "SHARE")]
    pub noise_limit: Option<f64>,
    /// Drop a run if the harness sent more than this share of the ops late; 1 never drops. Late sending distorts latency, but not
    /// counts and bytes [default: 0.01]
    #[arg(long, help_heading = "Comparison", value_name = "SHARE")]
    pub late_limit: Option<f64>,
    /// Run all pairs, even when too many were dropped to support any claim, or no run of the first pair counts
    #[arg(long, help_heading = "Comparison")]
    pub finish: bool,
    /// Settings of a plan
    #[command(flatten)]
    pub settings: PlanFlags,
    /// The folder of the comparison and its runs
    #[command(flatten)]
    pub out: OutArg,
    /// How much to print
    #[command(flatten)]
    pub output: OutputArgs,
    /// The arms and the seed
    #[command(flatten, next_help_heading = "Comparison")]
    pub arms: ArmArgs,
}
