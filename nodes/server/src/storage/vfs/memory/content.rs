//! The content of one file: the durable part, and the changes not yet durable.

use std::collections::VecDeque;

use rand_pcg::Pcg64;

use crate::storage::vfs::unsynced::{Change, PowerLoss, lose_content};

/// The content of one file.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// The content as read by a running program.
    pub(super) now: Vec<u8>,
    durable: Vec<u8>,
    /// Changes that no sync has covered, oldest first.
    unsynced: VecDeque<Change>,
    /// Total number of changes that a sync has covered.
    synced: u64,
    /// Number of handles that the running process has open.
    pub(super) open: u32,
}

impl Content {
    pub(super) fn change(&mut self, change: Change) {
        change.apply(&mut self.now);
        self.unsynced.push_back(change);
    }

    pub(super) fn is_durable(&self) -> bool {
        self.unsynced.is_empty()
    }

    /// Total number of changes made to the file.
    pub(super) fn changes(&self) -> u64 {
        self.synced + self.unsynced.len() as u64
    }

    /// Makes the changes before this one durable.
    pub(super) fn sync(&mut self, up_to: u64) {
        while self.synced < up_to {
            let change = self.unsynced.pop_front().expect("every change counted is there");
            change.apply(&mut self.durable);
            self.synced += 1;
        }
    }

    /// Reduces the content to what the disk may hold after a power loss.
    pub(super) fn lose_power(&mut self, rng: &mut Pcg64, loss: &mut PowerLoss) {
        let left = lose_content(std::mem::take(&mut self.durable), &self.unsynced, rng, loss);
        *self = Content { now: left.clone(), durable: left, ..Content::default() };
    }
}
