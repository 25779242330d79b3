//! Where a node is reached, and who must answer there.
//!
//! A port that a killed node left can be taken by any program, and one that listens on all addresses answers everywhere.
//! What is done with such an answer must not reach the history: whatever answers in a node's place ends the run, by its name, before a
//! request is sent to it.

use crate::stop::{Stop, StopReason};
use heckle_server::client_protocol::{ExpectedNode, FolderId, Identity};
use heckle_server::control::{Client, ControlError};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// One node, as everything in the harness that talks to it knows it.
#[derive(Debug)]
pub struct NodeIdentity {
    cluster: String,
    name: String,
    /// Told by the node's own process when it is ready for the first time.
    folder: OnceLock<FolderId>,
    stop: Stop,
}

impl NodeIdentity {
    /// A node that has not been started yet. `stop` is asked when another answers in its place.
    pub fn new(cluster: &str, name: &str, stop: Stop) -> Arc<Self> {
        Arc::new(NodeIdentity { cluster: cluster.to_owned(), name: name.to_owned(), folder: OnceLock::new(), stop })
    }

    /// Its cluster's name.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whom a hello must name, and a welcome come from.
    pub fn expected(&self) -> ExpectedNode {
        ExpectedNode { cluster: Some(self.cluster.clone()), node: Some(self.name.clone()), folder: self.folder.get().copied() }
    }

    /// Takes what the node's own process said of itself when it was ready.
    ///
    /// # Errors
    /// If it is another node, or another folder than before.
    pub fn learn(&self, told: &Identity) -> Result<(), String> {
        let known = *self.folder.get_or_init(|| told.folder);
        if self.expected().is(told) && known == told.folder {
            return Ok(());
        }
        Err(format!("it says that it is {told} with data folder {}, not {}", told.folder, self.expected()))
    }

    /// Ends the run: `who` answers at `addr`, where this node should be. Gives the sentence.
    pub fn stranger(&self, addr: SocketAddr, who: &str) -> String {
        let why = format!("{addr}, where {} should be, is answered by {who}", self.name);
        self.stop.ask(StopReason::Broken(format!("{why}; nothing was sent to it")));
        why
    }

    /// The node's control channel, after making sure that it is the node's. Anything else there ends the run.
    ///
    /// # Errors
    /// Why there is none.
    pub fn control(&self, addr: SocketAddr, within: Duration) -> Result<Client, String> {
        Client::connect_to(addr, within, &self.expected()).map_err(|error| match error {
            ControlError::Mistaken { found, .. } => self.stranger(addr, &found.to_string()),
            ControlError::Malformed { .. } => self.stranger(addr, &format!("something that does not speak the control protocol ({error})")),
            // The node itself refuses where too many ask at once.
            ControlError::Refused { .. } | ControlError::Io { .. } => error.to_string(),
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_known_by_cluster_name_and_the_folder_it_named_first() {
        let stop = Stop::default();
        let node = NodeIdentity::new("c", "n1", stop.clone());
        let told = |cluster: &str, node: &str, folder| Identity { cluster: cluster.into(), node: node.into(), folder: FolderId(folder) };
        assert!(node.expected().is(&told("c", "n1", 7)), "any folder, before it has named one");
        assert!(node.learn(&told("c", "n1", 7)).is_ok() && node.learn(&told("c", "n1", 7)).is_ok());
        for other in [told("c", "n1", 8), told("c", "n2", 7), told("d", "n1", 7)] {
            assert!(!node.expected().is(&other));
            assert!(node.learn(&other).expect_err("another").contains("n1 of cluster c with data folder 0000000000000007"));
        }
        assert_eq!(stop.reason(), None);
        let said = node.stranger("127.3.7.1:12004".parse().expect("an address"), &told("X", "n1", 9).to_string());
        assert_eq!(said, "127.3.7.1:12004, where n1 should be, is answered by n1 of cluster X");
        assert_eq!(stop.reason(), Some(StopReason::Broken(format!("{said}; nothing was sent to it"))));
    }
}
