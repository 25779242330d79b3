//! Streams events to JSON Lines, compressed with zstd, during a run.
//!
//! If the harness is killed, all flushed events remain readable: zstd blocks end at each flush, and the reader
//! truncates a torn tail with a warning. Flushing reduces compression, so the recorder flushes at intervals rather than
//! after every event.

use crate::end::{EndRecord, Tally};
use crate::event::{Event, Header};
use crate::line;
use crate::names::Names;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// The default level of zstd. It uses 1.5 s of CPU per million events.
const LEVEL: i32 = 3;

/// Writes a history to `W`. Its header promises an end record, so a file that was not [finished](Self::finish) is
/// recognised as truncated.
pub struct Writer<W: Write> {
    out: zstd::Encoder<'static, W>,
    buffer: Vec<u8>,
    tally: Tally,
}

impl<W: Write> Writer<W> {
    /// Creates a writer and writes the header.
    ///
    /// # Errors
    /// If writing to `out` fails.
    pub fn new(out: W, header: &Header) -> io::Result<Self> {
        let mut out = zstd::Encoder::new(out, LEVEL)?;
        out.include_checksum(true)?;
        let mut writer = Writer { out, buffer: Vec::with_capacity(512), tally: Tally::default() };
        format_header(header, &mut writer.buffer)?;
        writer.write_buffer()?;
        writer.flush()?;
        Ok(writer)
    }

    /// Appends one event. It is on disk after the next [`flush`](Self::flush).
    ///
    /// # Errors
    /// If writing to `out` fails.
    pub fn write(&mut self, event: &Event, names: &Names) -> io::Result<()> {
        self.buffer.clear();
        line::format(event, names, &mut self.buffer);
        self.tally.events += 1;
        self.write_buffer()
    }

    fn write_buffer(&mut self) -> io::Result<()> {
        self.tally.bytes(&self.buffer);
        self.out.write_all(&self.buffer)
    }

    /// Ends the current zstd block, so everything written so far can be read.
    ///
    /// # Errors
    /// If writing to `out` fails.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Returns the number of events written.
    pub fn events(&self) -> u64 {
        self.tally.events
    }

    /// Writes the end record with the fields in `more`, ends the stream and returns `out`.
    ///
    /// # Errors
    /// If writing to `out` fails.
    pub fn finish(mut self, more: BTreeMap<String, Json>) -> io::Result<(W, EndRecord)> {
        let end = self.tally.record(more);
        self.out.write_all(&end.line())?;
        let mut out = self.out.finish()?;
        out.flush()?;
        Ok((out, end))
    }
}

/// Formats the header line. A writer of this line must also write an end record.
fn format_header(header: &Header, out: &mut Vec<u8>) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &Header { end: true, ..header.clone() })?;
    out.push(b'\n');
    Ok(())
}

/// Writes a history as plain JSON Lines, for `heckle export` and counterexamples.
///
/// # Errors
/// If writing to `out` fails.
pub fn write_plain<'a>(mut out: impl Write, header: &Header, names: &Names, events: impl IntoIterator<Item = &'a Event>) -> io::Result<()> {
    let (mut buffer, mut tally) = (Vec::with_capacity(512), Tally::default());
    format_header(header, &mut buffer)?;
    tally.bytes(&buffer);
    out.write_all(&buffer)?;
    for event in events {
        buffer.clear();
        line::format(event, names, &mut buffer);
        tally.events += 1;
        tally.bytes(&buffer);
        out.write_all(&buffer)?;
    }
    out.write_all(&tally.record(BTreeMap::new()).line())?;
    out.flush()
}
