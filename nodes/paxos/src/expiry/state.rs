//! The floor, and the sweep that raises it.

/// Where the sweep over the keys stands.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expiry {
    /// Every ballot of this time or an earlier one is rejected.
    pub(super) floor_us: u64,
    /// The next key to look at.
    pub(super) cursor: usize,
    /// The newest ballot when the sweep under way began, and when the last whole one began: a
    /// node that has heard nothing new since has nothing new to drop.
    pub(super) sweep_us: u64,
    pub(super) swept_us: u64,
}

impl Expiry {
    /// The floor, for a snapshot.
    pub(crate) fn floor_us(&self) -> u64 {
        self.floor_us
    }

    /// Raises the floor.
    pub(crate) fn raise_floor(&mut self, micros: u64) {
        self.floor_us = self.floor_us.max(micros);
    }
}
