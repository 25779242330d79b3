//! `heckle compare` on the command line.

use super::{OutArg, PlanFlags, VoiceArgs};
use clap::Args;
use std::path::PathBuf;

/// `heckle compare`.
#[derive(Debug, Clone, Default, Args)]
#[command(args_override_self = true)]
pub struct CompareArgs {
    /// A plan file with its arms as `[[arm]]` entries, or an embedded plan such as presets/lease; flags override it
    pub plan: Option<PathBuf>,
    /// An experiment that needs no plan: lease, rounds, backoff, ttl, state
    #[arg(long, help_heading = "Comparison", conflicts_with = "plan")]
    pub preset: Option<String>,
    /// One of the compared, such as new:rounds=classic,backoff=none; repeated, the first is what the others are held against
    #[arg(long = "arm", help_heading = "Comparison", value_name = "NAME:KEY=VALUE,…", action = clap::ArgAction::Append)]
    pub arms: Vec<String>,
    /// Pairs of runs; below 8 no claim is made [default: 10]
    #[arg(long, help_heading = "Comparison")]
    pub pairs: Option<u32>,
    /// The first arm against itself: shows what is noise
    #[arg(long, help_heading = "Comparison")]
    pub aa: bool,
    /// Runs during which other processes use more of the machine than this share are dropped, 1 for none [default: 0.25]
    #[arg(long, help_heading = "Comparison", value_name = "SHARE")]
    pub noise_limit: Option<f64>,
    /// Runs of which the harness sent more than this share of the ops late are dropped, 1 for none: latency is wrong then, counts and
    /// bytes are not [default: 0.01]
    #[arg(long, help_heading = "Comparison", value_name = "SHARE")]
    pub late_limit: Option<f64>,
    /// Go on to the last pair even when too many were dropped for any claim
    #[arg(long, help_heading = "Comparison")]
    pub finish: bool,
    /// What fixes the seeds and the order of all runs: a number, or random [default: random]
    #[arg(long, help_heading = "Comparison")]
    pub seed: Option<String>,
    /// Settings of a plan
    #[command(flatten)]
    pub settings: PlanFlags,
    /// Where the comparison is kept, with its runs
    #[command(flatten)]
    pub out: OutArg,
    /// How much is said
    #[command(flatten)]
    pub voice: VoiceArgs,
}
