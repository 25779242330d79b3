//! The handshake between nodes.

use std::fmt;

use heckle_paxos::lease::{LeaseMode, LeaseSettings};
use serde::{Deserialize, Serialize};

/// Version of the messages between nodes. Nodes of different versions refuse each other.
pub(crate) const PEER_PROTOCOL: u32 = 7;

/// First frame on a connection from one node to another, and (as the welcome) the first frame back. Both sides check
/// all fields: a relay or an address list may have connected them to the wrong node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PeerHello {
    /// First field in every version, so that any node can read it.
    pub(crate) protocol: u32,
    pub(crate) cluster: String,
    pub(crate) from: u16,
    pub(crate) to: u16,
    /// Random id of the sender's data folder.
    pub(crate) folder: u64,
    /// Incarnation of the sender: counts the processes on that folder.
    pub(crate) incarnation: u32,
    /// The lease settings of the sender.
    pub(crate) lease: LeaseTerms,
}

/// The lease settings that all nodes must share, since a holder relies on them when it asks its grantors. With leases
/// off, the other settings do not matter.
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
    /// anything, so a cluster can be switched node by node.
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
