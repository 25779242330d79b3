//! Events to JSON Lines in zstd, streamed while the run goes on.
//!
//! A harness that dies by SIGKILL leaves what was flushed: zstd blocks end at each flush, and the reader cuts
//! a torn tail with a warning. Flushing costs compression, so the recorder flushes by time, not by event.

use crate::event::{Event, Header};
use crate::line;
use crate::names::Names;
use std::io::{self, Write};

/// zstd's own default; 1.5 s of CPU per million events.
const LEVEL: i32 = 3;

/// Writes a history into `W`.
pub struct Writer<W: Write> {
    out: zstd::Encoder<'static, W>,
    buffer: Vec<u8>,
    events: u64,
}

impl<W: Write> Writer<W> {
    /// Writes the header and is ready for events.
    ///
    /// # Errors
    /// From `out`.
    pub fn new(out: W, header: &Header) -> io::Result<Self> {
        let mut out = zstd::Encoder::new(out, LEVEL)?;
        out.include_checksum(true)?;
        serde_json::to_writer(&mut out, header)?;
        out.write_all(b"\n")?;
        let mut writer = Writer { out, buffer: Vec::with_capacity(512), events: 0 };
        writer.flush()?;
        Ok(writer)
    }

    /// Appends one event. It is on disk after the next [`flush`](Self::flush).
    ///
    /// # Errors
    /// From `out`.
    pub fn write(&mut self, event: &Event, names: &Names) -> io::Result<()> {
        self.buffer.clear();
        line::format(event, names, &mut self.buffer);
        self.events += 1;
        self.out.write_all(&self.buffer)
    }

    /// Ends the current zstd block, so that everything written so far can be read back.
    ///
    /// # Errors
    /// From `out`.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// How many events were written.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Ends the stream and hands `out` back.
    ///
    /// # Errors
    /// From `out`.
    pub fn finish(self) -> io::Result<W> {
        let mut out = self.out.finish()?;
        out.flush()?;
        Ok(out)
    }
}

/// Writes a history as plain JSON Lines: what `heckle export` and counterexamples use.
///
/// # Errors
/// From `out`.
pub fn write_plain<'a>(mut out: impl Write, header: &Header, names: &Names, events: impl IntoIterator<Item = &'a Event>) -> io::Result<()> {
    serde_json::to_writer(&mut out, header)?;
    out.write_all(b"\n")?;
    let mut buffer = Vec::with_capacity(512);
    for event in events {
        buffer.clear();
        line::format(event, names, &mut buffer);
        out.write_all(&buffer)?;
    }
    out.flush()
}
