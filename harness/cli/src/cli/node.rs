//! One node by hand: `node` and `ctl`.

use crate::plan::units::{Expiry, Span};
use clap::{Args, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `heckle node`. The same fields are the keys of its configuration file, `_` for `-`; whatever is absent here and
/// there has the default that its help names.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeArgs {
    /// A TOML file whose keys are these flags, `_` for `-`; flags override it
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// This node: n1, n2 … (needed)
    #[arg(long)]
    pub id: Option<String>,
    /// The cluster's name; nodes and data of another are refused (needed)
    #[arg(long)]
    pub cluster_id: Option<String>,
    /// Where peers connect [default: 127.0.0.1:0]
    #[arg(long)]
    pub peer_listen: Option<std::net::SocketAddr>,
    /// Where clients connect [default: 127.0.0.1:0]
    #[arg(long)]
    pub client_listen: Option<std::net::SocketAddr>,
    /// Where the control channel listens; loopback only [default: 127.0.0.1:0]
    #[arg(long)]
    pub control_listen: Option<std::net::SocketAddr>,
    /// Where GET /metrics is answered, as Prometheus text: a port of 127.0.0.1, or an address [default: nowhere]
    #[arg(long, value_name = "PORT|ADDR")]
    pub metrics_listen: Option<String>,
    /// Another node and where this one reaches it: n2=127.0.0.1:7001; once for each
    #[arg(long, value_name = "NODE=ADDR")]
    pub peer: Vec<String>,
    /// The data folder (needed)
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Seed of the node's random choices [default: 0]
    #[arg(long)]
    pub seed: Option<String>,
    /// Rounds of Paxos: classic, merged, async-learn, fast [default: classic]
    #[arg(long)]
    pub rounds: Option<String>,
    /// After losing a ballot: uniform, none, adaptive [default: uniform]
    #[arg(long)]
    pub backoff: Option<String>,
    /// How long an operation may go on losing ballots before it is answered [default: as long as its own time limit]
    #[arg(long)]
    pub contention_timeout: Option<Span>,
    /// Leases on ranges of keys, the same on all nodes: off, priority, read [default: off]
    #[arg(long)]
    pub lease: Option<String>,
    /// How long a lease is granted for [default: 2s]
    #[arg(long)]
    pub lease_time: Option<Span>,
    /// How far monotonic clocks may drift, as 0.1% [default: 0.1%]
    #[arg(long)]
    pub lease_drift: Option<String>,
    /// Into how many ranges keys fall [default: 16]
    #[arg(long)]
    pub lease_ranges: Option<u16>,
    /// Hand operations to the holder of the lease: off, on [default: off]
    #[arg(long)]
    pub forward: Option<String>,
    /// Who comes next where several wait for one key: fair (clients in turn), fifo (in order of arrival) [default: fair]
    #[arg(long)]
    pub queue: Option<String>,
    /// Drop accepted copies once every replica has learned: on, off [default: on]
    #[arg(long)]
    pub prune: Option<String>,
    /// Age at which the Paxos state of a key expires: off, or a time such as 10s [default: off]
    #[arg(long)]
    pub paxos_ttl: Option<Expiry>,
    /// Client connections; one more is refused [default: 1024]
    #[arg(long)]
    pub max_clients: Option<u32>,
    /// Open operations of one connection; one more is answered as too many [default: 4096]
    #[arg(long)]
    pub max_in_flight: Option<u32>,
    /// Operations that wait for one key; one more is answered as busy [default: 1024]
    #[arg(long)]
    pub max_queue: Option<u32>,
    /// How long open operations may take to end at a clean stop [default: 500ms]
    #[arg(long)]
    pub stop_grace: Option<Span>,
    /// A planted bug; may be repeated
    #[arg(long)]
    pub mutant: Vec<String>,
    /// End when standard input ends
    #[arg(long)]
    pub exit_on_stdin_eof: bool,
    /// End when this process is no longer the parent
    #[arg(long)]
    pub parent_pid: Option<u32>,
}

/// `heckle ctl`.
#[derive(Debug, Args)]
pub struct CtlArgs {
    /// What to ask
    #[command(subcommand)]
    pub ask: CtlAsk,
}

/// What `heckle ctl` can ask of a node.
#[derive(Debug, Subcommand)]
pub enum CtlAsk {
    /// Read a key, linearizably
    Read {
        /// The key
        key: String,
        /// Which node, and how it is asked
        #[command(flatten)]
        to: CtlTo,
    },
    /// Set a key, whatever it was
    Write {
        /// The key
        key: String,
        /// The value
        value: String,
        /// Which node, and how it is asked
        #[command(flatten)]
        to: CtlTo,
    },
    /// Set a key if it has the expected value; exits 3 if it has another
    Cas {
        /// The key
        key: String,
        /// The value to set
        value: String,
        /// The value that must be there
        #[arg(long, value_name = "VALUE", required_unless_present = "absent")]
        expect: Option<String>,
        /// The key must never have been written
        #[arg(long, conflicts_with = "expect")]
        absent: bool,
        /// Which node, and how it is asked
        #[command(flatten)]
        to: CtlTo,
    },
    /// Read a key without Paxos: the newest of what a replica, or a quorum of them, has
    Get {
        /// The key
        key: String,
        /// How many replicas must answer: the one asked, or a quorum
        #[arg(long, value_enum, default_value = "quorum")]
        consistency: Consistency,
        /// Which node, and how it is asked
        #[command(flatten)]
        to: CtlTo,
    },
    /// Set a key without Paxos, last write wins; not to be mixed with write and cas on one key
    Put {
        /// The key
        key: String,
        /// The value
        value: String,
        /// How many replicas must have it
        #[arg(long, value_enum, default_value = "quorum")]
        consistency: Consistency,
        /// Which node, and how it is asked
        #[command(flatten)]
        to: CtlTo,
    },
    /// What became of a write or CAS; if it did not happen, it never will. Exits 4 then, and 2 where nobody can tell
    Fate {
        /// Its id as answers and histories print it: c7.1, or c7.1@300.n2.5 if it says when it was born
        op_id: String,
        /// The key it was sent for
        #[arg(long)]
        key: String,
        /// Which node, and how it is asked
        #[command(flatten)]
        to: CtlTo,
    },
    /// A node's figures; --node is its control address here
    Status {
        /// The control address of a node, which its ready line names
        #[arg(long, value_name = "ADDR")]
        node: std::net::SocketAddr,
        /// Which node must answer there
        #[command(flatten)]
        who: CtlWho,
        /// When to give up
        #[arg(long, default_value = "2s")]
        timeout: Span,
        /// Data as JSON on stdout
        #[arg(long)]
        json: bool,
    },
}

/// How many replicas take part in a put or get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Consistency {
    /// One
    One,
    /// A quorum
    Quorum,
}

/// How a value is written on the command line and shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ValueForm {
    /// As UTF-8 text; bytes that are none are shown escaped
    Text,
    /// As the numbers that `heckle run` writes: 8 bytes, highest first, then whatever follows
    Number,
}

/// Which node must answer. An address may be another's by now, and then nothing is sent to it.
#[derive(Debug, Clone, Args)]
pub struct CtlWho {
    /// The node must be of this cluster [default: any]
    #[arg(long, value_name = "NAME")]
    pub cluster_id: Option<String>,
    /// The node must be this one, such as n1 [default: any]
    #[arg(long, value_name = "NODE")]
    pub id: Option<String>,
}

/// Which node, and how it is asked.
#[derive(Debug, Clone, Args)]
pub struct CtlTo {
    /// The client address of a node, which its ready line names
    #[arg(long, value_name = "ADDR")]
    pub node: std::net::SocketAddr,
    /// Which node must answer there
    #[command(flatten)]
    pub who: CtlWho,
    /// When to give up
    #[arg(long, default_value = "2s")]
    pub timeout: Span,
    /// How values are written
    #[arg(long = "as", value_enum, default_value = "text")]
    pub form: ValueForm,
    /// Data as JSON on stdout
    #[arg(long)]
    pub json: bool,
}
