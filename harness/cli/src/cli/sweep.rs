//! `heckle sweep` on the command line.

use super::{ArmArgs, OutArg, OutputArgs, PlanFlags};
use crate::plan::units::Span;
use clap::Args;
use std::path::PathBuf;

/// `heckle sweep`.
#[derive(Debug, Clone, Default, Args)]
#[command(args_override_self = true)]
pub struct SweepArgs {
    /// A plan file, or an embedded plan; its `[sweep]` table and `[[arm]]` entries apply, and flags override it
    pub plan: Option<PathBuf>,
    /// A built-in sweep that needs no plan: contention, lease-contention, throughput
    #[arg(long, help_heading = "Sweep", conflicts_with = "plan")]
    pub preset: Option<String>,
    /// The setting that varies, with its values: FROM..TO, FROM..TO:NUMBER or a list. One of rate, clients, keys, zipf, hot,
    /// value-bytes, nodes, op-timeout
    #[arg(long, help_heading = "Sweep", value_name = "AXIS=VALUES")]
    pub over: Option<String>,
    /// Number of runs per point [default: 3]
    #[arg(long, help_heading = "Sweep")]
    pub repeats: Option<u32>,
    /// A limit that a point must meet, such as p99_ms=50 or 'jain>=0.9'; may be repeated, by default p99_ms<50
    #[arg(long, help_heading = "Sweep", value_name = "EXPR", action = clap::ArgAction::Append)]
    pub slo: Vec<String>,
    /// Find the highest rate of the range at which all limits hold, by bisection
    #[arg(long, help_heading = "Sweep")]
    pub find_max: bool,
    /// How long the sweep may take, such as 5m; the length of each point follows from it
    #[arg(long, help_heading = "Sweep")]
    pub budget: Option<Span>,
    /// Execute the remaining runs of a sweep that was interrupted, killed or ended by its budget, given its folder
    #[arg(long, help_heading = "Sweep", value_name = "DIR", conflicts_with_all = ["plan", "preset", "over", "arms", "repeats", "slo", "find_max", "seed"])]
    pub resume: Option<PathBuf>,
    /// Settings of a plan
    #[command(flatten)]
    pub settings: PlanFlags,
    /// The folder of the sweep and its runs
    #[command(flatten)]
    pub out: OutArg,
    /// How much to print
    #[command(flatten)]
    pub output: OutputArgs,
    /// The arms and the seed
    #[command(flatten, next_help_heading = "Sweep")]
    pub arms: ArmArgs,
}
