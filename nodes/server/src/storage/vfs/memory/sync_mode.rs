//! When syncs end.

/// When a sync that has begun ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SyncMode {
    /// Before `begin_sync` returns.
    Immediate,
    /// When [`MemoryVfs::end_sync`](super::MemoryVfs::end_sync) is called.
    InFlight,
}
