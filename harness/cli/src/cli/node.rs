//! Verbs for a single node: `node` and `ctl`.

use crate::plan::units::{Expiry, Span};
use clap::{Args, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// `heckle node`. The fields are also the keys of its configuration file, with `_` for `-`. A field that is absent in both has the
/// default that its help names.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeArgs {
    /// A TOML file whose keys are these flags, `_` for `-`; flags override it
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Id of this node: n1, n2 … (required)
    #[arg(long)]
    pub id: Option<String>,
    /// Name of the cluster; nodes and data of another cluster are refused (required)
    #[arg(long)]
    pub cluster_id: Option<String>,
    /// Address for peers [default: 127.0.0.1:0]
    #[arg(long)]
    pub peer_listen: Option<std::net::SocketAddr>,
    /// Address for clients [default: 127.0.0.1:0]
    #[arg(long)]
    pub client_listen: Option<std::net::SocketAddr>,
    /// Address of the control channel; loopback only [default: 127.0.0.1:0]
    #[arg(long)]
    pub control_listen: Option<std::net::SocketAddr>,
    /// Address of GET /metrics in Prometheus text format: a port of 127.0.0.1, or an address [default: none]
    #[arg(long, value_name = "PORT|ADDR")]
    pub metrics_listen: Option<String>,
    /// Id and address of another node: n2=127.0.0.1:7001; repeat for each node
    #[arg(long, value_name = "NODE=ADDR")]
    pub peer: Vec<String>,
    /// A file with the secret that all nodes of the cluster share, readable by its owner only; needed unless all peers listen on
    /// loopback addresses [default: none]
    #[arg(long, value_name = "FILE")]
    pub cluster_secret_file: Option<PathBuf>,
    /// Let --peer-listen and --client-listen name addresses that other machines can reach; clients are not authenticated
    #[arg(long)]
    pub allow_remote: bool,
    /// Read everything in a node's data folder, report whether it is sound, and exit: 0 if it is, 74 if not. Changes nothing
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["id", "cluster_id", "data", "config"])]
    #[serde(skip)]
    pub verify: Option<PathBuf>,
    /// The data folder (required)
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Seed of the node's random choices [default: 0]
    #[arg(long)]
    pub seed: Option<String>,
    /// Rounds of Paxos: classic, merged, async-learn, fast [default: classic]
    #[arg(long)]
    pub rounds: Option<String>,
    /// Backoff after losing a ballot: uniform, none, adaptive [default: uniform]
    #[arg(long)]
    pub backoff: Option<String>,
    /// How long an operation may keep losing ballots before it is answered [default: the time limit of the operation]
    #[arg(long)]
    pub contention_timeout: Option<Span>,
    /// Leases on ranges of keys, the same on all nodes: off, priority, read [default: off]
    #[arg(long)]
    pub lease: Option<String>,
    /// How long a lease is granted for [default: 2s]
    #[arg(long)]
    pub lease_time: Option<Span>,
    /// Maximum drift of monotonic clocks, such as 0.1% [default: 0.1%]
    #[arg(long)]
    pub lease_drift: Option<String>,
    /// Number of key ranges [default: 16]
    #[arg(long)]
    pub lease_ranges: Option<u16>,
    /// Forward operations to the holder of the lease: off, on [default: off]
    #[arg(long)]
    pub forward: Option<String>,
    /// Order of operations that wait for the same key: fair (clients in turn), fifo (in order of arrival) [default: fair]
    #[arg(long)]
    pub queue: Option<String>,
    /// Drop accepted copies once every replica has learned: on, off [default: on]
    #[arg(long)]
    pub prune: Option<String>,
    /// Age at which the Paxos state of a key expires: off, or a time such as 10s [default: off]
    #[arg(long)]
    pub paxos_ttl: Option<Expiry>,
    /// Maximum number of client connections; further ones are refused [default: 1024]
    #[arg(long)]
    pub max_clients: Option<u32>,
    /// Maximum number of open operations per connection; further ones are refused as too many [default: 4096]
    #[arg(long)]
    pub max_in_flight: Option<u32>,
    /// Maximum number of operations that wait for one key; further ones are refused as busy [default: 1024]
    #[arg(long)]
    pub max_queue: Option<u32>,
    /// Time for open operations to finish at a clean stop [default: 500ms]
    #[arg(long)]
    pub stop_grace: Option<Span>,
    /// Store un-synced writes in an overlay of the data folder, where a simulated power loss can discard them
    #[arg(long)]
    pub overlay: bool,
    /// A planted bug; may be repeated
    #[arg(long)]
    pub mutant: Vec<String>,
    /// Exit when standard input ends
    #[arg(long)]
    pub exit_on_stdin_eof: bool,
    /// Exit when this process is no longer the parent
    #[arg(long)]
    pub parent_pid: Option<u32>,
}

/// `heckle ctl`.
#[derive(Debug, Args)]
pub struct CtlArgs {
    /// The request
    #[command(subcommand)]
    pub ask: CtlCommand,
}

/// The requests that `heckle ctl` can send to a node.
#[derive(Debug, Subcommand)]
pub enum CtlCommand {
    /// Read a key, linearizably
    Read {
        /// The key
        key: String,
        /// The node, and options of the request
        #[command(flatten)]
        to: CtlTarget,
    },
    /// Set a key, regardless of its value
    Write {
        /// The key
        key: String,
        /// The value
        value: String,
        /// The node, and options of the request
        #[command(flatten)]
        to: CtlTarget,
    },
    /// Set a key if it has the expected value; exits 3 if it has a different one
    Cas {
        /// The key
        key: String,
        /// The value to set
        value: String,
        /// The expected value
        #[arg(long, value_name = "VALUE", required_unless_present = "absent")]
        expect: Option<String>,
        /// Expect that the key was never written
        #[arg(long, conflicts_with = "expect")]
        absent: bool,
        /// The node, and options of the request
        #[command(flatten)]
        to: CtlTarget,
    },
    /// Read a key without Paxos: the newest value of one replica or of a quorum
    Get {
        /// The key
        key: String,
        /// How many replicas must answer: the contacted one, or a quorum
        #[arg(long, value_enum, default_value = "quorum")]
        consistency: Consistency,
        /// The node, and options of the request
        #[command(flatten)]
        to: CtlTarget,
    },
    /// Set a key without Paxos, last write wins; do not mix with write and cas on one key
    Put {
        /// The key
        key: String,
        /// The value
        value: String,
        /// How many replicas must store it
        #[arg(long, value_enum, default_value = "quorum")]
        consistency: Consistency,
        /// The node, and options of the request
        #[command(flatten)]
        to: CtlTarget,
    },
    /// Determine whether a write or CAS took effect; if not, it never will. Exits 4 if not, and 2 if it cannot be determined
    Fate {
        /// Its id as answers and histories print it: c7.1, or c7.1@300.n2.5 with the ballot at its start
        op_id: String,
        /// The key of the operation
        #[arg(long)]
        key: String,
        /// The node, and options of the request
        #[command(flatten)]
        to: CtlTarget,
    },
    /// Print a node's figures; here --node is its control address
    Status {
        /// The control address of the node, printed in its ready line
        #[arg(long, value_name = "ADDR")]
        node: std::net::SocketAddr,
        /// The identity that the node must have
        #[command(flatten)]
        who: CtlIdentity,
        /// Time limit of the request
        #[arg(long, default_value = "2s")]
        timeout: Span,
        /// Print JSON on stdout
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

/// The format of values on the command line and in the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ValueForm {
    /// UTF-8 text; other bytes are shown escaped
    Text,
    /// The numbers that `heckle run` writes: 8 bytes in big-endian order, then any further bytes
    Number,
}

/// The identity that the node must have. Another node may use the address by now; in that case nothing is sent to it.
#[derive(Debug, Clone, Args)]
pub struct CtlIdentity {
    /// Name of the cluster that the node must belong to [default: any]
    #[arg(long, value_name = "NAME")]
    pub cluster_id: Option<String>,
    /// Id that the node must have, such as n1 [default: any]
    #[arg(long, value_name = "NODE")]
    pub id: Option<String>,
}

/// The node, and options of the request.
#[derive(Debug, Clone, Args)]
pub struct CtlTarget {
    /// The client address of the node, printed in its ready line
    #[arg(long, value_name = "ADDR")]
    pub node: std::net::SocketAddr,
    /// The identity that the node must have
    #[command(flatten)]
    pub who: CtlIdentity,
    /// Time limit of the request
    #[arg(long, default_value = "2s")]
    pub timeout: Span,
    /// Format of values
    #[arg(long = "as", value_enum, default_value = "text")]
    pub form: ValueForm,
    /// Print JSON on stdout
    #[arg(long)]
    pub json: bool,
}
