//! History files of any kind: plain files, pipes, devices. Limits both the duration and the size of a read.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

/// Time without data after which a read from a pipe fails.
const PIPE_SILENCE: Duration = Duration::from_secs(30);

/// Whether `path` can be read as a file. Pipes and devices can be, but folders cannot.
pub fn exists(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|m| !m.is_dir())
}

/// Opens a history. Waits for the writer of a pipe, but not forever.
///
/// # Errors
/// If the file cannot be opened. The message names the path.
pub fn open(path: &Path) -> Result<Box<dyn Read + Send>, String> {
    let at = |e: io::Error| format!("cannot open {}: {e}", path.display());
    let kind = std::fs::metadata(path).map_err(at)?.file_type();
    if !kind.is_fifo() && !kind.is_char_device() {
        return File::open(path).map(|file| Box::new(file) as Box<dyn Read + Send>).map_err(at);
    }
    // Open without blocking: the open itself would block on a pipe without a writer.
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(at)?;
    Ok(Box::new(TimeoutReader { file }))
}

/// Reader that fails after [`PIPE_SILENCE`] without data.
struct TimeoutReader {
    file: File,
}

impl Read for TimeoutReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut poll = libc::pollfd { fd: self.file.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let ms = i32::try_from(PIPE_SILENCE.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: `poll` is one valid pollfd, whose descriptor is open as long as `self.file` lives.
        match unsafe { libc::poll(&raw mut poll, 1, ms) } {
            0 => {
                let what = format!("nothing came through this pipe for {} s; is anything writing to it?", PIPE_SILENCE.as_secs());
                Err(io::Error::new(io::ErrorKind::TimedOut, what))
            }
            n if n < 0 => Err(io::Error::last_os_error()),
            _ => self.file.read(buffer),
        }
    }
}

/// Returns the size limit for a foreign format, which is held in memory as a whole: the flag's value if given,
/// otherwise the lower of the default and a sixth of the available memory, since events take about five times as much memory as their text.
///
/// # Errors
/// If the flag is not a number of bytes.
pub fn foreign_bytes(flag: Option<&str>) -> Result<u64, String> {
    if let Some(flag) = flag {
        return bytes(flag);
    }
    let room = available_memory().map_or(u64::MAX, |available| available / 6);
    Ok(heckle_history::foreign::MAX_BYTES.min(room))
}

/// Returns the size limit for our own format: the flag's value if given, otherwise the lower of the default and
/// half of the available memory.
///
/// # Errors
/// If the flag is not a number of bytes.
pub fn own_bytes(flag: Option<&str>) -> Result<u64, String> {
    if let Some(flag) = flag {
        return bytes(flag);
    }
    let room = available_memory().map_or(u64::MAX, |available| available / 2);
    Ok(heckle_history::reader::MAX_BYTES.min(room))
}

/// Parses a number of bytes such as `500M`.
///
/// # Errors
/// If the text is not a number of bytes.
pub fn bytes(flag: &str) -> Result<u64, String> {
    let (digits, unit) = match flag.strip_suffix(['K', 'M', 'G', 'T']) {
        Some(digits) => (digits, flag.chars().last()),
        None => (flag, None),
    };
    let factor = match unit {
        Some('K') => 1 << 10,
        Some('M') => 1 << 20,
        Some('G') => 1 << 30,
        Some('T') => 1 << 40,
        _ => 1u64,
    };
    let bytes = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(factor)).filter(|n| *n > 0);
    bytes.ok_or_else(|| format!("--max-bytes `{flag}` is not a number of bytes such as 500M or 20G"))
}

/// Returns the memory that the kernel reports as available without swapping, in bytes.
pub fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}
