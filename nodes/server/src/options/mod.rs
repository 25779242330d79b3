//! The settings of a node, as plain data: the harness fills them from the command line, and tests set them directly.

mod error; // errors in the options
mod limits; // limits on queues
mod modes; // modes of operation
mod node_id; // names of nodes

pub use error::OptionsError;
pub use limits::Limits;
pub use modes::{Announce, Backoff, Prune, Queue, Rounds, Unsynced};
pub use node_id::{MAX_NODES, NodeId, NodeIdError};

use crate::secret::ClusterSecret;
use heckle_paxos::lease::LeaseSettings;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of the log: how large it may grow, and how it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageOptions {
    /// Size of a log segment in bytes. A segment is preallocated and filled with zeroes before use.
    pub segment_bytes: u64,
    /// Number of closed segments that may accumulate before a snapshot replaces them.
    pub segments_before_snapshot: usize,
    /// Where un-synced data is kept.
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
    /// Address on which to listen for other nodes. With port 0, the node takes a free port and reports it in the
    /// ready line.
    pub peer_listen: SocketAddr,
    /// Address on which to listen for clients.
    pub client_listen: SocketAddr,
    /// Address of the control channel. Must be a loopback address.
    pub control_listen: SocketAddr,
    /// Address that answers `GET /metrics`, if any. This endpoint is read-only, so it may be reachable from other
    /// machines.
    pub metrics_listen: Option<SocketAddr>,
    /// The other nodes, with the address at which *this* node reaches them (perhaps through a relay).
    pub peers: Vec<(NodeId, SocketAddr)>,
    /// The secret shared by all nodes of the cluster. Without one, peers must be on this machine.
    pub secret: Option<ClusterSecret>,
    /// Whether peers and clients may listen beyond loopback addresses. Clients are not authenticated.
    pub remote: bool,
    /// The data folder. Created if it does not exist.
    pub data_dir: PathBuf,
    /// Seed of the node's random choices (backoff, nonces), mixed with the incarnation.
    pub seed: u64,
    /// Which rounds an operation goes through.
    pub rounds: Rounds,
    /// How long a coordinator waits after being outbid.
    pub backoff: Backoff,
    /// How long an operation may keep being outbid before it is answered. `None`: until its own time limit.
    pub contention_timeout: Option<Duration>,
    /// Settings of leases and forwarding. They must be the same on all nodes of a cluster.
    pub lease: LeaseSettings,
    /// Which operation on a key runs next.
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
    /// Names of the active planted bugs. Empty for a correct node.
    pub mutants: Vec<String>,
    /// Whether the node ends when standard input is closed, as happens when the parent dies.
    pub exit_on_stdin_eof: bool,
    /// If set, the node ends when the process with this id is no longer its parent.
    pub parent_pid: Option<u32>,
    /// How long a clean stop waits for open operations before giving them up.
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
    /// Returns the first rule that the options break.
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

/// Number of nodes in a quorum, in a cluster of `members` nodes.
pub(crate) fn quorum_of(members: usize) -> u16 {
    // A cluster has at most MAX_NODES nodes, so the cast is exact.
    (members / 2 + 1) as u16
}

/// Maximum length of a cluster name in bytes.
pub const MAX_CLUSTER_ID: usize = 128;
/// Sensible sizes of a log segment in bytes: large enough for several batches, and small enough that zero-filling
/// does not take minutes.
const SEGMENT_BYTES: std::ops::RangeInclusive<u64> = (4 << 10)..=(1 << 30);

/// Sensible times to live: well above a few round trips, since otherwise every ballot would expire immediately.
pub const PAXOS_TTL: std::ops::RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(366 * 86_400);

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
}
