//! Which node must answer at an address.
//!
//! Any program can take a port that a killed node left, and one that listens on all addresses answers everywhere. What is done with
//! such an answer must not reach the history: whatever answers in a node's place ends the run, by its name, before a request is sent
//! to it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

/// Called with a sentence when something else answers in a node's place. It ends the run.
#[derive(Clone)]
pub struct Mistaken(Arc<dyn Fn(String) + Send + Sync>);

impl Mistaken {
    /// What is to be done then.
    pub fn new(end: impl Fn(String) + Send + Sync + 'static) -> Self {
        Mistaken(Arc::new(end))
    }

    /// Ends the run as an error.
    pub fn end(&self, why: String) {
        (self.0)(why);
    }
}

impl fmt::Debug for Mistaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mistaken")
    }
}

/// One node, as everything in the harness that talks to it knows it.
#[derive(Debug)]
pub struct NodeIdentity {
    cluster: String,
    name: String,
    /// Told by the node's own process when it is ready for the first time.
    data: OnceLock<u64>,
    mistaken: Mistaken,
}

impl NodeIdentity {
    /// A node that has not been started yet.
    pub fn new(cluster: &str, name: &str, mistaken: Mistaken) -> Arc<Self> {
        Arc::new(NodeIdentity { cluster: cluster.to_owned(), name: name.to_owned(), data: OnceLock::new(), mistaken })
    }

    /// Its cluster's name.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id of its data folder, once a process of it has said so.
    pub fn data(&self) -> Option<u64> {
        self.data.get().copied()
    }

    /// Remembers the id of the node's data folder as its process tells it; the first one counts. Gives the one that counts.
    pub fn remember_data(&self, told: u64) -> u64 {
        *self.data.get_or_init(|| told)
    }

    /// Ends the run: `who` answers at `addr`, where this node should be. Gives the sentence.
    pub fn stranger(&self, addr: SocketAddr, who: &str) -> String {
        let why = format!("{addr}, where {} should be, is answered by {who}", self.name);
        (self.mistaken.0)(format!("{why}; nothing was sent to it"));
        why
    }
}

/// Where clients reach a node.
#[derive(Debug, Clone)]
pub struct Target {
    /// The address, through a relay perhaps.
    pub addr: SocketAddr,
    /// Where the node itself listens for clients, for messages.
    pub listens: SocketAddr,
    /// Who must answer.
    pub node: Arc<NodeIdentity>,
}

impl Target {
    /// Ends the run, as [`NodeIdentity::stranger`] does.
    pub fn stranger(&self, who: &str) -> String {
        self.node.stranger(self.listens, who)
    }
}
