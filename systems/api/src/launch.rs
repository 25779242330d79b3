//! How to start and reach the processes of a system. Signals, pid files, monitoring and reaping are the same for all systems and
//! are handled by the engine.

use crate::identity::{Mistaken, NodeIdentity, Target};
use crate::process::{Helpers, ProcessSpec};
use heckle_history::NodeIx;
use heckle_history::prng::Seed;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time limit for a connection. On loopback it is established or refused immediately.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(100);
/// Interval between checks for whether a node is ready.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// How to start and reach one node.
#[derive(Debug, Clone)]
pub struct NodeSpec {
    /// Its name: `n1`, `n2` and so on.
    pub name: String,
    /// Its processes, of which the first serves clients. A fault of the node affects all of them.
    pub processes: Vec<ProcessSpec>,
    /// The address for clients: the relay's, if there is one.
    pub client: SocketAddr,
    /// The address for the harness's status queries, which bypass the relay.
    pub ask: SocketAddr,
    /// The addresses on which its processes listen, with the one for clients first. All are free while the node is
    /// down.
    pub listens: Vec<SocketAddr>,
    /// The identity that the node must have.
    pub node: Arc<NodeIdentity>,
}

impl NodeSpec {
    /// Describes a node with a single process that listens on one address. Its links bypass the relay.
    pub fn single(site: &Site<'_>, node: NodeIx, addr: SocketAddr, process: ProcessSpec) -> NodeSpec {
        NodeSpec {
            name: Site::name(node),
            processes: vec![process],
            client: addr,
            ask: addr,
            listens: vec![addr],
            node: site.identity(node),
        }
    }

    /// The node as a target for clients.
    pub fn target(&self) -> Target {
        let listens = self.listens.first().copied().unwrap_or(self.client);
        Target { addr: self.client, listens, node: self.node.clone() }
    }
}

/// The environment of a new cluster.
pub struct Site<'a> {
    /// The folder of the run.
    pub folder: &'a Path,
    /// Name of the cluster, unique on this machine.
    pub cluster: &'a str,
    /// Number of nodes.
    pub nodes: u16,
    /// Seed of all random choices of the nodes.
    pub seed: Seed,
    /// Where the nodes keep un-synced data.
    pub unsynced: Unsynced,
    /// The relay, if links pass through one.
    pub links: Option<&'a dyn RelayPorts>,
    /// Addresses reserved for this cluster for as long as it exists.
    pub addresses: &'a dyn Addresses,
    /// The callback for when another program answers in place of a node.
    pub mistaken: Mistaken,
    /// Starts processes for the system's clients.
    pub helpers: Arc<dyn Helpers>,
}

/// Where nodes keep data that they have written but not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsynced {
    /// In the operating system's cache. It cannot be removed after a process has died.
    SystemCache,
    /// Separate from synced data, so that a power loss can remove it: see [`Disks::lose_power`](crate::capability::Disks::lose_power).
    /// Only systems with this capability are started in this mode.
    Apart,
}

impl Site<'_> {
    /// The name of a node.
    pub fn name(node: NodeIx) -> String {
        format!("n{}", u32::from(node.0) + 1)
    }

    /// Iterates over all nodes.
    pub fn all(&self) -> impl Iterator<Item = NodeIx> + use<> {
        (0..self.nodes).map(NodeIx)
    }

    /// The data folder of a node.
    pub fn data_of(&self, node: NodeIx) -> PathBuf {
        data_folder(self.folder, &Self::name(node))
    }

    /// Creates the identity of a node of this cluster.
    pub fn identity(&self, node: NodeIx) -> Arc<NodeIdentity> {
        NodeIdentity::new(self.cluster, &Self::name(node), self.mistaken.clone())
    }

    /// The address at which `from` reaches `to`, which listens on `listens`: the relay's, if there is one.
    ///
    /// # Errors
    /// Fails if the relay has no free port.
    pub fn dial(&self, from: Dialler, to: NodeIx, listens: SocketAddr) -> Result<SocketAddr, String> {
        let Some(links) = self.links else { return Ok(listens) };
        links.open(from, to, listens).map_err(|e| format!("the relay cannot open a port for {}: {e}", Self::name(to)))
    }
}

/// The data folder of a node in the folder of its run.
pub fn data_folder(run: &Path, node: &str) -> PathBuf {
    run.join("nodes").join(node).join("data")
}

/// The side that opens a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialler {
    /// A node of the cluster.
    Node(NodeIx),
    /// Clients.
    Clients,
    /// Any node and any client, for [`crate::capability::Links::Bytes`]. A node has one such port for each address on which it
    /// listens, and advertises it to everyone. The relay identifies the dialler by its socket. The port has the same number as the
    /// node's own port, on an address of the relay.
    Anyone,
}

/// Opens ports of the relay.
pub trait RelayPorts {
    /// Opens a port that leads from `from` to `to`, which listens on `listens`.
    ///
    /// # Errors
    /// Fails if no port is free, the link is already open, or the relay does not support this kind of dialler.
    fn open(&self, from: Dialler, to: NodeIx, listens: SocketAddr) -> std::io::Result<SocketAddr>;
}

/// Free addresses for the cluster's processes.
pub trait Addresses {
    /// Returns `count` different addresses.
    ///
    /// # Errors
    /// Fails if there are not enough.
    fn take(&self, count: usize) -> Result<Vec<SocketAddr>, String>;
}

/// All processes of a newly started node.
pub trait Process {
    /// Returns the next line of its standard output, or `None` if there is none within `wait`.
    fn line(&mut self, wait: Duration) -> Option<String>;

    /// Describes how the node ended, or returns `None` if it is running. A node has ended when one of its processes
    /// has.
    fn ended(&mut self) -> Option<String>;

    /// Whether a process of the node has logged a line with this text since the start.
    fn has_logged(&self, process: &str, text: &str) -> bool {
        let _ = (process, text);
        false
    }
}

/// Why a node did not become ready.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// Its process ended first.
    #[error("it ended with {how} before it was ready")]
    Ended {
        /// How it ended.
        how: String,
    },
    /// The time limit was exceeded.
    #[error("it was not ready within {} s", within.as_secs())]
    TimedOut {
        /// The time limit.
        within: Duration,
    },
    /// Another, system-specific reason.
    #[error("{0}")]
    Other(String),
}

impl From<String> for NotReady {
    fn from(why: String) -> NotReady {
        NotReady::Other(why)
    }
}

/// Calls `is_ready` repeatedly until it returns `true`.
///
/// # Errors
/// Fails if the process ends first, or the time is up.
pub fn poll_until_ready(process: &mut dyn Process, within: Duration, mut is_ready: impl FnMut() -> bool) -> Result<(), NotReady> {
    let deadline = Instant::now() + within;
    while !is_ready() {
        if let Some(how) = process.ended() {
            return Err(NotReady::Ended { how });
        }
        if Instant::now() > deadline {
            return Err(NotReady::TimedOut { within });
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    Ok(())
}

/// Whether any program accepts connections at an address.
pub(crate) fn accepts(addr: SocketAddr) -> bool {
    TcpStream::connect_timeout(&addr, CONNECT_TIMEOUT).is_ok()
}

/// The first address of a dead node on which a program listens. A system that can query identities gives more detail.
pub(crate) fn who_answers(node: &NodeSpec) -> Option<(SocketAddr, String)> {
    node.listens.iter().find(|addr| accepts(**addr)).map(|addr| (*addr, "a program that listens there".to_owned()))
}
