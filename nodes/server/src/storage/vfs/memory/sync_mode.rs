//! When syncs end.

/// When a sync ends after it has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SyncMode {
    /// Before `begin_sync` returns.
    Immediate,
    /// When [`MemoryVfs::end_sync`](super::MemoryVfs::end_sync) is called.
    InFlight,
}
