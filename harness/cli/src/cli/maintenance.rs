//! Verbs about the tool and its room: `doctor`, `bench`, `capacity`, `mutants`, `gc`, `clean`, `completions`.

use super::{OutArg, VoiceArgs};
use crate::plan::units::{Expiry, Span};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

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

/// `heckle bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Which table
    #[arg(value_enum)]
    pub what: BenchWhat,
    /// The longest history of `bench check` and `bench objects`
    #[arg(long, default_value_t = 10_000_000)]
    pub max_ops: usize,
    /// When `bench check` stops porcupine-rs
    #[arg(long, default_value = "60s")]
    pub search_for: Span,
    /// `bench check` compares the engines instead, on random histories: chain checker with certificates, brute force,
    /// porcupine-rs. It exits 1 where they differ, and keeps the history
    #[arg(long)]
    pub differential: bool,
    /// How long --differential goes on
    #[arg(long = "for", requires = "differential", value_name = "TIME", default_value = "10m")]
    pub soak_for: Span,
    /// Where the histories of --differential come from
    #[arg(long, requires = "differential", default_value_t = 1)]
    pub seed: u64,
    /// The number of the first history of --differential: each is drawn from seed and number alone
    #[arg(long, requires = "differential", value_name = "N", default_value_t = 0)]
    pub from_case: u64,
    /// Histories of --differential at most [default: as many as fit into the time]
    #[arg(long, requires = "differential", value_name = "N")]
    pub cases: Option<u64>,
    /// Repetitions of `bench etcd` and `bench store`; medians are told
    #[arg(long, default_value_t = 5)]
    pub repetitions: u32,
    /// Batches that `bench store` measures in each repetition
    #[arg(long, default_value_t = 3_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub batches: u32,
    /// How long a load lasts [default: 3s each in `bench etcd`, 10m in `bench memory`]
    #[arg(long)]
    pub load_for: Option<Span>,
    /// Keys of `bench memory`; with so many that new ones come all the time, memory grows and the gate is missed
    #[arg(long, default_value_t = 100)]
    pub keys: u32,
    /// Another build of heckle, measured in turn with this one by `bench core`
    #[arg(long, value_name = "PROGRAM")]
    pub against: Option<PathBuf>,
    /// Folder for the temporary data of `bench etcd`, `bench store` and `bench memory`, and for mismatches found by --differential
    #[command(flatten)]
    pub out: OutArg,
    /// JSON on stdout (`bench objects`, `etcd`, `core`, `store`, `memory` and --differential)
    #[arg(long)]
    pub json: bool,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BenchWhat {
    /// Asked delay and loss against measured, and what the relay costs
    Faults,
    /// The judge, batch and online, with porcupine-rs beside it
    Check,
    /// Sets and lists: how long it takes to read a history of them, and to judge it
    Objects,
    /// The bundled server beside etcd, where it is built in, and both against the limits of this machine
    Etcd,
    /// One operation in the core alone; with --against, this build beside another
    Core,
    /// The node's write-ahead log, and beside it fjall and redb, where they are built in: durable batches, syncs, bytes, recovery
    Store,
    /// Memory of the nodes under full load: exits 3 if it grows
    Memory,
}

/// `heckle capacity`.
#[derive(Debug, Args)]
pub struct CapacityArgs {
    /// Keys
    #[arg(long, default_value_t = 1_000_000)]
    pub keys: u64,
    /// New keys a second, each written once; they are among --keys
    #[arg(long, default_value_t = 0.0)]
    pub new_keys_per_s: f64,
    /// Keys that are written all the time; they are among --keys
    #[arg(long, default_value_t = 0)]
    pub hot_keys: u64,
    /// Bytes of a key
    #[arg(long, default_value_t = 16)]
    pub key_bytes: u64,
    /// Bytes of a value
    #[arg(long, default_value_t = 100)]
    pub value_bytes: u64,
    /// Clients that write one key: a key remembers the last operation of each, of 64 at most
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
    /// Nodes in the cluster; each holds all keys
    #[arg(long, default_value_t = 3)]
    pub nodes: u64,
    /// Data as JSON on stdout
    #[arg(long)]
    pub json: bool,
}

/// `heckle mutants`.
#[derive(Debug, Args)]
pub struct MutantsArgs {
    /// How much is said
    #[command(flatten)]
    pub voice: VoiceArgs,
}

/// `heckle gc`.
#[derive(Debug, Args)]
pub struct GcArgs {
    /// Runs whose files are all kept, newest first [default: 50]
    #[arg(long)]
    pub keep: Option<usize>,
    /// Failed runs whose files are all kept, newest first, whatever the other limits say [default: 20]
    #[arg(long)]
    pub keep_failed: Option<usize>,
    /// Only runs older than this, such as 72h
    #[arg(long)]
    pub older_than: Option<Span>,
    /// Stop when everything fits into this many bytes: 500M, 20G
    #[arg(long)]
    pub max_size: Option<String>,
    /// Remove; without it the runs are only listed
    #[arg(long)]
    pub delete: bool,
    /// Where runs are kept
    #[command(flatten)]
    pub out: OutArg,
    /// How much is said
    #[command(flatten)]
    pub voice: VoiceArgs,
}

/// `heckle clean`.
#[derive(Debug, Args)]
pub struct CleanArgs {
    /// Where runs are kept
    #[command(flatten)]
    pub out: OutArg,
}

/// `heckle completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Which shell
    pub shell: clap_complete::Shell,
}
