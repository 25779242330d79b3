//! The floor, and the progress of the sweep.

/// The progress of the sweep over the keys.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expiry {
    /// Every ballot of this time or earlier is rejected, in microseconds.
    pub(super) floor_us: u64,
    /// Index of the next key to check.
    pub(super) cursor: usize,
    /// Time of the newest ballot when the current sweep began, and when the last complete one began. If the node has
    /// seen no newer ballot since, there is nothing new to drop.
    pub(super) sweep_us: u64,
    pub(super) swept_us: u64,
}

impl Expiry {
    /// The floor in microseconds, for a snapshot.
    pub(crate) fn floor_us(&self) -> u64 {
        self.floor_us
    }

    /// Raises the floor to at least `micros`.
    pub(crate) fn raise_floor(&mut self, micros: u64) {
        self.floor_us = self.floor_us.max(micros);
    }
}
