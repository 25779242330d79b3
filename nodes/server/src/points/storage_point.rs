//! The list of storage points.

/// A point between two changes to files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum StoragePoint {
    BeforeWrite,
    MidWrite,
    BeforeSync,
    AfterSync,
    BeforeSegmentHeader,
    BeforeSegmentRename,
    AfterSegmentRename,
    BeforeSnapshot,
    BeforeSnapshotHeader,
    BeforeSnapshotChunk,
    MidSnapshotChunk,
    BeforeSnapshotSync,
    BeforeSnapshotRename,
    AfterSnapshotRename,
    AfterSnapshot,
    BeforeRemoval,
    AfterRemovals,
    AfterRecoveryRead,
    BeforeRecoveryRemoval,
    Any,
}

impl StoragePoint {
    /// All storage points, in the order in which the storage reaches them.
    pub(crate) const ALL: [StoragePoint; 20] = [
        StoragePoint::BeforeWrite,
        StoragePoint::MidWrite,
        StoragePoint::BeforeSync,
        StoragePoint::AfterSync,
        StoragePoint::BeforeSegmentHeader,
        StoragePoint::BeforeSegmentRename,
        StoragePoint::AfterSegmentRename,
        StoragePoint::BeforeSnapshot,
        StoragePoint::BeforeSnapshotHeader,
        StoragePoint::BeforeSnapshotChunk,
        StoragePoint::MidSnapshotChunk,
        StoragePoint::BeforeSnapshotSync,
        StoragePoint::BeforeSnapshotRename,
        StoragePoint::AfterSnapshotRename,
        StoragePoint::AfterSnapshot,
        StoragePoint::BeforeRemoval,
        StoragePoint::AfterRemovals,
        StoragePoint::AfterRecoveryRead,
        StoragePoint::BeforeRecoveryRemoval,
        StoragePoint::Any,
    ];

    /// Name of the point on the control channel.
    pub(crate) fn name(self) -> &'static str {
        self.texts().0
    }

    /// When the point is reached, in one sentence.
    pub(crate) fn doc(self) -> &'static str {
        self.texts().1
    }

    /// Name, description, and the attempted operation as reported by an injected error.
    pub(super) fn texts(self) -> (&'static str, &'static str, &'static str) {
        match self {
            StoragePoint::BeforeWrite => ("before-write", "Before a batch or a segment's header is written to the log.", "write to"),
            StoragePoint::MidWrite => ("mid-write", "Half of a batch or of a segment's header is written.", "write to"),
            StoragePoint::BeforeSync => ("before-sync", "After a write to the log and before its sync.", "sync of"),
            StoragePoint::AfterSync => ("after-sync", "After a sync of the log, before anything that relies on it is sent.", "sync of"),
            StoragePoint::BeforeSegmentHeader => ("before-segment-header", "A new segment is zero-filled and has no header.", "write to"),
            StoragePoint::BeforeSegmentRename => {
                ("before-segment-rename", "A new segment is durable under its temporary name.", "rename to")
            }
            StoragePoint::AfterSegmentRename => {
                ("after-segment-rename", "A new segment has its name, and the folder is not synced.", "sync of folder for")
            }
            StoragePoint::BeforeSnapshot => ("before-snapshot", "Before the file of a snapshot is created.", "write of"),
            StoragePoint::BeforeSnapshotHeader => ("before-snapshot-header", "The file of a snapshot is created and empty.", "write of"),
            StoragePoint::BeforeSnapshotChunk => ("before-snapshot-chunk", "Before a chunk of a snapshot is written.", "write of"),
            StoragePoint::MidSnapshotChunk => ("mid-snapshot-chunk", "A chunk of a snapshot is written without its padding.", "write of"),
            StoragePoint::BeforeSnapshotSync => ("before-snapshot-sync", "A snapshot is written and not synced.", "sync of"),
            StoragePoint::BeforeSnapshotRename => {
                ("before-snapshot-rename", "A snapshot is durable under its temporary name.", "rename to")
            }
            StoragePoint::AfterSnapshotRename => {
                ("after-snapshot-rename", "A snapshot has its name, and the folder is not synced.", "sync of folder for")
            }
            StoragePoint::AfterSnapshot => {
                ("after-snapshot", "A snapshot is durable, and nothing that it replaces is removed.", "write of")
            }
            StoragePoint::BeforeRemoval => ("before-removal", "Before a file that a snapshot has replaced is removed.", "removal of"),
            StoragePoint::AfterRemovals => ("after-removals", "All files that a snapshot has replaced are removed.", "removal in"),
            StoragePoint::AfterRecoveryRead => ("after-recovery-read", "Recovery has read everything and changed nothing.", "read of"),
            StoragePoint::BeforeRecoveryRemoval => {
                ("before-recovery-removal", "Recovery is about to remove a file left over from a crash.", "removal of")
            }
            StoragePoint::Any => ("any-storage", "Every point of the storage; with `skip`, the n-th that comes.", "work on"),
        }
    }

    pub(super) fn bit(self) -> u32 {
        1 << self as u32
    }
}
