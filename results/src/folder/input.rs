//! Bounded reads of files from users, other tools or other runs: only regular files, and never more bytes than a named limit. A
//! device, a pipe or a growing file must not cost unbounded memory or time. `harness/cli/tests/inputs.rs` forbids the unbounded
//! calls everywhere else. Histories are streamed by `heckle-history`.

use std::fs::{self, File, FileType};
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// Plans, schedules and configurations written by hand. A thousand lines take up tens of kilobytes.
pub const PLAN: u64 = 4 << 20;
/// `schedule.jsonl` of a run, for the largest number of faults that a plan may have.
pub const SCHEDULE: u64 = 64 << 20;
/// `results.json`: a few kilobytes for a typical run, and a line or two per key for a run with a million keys.
pub const RESULTS: u64 = 512 << 20;
/// `suite.json` and `compare.json`: a few lines per run.
pub const SUITE: u64 = 256 << 20;
/// `runs.jsonl`: about a kilobyte per run, so enough for some hundred thousand runs.
pub const INDEX: u64 = 256 << 20;
/// `pids.jsonl`: one line per start of a node.
pub const PIDS: u64 = 16 << 20;
/// `explain.txt` of a violation.
pub const WORDS: u64 = 64 << 20;
/// Output of a tool that the harness started, such as a trace of calls.
pub const TRACE: u64 = 1 << 30;
/// Kernel files below `/proc` and `/sys`.
pub const KERNEL: u64 = 4 << 20;

/// Reads a text file of at most `max` bytes.
///
/// # Errors
/// If the file system reports an error, or the file is not a regular file, holds more than `max` bytes, or is not UTF-8. The
/// message does not contain the path: callers add it, along with the purpose of the file.
pub fn text(path: &Path, max: u64) -> io::Result<String> {
    String::from_utf8(bytes(path, max)?).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        io::Error::new(io::ErrorKind::InvalidData, format!("it is not text: byte {at} is not UTF-8"))
    })
}

/// Reads a file of at most `max` bytes.
///
/// # Errors
/// Same as for [`text`].
pub fn bytes(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let (file, size) = regular(path)?;
    if size > max {
        return Err(too_large(max));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    // The file may have grown since, and kernel files report a size of 0.
    file.take(max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max { Err(too_large(max)) } else { Ok(bytes) }
}

/// Returns the first `max` bytes of a file as text, whatever it contains. Returns an empty string if the file does not exist
/// or is not a regular file. Meant for optional output.
pub fn beginning(path: &Path, max: u64) -> String {
    let mut bytes = vec![];
    if let Ok((file, _)) = regular(path) {
        let _ = file.take(max).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns the last `max` bytes of a file as text, like [`beginning`].
pub fn end(path: &Path, max: u64) -> String {
    use std::io::Seek;
    let mut bytes = vec![];
    if let Ok((mut file, size)) = regular(path) {
        let _ = file.seek(io::SeekFrom::Start(size.saturating_sub(max)));
        let _ = file.take(max).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads a kernel file. Returns `None` if that fails. Some kernel files contain the name of a process, which may be arbitrary bytes.
pub fn kernel(path: impl AsRef<Path>) -> Option<String> {
    bytes(path.as_ref(), KERNEL).ok().map(|all| String::from_utf8_lossy(&all).into_owned())
}

/// Opens a regular file. Checks the file type first, since opening a pipe blocks until a writer opens it too.
fn regular(path: &Path) -> io::Result<(File, u64)> {
    let meta = fs::metadata(path)?;
    if !meta.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {}, not a file", kind(meta.file_type()))));
    }
    Ok((File::open(path)?, meta.len()))
}

fn kind(of: FileType) -> &'static str {
    match of {
        _ if of.is_dir() => "a folder",
        _ if of.is_fifo() => "a pipe",
        _ if of.is_socket() => "a socket",
        _ if of.is_char_device() || of.is_block_device() => "a device",
        _ => "something else",
    }
}

fn too_large(max: u64) -> io::Error {
    let limit = if max >= 1 << 20 { format!("{} MiB", max >> 20) } else { format!("{max} bytes") };
    io::Error::new(io::ErrorKind::FileTooLarge, format!("it holds more than {limit}, the most that is read of such a file"))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(std::path::PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("heckle-input-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Folder(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[track_caller]
    fn refused(path: &Path, what: &str) {
        let error = text(path, 8).expect_err("refused").to_string();
        assert!(error.contains(what), "{}: {error}", path.display());
        assert!(beginning(path, 8).len() <= 24 && end(path, 8).len() <= 24);
    }

    #[test]
    fn only_regular_files_within_the_limit_are_read() {
        let folder = Folder::new("kinds");
        let at = |name: &str| folder.0.join(name);
        fs::write(at("fits"), "12345678").unwrap();
        assert_eq!(text(&at("fits"), 8).unwrap(), "12345678");
        assert_eq!((beginning(&at("fits"), 3), end(&at("fits"), 3)), ("123".into(), "678".into()));
        fs::write(at("long"), "123456789").unwrap();
        fs::write(at("bytes"), b"ab\xff").unwrap();
        File::create(at("hole")).and_then(|f| f.set_len(1 << 40)).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
        let _listener = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        refused(&at("long"), "more than 8 bytes");
        refused(&at("hole"), "more than 8 bytes");
        refused(&at("bytes"), "byte 2 is not UTF-8");
        refused(&at("pipe"), "a pipe, not a file");
        refused(&at("socket"), "a socket, not a file");
        refused(&folder.0, "a folder, not a file");
        refused(Path::new("/dev/zero"), "a device, not a file");
        assert_eq!(text(&at("none"), 8).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(kernel("/proc/self/stat").is_some_and(|s| !s.is_empty()), "the kernel's files say that they are empty");
    }
}
