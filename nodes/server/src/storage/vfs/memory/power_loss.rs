//! When syncs end, and the effects of a power loss.

/// When a sync ends after it has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SyncMode {
    /// Before `begin_sync` returns.
    Immediate,
    /// When [`MemoryVfs::end_sync`] is called.
    InFlight,
}

/// The effects of a power loss.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PowerLoss {
    /// Sectors with un-synced writes, all of which survived.
    pub(crate) sectors_kept: u64,
    /// Sectors that lost un-synced writes, in whole or in part.
    pub(crate) sectors_lost: u64,
    /// Un-synced changes of names that survived.
    pub(crate) names_kept: u64,
    /// Un-synced changes of names that were lost.
    pub(crate) names_lost: u64,
}
