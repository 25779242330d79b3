//! The identity of the node that must answer at an address.
//!
//! Any program can take the port of a killed node, and a program that listens on all addresses answers on every address. Its
//! answers must not reach the history. So if another program answers in place of a node, the run ends before any request is sent
//! to it, with a message that names the program.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// A callback for when another program answers in place of a node. It receives an explanation and ends the run.
#[derive(Clone)]
pub struct Mistaken(Arc<dyn Fn(String) + Send + Sync>);

impl Mistaken {
    /// Creates the callback from the function that ends the run.
    pub fn new(end: impl Fn(String) + Send + Sync + 'static) -> Self {
        Mistaken(Arc::new(end))
    }

    /// Ends the run with an error.
    pub fn end(&self, why: String) {
        (self.0)(why);
    }
}

impl fmt::Debug for Mistaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mistaken")
    }
}

/// The identity of one node, shared by all parts of the harness that communicate with it.
#[derive(Debug)]
pub struct NodeIdentity {
    cluster: String,
    name: String,
    /// Set from the first ready line of the node's process.
    data: OnceLock<u64>,
    /// Whether a fault has removed its data, so that it may report another folder.
    data_lost: AtomicBool,
    mistaken: Mistaken,
}

impl NodeIdentity {
    /// Creates the identity of a node that has not been started yet.
    pub fn new(cluster: &str, name: &str, mistaken: Mistaken) -> Arc<Self> {
        Arc::new(NodeIdentity {
            cluster: cluster.to_owned(),
            name: name.to_owned(),
            data: OnceLock::new(),
            data_lost: AtomicBool::new(false),
            mistaken,
        })
    }

    /// Name of the node's cluster.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Name of the node.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Id of the node's data folder, after a process of the node has reported it. `None` while the node may report a
    /// new one.
    pub fn data(&self) -> Option<u64> {
        self.data.get().copied().filter(|_| !self.data_lost.load(Ordering::SeqCst))
    }

    /// Sets whether a fault has removed the node's data. While it has, any data folder is accepted.
    pub fn set_data_lost(&self, lost: bool) {
        self.data_lost.store(lost, Ordering::SeqCst);
    }

    /// Stores the id of the node's data folder, unless one is already stored or the data was removed. Returns the id to compare with.
    pub fn remember_data(&self, reported: u64) -> u64 {
        if self.data_lost.load(Ordering::SeqCst) {
            return reported;
        }
        *self.data.get_or_init(|| reported)
    }

    /// Ends the run because `who` answers at `addr` in place of this node. Returns the message.
    pub fn report_stranger(&self, addr: SocketAddr, who: &str) -> String {
        let why = format!("{addr}, where {} should be, is answered by {who}", self.name);
        (self.mistaken.0)(format!("{why}; nothing was sent to it"));
        why
    }
}

/// The address and identity of a node, for clients.
#[derive(Debug, Clone)]
pub struct Target {
    /// The address to connect to, possibly a relay's.
    pub addr: SocketAddr,
    /// The address on which the node itself listens for clients, used in messages.
    pub listens: SocketAddr,
    /// The identity that the node must have.
    pub node: Arc<NodeIdentity>,
}

impl Target {
    /// Ends the run, as [`NodeIdentity::report_stranger`] does.
    pub fn report_stranger(&self, who: &str) -> String {
        self.node.report_stranger(self.listens, who)
    }
}
