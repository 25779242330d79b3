//! All output of the verbs passes through here, so that a closed reader or a full disk is handled in one place.
//!
//! | stream | what happens | then |
//! |---|---|---|
//! | stdout | its reader is gone (`heckle list \| head -1`) | the rest is dropped silently; the exit code is the
//! verb's own |
//! | stdout | it cannot be written (`heckle list > /dev/full`) | one line on stderr; success becomes 4, any other code stays |
//! | stderr | any error | dropped: an error that cannot be printed must not become another one |
//!
//! `println!` and its siblings panic in all three cases. The test `harness/cli/tests/arrows.rs` checks that neither
//! the engine nor the command uses them.

use crate::exit;
use heckle_history::printable;
use std::borrow::Cow;
use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

/// Reason why nothing more is written to stdout.
#[derive(Debug, Clone, PartialEq, Eq)]
enum WriteStop {
    /// The reader has closed its end of the pipe.
    ReaderGone,
    /// A write failed, with the text of the error.
    Failed(String),
}

static STDOUT: Mutex<Option<WriteStop>> = Mutex::new(None);

/// Prints to stdout, as `print!` does.
#[macro_export]
macro_rules! out {
    ($($arg:tt)*) => { $crate::output::to_stdout(format_args!($($arg)*)) };
}

/// Prints a line to stdout, as `println!` does.
#[macro_export]
macro_rules! outln {
    () => { $crate::output::to_stdout(format_args!("\n")) };
    ($($arg:tt)*) => { $crate::output::line_to_stdout(format_args!($($arg)*)) };
}

/// Prints a line to stderr, as `eprintln!` does.
#[macro_export]
macro_rules! errln {
    () => { $crate::output::line_to_stderr(format_args!("")) };
    ($($arg:tt)*) => { $crate::output::line_to_stderr(format_args!($($arg)*)) };
}

/// Prints to stderr, as `eprint!` does.
#[macro_export]
macro_rules! err {
    ($($arg:tt)*) => { $crate::output::to_stderr(format_args!($($arg)*)) };
}

/// Writes text to stdout. Stores a failure for [`finish`], after which nothing more is written.
pub fn to_stdout(text: Arguments<'_>) {
    write_unless_closed(&mut io::stdout().lock(), &STDOUT, |out| out.write_all(sanitize(&text.to_string()).as_bytes()));
}

/// Writes a line to stdout, like [`to_stdout`].
pub fn line_to_stdout(text: Arguments<'_>) {
    write_unless_closed(&mut io::stdout().lock(), &STDOUT, |out| {
        out.write_all(sanitize(&text.to_string()).as_bytes())?;
        out.write_all(b"\n")
    });
}

/// Writes bytes to stdout, like [`to_stdout`].
pub fn bytes_to_stdout(bytes: &[u8]) {
    write_unless_closed(&mut io::stdout().lock(), &STDOUT, |out| out.write_all(bytes));
}

/// Writes text to stderr in a single call, ignoring errors.
pub fn to_stderr(text: Arguments<'_>) {
    let _ = io::stderr().lock().write_all(sanitize(&text.to_string()).as_bytes());
}

/// Writes text with cursor movements to stderr. The text must not contain any external input.
pub fn drawing_to_stderr(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Writes a line to stderr, like [`to_stderr`].
pub fn line_to_stderr(text: Arguments<'_>) {
    to_stderr(format_args!("{text}\n"));
}

/// Removes control sequences before text reaches a terminal: text from a history, a node, a plan or a file must not
/// control the terminal, even if a verb forgot to check it. Our own colours pass, so fields must be made
/// [`printable`](heckle_history::printable::printable) when they are put into a line, and this is only the last
/// check. The meaning of JSON text is preserved.
fn sanitize(text: &str) -> Cow<'_, str> {
    if text.starts_with(['{', '[']) && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() {
        return printable::json(text);
    }
    if !text.contains('\x1b') {
        return printable::visible(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\x1b') {
        out.push_str(&printable::visible(&rest[..at]));
        rest = &rest[at..];
        let colour = colour_at(rest).unwrap_or_default();
        out.push_str(colour);
        if colour.is_empty() {
            out.push_str(&printable::escape('\x1b'));
        }
        rest = &rest[colour.len().max(1)..];
    }
    out.push_str(&printable::visible(rest));
    Cow::Owned(out)
}

/// Returns the colour sequence at the start of a text: `ESC [`, digits and `;`, then `m`.
fn colour_at(text: &str) -> Option<&str> {
    let body = text.strip_prefix("\x1b[")?;
    let end = body.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    body[end..].starts_with('m').then(|| &text[..2 + end + 1])
}

/// Returns the exit code of the process: the verb's own, unless that is success and stdout could not be written.
pub fn finish(code: ExitCode) -> ExitCode {
    write_unless_closed(&mut io::stdout().lock(), &STDOUT, |_| Ok(()));
    let closed = STDOUT.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let Some(WriteStop::Failed(why)) = closed else { return code };
    errln!("heckle: cannot write to standard output: {why}");
    if code == ExitCode::SUCCESS { ExitCode::from(exit::BROKEN) } else { code }
}

fn write_unless_closed<W: Write>(stream: &mut W, closed: &Mutex<Option<WriteStop>>, write: impl FnOnce(&mut W) -> io::Result<()>) {
    let mut closed = closed.lock().unwrap_or_else(PoisonError::into_inner);
    if closed.is_some() {
        return;
    }
    // Flush immediately: an error at process exit would go unnoticed.
    *closed = match write(stream).and_then(|()| stream.flush()) {
        Ok(()) => None,
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Some(WriteStop::ReaderGone),
        Err(e) => Some(WriteStop::Failed(e.to_string())),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_colour_sequences_pass() {
        for (text, want) in [
            ("plain\n\ttext ✓", "plain\n\ttext ✓"),
            ("\x1b[1;31mred\x1b[0m", "\x1b[1;31mred\x1b[0m"),
            ("a\x1b[2Jb", "a\\u{1b}[2Jb"),
            ("\x1b]0;title\x07", "\\u{1b}]0;title\\u{7}"),
            ("\x1b", "\\u{1b}"),
            ("\x1b[31", "\\u{1b}[31"),
            ("\u{9b}2J\u{202e}\r", "\\u{9b}2J\\u{202e}\\r"),
            ("{\"a\": \"\u{202e}\u{9b}\"}", "{\"a\": \"\\u202e\\u009b\"}"),
        ] {
            assert_eq!(sanitize(text), want);
        }
    }

    /// A stream that accepts a fixed number of writes and then fails.
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
    fn check(errno: i32, want: &WriteStop) {
        let (mut stream, closed) = (Failing { left: 1, with: errno, written: vec![] }, Mutex::new(None));
        for text in ["a", "b", "c"] {
            write_unless_closed(&mut stream, &closed, |out| out.write_all(text.as_bytes()));
            stream.left += usize::from(text == "b");
        }
        assert_eq!(closed.lock().unwrap().as_ref(), Some(want));
        assert_eq!(stream.written, b"a", "nothing is written after a gap");
    }

    #[test]
    fn a_failed_stream_gets_no_more_writes() {
        check(libc::EPIPE, &WriteStop::ReaderGone);
        check(libc::ENOSPC, &WriteStop::Failed("No space left on device (os error 28)".into()));
    }
}
