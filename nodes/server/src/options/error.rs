//! Errors in the options of a node.

use super::{MAX_CLUSTER_ID, NodeId, NodeIdError};
use std::net::SocketAddr;
use std::time::Duration;

/// Why options are invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// Not a valid node.
    #[error(transparent)]
    NodeId(#[from] NodeIdError),
    /// The value is not valid for `rounds`.
    #[error("rounds {text:?}: write classic, merged, async-learn or fast")]
    Rounds {
        /// The text given.
        text: String,
    },
    /// The value is not valid for `backoff`.
    #[error("backoff {text:?}: write none, uniform or adaptive")]
    Backoff {
        /// The text given.
        text: String,
    },
    /// The cluster's name is empty or too long.
    #[error("a cluster id has 1..={MAX_CLUSTER_ID} bytes, this one has {len}")]
    ClusterId {
        /// Length of the name in bytes.
        len: usize,
    },
    /// The control address is not a loopback address. The control channel can stop and break a node, so it must be
    /// reachable only from this machine.
    #[error("the control address {addr} is not a loopback address: use 127.0.0.1 or [::1]")]
    ControlNotLoopback {
        /// The address given.
        addr: SocketAddr,
    },
    /// Clients or peers on other machines could reach the node, and the options do not allow that.
    #[error(
        "{addr} is not a loopback address: programs on other machines could talk to this node, which does not know its clients. \
         If they may, add --allow-remote"
    )]
    NotLoopback {
        /// The address given.
        addr: SocketAddr,
    },
    /// Nodes reachable from other machines must authenticate each other.
    #[error("peers listen on {addr}, which is not a loopback address: give all nodes the same --cluster-secret-file")]
    NoSecret {
        /// The address given.
        addr: SocketAddr,
    },
    /// A peer is listed twice, or is this node.
    #[error("node {peer} is listed twice: a node is not its own peer, and each peer is listed once")]
    PeerTwice {
        /// The peer.
        peer: NodeId,
    },
    /// A log segment is too small or too large.
    #[error("a log segment of {bytes} bytes is not within 4 KiB..=1 GiB")]
    SegmentBytes {
        /// The size given.
        bytes: u64,
    },
    /// The limit on open files is too low to serve even one client.
    #[error(
        "this process may open {limit} files, which leaves none for clients beside the log and {peers} peers: raise the limit (ulimit -n)"
    )]
    TooFewDescriptors {
        /// The limit.
        limit: u64,
        /// Number of peers.
        peers: usize,
    },
    /// A time to live is too short or too long.
    #[error("a Paxos time to live of {ttl:?} is not within 10ms..=366d, nor off")]
    PaxosTtl {
        /// The time given.
        ttl: Duration,
    },
    /// No planted bug has this name.
    #[error("no mutant is called {name:?}")]
    UnknownMutant {
        /// The name given.
        name: String,
    },
    /// Planted bugs are not compiled into this program.
    #[error("mutant {name:?} asked, but this program was built without the feature `mutants`")]
    MutantsCompiledOut {
        /// The name given.
        name: String,
    },
}
