//! The settings of a node. Plain data: the harness parses the command line, tests build it by hand.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use heckle_paxos::lease::LeaseSettings;
use serde::{Deserialize, Serialize};

use crate::secret::ClusterSecret;

/// Number of a node in its cluster, written `n1`, `n2`, ...
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct NodeId(u16);

/// Largest number of nodes in a cluster. More voters only make Paxos slower.
pub const MAX_NODES: u16 = 64;

impl NodeId {
    /// Creates the id of the node with this number.
    ///
    /// # Errors
    /// If the number is not within `1..=`[`MAX_NODES`].
    pub fn new(number: u16) -> Result<NodeId, OptionsError> {
        if (1..=MAX_NODES).contains(&number) { Ok(NodeId(number)) } else { Err(OptionsError::NodeNumber { number }) }
    }

    /// The number of the node.
    pub fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

impl FromStr for NodeId {
    type Err = OptionsError;

    fn from_str(text: &str) -> Result<NodeId, OptionsError> {
        let number = text.strip_prefix('n').and_then(|digits| digits.parse::<u16>().ok());
        number.ok_or_else(|| OptionsError::NodeName { text: text.to_owned() }).and_then(NodeId::new)
    }
}

impl From<NodeId> for String {
    fn from(id: NodeId) -> String {
        id.to_string()
    }
}

impl TryFrom<String> for NodeId {
    type Error = OptionsError;

    fn try_from(text: String) -> Result<NodeId, OptionsError> {
        text.parse()
    }
}

/// Limits of a node's queues. Each field says what happens at its limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Client connections. One more is refused with a readable error.
    pub client_connections: usize,
    /// Open operations of one connection. One more is answered `NotApplied(Busy)`.
    pub in_flight_per_connection: usize,
    /// Bytes of replies that a client has not read yet. Beyond the limit, the connection is closed and logged.
    pub client_outbound_bytes: usize,
    /// Bytes of replies that all clients together have not read yet. Beyond the limit, connections with unread replies
    /// are closed and logged.
    pub reply_bytes: usize,
    /// Bytes of frames that clients have begun and not finished, together. Beyond the limit, the connection whose frame
    /// has been unfinished for the longest time is closed.
    pub partial_frame_bytes: usize,
    /// Bytes of the open operations of all clients together, each with a fixed amount for its bookkeeping. Beyond the
    /// limit, new ones are answered `NotApplied(Busy)`.
    pub request_bytes: usize,
    /// Bytes of messages waiting for one peer. Beyond the limit, new messages are dropped and counted.
    pub peer_outbound_bytes: usize,
    /// Events waiting for the event loop. Beyond the limit, connections are not read until the loop has caught up.
    pub inbox_events: usize,
    /// Bytes of these events. The same applies.
    pub inbox_bytes: usize,
    /// Operations waiting for one key. One more is answered `NotApplied(Busy)`.
    pub queue_per_key: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            client_connections: 1_024,
            in_flight_per_connection: 4_096,
            client_outbound_bytes: 16 << 20,
            reply_bytes: 32 << 20,
            partial_frame_bytes: 32 << 20,
            request_bytes: 64 << 20,
            peer_outbound_bytes: 4 << 20,
            inbox_events: 16_384,
            inbox_bytes: 64 << 20,
            queue_per_key: 1_024,
        }
    }
}

/// How long a coordinator waits after it was outbid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backoff {
    /// No wait.
    None,
    /// A random wait, uniform between zero and `max`.
    Uniform {
        /// The longest wait.
        max: Duration,
    },
    /// About as long as this node's recent rounds have taken, and longer with each attempt.
    Adaptive {
        /// The longest wait.
        max: Duration,
    },
}

impl Backoff {
    /// The default of the longest wait.
    const DEFAULT_MAX: Duration = Duration::from_millis(100);
}

impl FromStr for Backoff {
    type Err = OptionsError;

    fn from_str(text: &str) -> Result<Backoff, OptionsError> {
        match text {
            "none" => Ok(Backoff::None),
            "uniform" => Ok(Backoff::Uniform { max: Backoff::DEFAULT_MAX }),
            "adaptive" => Ok(Backoff::Adaptive { max: Backoff::DEFAULT_MAX }),
            _ => Err(OptionsError::Backoff { text: text.to_owned() }),
        }
    }
}

/// Whether protocol points can be subscribed to and armed on the control channel. Announcing them adds a small cost
/// to each operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announce {
    /// Protocol points are not available.
    Silent,
    /// Protocol points are available.
    Points,
}

/// Whether accepted copies are dropped once every replica has learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prune {
    /// Accepted copies stay until they are overwritten or expire.
    Off,
    /// Accepted copies are dropped soon afterwards.
    On,
}

/// Which operation runs next when several wait for one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queue {
    /// Clients take turns. Operations that the current round has already decided are answered from its result.
    Fair,
    /// Operations run in order of arrival, one by one.
    Fifo,
}

/// How many rounds an operation takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounds {
    /// Prepare, read, propose, learn.
    Classic,
    /// The promise carries the row.
    Merged,
    /// Merged, and a chosen update is answered before it is learned.
    AsyncLearn,
    /// Async learn, and an accept promises the next ballot as well.
    Fast,
}

impl FromStr for Rounds {
    type Err = OptionsError;

    fn from_str(text: &str) -> Result<Rounds, OptionsError> {
        match text {
            "classic" => Ok(Rounds::Classic),
            "merged" => Ok(Rounds::Merged),
            "async-learn" => Ok(Rounds::AsyncLearn),
            "fast" => Ok(Rounds::Fast),
            _ => Err(OptionsError::Rounds { text: text.to_owned() }),
        }
    }
}

/// Where written bytes and names are until a sync covers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsynced {
    /// In the operating system's cache.
    SystemCache,
    /// In an overlay in the data folder, so that a harness can simulate a power loss: see
    /// [`lose_power`](crate::lose_power).
    Overlay,
}

/// How large the log may grow, and how it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageOptions {
    /// Size of a log segment in bytes. A segment is preallocated and filled with zeroes before its use.
    pub segment_bytes: u64,
    /// Number of closed segments that may accumulate before a snapshot replaces them.
    pub segments_before_snapshot: usize,
    /// Where un-synced data is.
    pub unsynced: Unsynced,
}

impl Default for StorageOptions {
    fn default() -> StorageOptions {
        StorageOptions { segment_bytes: 16 << 20, segments_before_snapshot: 4, unsynced: Unsynced::SystemCache }
    }
}

/// All settings of a node.
#[derive(Debug, Clone)]
pub struct NodeOptions {
    /// The id of this node.
    pub id: NodeId,
    /// Name of the cluster. Nodes and data folders of other clusters are refused.
    pub cluster_id: String,
    /// Address that other nodes connect to. With port 0 the node takes a free port and reports it in the ready line.
    pub peer_listen: SocketAddr,
    /// Address that clients connect to.
    pub client_listen: SocketAddr,
    /// Address of the control channel. Must be a loopback address.
    pub control_listen: SocketAddr,
    /// Address that answers `GET /metrics`, if any. It is read-only, so it may be reachable from other machines.
    pub metrics_listen: Option<SocketAddr>,
    /// The other nodes, with the address at which *this* node reaches them (perhaps through a relay).
    pub peers: Vec<(NodeId, SocketAddr)>,
    /// The secret that all nodes of the cluster share. Without one, peers must be on this machine.
    pub secret: Option<ClusterSecret>,
    /// Whether peers and clients may listen beyond loopback addresses. Clients are not authenticated.
    pub remote: bool,
    /// The data folder. It is created if it does not exist.
    pub data_dir: PathBuf,
    /// Seed of the node's random choices (backoff, nonces). It is mixed with the incarnation.
    pub seed: u64,
    /// Number and kind of rounds of an operation.
    pub rounds: Rounds,
    /// How long a coordinator waits after it was outbid.
    pub backoff: Backoff,
    /// How long an operation may be outbid before it is answered. `None`: until its own time limit.
    pub contention_timeout: Option<Duration>,
    /// Settings of leases and forwarding. They must be the same on all nodes of a cluster.
    pub lease: LeaseSettings,
    /// Which operation runs next at a key.
    pub queue: Queue,
    /// Whether accepted copies are pruned.
    pub prune: Prune,
    /// Age at which the Paxos state of a key expires; `None`: never.
    pub paxos_ttl: Option<Duration>,
    /// Whether protocol points are available.
    pub announce: Announce,
    /// Queue limits.
    pub limits: Limits,
    /// Log settings.
    pub storage: StorageOptions,
    /// Names of the planted bugs. Empty for a correct node.
    pub mutants: Vec<String>,
    /// Whether the node ends when standard input ends, as it does when the parent dies.
    pub exit_on_stdin_eof: bool,
    /// The node ends when the process with this id is no longer its parent.
    pub parent_pid: Option<u32>,
    /// How long a clean stop waits for open operations before it gives them up.
    pub stop_grace: Duration,
}

impl NodeOptions {
    /// Returns options with default values: loopback addresses and free ports.
    pub fn new(id: NodeId, cluster_id: impl Into<String>, data_dir: impl Into<PathBuf>) -> NodeOptions {
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        NodeOptions {
            id,
            cluster_id: cluster_id.into(),
            peer_listen: any_port,
            client_listen: any_port,
            control_listen: any_port,
            metrics_listen: None,
            peers: Vec::new(),
            secret: None,
            remote: false,
            data_dir: data_dir.into(),
            seed: 0,
            rounds: Rounds::Classic,
            backoff: Backoff::Uniform { max: Backoff::DEFAULT_MAX },
            contention_timeout: None,
            lease: LeaseSettings::default(),
            queue: Queue::Fair,
            prune: Prune::On,
            paxos_ttl: None,
            announce: Announce::Points,
            limits: Limits::default(),
            storage: StorageOptions::default(),
            mutants: Vec::new(),
            exit_on_stdin_eof: false,
            parent_pid: None,
            stop_grace: Duration::from_millis(500),
        }
    }

    /// All nodes of the cluster, in ascending order.
    pub fn members(&self) -> Vec<NodeId> {
        let mut members: Vec<NodeId> = std::iter::once(self.id).chain(self.peers.iter().map(|(id, _)| *id)).collect();
        members.sort_unstable();
        members
    }

    /// Checks the options without touching disk or network.
    ///
    /// # Errors
    /// The first rule that the options break.
    pub fn validate(&self) -> Result<(), OptionsError> {
        if self.cluster_id.is_empty() || self.cluster_id.len() > MAX_CLUSTER_ID {
            return Err(OptionsError::ClusterId { len: self.cluster_id.len() });
        }
        if !self.control_listen.ip().is_loopback() {
            return Err(OptionsError::ControlNotLoopback { addr: self.control_listen });
        }
        for addr in [self.peer_listen, self.client_listen] {
            if !addr.ip().is_loopback() && !self.remote {
                return Err(OptionsError::NotLoopback { addr });
            }
        }
        if self.secret.is_none() && !self.peers.is_empty() && !self.peer_listen.ip().is_loopback() {
            return Err(OptionsError::NoSecret { addr: self.peer_listen });
        }
        let mut seen = vec![self.id];
        for (peer, _) in &self.peers {
            if seen.contains(peer) {
                return Err(OptionsError::PeerTwice { peer: *peer });
            }
            seen.push(*peer);
        }
        if let Some(ttl) = self.paxos_ttl.filter(|ttl| !PAXOS_TTL.contains(ttl)) {
            return Err(OptionsError::PaxosTtl { ttl });
        }
        if !SEGMENT_BYTES.contains(&self.storage.segment_bytes) {
            return Err(OptionsError::SegmentBytes { bytes: self.storage.segment_bytes });
        }
        Ok(())
    }
}

/// Number of nodes in a quorum of `members` nodes.
pub(crate) fn quorum_of(members: usize) -> u16 {
    // A cluster has at most MAX_NODES nodes.
    (members / 2 + 1) as u16
}

/// Longest cluster name in bytes.
pub const MAX_CLUSTER_ID: usize = 128;
/// Sensible sizes of a log segment: room for several batches, and no minutes of zero-filling.
const SEGMENT_BYTES: std::ops::RangeInclusive<u64> = (4 << 10)..=(1 << 30);

/// Sensible times to live: well above a few round trips, since otherwise every ballot would be expired from the
/// start.
pub const PAXOS_TTL: std::ops::RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(366 * 86_400);

/// Why options are invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// A node number out of range.
    #[error("node number {number} is not within 1..={MAX_NODES}")]
    NodeNumber {
        /// The number given.
        number: u16,
    },
    /// Not a node's name.
    #[error("{text:?} is not the name of a node: write n1, n2, ...")]
    NodeName {
        /// The text given.
        text: String,
    },
    /// Not a valid value of `rounds`.
    #[error("rounds {text:?}: write classic, merged, async-learn or fast")]
    Rounds {
        /// The text given.
        text: String,
    },
    /// Not a valid value of `backoff`.
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
    /// The control address is not a loopback address. The control channel can stop and break a node, so only this
    /// machine may reach it.
    #[error("the control address {addr} is not a loopback address: use 127.0.0.1 or [::1]")]
    ControlNotLoopback {
        /// The address given.
        addr: SocketAddr,
    },
    /// Clients or peers from other machines could reach the node, and nothing says that they may.
    #[error(
        "{addr} is not a loopback address: programs on other machines could talk to this node, which does not know its clients.          If they may, add --allow-remote"
    )]
    NotLoopback {
        /// The address given.
        addr: SocketAddr,
    },
    /// Nodes that other machines can reach must recognize each other.
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
    /// The process may open too few files to serve even one client.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn valid_options() -> NodeOptions {
        NodeOptions::new(NodeId::new(1).unwrap(), "c", "data")
    }

    #[track_caller]
    fn check_refused(change: impl FnOnce(&mut NodeOptions), part_of_message: &str) {
        let mut options = valid_options();
        assert_eq!(options.validate(), Ok(()));
        change(&mut options);
        let error = options.validate().expect_err("must be refused").to_string();
        assert!(error.contains(part_of_message), "{error:?} lacks {part_of_message:?}");
    }

    #[test]
    fn invalid_options_are_refused() {
        check_refused(|o| o.cluster_id.clear(), "cluster id");
        check_refused(|o| o.control_listen = "0.0.0.0:0".parse().unwrap(), "loopback");
        check_refused(|o| o.peers.push((o.id, o.peer_listen)), "n1 is listed twice");
        check_refused(|o| o.client_listen = "0.0.0.0:0".parse().unwrap(), "--allow-remote");
        check_refused(|o| o.peer_listen = "192.0.2.7:0".parse().unwrap(), "--allow-remote");
        let everywhere = |o: &mut NodeOptions| {
            o.peers.push((NodeId::new(2).unwrap(), o.peer_listen));
            (o.peer_listen, o.remote) = ("[::]:0".parse().unwrap(), true);
        };
        check_refused(everywhere, "--cluster-secret-file");
        let mut known = valid_options();
        everywhere(&mut known);
        known.secret = Some(ClusterSecret::new(&[1; 16]).unwrap());
        assert_eq!(known.validate(), Ok(()));
        check_refused(|o| o.storage.segment_bytes = 10, "segment of 10 bytes");
        check_refused(|o| o.paxos_ttl = Some(Duration::from_millis(1)), "10ms..=366d");
    }

    #[test]
    fn node_names_round_trip() {
        assert_eq!("n12".parse::<NodeId>().unwrap().to_string(), "n12");
        for bad in ["", "n", "n0", "n65", "12", "N1", "n-1", "n99999"] {
            assert!(bad.parse::<NodeId>().is_err(), "{bad:?}");
        }
    }
}
