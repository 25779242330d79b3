//! Files and folders below the folder of all runs. Each part of a path is opened in the folder before it, without following links, so
//! that neither a link nor a folder replaced in the meantime can lead outside.

use super::request::{NOT_FOUND, Refusal, is_plain};
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, fstat, openat, statat};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Maximum number of names to list from a folder.
pub(super) const MAX_ITEMS: usize = 2_000;

/// The object at a path.
pub(super) enum Node {
    /// A regular file and its size, in bytes.
    File(File, u64),
    /// A folder.
    Folder(Folder),
}

/// An open folder.
pub(super) struct Folder(OwnedFd);

/// A name in a folder, with its size if it is a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) name: String,
    pub(super) bytes: Option<u64>,
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Opens the file or folder at `parts` below `root`. `root` itself may be a link, since the user specified it.
pub(super) fn open(root: &Path, parts: &[String]) -> Result<Node, Refusal> {
    let mut folder = openat(CWD, root, FOLDER, Mode::empty()).map_err(|_| NOT_FOUND)?;
    let Some((last, before)) = parts.split_last() else { return Ok(Node::Folder(Folder(folder))) };
    if !parts.iter().all(|part| is_plain(part)) {
        return Err(NOT_FOUND);
    }
    for part in before {
        folder = openat(&folder, part.as_str(), FOLDER | OFlags::NOFOLLOW, Mode::empty()).map_err(|_| NOT_FOUND)?;
    }
    // Opening a pipe without NONBLOCK waits for its writer.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    // A device or a socket is not even opened.
    let stat = statat(&folder, last.as_str(), rustix::fs::AtFlags::SYMLINK_NOFOLLOW).map_err(|_| NOT_FOUND)?;
    if !matches!(FileType::from_raw_mode(stat.st_mode), FileType::RegularFile | FileType::Directory) {
        return Err(NOT_FOUND);
    }
    let opened = openat(&folder, last.as_str(), flags, Mode::empty()).map_err(|_| NOT_FOUND)?;
    let stat = fstat(&opened).map_err(|_| NOT_FOUND)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(Node::File(File::from(opened), u64::try_from(stat.st_size).unwrap_or(0))),
        FileType::Directory => Ok(Node::Folder(Folder(opened))),
        _ => Err(NOT_FOUND),
    }
}

/// Returns the text of the file at `parts` and `more`, up to `max` bytes.
pub(super) fn text(root: &Path, parts: &[String], more: &[&str], max: u64) -> Option<String> {
    piece(root, parts, more, |_| 0, max)
}

/// Returns the last `max` bytes of a file as text.
pub(super) fn end(root: &Path, parts: &[String], more: &[&str], max: u64) -> Option<String> {
    piece(root, parts, more, |size| size.saturating_sub(max), max)
}

fn piece(root: &Path, parts: &[String], more: &[&str], from: impl Fn(u64) -> u64, max: u64) -> Option<String> {
    let parts: Vec<String> = parts.iter().cloned().chain(more.iter().map(|part| (*part).to_owned())).collect();
    let Ok(Node::File(mut file, size)) = open(root, &parts) else { return None };
    file.seek(SeekFrom::Start(from(size))).ok()?;
    let (mut file, mut bytes, mut buffer) = (file.take(max), vec![], vec![0; 64 * 1024]);
    loop {
        match file.read(&mut buffer).ok()? {
            0 => return Some(String::from_utf8_lossy(&bytes).into_owned()),
            n => bytes.extend_from_slice(&buffer[..n]),
        }
    }
}

impl Folder {
    /// Lists regular files and folders, sorted, and returns whether the list is incomplete. Leaves out links.
    pub(super) fn names(&self) -> (Vec<Name>, bool) {
        let mut names = vec![];
        for entry in Dir::read_from(&self.0).into_iter().flatten().flatten() {
            let Ok(name) = entry.file_name().to_str() else { continue };
            if !is_plain(name) {
                continue;
            }
            let Ok(stat) = statat(&self.0, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW) else { continue };
            let bytes = match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => Some(u64::try_from(stat.st_size).unwrap_or(0)),
                FileType::Directory => None,
                _ => continue,
            };
            if names.len() == MAX_ITEMS {
                names.sort();
                return (names, true);
            }
            names.push(Name { name: name.to_owned(), bytes });
        }
        names.sort();
        (names, false)
    }
}
