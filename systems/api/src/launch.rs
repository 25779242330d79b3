//! How the processes of a system are started and reached. Signals, pid files, watching and reaping are the same for all systems, and
//! the engine's.

use crate::identity::{Mistaken, NodeIdentity, Target};
use crate::process::{Helpers, ProcessSpec};
use heckle_history::NodeIx;
use heckle_history::prng::Seed;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// On loopback a connection stands or is refused at once.
const CONNECT_WITHIN: Duration = Duration::from_millis(100);

/// One node, as its system wants it started and reached.
#[derive(Debug, Clone)]
pub struct NodeSpec {
    /// Its name, `n1`, `n2` …
    pub name: String,
    /// Its processes, the one that serves clients first. A fault of the node strikes all of them.
    pub processes: Vec<ProcessSpec>,
    /// Where clients reach it, relay included.
    pub client: SocketAddr,
    /// Where the harness asks it how it is, past any relay.
    pub ask: SocketAddr,
    /// Where its processes listen, for clients first: all of it is free while the node is down.
    pub listens: Vec<SocketAddr>,
    /// Who must answer there.
    pub node: Arc<NodeIdentity>,
}

impl NodeSpec {
    /// The node, as clients know it.
    pub fn target(&self) -> Target {
        let listens = self.listens.first().copied().unwrap_or(self.client);
        Target { addr: self.client, listens, node: self.node.clone() }
    }
}

/// What a cluster is built on.
pub struct Site<'a> {
    /// The run's folder.
    pub folder: &'a Path,
    /// Name of the cluster: no other cluster on the machine has it.
    pub cluster: &'a str,
    /// How many nodes.
    pub nodes: u16,
    /// What every choice of the nodes is drawn from.
    pub seed: Seed,
    /// The relay, where links pass one.
    pub links: Option<&'a dyn RelayPorts>,
    /// Addresses that are this cluster's as long as it stands.
    pub addresses: &'a dyn Addresses,
    /// Called when something else answers in a node's place.
    pub mistaken: Mistaken,
    /// Starts processes for the system's clients.
    pub helpers: Arc<dyn Helpers>,
}

impl Site<'_> {
    /// A node's name.
    pub fn name(node: NodeIx) -> String {
        format!("n{}", u32::from(node.0) + 1)
    }

    /// All nodes.
    pub fn all(&self) -> impl Iterator<Item = NodeIx> + use<> {
        (0..self.nodes).map(NodeIx)
    }

    /// Where a node keeps its data.
    pub fn data_of(&self, node: NodeIx) -> PathBuf {
        self.folder.join("nodes").join(Self::name(node)).join("data")
    }

    /// A new identity of a node of this cluster.
    pub fn identity(&self, node: NodeIx) -> Arc<NodeIdentity> {
        NodeIdentity::new(self.cluster, &Self::name(node), self.mistaken.clone())
    }

    /// Where `from` must dial to reach `to`, which listens at `listens`: through the relay where there is one.
    ///
    /// # Errors
    /// If the relay has no port left.
    pub fn dial(&self, from: Dialler, to: NodeIx, listens: SocketAddr) -> Result<SocketAddr, String> {
        let Some(links) = self.links else { return Ok(listens) };
        links.open(from, to, listens).map_err(|e| format!("the relay cannot open a port for {}: {e}", Self::name(to)))
    }
}

/// Who opens a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialler {
    /// A node of the cluster.
    Node(NodeIx),
    /// Clients.
    Clients,
    /// Any node and any client, for links of [`crate::capability::Links::Bytes`]: a node has one such port for each address at which it
    /// listens, and advertises it to all. The relay finds out who dials by the socket. The port has the same number as the node's own, on
    /// an address of the relay.
    Anyone,
}

/// The relay's ports, as a system opens them.
pub trait RelayPorts {
    /// A port that leads from `from` to `to`, which listens at `listens`.
    ///
    /// # Errors
    /// If there is none left, the link is open already, or this relay cannot serve such a dialler.
    fn open(&self, from: Dialler, to: NodeIx, listens: SocketAddr) -> std::io::Result<SocketAddr>;
}

/// Free addresses for the cluster's processes.
pub trait Addresses {
    /// So many addresses, no two alike.
    ///
    /// # Errors
    /// If there are not so many.
    fn take(&self, count: usize) -> Result<Vec<SocketAddr>, String>;
}

/// A node that was just started: its processes as one.
pub trait Process {
    /// The next line of its standard output; `None` if none comes within `wait`.
    fn line(&mut self, wait: Duration) -> Option<String>;

    /// How it ended, in words, if it did. A node has ended when one of its processes has.
    fn ended(&mut self) -> Option<String>;

    /// Whether the log of one of the node's processes has a line, since this start, in which the text stands.
    fn has_logged(&self, process: &str, text: &str) -> bool {
        let _ = (process, text);
        false
    }
}

/// The first address of a dead node at which something listens. A system that can ask who it is says more.
pub(crate) fn who_answers(node: &NodeSpec) -> Option<(SocketAddr, String)> {
    let listens = |addr: &&SocketAddr| TcpStream::connect_timeout(addr, CONNECT_WITHIN).is_ok();
    node.listens.iter().find(listens).map(|addr| (*addr, "a program that listens there".to_owned()))
}
