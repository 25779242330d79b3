//! The handshake between nodes.

use std::fmt;

use heckle_paxos::lease::{LeaseMode, LeaseSettings};
use serde::{Deserialize, Serialize};

/// Version of the messages between nodes. Nodes of different versions refuse each other.
pub(crate) const PEER_PROTOCOL: u32 = 7;

/// First frame on a connection from one node to another, and (as the welcome) the first frame back. Both sides check
/// all of it: a relay or an address list may have connected them to another node.
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
    /// Its settings of leases.
    pub(crate) lease: LeaseTerms,
}

/// The settings of leases that all nodes must share: a holder counts on what its grantors do, for how long, on which range.
/// With leases off none of the others matters.
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
    /// Whether nodes with these two may work together. One with leases off grants nothing and is refused nothing, so a
    /// cluster may go from one to the other node by node.
    pub(crate) fn fits(&self, other: &LeaseTerms) -> bool {
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
