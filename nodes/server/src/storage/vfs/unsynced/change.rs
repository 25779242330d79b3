//! Changes to a file's content, and how a power loss affects them.

use std::collections::BTreeMap;

use rand::RngExt;
use rand_pcg::Pcg64;

use super::power_loss::PowerLoss;

/// Size in bytes of the unit that a disk writes atomically, unless power fails in mid-write.
pub(crate) const SECTOR: u64 = 512;

/// A change to a file's content or length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    Length(u64),
}

impl Change {
    pub(crate) fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Change::Write { offset, bytes } => put(content, *offset, bytes),
            Change::Length(len) => content.resize(*len as usize, 0),
        }
    }

    /// Length after this change of a file that had `before` bytes.
    pub(crate) fn len_after(&self, before: u64) -> u64 {
        match self {
            Change::Write { offset, bytes } => before.max(offset + bytes.len() as u64),
            Change::Length(len) => *len,
        }
    }
}

impl Change {
    /// Whether it writes nothing but zeroes.
    fn is_blank(&self) -> bool {
        match self {
            Change::Write { bytes, .. } => is_zero(bytes),
            Change::Length(_) => true,
        }
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

fn put(content: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let (start, end) = (offset as usize, offset as usize + bytes.len());
    if content.len() < end {
        content.resize(end, 0);
    }
    content[start..end].copy_from_slice(bytes);
}

/// Returns content that the disk may hold for a file after a power loss: its durable content with a random part of the
/// un-synced changes, which are passed oldest first.
pub(crate) fn lose_content<'a>(
    durable: Vec<u8>,
    unsynced: impl IntoIterator<Item = &'a Change>,
    rng: &mut Pcg64,
    loss: &mut PowerLoss,
) -> Vec<u8> {
    let unsynced: Vec<&Change> = unsynced.into_iter().collect();
    // Zeroes written over zeroes make no difference whether they survive or not, and files of many megabytes are
    // prepared with them.
    let is_blank = is_zero(&durable) && unsynced.iter().all(|change| change.is_blank());
    let mut lengths = vec![durable.len() as u64];
    let mut writes: BTreeMap<u64, Vec<(u64, &[u8])>> = BTreeMap::new();
    for change in unsynced {
        lengths.push(change.len_after(*lengths.last().expect("one at least")));
        if let Change::Write { offset, bytes } = change
            && !is_blank
        {
            for (at, piece) in sectors(*offset, bytes) {
                writes.entry(at / SECTOR).or_default().push((at, piece));
            }
        }
    }
    let mut left = durable;
    for pieces in writes.values() {
        let survive = rng.random_range(0..=pieces.len());
        let all: usize = pieces.iter().map(|(_, piece)| piece.len()).sum();
        let mut kept = 0;
        for (at, piece) in &pieces[..survive] {
            put(&mut left, *at, piece);
            kept += piece.len();
        }
        if survive < pieces.len() && rng.random_range(0..4) == 0 {
            let (at, torn) = pieces[survive];
            let torn_at = rng.random_range(0..torn.len());
            put(&mut left, at, &torn[..torn_at]);
            kept += torn_at;
            loss.writes_torn += u64::from(torn_at > 0);
        }
        loss.bytes_kept += kept as u64;
        loss.bytes_lost += (all - kept) as u64;
        *(if survive == pieces.len() { &mut loss.sectors_kept } else { &mut loss.sectors_lost }) += 1;
    }
    left.resize(lengths[rng.random_range(0..lengths.len())] as usize, 0);
    left
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
