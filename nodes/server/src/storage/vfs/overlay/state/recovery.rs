//! Reads the overlay of a folder back, after a process that may have ended at any moment.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{JOURNAL, OVERLAY, OverlaidFile, State, journal_path};
use crate::storage::vfs::Vfs;
use crate::storage::vfs::overlay::journal::{Journal, Record};
use crate::storage::vfs::real::RealVfs;
use crate::storage::vfs::unsynced::{Change, NameChange};

impl State {
    /// Reads the overlay of a folder, or creates one. The caller holds the folder's lock.
    pub(in crate::storage::vfs::overlay) fn load(folder: &Path) -> io::Result<State> {
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

    /// Adds the files in the folder itself, and computes the state that the program sees.
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
            // A removed file has no bytes left to read.
            let durable_len = self.place(file).and_then(|place| std::fs::metadata(place).ok()).map_or(0, |found| found.len());
            let known = self.files.get_mut(&file).expect("it is listed");
            known.len = known.unsynced.iter().fold(durable_len, |len, change| change.len_after(len));
        }
        Ok(())
    }

    /// Removes unreferenced files from the overlay. One remains if a process ends while creating a file.
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
}

fn foreign(name: &Path) -> io::Error {
    let why = format!("{} is not the file that the overlay knows under this name: the folder was changed by hand", name.display());
    io::Error::new(io::ErrorKind::InvalidData, why)
}
