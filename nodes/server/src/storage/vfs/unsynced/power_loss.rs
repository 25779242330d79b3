//! The effects of a power loss, as figures.

/// The effects of a power loss on the files of one node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PowerLoss {
    /// Sectors with un-synced writes, all of which survived.
    pub sectors_kept: u64,
    /// Sectors that lost un-synced writes, in whole or in part.
    pub sectors_lost: u64,
    /// Writes of which only the first bytes in a sector survived.
    pub writes_torn: u64,
    /// Un-synced bytes that survived.
    pub bytes_kept: u64,
    /// Un-synced bytes that were lost.
    pub bytes_lost: u64,
    /// Un-synced changes of names that survived.
    pub names_kept: u64,
    /// Un-synced changes of names that were lost.
    pub names_lost: u64,
}

impl PowerLoss {
    /// Number of un-synced changes, in sectors and names, that were there when the power failed.
    pub fn unsynced(&self) -> u64 {
        self.sectors_kept + self.sectors_lost + self.names_kept + self.names_lost
    }
}
