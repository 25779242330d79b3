//! How syncs end, and what a power loss did.

/// When a sync that was begun ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SyncMode {
    /// Before `begin_sync` returns.
    AtOnce,
    /// When [`MemoryVfs::end_sync`] says so.
    InFlight,
}

/// What a power loss did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PowerLoss {
    /// Sectors with un-synced writes, all of which survived.
    pub(crate) sectors_kept: u64,
    /// Sectors that lost un-synced writes, in whole or in part.
    pub(crate) sectors_lost: u64,
    /// Un-synced changes of names that survived.
    pub(crate) names_kept: u64,
    /// Un-synced changes of names that are undone.
    pub(crate) names_lost: u64,
}
