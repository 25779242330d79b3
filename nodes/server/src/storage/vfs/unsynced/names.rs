//! Name changes, and which of them survive a power loss.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rand::RngExt;
use rand_pcg::Pcg64;

use super::power_loss::PowerLoss;

/// A name change. Files are identified by numbers that do not depend on their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NameChange {
    Create { path: PathBuf, file: u64 },
    Rename { from: PathBuf, to: PathBuf, file: u64 },
    Remove { path: PathBuf, file: u64 },
}

impl NameChange {
    #[cfg(test)]
    pub(crate) fn is_in(&self, folder: &Path) -> bool {
        let (NameChange::Create { path, .. } | NameChange::Rename { to: path, .. } | NameChange::Remove { path, .. }) = self;
        path.parent() == Some(folder)
    }

    pub(crate) fn file(&self) -> u64 {
        let (NameChange::Create { file, .. } | NameChange::Rename { file, .. } | NameChange::Remove { file, .. }) = self;
        *file
    }

    pub(crate) fn apply(&self, names: &mut BTreeMap<PathBuf, u64>) {
        match self {
            NameChange::Create { path, file } => drop(names.insert(path.clone(), *file)),
            NameChange::Rename { from, to, file } => {
                remove_if(names, from, *file);
                names.insert(to.clone(), *file);
            }
            NameChange::Remove { path, file } => remove_if(names, path, *file),
        }
    }
}

fn remove_if(names: &mut BTreeMap<PathBuf, u64>, path: &Path, file: u64) {
    if names.get(path) == Some(&file) {
        names.remove(path);
    }
}

/// Applies a random part of the un-synced changes to the durable names.
pub(crate) fn lose_names(
    durable: &mut BTreeMap<PathBuf, u64>,
    unsynced: impl IntoIterator<Item = NameChange>,
    rng: &mut Pcg64,
    loss: &mut PowerLoss,
) {
    for change in unsynced {
        if rng.random_range(0..2) == 0 {
            change.apply(durable);
            loss.names_kept += 1;
        } else {
            loss.names_lost += 1;
        }
    }
}
