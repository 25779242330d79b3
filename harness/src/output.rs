//! What every verb prints passes through here, so that a reader who went away or a full disk is met in one place.
//!
//! | stream | what happens | then |
//! |---|---|---|
//! | stdout | its reader is gone (`heckle list \| head -1`) | the rest is dropped without a word; the exit code is the verb's own |
//! | stdout | it cannot be written (`heckle list > /dev/full`) | one line on stderr; success becomes 4, any other code stays |
//! | stderr | whatever fails | dropped: an error that cannot be printed must not become another one |
//!
//! `println!` and its siblings panic in all three cases. `harness/tests/arrows.rs` keeps them out of this crate.

use crate::exit;
use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

/// Why nothing more is written to stdout.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Closed {
    /// The reader has seen enough.
    ReaderGone,
    /// A write failed; the text says how.
    Failed(String),
}

static STDOUT: Mutex<Option<Closed>> = Mutex::new(None);

/// Prints to stdout, as `print!` does.
macro_rules! out {
    ($($arg:tt)*) => { $crate::output::to_stdout(format_args!($($arg)*)) };
}

/// Prints a line to stdout, as `println!` does.
macro_rules! outln {
    () => { $crate::output::to_stdout(format_args!("\n")) };
    ($($arg:tt)*) => { $crate::output::line_to_stdout(format_args!($($arg)*)) };
}

/// Prints a line to stderr, as `eprintln!` does.
macro_rules! errln {
    () => { $crate::output::line_to_stderr(format_args!("")) };
    ($($arg:tt)*) => { $crate::output::line_to_stderr(format_args!($($arg)*)) };
}

/// Prints to stderr, as `eprint!` does.
macro_rules! err {
    ($($arg:tt)*) => { $crate::output::to_stderr(format_args!($($arg)*)) };
}

/// Writes text to stdout. A failure is kept for [`finish`]; nothing more is written after one.
pub fn to_stdout(text: Arguments<'_>) {
    write_unless_closed(&mut io::stdout().lock(), &STDOUT, |out| out.write_fmt(text));
}

/// Writes a line to stdout, as [`to_stdout`].
pub fn line_to_stdout(text: Arguments<'_>) {
    write_unless_closed(&mut io::stdout().lock(), &STDOUT, |out| {
        out.write_fmt(text)?;
        out.write_all(b"\n")
    });
}

/// Writes bytes to stdout, as [`to_stdout`].
pub fn bytes_to_stdout(bytes: &[u8]) {
    write_unless_closed(&mut io::stdout().lock(), &STDOUT, |out| out.write_all(bytes));
}

/// Writes text to stderr in one piece, and drops it where that fails.
pub fn to_stderr(text: Arguments<'_>) {
    let _ = io::stderr().lock().write_all(text.to_string().as_bytes());
}

/// Writes a line to stderr, as [`to_stderr`].
pub fn line_to_stderr(text: Arguments<'_>) {
    to_stderr(format_args!("{text}\n"));
}

/// The exit code of the process: the verb's own, unless it is success and stdout could not be written.
pub fn finish(code: ExitCode) -> ExitCode {
    write_unless_closed(&mut io::stdout().lock(), &STDOUT, |_| Ok(()));
    let closed = STDOUT.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let Some(Closed::Failed(why)) = closed else { return code };
    errln!("heckle: cannot write to standard output: {why}");
    if code == ExitCode::SUCCESS { ExitCode::from(exit::BROKEN) } else { code }
}

fn write_unless_closed<W: Write>(stream: &mut W, closed: &Mutex<Option<Closed>>, write: impl FnOnce(&mut W) -> io::Result<()>) {
    let mut closed = closed.lock().unwrap_or_else(PoisonError::into_inner);
    if closed.is_some() {
        return;
    }
    // Flushed at once: what stays in a buffer until the process ends fails without anyone to see it.
    *closed = match write(stream).and_then(|()| stream.flush()) {
        Ok(()) => None,
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Some(Closed::ReaderGone),
        Err(e) => Some(Closed::Failed(e.to_string())),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream that takes so many writes and then fails.
    struct Failing {
        left: usize,
        with: i32,
        written: Vec<u8>,
    }

    impl Write for Failing {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.left == 0 {
                return Err(io::Error::from_raw_os_error(self.with));
            }
            self.left -= 1;
            self.written.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[track_caller]
    fn check(errno: i32, want: &Closed) {
        let (mut stream, closed) = (Failing { left: 1, with: errno, written: vec![] }, Mutex::new(None));
        for text in ["a", "b", "c"] {
            write_unless_closed(&mut stream, &closed, |out| out.write_all(text.as_bytes()));
            stream.left += usize::from(text == "b");
        }
        assert_eq!(closed.lock().unwrap().as_ref(), Some(want));
        assert_eq!(stream.written, b"a", "nothing is written after a gap");
    }

    #[test]
    fn a_stream_that_failed_gets_no_more_and_says_why() {
        check(libc::EPIPE, &Closed::ReaderGone);
        check(libc::ENOSPC, &Closed::Failed("No space left on device (os error 28)".into()));
    }
}
