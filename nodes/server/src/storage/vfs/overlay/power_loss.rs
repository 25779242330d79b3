//! Power losses: decides which un-synced changes of a data folder survive.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand_pcg::Pcg64;

use super::journal::count_unsynced_writes;
use super::state::{State, journal_path};
use crate::storage::StorageError;
use crate::storage::folder::LOCK;
use crate::storage::vfs::Vfs;
use crate::storage::vfs::real::RealVfs;
use crate::storage::vfs::unsynced::{PowerLoss, lose_content, lose_names};

/// Counts the writes of a stopped node that no sync has covered. Writes of zeroes, which prepare files, do not count. Returns
/// `None` if the node runs without an overlay.
///
/// # Errors
/// Fails if the overlay cannot be read.
pub fn unsynced_writes(folder: &Path) -> Result<Option<u64>, StorageError> {
    if !State::exists(folder) {
        return Ok(None);
    }
    let count = count_unsynced_writes(&journal_path(folder));
    count.map(Some).map_err(|cause| StorageError::io("read of the overlay of", folder, cause))
}

/// Puts a data folder into the state it would have after a power loss. Of the changes that no sync has covered, a part
/// drawn from `seed` survives. The node must have ended, and it must have run with an overlay.
///
/// # Errors
/// Fails if a process is using the folder, the folder has no overlay, or a file cannot be changed.
pub fn lose_power(folder: &Path, seed: u64) -> Result<PowerLoss, StorageError> {
    if !State::exists(folder) {
        let cause = io::Error::new(io::ErrorKind::NotFound, "it has no overlay, so nothing in it counts as un-synced");
        return Err(StorageError::Unusable { path: folder.to_owned(), cause });
    }
    let lock = RealVfs::default().lock(&folder.join(LOCK)).map_err(|cause| match cause.kind() {
        io::ErrorKind::WouldBlock => StorageError::Locked { path: folder.to_owned() },
        _ => StorageError::Unusable { path: folder.to_owned(), cause },
    })?;
    let lost = lose(folder, seed).map_err(|cause| StorageError::io("power loss of", folder, cause));
    drop(lock);
    lost
}

fn lose(folder: &Path, seed: u64) -> io::Result<PowerLoss> {
    let mut state = State::load(folder)?;
    let mut rng = Pcg64::seed_from_u64(seed);
    let mut loss = PowerLoss::default();
    let mut left = state.durable_names.clone();
    lose_names(&mut left, std::mem::take(&mut state.unsynced_names), &mut rng, &mut loss);
    let named: Vec<u64> = left.values().copied().collect();
    for (file, known) in state.files.iter().filter(|(file, known)| named.contains(file) && !known.unsynced.is_empty()) {
        let place = state.place(*file).ok_or(io::ErrorKind::NotFound)?;
        let content = lose_content(std::fs::read(&place)?, &known.unsynced, &mut rng, &mut loss);
        std::fs::write(&place, content)?;
    }
    move_names(folder, &state, &left)?;
    State::clear(folder)?;
    Ok(loss)
}

/// Gives every file its surviving name. Files whose name changes are all moved aside first.
fn move_names(folder: &Path, state: &State, left: &BTreeMap<PathBuf, u64>) -> io::Result<()> {
    for (name, file) in state.durable_names.iter().filter(|(name, file)| left.get(*name) != Some(file)) {
        std::fs::rename(folder.join(name), state.unnamed_place(*file))?;
    }
    for (name, file) in left.iter().filter(|(name, file)| state.durable_names.get(*name) != Some(file)) {
        std::fs::rename(state.unnamed_place(*file), folder.join(name))?;
    }
    Ok(())
}
