//! What an overlay knows: the durable names, the names that the program sees, and the changes that no sync has covered.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::journal::{Journal, Record};
use crate::storage::vfs::Vfs;
use crate::storage::vfs::real::RealVfs;
use crate::storage::vfs::unsynced::{Change, NameChange};

/// Name of the overlay folder in the data folder.
pub(crate) const OVERLAY: &str = "overlay";
const JOURNAL: &str = "journal";

/// A journal that has grown by this much is rewritten without the changes that syncs have covered since. It is read at every power
/// loss, several times.
const REWRITE_OVER: u64 = 1 << 20;

/// The overlay of one data folder.
#[derive(Debug)]
pub(super) struct State {
    folder: PathBuf,
    journal: Journal,
    pub(super) files: BTreeMap<u64, OverlaidFile>,
    /// The names that the program sees. All are file names in the data folder.
    pub(super) names: BTreeMap<PathBuf, u64>,
    pub(super) durable_names: BTreeMap<PathBuf, u64>,
    /// Changes of names that no sync has covered, oldest first.
    pub(super) unsynced_names: Vec<NameChange>,
    next_file: u64,
    /// Length of the journal when it was last rewritten.
    rewritten_len: u64,
}

/// One file.
#[derive(Debug, Default)]
pub(super) struct OverlaidFile {
    inode: u64,
    /// The length that the program sees.
    pub(super) len: u64,
    /// Changes that no sync has covered, oldest first.
    pub(super) unsynced: VecDeque<Change>,
    /// Whether the journal names it, so that further records may refer to it.
    declared: bool,
}

impl State {
    /// Whether the folder has an overlay.
    pub(super) fn exists(folder: &Path) -> bool {
        journal_path(folder).is_file()
    }

    /// Reads the overlay of a folder, or creates one. The caller holds the folder's lock.
    pub(super) fn load(folder: &Path) -> io::Result<State> {
        RealVfs::default().create_folder(&folder.join(OVERLAY))?;
        let (journal, records) = Journal::open(&journal_path(folder))?;
        let mut state = State {
            folder: folder.to_owned(),
            rewritten_len: journal.len(),
            journal,
            files: BTreeMap::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            unsynced_names: Vec::new(),
            next_file: 1,
        };
        for record in &records {
            state.replay(record);
        }
        if records.last() == Some(&Record::NamesSyncing) {
            state.apply_names()?;
        }
        state.add_folder()?;
        state.remove_strays()?;
        state.rewrite()?;
        Ok(state)
    }

    fn replay(&mut self, record: &Record) {
        match record {
            Record::File { file, name, inode } => {
                self.durable_names.insert(name.into(), *file);
                self.add(*file, *inode);
            }
            Record::Create { file, name, inode } => {
                self.add(*file, *inode);
                self.unsynced_names.push(NameChange::Create { path: name.into(), file: *file });
            }
            Record::Rename { file, from, to } => {
                self.unsynced_names.push(NameChange::Rename { from: from.into(), to: to.into(), file: *file });
            }
            Record::Remove { file, name } => self.unsynced_names.push(NameChange::Remove { path: name.into(), file: *file }),
            Record::Write { file, offset, bytes } => self.push(*file, Change::Write { offset: *offset, bytes: bytes.clone() }),
            Record::Zeroes { file, offset, len } => {
                self.push(*file, Change::Write { offset: *offset, bytes: vec![0; *len as usize] });
            }
            Record::Length { file, len } => self.push(*file, Change::Length(*len)),
            Record::Synced { file, changes } => self.drop_synced(*file, *changes as usize),
            Record::NamesSyncing => {}
        }
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

    /// Adds what is in the folder itself, and computes what the program sees.
    fn add_folder(&mut self) -> io::Result<()> {
        let mut found = BTreeSet::new();
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                let name = PathBuf::from(entry.file_name());
                let inode = entry.metadata()?.ino();
                if let Some(file) = self.durable_names.get(&name) {
                    if self.files.get(file).is_none_or(|known| known.inode != inode) {
                        return Err(foreign(&name));
                    }
                } else {
                    self.durable_names.insert(name.clone(), self.next_file);
                    self.files.insert(self.next_file, OverlaidFile { inode, ..OverlaidFile::default() });
                    self.next_file += 1;
                }
                found.insert(name);
            }
        }
        if let Some(name) = self.durable_names.keys().find(|name| !found.contains(*name)) {
            return Err(foreign(name));
        }
        self.names = self.durable_names.clone();
        self.unsynced_names.iter().for_each(|change| change.apply(&mut self.names));
        let files: Vec<u64> = self.files.keys().copied().collect();
        for file in files {
            // A file that was removed has no bytes left that anything could read.
            let durable_len = self.place(file).and_then(|place| std::fs::metadata(place).ok()).map_or(0, |found| found.len());
            let known = self.files.get_mut(&file).expect("it is listed");
            known.len = known.unsynced.iter().fold(durable_len, |len, change| change.len_after(len));
        }
        Ok(())
    }

    /// Removes files of the overlay that nothing refers to. They remain if a process ends while it creates one.
    fn remove_strays(&self) -> io::Result<()> {
        for entry in std::fs::read_dir(self.folder.join(OVERLAY))? {
            let entry = entry?;
            let number = entry.file_name().to_str().and_then(|name| name.parse::<u64>().ok());
            let is_ours = number.is_some_and(|file| self.unsynced_names.iter().any(|change| change.file() == file));
            if !is_ours && entry.file_name() != JOURNAL {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    /// Where the durable bytes of a file are, unless it was removed.
    pub(super) fn place(&self, file: u64) -> Option<PathBuf> {
        let named = self.durable_names.iter().find(|(_, named)| **named == file).map(|(name, _)| self.folder.join(name));
        named.or_else(|| Some(self.unnamed_place(file)).filter(|place| place.is_file()))
    }

    /// Where the content of a file without a durable name is.
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

    /// Records a change of a file.
    pub(super) fn change(&mut self, file: u64, change: Change) -> io::Result<()> {
        self.declare(file)?;
        let record = Record::of_change(file, &change);
        // A file without a name, durable or not, is gone with the process.
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

    /// Makes all names durable in the folder itself. The caller syncs the folder afterwards, and only then calls
    /// [`names_synced`](State::names_synced).
    pub(super) fn begin_sync_names(&mut self) -> io::Result<()> {
        self.journal.append(&Record::NamesSyncing)?;
        self.apply_names()
    }

    pub(super) fn names_synced(&mut self) -> io::Result<()> {
        self.rewrite()
    }

    /// Applies the changes of names to the folder itself. May be repeated after a process ended in the middle of it: the
    /// inodes tell which of them are done.
    fn apply_names(&mut self) -> io::Result<()> {
        for change in std::mem::take(&mut self.unsynced_names) {
            self.apply_name(&change)?;
        }
        Ok(())
    }

    /// Ends in the middle, after so many names.
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

    /// Makes sure that records may refer to a file.
    fn declare(&mut self, file: u64) -> io::Result<()> {
        let name = self.durable_names.iter().find(|(_, named)| **named == file).map(|(name, _)| text(name)).transpose()?;
        if let (Some(known), Some(name)) = (self.files.get_mut(&file).filter(|known| !known.declared), name) {
            self.journal.append(&Record::File { file, name, inode: known.inode })?;
            known.declared = true;
        }
        Ok(())
    }

    /// Rewrites the journal, with only the changes that no sync has covered.
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

    /// Forgets all changes that no sync has covered, after a power loss has decided about them.
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

fn foreign(name: &Path) -> io::Error {
    let why = format!("{} is not the file that the overlay knows under this name: the folder was changed by hand", name.display());
    io::Error::new(io::ErrorKind::InvalidData, why)
}
