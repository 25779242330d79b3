//! The handshake between nodes.
//!
//! ```text
//! dialer                                          listener
//!   | PeerOpen {nonce}                       --->  |
//!   |  <--- PeerChallenge {nonce, proof}           |   the listener proves that it has the secret
//!   | PeerHello {identity, members, proof}   --->  |   only then does the dialer identify itself
//!   |  <--- PeerHello {identity, members, proof}   |
//! ```
//!
//! Without a secret, the messages are the same but carry no proofs. They are sent in frames of kind `PeerHello` (from
//! the dialer) and `PeerWelcome` (from the listener).

use std::fmt;

use heckle_paxos::lease::{LeaseMode, LeaseSettings};
use serde::{Deserialize, Serialize};

use crate::amnesia::{History, Position, ProcessStart};
use crate::client_protocol::encode_payload;
use crate::secret::{ClusterSecret, Nonce, Proof};

/// Version of the messages between nodes. Nodes of different versions refuse each other.
pub(crate) const PEER_PROTOCOL: u32 = 9;

/// First message on a connection from one node to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PeerOpen {
    /// First field of every message in every version, so that any node can read it.
    pub(crate) protocol: u32,
    pub(crate) from: u16,
    pub(crate) to: u16,
    pub(crate) nonce: Nonce,
}

/// The reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PeerChallenge {
    pub(crate) protocol: u32,
    pub(crate) nonce: Nonce,
    /// Proves that the listener has the secret. `None` if it has none.
    pub(crate) proof: Option<Proof>,
}

/// The identity of each side. Both sides check all fields, since a relay or an address list may have connected them
/// to the wrong node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PeerHello {
    pub(crate) protocol: u32,
    pub(crate) cluster: String,
    pub(crate) from: u16,
    pub(crate) to: u16,
    /// Random id of the sender's data folder.
    pub(crate) folder: u64,
    /// The processes that the sender has run on that folder. The last one is the sender itself.
    pub(crate) processes: Vec<ProcessStart>,
    /// Newest synced batch of the sender.
    pub(crate) batch: u64,
    /// The positions of the receiver that the sender has seen.
    pub(crate) seen: Vec<Position>,
    /// The lease settings of the sender.
    pub(crate) lease: LeaseTerms,
    /// All nodes of the cluster, as given to the sender at startup, in ascending order, and the size of a quorum.
    pub(crate) members: Vec<u16>,
    pub(crate) quorum: u16,
    /// Proves that the sender has the secret, and covers all other fields. `None` if it has none.
    pub(crate) proof: Option<Proof>,
}

/// The data covered by the proofs of one handshake, in addition to the messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Handshake {
    pub(crate) dialer: u16,
    pub(crate) listener: u16,
    pub(crate) dialer_nonce: Nonce,
    pub(crate) listener_nonce: Nonce,
}

/// The two sides of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Dialer,
    Listener,
}

impl PeerHello {
    /// The processes of the sender.
    pub(crate) fn history(&self) -> History {
        History { folder: self.folder, processes: self.processes.clone() }
    }

    /// Incarnation of the sender.
    pub(crate) fn incarnation(&self) -> u32 {
        self.processes.last().map_or(0, |process| process.incarnation)
    }
}

impl Handshake {
    /// The proof in the listener's reply to the first message.
    pub(crate) fn challenge_proof(&self, secret: &ClusterSecret) -> Proof {
        self.proof(secret, "heckle peer challenge", &[])
    }

    /// The proof in the hello of one side.
    pub(crate) fn hello_proof(&self, secret: &ClusterSecret, side: Side, hello: &PeerHello) -> Proof {
        let role = match side {
            Side::Dialer => "heckle peer hello of the dialer",
            Side::Listener => "heckle peer hello of the listener",
        };
        let bare = PeerHello { proof: None, ..hello.clone() };
        self.proof(secret, role, &encode_payload(&bare))
    }

    fn proof(&self, secret: &ClusterSecret, role: &str, content: &[u8]) -> Proof {
        let nodes = [self.dialer.to_le_bytes(), self.listener.to_le_bytes()].concat();
        secret.proof(role, &[&nodes, &self.dialer_nonce, &self.listener_nonce, content])
    }
}

/// The lease settings that all nodes must share, since a holder relies on its grantors using them. With leases off,
/// the other settings do not matter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LeaseTerms {
    pub(crate) mode: String,
    pub(crate) time_ns: u64,
    pub(crate) drift_ppm: u32,
    pub(crate) ranges: u16,
}

impl From<&LeaseSettings> for LeaseTerms {
    fn from(settings: &LeaseSettings) -> LeaseTerms {
        LeaseTerms {
            mode: settings.mode.name().to_owned(),
            time_ns: settings.time_ns,
            drift_ppm: settings.drift_ppm,
            ranges: settings.ranges,
        }
    }
}

impl LeaseTerms {
    /// Whether nodes with these two settings may work together. A node with leases off neither grants nor refuses
    /// anything, so leases can be switched on or off node by node.
    pub(crate) fn is_compatible(&self, other: &LeaseTerms) -> bool {
        let off = LeaseMode::Off.name();
        self.mode == off || other.mode == off || self == other
    }
}

impl fmt::Display for LeaseTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ms, percent) = (self.time_ns as f64 / 1e6, f64::from(self.drift_ppm) / 1e4);
        write!(f, "{} of {ms} ms with a drift of {percent} % on {} ranges", self.mode, self.ranges)
    }
}
