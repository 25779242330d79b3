//! Verbs for the tool itself and its disk usage: `doctor`, `bench`, `capacity`, `mutants`, `gc`, `clean`, `completions`.

use super::{OutArg, OutputArgs};
use crate::plan::units::{Expiry, Span};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// `heckle doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The folder of all runs; its disk is measured
    #[command(flatten)]
    pub out: OutArg,
    /// List the points of the bundled server at which a fault can be injected, and nothing else
    #[arg(long)]
    pub points: bool,
    /// How much to print
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `heckle bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Which table to measure
    #[arg(value_enum)]
    pub what: BenchTarget,
    /// The longest history of `bench check`, `bench objects` and `bench report`
    #[arg(long, default_value_t = 10_000_000)]
    pub max_ops: usize,
    /// Time limit for porcupine-rs in `bench check`
    #[arg(long, default_value = "60s")]
    pub search_for: Span,
    /// Let `bench check` compare the checkers on random histories instead: chain checker with certificates, brute force,
    /// porcupine-rs. It exits 1 where they differ, and keeps the history
    #[arg(long)]
    pub differential: bool,
    /// How long --differential runs
    #[arg(long = "for", requires = "differential", value_name = "TIME", default_value = "10m")]
    pub soak_for: Span,
    /// Seed of the histories of --differential
    #[arg(long, requires = "differential", default_value_t = 1)]
    pub seed: u64,
    /// Number of the first history of --differential; seed and number alone determine a history
    #[arg(long, requires = "differential", value_name = "N", default_value_t = 0)]
    pub from_case: u64,
    /// Maximum number of histories of --differential [default: as many as fit into the time]
    #[arg(long, requires = "differential", value_name = "N")]
    pub cases: Option<u64>,
    /// Repetitions of `bench etcd` and `bench store`; medians are reported
    #[arg(long, default_value_t = 5)]
    pub repetitions: u32,
    /// Batches that `bench store` measures in each repetition
    #[arg(long, default_value_t = 3_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub batches: u32,
    /// How long each load lasts [default: 3s in `bench etcd` and `bench load`, 10m in `bench memory`]
    #[arg(long)]
    pub load_for: Option<Span>,
    /// The only rate that `bench load` measures, in operations a second; it exits 3 if the rate does not hold [default: the highest
    /// rate is searched]
    #[arg(long, value_name = "OPS", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub rate: Option<u32>,
    /// Connections of `bench load`
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=4_096))]
    pub clients: u32,
    /// Number of keys in `bench memory`; with so many that new keys keep being written, memory grows and the gate is missed
    #[arg(long, default_value_t = 100)]
    pub keys: u32,
    /// Let `bench hostile` send a small part of each item, in seconds instead of a minute
    #[arg(long)]
    pub short: bool,
    /// Another build of heckle; `bench core` measures the two in turn
    #[arg(long, value_name = "PROGRAM")]
    pub against: Option<PathBuf>,
    /// Folder for the temporary data of `bench etcd`, `load`, `store` and `memory`, and for mismatches found by --differential
    #[command(flatten)]
    pub out: OutArg,
    /// Print JSON on stdout (`bench objects`, `load`, `report`, `etcd`, `core`, `store`, `memory` and --differential)
    #[arg(long)]
    pub json: bool,
}

/// What to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BenchTarget {
    /// The relay: requested delay and loss versus measured, and its overhead
    Faults,
    /// The checkers, batch and online, and `heckle check` on a file, compared with porcupine-rs
    Check,
    /// `heckle report`: the time to read a run, to judge it, and to write its page
    Report,
    /// Sets and lists: the time to read a history and to judge it
    Objects,
    /// The highest rate that the load generator sends on time, with recorder and judge on, against a system that answers
    /// immediately, and redis-benchmark for comparison, if installed. Exits 3 below 100,000 operations a second
    Load,
    /// The bundled server compared with etcd, if the client is compiled in, and both with the limits of this machine
    Etcd,
    /// One operation in the core alone; with --against, compared with another build
    Core,
    /// The node's write-ahead log, compared with fjall and redb if they are compiled in: durable batches, syncs, bytes, recovery
    Store,
    /// Memory of the nodes under full load; exits 3 if it grows
    Memory,
    /// Nodes among hostile clients: exits 1 if a node ends or a read is wrong, 2 if a read stays unanswered, 3 if a node uses too
    /// much memory or keeps anything
    Hostile,
}

/// `heckle capacity`.
#[derive(Debug, Args)]
pub struct CapacityArgs {
    /// Number of keys
    #[arg(long, default_value_t = 1_000_000)]
    pub keys: u64,
    /// New keys per second, each written once; included in --keys
    #[arg(long, default_value_t = 0.0)]
    pub new_keys_per_s: f64,
    /// Keys that are written all the time; included in --keys
    #[arg(long, default_value_t = 0)]
    pub hot_keys: u64,
    /// Size of a key, in bytes
    #[arg(long, default_value_t = 16)]
    pub key_bytes: u64,
    /// Size of a value, in bytes
    #[arg(long, default_value_t = 100)]
    pub value_bytes: u64,
    /// Clients that write one key; a key remembers the last operation of each of up to 64 clients
    #[arg(long, default_value_t = 1)]
    pub clients_per_key: u64,
    /// `--paxos-ttl` of the nodes: off, or a time such as 10s [default: off]
    #[arg(long, default_value_t = Expiry::Off, hide_default_value = true)]
    pub ttl: Expiry,
    /// `--prune` of the nodes: on, off [default: on]
    #[arg(long)]
    pub prune: Option<String>,
    /// `--rounds` of the nodes: classic, merged, async-learn, fast [default: classic]
    #[arg(long)]
    pub rounds: Option<String>,
    /// Nodes in the cluster; each stores all keys
    #[arg(long, default_value_t = 3)]
    pub nodes: u64,
    /// Print JSON on stdout
    #[arg(long)]
    pub json: bool,
}

/// `heckle mutants`.
#[derive(Debug, Args)]
pub struct MutantsArgs {
    /// How much to print
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `heckle gc`.
#[derive(Debug, Args)]
pub struct GcArgs {
    /// How many runs keep all of their files, newest first [default: 50]
    #[arg(long)]
    pub keep: Option<usize>,
    /// How many failed runs keep all of their files, newest first, regardless of the other limits [default: 20]
    #[arg(long)]
    pub keep_failed: Option<usize>,
    /// Only runs older than this, such as 72h
    #[arg(long)]
    pub older_than: Option<Span>,
    /// Stop when all runs together are no larger than this: 500M, 20G
    #[arg(long)]
    pub max_size: Option<String>,
    /// Remove the files; without this flag the runs are only listed
    #[arg(long)]
    pub delete: bool,
    /// The folder of all runs
    #[command(flatten)]
    pub out: OutArg,
    /// How much to print
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `heckle clean`.
#[derive(Debug, Args)]
pub struct CleanArgs {
    /// The folder of all runs
    #[command(flatten)]
    pub out: OutArg,
}

/// `heckle completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell to complete for
    pub shell: clap_complete::Shell,
}
