//! The log of a process: its output is copied from a pipe to a file up to a size limit, and always read to the end, so a
//! full pipe never blocks the process.

use crate::limits::thread;
use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::path::Path;
use std::thread::JoinHandle;

/// Maximum size of one log, in bytes: a process that never stops writing must not fill the disk.
const MAX_LOG: u64 = 64 << 20;
/// Number of bytes copied at a time.
const COPY_BYTES: usize = 16 << 10;

/// Starts a thread that appends `from` to a log until `from` ends. To read the whole log, first wait for this thread.
///
/// # Errors
/// If the log cannot be opened, or no thread can be started.
pub(super) fn append_in_background(from: impl Read + Send + 'static, log: &Path) -> std::io::Result<JoinHandle<()>> {
    let mut file = OpenOptions::new().create(true).append(true).open(log)?;
    let room = MAX_LOG.saturating_sub(file.metadata()?.len());
    thread("node-log", move || copy(from, &mut file, room))
}

fn copy(mut from: impl Read, log: &mut impl Write, mut room: u64) {
    let (mut piece, mut full) = (vec![0; COPY_BYTES], false);
    while let Ok(n) = from.read(&mut piece) {
        if n == 0 {
            return;
        }
        let kept = n.min(usize::try_from(room).unwrap_or(n));
        // A full disk must not block the process.
        let _ = log.write_all(&piece[..kept]);
        room -= kept as u64;
        if kept < n && !full {
            full = true;
            let _ = writeln!(log, "\nheckle: this log has reached {} MiB; the rest is dropped", MAX_LOG >> 20);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_log_ends_with_a_note() {
        let mut log = vec![];
        copy(&[b'x'; 3 * COPY_BYTES][..], &mut log, COPY_BYTES as u64 + 10);
        let text = String::from_utf8(log).expect("text");
        assert!(text.starts_with(&"x".repeat(COPY_BYTES + 10)) && text.ends_with("the rest is dropped\n"), "{}", text.len());
        assert_eq!(text.matches("dropped").count(), 1);
        let mut log = vec![];
        copy(&b"all of it\n"[..], &mut log, 100);
        assert_eq!(log, b"all of it\n");
    }
}
