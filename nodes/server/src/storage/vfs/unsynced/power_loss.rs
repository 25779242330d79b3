//! The effects of a power loss, as figures.

/// The effects of a power loss on the files of one node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PowerLoss {
    /// Sectors with un-synced writes, all of which survived.
    pub sectors_kept: u64,
    /// Sectors that lost un-synced writes, in whole or in part.
    pub sectors_lost: u64,
    /// Writes to a sector of which only the first bytes survived.
    pub writes_torn: u64,
    /// Un-synced bytes that survived.
    pub bytes_kept: u64,
    /// Un-synced bytes that were lost.
    pub bytes_lost: u64,
    /// Un-synced name changes that survived.
    pub names_kept: u64,
    /// Un-synced name changes that were lost.
    pub names_lost: u64,
}

impl PowerLoss {
    /// Number of sectors and names with un-synced changes at the time of the power loss.
    pub fn unsynced(&self) -> u64 {
        self.sectors_kept + self.sectors_lost + self.names_kept + self.names_lost
    }
}
