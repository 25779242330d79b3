//! The handshake between nodes.

use serde::{Deserialize, Serialize};

/// Version of the messages between nodes. Nodes of different versions refuse each other.
pub(crate) const PEER_PROTOCOL: u32 = 5;

/// First frame on a connection from one node to another, and (as the welcome) the first frame back. Both sides check
/// all of it: a relay or an address list may have connected them to somebody else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PeerHello {
    /// First field of every version, so that any node can read it.
    pub(crate) protocol: u32,
    pub(crate) cluster: String,
    pub(crate) from: u16,
    pub(crate) to: u16,
    /// Random id of the sender's data folder.
    pub(crate) folder: u64,
    /// Number of the sender's process on that folder.
    pub(crate) incarnation: u32,
}
