//! The state of an overlay: the durable names, the names that the program sees, and the changes that no sync has
//! covered.

mod recovery; // reads an overlay back

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::journal::{Journal, Record};
use crate::storage::vfs::unsynced::{Change, NameChange};

/// Name of the overlay folder in the data folder.
pub(crate) const OVERLAY: &str = "overlay";
const JOURNAL: &str = "journal";

/// A journal that has grown by this many bytes is rewritten without the changes covered by syncs. Every power loss reads it
/// several times.
const REWRITE_OVER: u64 = 1 << 20;

/// The overlay of one data folder.
#[derive(Debug)]
pub(super) struct State {
    folder: PathBuf,
    journal: Journal,
    pub(super) files: BTreeMap<u64, OverlaidFile>,
    /// The names as seen by the program. All are file names in the data folder.
    pub(super) names: BTreeMap<PathBuf, u64>,
    pub(super) durable_names: BTreeMap<PathBuf, u64>,
    /// Name changes that no sync has covered, oldest first.
    pub(super) unsynced_names: Vec<NameChange>,
    next_file: u64,
    /// Length of the journal when it was last rewritten.
    rewritten_len: u64,
}

/// One file.
#[derive(Debug, Default)]
pub(super) struct OverlaidFile {
    inode: u64,
    /// The length as seen by the program.
    pub(super) len: u64,
    /// Changes that no sync has covered, oldest first.
    pub(super) unsynced: VecDeque<Change>,
    /// Whether the journal already declares the file, so that further records may refer to it.
    declared: bool,
}

impl State {
    /// Whether the folder has an overlay.
    pub(super) fn exists(folder: &Path) -> bool {
        journal_path(folder).is_file()
    }

    fn add(&mut self, file: u64, inode: u64) {
        self.next_file = self.next_file.max(file + 1);
        self.files.insert(file, OverlaidFile { inode, declared: true, ..OverlaidFile::default() });
    }

    fn push(&mut self, file: u64, change: Change) {
        let file = self.files.entry(file).or_default();
        file.len = change.len_after(file.len);
        file.unsynced.push_back(change);
    }

    fn drop_synced(&mut self, file: u64, changes: usize) {
        let unsynced = &mut self.files.entry(file).or_default().unsynced;
        unsynced.drain(..changes.min(unsynced.len()));
    }

    /// The path of a file's durable bytes, unless it was removed.
    pub(super) fn place(&self, file: u64) -> Option<PathBuf> {
        let named = self.durable_names.iter().find(|(_, named)| **named == file).map(|(name, _)| self.folder.join(name));
        named.or_else(|| Some(self.unnamed_place(file)).filter(|place| place.is_file()))
    }

    /// The path of the content of a file without a durable name.
    pub(super) fn unnamed_place(&self, file: u64) -> PathBuf {
        self.folder.join(OVERLAY).join(file.to_string())
    }

    pub(super) fn next_file(&self) -> u64 {
        self.next_file
    }

    /// Records a new file, which the caller has created at its place.
    pub(super) fn create(&mut self, name: &Path) -> io::Result<u64> {
        let file = self.next_file;
        let inode = std::fs::metadata(self.unnamed_place(file))?.ino();
        self.journal.append(&Record::Create { file, name: text(name)?, inode })?;
        self.add(file, inode);
        self.change_name(NameChange::Create { path: name.to_owned(), file });
        Ok(file)
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let file = self.file(from)?;
        self.declare(file)?;
        self.journal.append(&Record::Rename { file, from: text(from)?, to: text(to)? })?;
        self.change_name(NameChange::Rename { from: from.to_owned(), to: to.to_owned(), file });
        Ok(())
    }

    pub(super) fn remove(&mut self, name: &Path) -> io::Result<()> {
        let file = self.file(name)?;
        self.declare(file)?;
        self.journal.append(&Record::Remove { file, name: text(name)? })?;
        self.change_name(NameChange::Remove { path: name.to_owned(), file });
        Ok(())
    }

    fn change_name(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsynced_names.push(change);
    }

    pub(super) fn file(&self, name: &Path) -> io::Result<u64> {
        self.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Records a change to a file.
    pub(super) fn change(&mut self, file: u64, change: Change) -> io::Result<()> {
        self.declare(file)?;
        let record = Record::of_change(file, &change);
        // A file without any name, durable or not, disappears with the process.
        if self.files.get(&file).is_some_and(|known| known.declared) {
            self.journal.append(&record)?;
        }
        self.push(file, change);
        Ok(())
    }

    /// Records that the oldest changes of a file are in the file itself and synced.
    pub(super) fn synced(&mut self, file: u64, changes: usize) -> io::Result<()> {
        self.journal.append(&Record::Synced { file, changes: changes as u64 })?;
        self.drop_synced(file, changes);
        if self.journal.len() > self.rewritten_len + REWRITE_OVER { self.rewrite() } else { Ok(()) }
    }

    /// Applies all names to the folder itself. The caller syncs the folder afterwards, and only then calls
    /// [`names_synced`](State::names_synced).
    pub(super) fn begin_sync_names(&mut self) -> io::Result<()> {
        self.journal.append(&Record::NamesSyncing)?;
        self.apply_names()
    }

    pub(super) fn names_synced(&mut self) -> io::Result<()> {
        self.rewrite()
    }

    /// Applies the name changes to the folder itself. Can be repeated after a process has ended midway: the inodes show
    /// which changes have been made.
    fn apply_names(&mut self) -> io::Result<()> {
        for change in std::mem::take(&mut self.unsynced_names) {
            self.apply_name(&change)?;
        }
        Ok(())
    }

    /// Ends midway, after this many names.
    #[cfg(test)]
    pub(super) fn begin_sync_names_until(&mut self, cut: usize) -> io::Result<()> {
        self.journal.append(&Record::NamesSyncing)?;
        for change in std::mem::take(&mut self.unsynced_names).into_iter().take(cut) {
            self.apply_name(&change)?;
        }
        Ok(())
    }

    fn apply_name(&mut self, change: &NameChange) -> io::Result<()> {
        let inode = self.files.get(&change.file()).map_or(0, |file| file.inode);
        let is_it = |path: &Path| std::fs::metadata(path).is_ok_and(|found| found.ino() == inode);
        match change {
            NameChange::Create { path, file } => {
                let place = self.unnamed_place(*file);
                if is_it(&place) {
                    std::fs::rename(place, self.folder.join(path))?;
                }
            }
            NameChange::Rename { from, to, .. } => {
                let from = self.folder.join(from);
                if is_it(&from) {
                    std::fs::rename(from, self.folder.join(to))?;
                }
            }
            NameChange::Remove { path, .. } => {
                let path = self.folder.join(path);
                if is_it(&path) {
                    std::fs::remove_file(path)?;
                }
            }
        }
        change.apply(&mut self.durable_names);
        Ok(())
    }

    /// Declares a file in the journal if necessary, so that records may refer to it.
    fn declare(&mut self, file: u64) -> io::Result<()> {
        let name = self.durable_names.iter().find(|(_, named)| **named == file).map(|(name, _)| text(name)).transpose()?;
        if let (Some(known), Some(name)) = (self.files.get_mut(&file).filter(|known| !known.declared), name) {
            self.journal.append(&Record::File { file, name, inode: known.inode })?;
            known.declared = true;
        }
        Ok(())
    }

    /// Rewrites the journal with only the changes that no sync has covered.
    fn rewrite(&mut self) -> io::Result<()> {
        let mut records = Vec::new();
        let renamed: BTreeSet<u64> = self.unsynced_names.iter().map(NameChange::file).collect();
        for (name, file) in &self.durable_names {
            let known = self.files.get_mut(file).expect("a named file is known");
            known.declared = renamed.contains(file) || !known.unsynced.is_empty();
            if known.declared {
                records.push(Record::File { file: *file, name: text(name)?, inode: known.inode });
            }
        }
        for change in &self.unsynced_names {
            records.push(match change {
                NameChange::Create { path, file } => {
                    Record::Create { file: *file, name: text(path)?, inode: self.files.get(file).map_or(0, |known| known.inode) }
                }
                NameChange::Rename { from, to, file } => Record::Rename { file: *file, from: text(from)?, to: text(to)? },
                NameChange::Remove { path, file } => Record::Remove { file: *file, name: text(path)? },
            });
        }
        let durable: BTreeSet<u64> = self.durable_names.values().copied().collect();
        for (file, known) in self.files.iter().filter(|(file, _)| durable.contains(file) || renamed.contains(file)) {
            records.extend(known.unsynced.iter().map(|change| Record::of_change(*file, change)));
        }
        self.journal = Journal::rewrite(&journal_path(&self.folder), &records)?;
        self.rewritten_len = self.journal.len();
        Ok(())
    }

    /// Removes all un-synced changes after a power loss has decided their fate.
    pub(super) fn clear(folder: &Path) -> io::Result<()> {
        Journal::rewrite(&journal_path(folder), &[]).map(drop)
    }
}

pub(super) fn journal_path(folder: &Path) -> PathBuf {
    folder.join(OVERLAY).join(JOURNAL)
}

fn text(name: &Path) -> io::Result<String> {
    name.to_str().map(str::to_owned).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a file name that is not UTF-8"))
}
