//! The content of one file: the durable part, and the changes that are not durable.

use std::collections::{BTreeMap, VecDeque};

use rand::RngExt;
use rand_pcg::Pcg64;

use super::power_loss::PowerLoss;

/// Bytes that a disk writes as a unit, unless power fails in the middle of it.
pub(super) const SECTOR: u64 = 512;

/// The content of one file.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// The content that a running program reads.
    pub(super) now: Vec<u8>,
    durable: Vec<u8>,
    /// Changes that no sync has covered, oldest first.
    unsynced: VecDeque<Change>,
    /// Total number of changes that a sync has covered.
    synced: u64,
    /// Number of open handles of the running process.
    pub(super) open: u32,
}

#[derive(Debug)]
pub(super) enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    Length(u64),
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Change::Write { offset, bytes } => put(content, *offset, bytes),
            Change::Length(len) => content.resize(*len as usize, 0),
        }
    }
}

fn put(content: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let (start, end) = (offset as usize, offset as usize + bytes.len());
    if content.len() < end {
        content.resize(end, 0);
    }
    content[start..end].copy_from_slice(bytes);
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
        let mut lengths = vec![self.durable.len()];
        let mut writes: BTreeMap<u64, Vec<(u64, &[u8])>> = BTreeMap::new();
        for change in &self.unsynced {
            let length = *lengths.last().expect("one at least");
            match change {
                Change::Length(len) => lengths.push(*len as usize),
                Change::Write { offset, bytes } => {
                    lengths.push(length.max(*offset as usize + bytes.len()));
                    for (at, piece) in sectors(*offset, bytes) {
                        writes.entry(at / SECTOR).or_default().push((at, piece));
                    }
                }
            }
        }
        let mut left = std::mem::take(&mut self.durable);
        for pieces in writes.values() {
            let survive = rng.random_range(0..=pieces.len());
            for (at, piece) in &pieces[..survive] {
                put(&mut left, *at, piece);
            }
            if survive < pieces.len() && rng.random_range(0..4) == 0 {
                let (at, torn) = pieces[survive];
                put(&mut left, at, &torn[..rng.random_range(0..torn.len())]);
            }
            *(if survive == pieces.len() { &mut loss.sectors_kept } else { &mut loss.sectors_lost }) += 1;
        }
        left.resize(lengths[rng.random_range(0..lengths.len())], 0);
        *self = Content { now: left.clone(), durable: left, ..Content::default() };
    }
}

/// Splits a write into parts that each lie in one sector.
fn sectors(offset: u64, bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let len = ((SECTOR - at % SECTOR) as usize).min(bytes.len() - done);
        let piece = &bytes[done..done + len];
        done += len;
        (len > 0).then_some((at, piece))
    })
}
