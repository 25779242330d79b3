//! Checks, from the sources, which parts of the server use files.

use std::path::{Path, PathBuf};

/// Ways to access the operating system's files.
const FILE_ACCESS: [&str; 8] = ["std::fs", "use std::{fs", "File::", "OpenOptions", "tokio::fs", "os::unix::fs", "libc::", "os::fd"];

/// The only storage files that may use them: the implementations of `Vfs` on real files.
const REAL_FILES: [&str; 2] = ["vfs/real.rs", "vfs/overlay"];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            found.extend(sources(&entry));
        } else {
            found.push(entry);
        }
    }
    found
}

/// The file access that a line of code uses, if any.
fn file_access(line: &str) -> Option<&'static str> {
    let code = line.split("//").next().unwrap_or_default();
    FILE_ACCESS.into_iter().find(|way| {
        let at = code.find(way);
        // `SeamFile::` is another type.
        at.is_some_and(|at| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
    })
}

#[test]
fn the_storage_uses_files_through_its_vfs_only() {
    let storage = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/storage");
    let sources = sources(&storage);
    let has_real_files = |path: &Path| REAL_FILES.iter().any(|real| path.starts_with(storage.join(real)));
    assert!(sources.iter().any(|path| has_real_files(path)), "the real files are found");
    let mut seen = 0;
    for path in sources.iter().filter(|path| !has_real_files(path) && !path.starts_with(storage.join("tests"))) {
        let text = std::fs::read_to_string(path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for (number, line) in (1..).zip(code.lines()) {
            let errno = line.contains("from_raw_os_error(libc::E");
            let found = file_access(line).filter(|way| !(errno && *way == "libc::"));
            assert_eq!(found, None, "{}:{number}: go through `Vfs`", path.display());
            seen += 1;
        }
    }
    assert!(seen > 1_000, "only {seen} lines were read");
}

#[test]
fn file_access_is_seen_however_it_is_written() {
    for (line, found) in [
        ("    std::fs::rename(from, to)?;", true),
        ("use std::fs::File;", true),
        ("    let file = File::open(path)?;", true),
        ("    OpenOptions::new().write(true)", true),
        ("    unsafe { libc::fsync(fd) };", true),
        ("use std::os::unix::fs::FileExt;", true),
        ("    SeamFile::new(file)", false),
        ("    // as `std::fs::read` does", false),
        ("    vfs.rename(from, to)?;", false),
    ] {
        assert_eq!(file_access(line).is_some(), found, "{line}");
    }
}
