//! The state of a disk in memory: files, their names, and the syncs in flight.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand_pcg::Pcg64;

use super::content::Content;
use super::sync_mode::SyncMode;
use crate::storage::vfs::unsynced::{NameChange, PowerLoss, lose_names};
use crate::storage::vfs::{Completion, RequestId};

#[derive(Debug)]
pub(super) struct Disk {
    pub(super) files: BTreeMap<u64, Content>,
    pub(super) next_file: u64,
    /// The names as seen by a running program.
    pub(super) names: BTreeMap<PathBuf, u64>,
    pub(super) durable_names: BTreeMap<PathBuf, u64>,
    /// Name changes that no sync has covered, oldest first.
    pub(super) unsynced_names: Vec<NameChange>,
    pub(super) locks: BTreeSet<PathBuf>,
    pub(super) mode: SyncMode,
    /// Syncs in flight, oldest first.
    pub(super) in_flight: VecDeque<InFlight>,
    pub(super) completions: VecDeque<Completion>,
    /// Number of the running process. It increases with every kill or power loss, which invalidates older file
    /// handles.
    pub(super) process: u64,
}

#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) id: RequestId,
    pub(super) file: u64,
    /// The sync covers the changes of the file before this one.
    pub(super) up_to: u64,
}

impl Disk {
    pub(super) fn new(mode: SyncMode) -> Disk {
        Disk {
            files: BTreeMap::new(),
            next_file: 0,
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            unsynced_names: Vec::new(),
            locks: BTreeSet::new(),
            mode,
            in_flight: VecDeque::new(),
            completions: VecDeque::new(),
            process: 0,
        }
    }

    pub(super) fn kill(&mut self) {
        self.process += 1;
        self.locks.clear();
        self.in_flight.clear();
        self.completions.clear();
        self.files.values_mut().for_each(|content| content.open = 0);
        self.drop_unnamed();
    }

    /// Drops files that can no longer be reached.
    pub(super) fn drop_unnamed(&mut self) {
        let unsynced = self.unsynced_names.iter().map(NameChange::file);
        let named: BTreeSet<u64> = self.names.values().chain(self.durable_names.values()).copied().chain(unsynced).collect();
        self.files.retain(|file, content| content.open > 0 || named.contains(file));
    }

    pub(super) fn power_loss(&mut self, seed: u64) -> PowerLoss {
        let mut rng = Pcg64::seed_from_u64(seed);
        let mut loss = PowerLoss::default();
        self.kill();
        lose_names(&mut self.durable_names, self.unsynced_names.drain(..), &mut rng, &mut loss);
        self.names = self.durable_names.clone();
        self.drop_unnamed();
        for content in self.files.values_mut().filter(|content| !content.is_durable()) {
            content.lose_power(&mut rng, &mut loss);
        }
        loss
    }

    pub(super) fn end_sync(&mut self) -> bool {
        let Some(sync) = self.in_flight.pop_front() else { return false };
        if let Some(content) = self.files.get_mut(&sync.file) {
            content.sync(sync.up_to);
        }
        self.completions.push_back(Completion { id: sync.id, result: Ok(()) });
        true
    }

    pub(super) fn file(&self, path: &Path) -> io::Result<u64> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn change_name(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsynced_names.push(change);
    }

    pub(super) fn sync_folder(&mut self, path: &Path) {
        let durable_names = &mut self.durable_names;
        self.unsynced_names.retain(|change| {
            let covered = change.is_in(path);
            if covered {
                change.apply(durable_names);
            }
            !covered
        });
        self.drop_unnamed();
    }
}
