//! Reads events from JSON Lines, plain or compressed with zstd. Parsing is strict, and every error contains the line
//! number.
//!
//! A torn tail (the harness was killed, the file was cut) is not an error. The part before it is a valid history, so
//! the tail is dropped with a warning. Ill-formed lines before the tail are rejected.

use crate::end::{self, Completeness, EndRecord, Tally};
use crate::event::{Event, Header, SCHEMA};
use crate::figures;
use crate::ids::Nanos;
use crate::line;
use crate::names::Names;
use std::io::{self, BufRead, BufReader, Read};

/// Maximum length of a line. Lines written by heckle have about 300 bytes; the limit keeps a file without newlines from filling
/// memory.
pub const MAX_LINE_BYTES: u64 = 1 << 20;

/// Default maximum size of a history after decompression, in bytes.
pub const MAX_BYTES: u64 = 4 << 30;

/// Maximum number of consecutive blank lines. The writers of heckle produce none, but billions of them fit into a small
/// compressed file.
const MAX_BLANK_LINES: u64 = 1_000;

pub(crate) const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const READ_BUFFER_BYTES: usize = 1 << 18;

/// The reason why a history cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file violates a rule of the format.
    #[error("line {line}: {what}")]
    IllFormed {
        /// Line number, counted from 1, including the header.
        line: u64,
        /// The error, and how to fix it.
        what: String,
    },
    /// The file or its history exceeds a limit.
    #[error("line {line}: {what}")]
    TooLarge {
        /// The line at which the limit was exceeded.
        line: u64,
        /// The limit, and the flag that raises it.
        what: String,
    },
    /// The file could not be read.
    #[error("cannot read the history: {0}")]
    Io(#[from] io::Error),
}

impl ReadError {
    pub(crate) fn at(line: u64, what: impl Into<String>) -> Self {
        ReadError::IllFormed { line, what: what.into() }
    }

    fn line_too_long(line: u64) -> Self {
        ReadError::at(line, format!("longer than {MAX_LINE_BYTES} bytes; an event takes a few hundred"))
    }

    pub(crate) fn too_long(line: u64, max_bytes: u64) -> Self {
        let what = format!("the history is longer than {max_bytes} bytes after decompression; --max-bytes raises the bound");
        ReadError::TooLarge { line, what }
    }
}

/// Reads a history event by event.
pub struct Reader<'r> {
    input: Box<dyn BufRead + 'r>,
    header: Header,
    names: Names,
    buffer: Vec<u8>,
    line: u64,
    last_t: Nanos,
    warnings: Vec<String>,
    tally: Tally,
    end: Option<EndRecord>,
    completeness: Completeness,
    max_bytes: u64,
    bytes: u64,
    blank: u64,
}

/// The text of a history, decompressed if its first bytes identify it as compressed.
pub enum Decompressed<R: Read> {
    /// The input was not compressed.
    Plain(BufReader<R>),
    /// The input is compressed with zstd.
    Zstd(zstd::Decoder<'static, BufReader<R>>),
}

impl<R: Read> Decompressed<R> {
    /// Detects the compression from the first bytes of `input`.
    ///
    /// # Errors
    /// If reading from `input` fails.
    pub fn new(input: R) -> io::Result<Self> {
        let mut input = BufReader::with_capacity(READ_BUFFER_BYTES, input);
        let compressed = loop {
            match input.fill_buf() {
                Ok(first) => break first.starts_with(&ZSTD_MAGIC),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        };
        Ok(if compressed { Decompressed::Zstd(zstd::Decoder::with_buffer(input)?) } else { Decompressed::Plain(input) })
    }
}

impl<R: Read> Read for Decompressed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Decompressed::Plain(input) => input.read(buffer),
            Decompressed::Zstd(input) => input.read(buffer),
        }
    }
}

/// The result of reading one line.
enum Next {
    Line,
    End,
}

/// The result of the fast scanner.
#[allow(clippy::large_enum_variant)] // Returned for every line and never stored.
enum Scanned {
    Event(Event),
    /// The input ends here.
    End,
    /// The next line is left to the general parser.
    OtherLine,
}

impl<'r> Reader<'r> {
    /// Reads the header; the compression is detected from the first bytes.
    ///
    /// # Errors
    /// If the input is unreadable or empty, its first line is not a header, or its schema is different.
    pub fn new(input: impl Read + 'r) -> Result<Self, ReadError> {
        Reader::within(input, MAX_BYTES)
    }

    /// Like [`new`](Self::new), with a limit on the number of bytes after decompression.
    ///
    /// # Errors
    /// As for [`new`](Self::new). A larger file is reported as [`ReadError::TooLarge`], here or at a later line.
    pub fn within(input: impl Read + 'r, max_bytes: u64) -> Result<Self, ReadError> {
        Reader::of_text(BufReader::with_capacity(READ_BUFFER_BYTES, Decompressed::new(input)?), max_bytes)
    }

    /// Like [`within`](Self::within), for text that is already decompressed.
    ///
    /// # Errors
    /// As for [`within`](Self::within).
    pub fn of_text(input: impl BufRead + 'r, max_bytes: u64) -> Result<Self, ReadError> {
        let mut reader = Reader {
            input: Box::new(input),
            header: Header::default(),
            names: Names::default(),
            buffer: vec![],
            line: 0,
            last_t: Nanos(0),
            warnings: vec![],
            tally: Tally::default(),
            end: None,
            completeness: Completeness::NotPromised,
            max_bytes,
            bytes: 0,
            blank: 0,
        };
        if matches!(reader.next_line()?, Next::End) {
            let what = if reader.warnings.is_empty() {
                "the file is empty; a history begins with a header line"
            } else {
                "the file ends before its header line is complete"
            };
            return Err(ReadError::at(1, what));
        }
        reader.header = parse_header(&reader.buffer)?;
        reader.tally.bytes(&reader.buffer);
        if reader.header.end {
            reader.completeness = Completeness::Cut;
        }
        for key in &reader.header.keys {
            reader.names.key(key);
        }
        let declared = reader.header.figures.clone().unwrap_or_else(figures::of_earlier_histories);
        reader.names.declare_figures(&declared).map_err(|what| ReadError::at(1, what))?;
        if reader.header.nodes.len() > crate::names::MAX_NODES {
            return Err(ReadError::at(1, "the header names too many nodes"));
        }
        for node in &reader.header.nodes {
            reader.names.node(node);
        }
        Ok(reader)
    }

    /// Returns the header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Returns the keys and nodes seen so far.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Returns the limit on the number of bytes after decompression.
    pub fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// Returns the number of the last line read.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Returns warnings about truncated or skipped input. They are complete once [`next_event`](Self::next_event) has
    /// returned `None`.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Returns the next event, or `None` at the end of the file or at a torn tail.
    ///
    /// # Errors
    /// If a line is not an event, or is earlier than the previous line.
    pub fn next_event(&mut self) -> Result<Option<Event>, ReadError> {
        loop {
            match self.scan_event()? {
                Scanned::Event(event) => return Ok(Some(event)),
                Scanned::End => return Ok(None),
                Scanned::OtherLine => {}
            }
            if matches!(self.next_line()?, Next::End) {
                return Ok(None);
            }
            // The end record itself is not hashed, so check for it first.
            if end::looks_like_one(&self.buffer) && self.take_end_record()? {
                continue;
            }
            self.tally.bytes(&self.buffer);
            if self.buffer.iter().all(u8::is_ascii_whitespace) {
                self.blank += 1;
                if self.blank > MAX_BLANK_LINES {
                    return Err(ReadError::at(self.line, format!("over {MAX_BLANK_LINES} blank lines in a row; this is no history")));
                }
                continue;
            }
            if self.end.is_some() {
                self.altered_after_end();
            }
            let complete = self.buffer.ends_with(b"\n");
            let event = match line::parse(&self.buffer, &mut self.names) {
                Ok(event) => event,
                Err(_) if !complete => {
                    self.warn_torn("the last line is incomplete");
                    return Ok(None);
                }
                Err(what) => return Err(ReadError::at(self.line, what)),
            };
            return self.accept(event).map(Some);
        }
    }

    /// Reads the next line with the fast scanner if possible: the whole line is in memory and has the form written by this
    /// crate.
    #[inline]
    fn scan_event(&mut self) -> Result<Scanned, ReadError> {
        // Lines after an end record need special treatment.
        if self.end.is_some() {
            return Ok(Scanned::OtherLine);
        }
        let text = match self.input.fill_buf() {
            Ok(text) => text,
            // Nothing was read. The slower path tries again.
            Err(e) if e.kind() == io::ErrorKind::Interrupted => return Ok(Scanned::OtherLine),
            Err(e) => {
                self.line += 1;
                return self.read_failed(e).map(|_| Scanned::End);
            }
        };
        let Some((event, length)) = line::scan(text, &mut self.names) else { return Ok(Scanned::OtherLine) };
        if length as u64 > MAX_LINE_BYTES {
            self.line += 1;
            return Err(ReadError::line_too_long(self.line));
        }
        self.tally.bytes(&text[..length]);
        self.input.consume(length);
        self.line += 1;
        self.count_bytes(length)?;
        self.accept(event).map(Scanned::Event)
    }

    /// Checks the order of an event's time, and counts the event.
    fn accept(&mut self, event: Event) -> Result<Event, ReadError> {
        if event.t() < self.last_t {
            let what = format!("time goes back from {} ns to {} ns; events stand in the order of their times", self.last_t.0, event.t().0);
            return Err(ReadError::at(self.line, what));
        }
        self.last_t = event.t();
        self.blank = 0;
        self.tally.events += 1;
        Ok(event)
    }

    fn count_bytes(&mut self, more: usize) -> Result<(), ReadError> {
        self.bytes += more as u64;
        if self.bytes > self.max_bytes { Err(ReadError::too_long(self.line, self.max_bytes)) } else { Ok(()) }
    }

    /// Returns the header, names, warnings and the end record, after the events have been read.
    pub fn into_parts(self) -> (Header, Names, Vec<String>, (Completeness, Option<EndRecord>)) {
        (self.header, self.names, self.warnings, (self.completeness, self.end))
    }

    /// Compares the end record in `buffer` with the lines read; returns `false` if the record is torn.
    fn take_end_record(&mut self) -> Result<bool, ReadError> {
        let record: EndRecord = match serde_json::from_slice(&self.buffer) {
            Ok(record) => record,
            Err(_) if !self.buffer.ends_with(b"\n") => return Ok(false),
            Err(e) => return Err(ReadError::at(self.line, format!("not an end record: {e}"))),
        };
        if self.end.is_some() {
            self.altered_after_end();
        } else {
            self.completeness = self.tally.compare(&record);
            self.end = Some(record);
        }
        Ok(true)
    }

    fn altered_after_end(&mut self) {
        if !matches!(self.completeness, Completeness::Altered(_)) {
            self.completeness = Completeness::Altered(format!("line {} stands after its end record", self.line));
        }
    }

    fn warn_torn(&mut self, what: &str) {
        self.warnings.push(format!("line {}: {what}; the tail was cut there and what stands before it was read", self.line));
    }

    /// Fills `buffer` with the next line, including its newline if there is one.
    fn next_line(&mut self) -> Result<Next, ReadError> {
        self.buffer.clear();
        self.line += 1;
        let read = self.input.by_ref().take(MAX_LINE_BYTES + 1).read_until(b'\n', &mut self.buffer);
        self.count_bytes(self.buffer.len())?;
        match read {
            Ok(0) => Ok(Next::End),
            Ok(_) if self.buffer.len() as u64 > MAX_LINE_BYTES => Err(ReadError::line_too_long(self.line)),
            Ok(_) => Ok(Next::Line),
            Err(e) => self.read_failed(e),
        }
    }

    /// Handles a failed read. A compressed stream that ends early ends the history; any other failure is an error.
    fn read_failed(&mut self, error: io::Error) -> Result<Next, ReadError> {
        match error {
            // An unfinished zstd stream ends this way if the harness died during a write.
            e if e.kind() == io::ErrorKind::UnexpectedEof => {
                self.warn_torn("the compressed stream ends early");
                // The decoded part of the last line cannot be complete; otherwise its newline would have been found.
                Ok(Next::End)
            }
            e if self.line == 1 => Err(ReadError::Io(e)),
            e => Err(ReadError::at(self.line, format!("the file is damaged here: {e}"))),
        }
    }
}

fn parse_header(line: &[u8]) -> Result<Header, ReadError> {
    let hint =
        "a history begins with a line like {\"schema\":\"heckle.history/1\",\"keys\":[\"k1\"]}; for another format name it with --format";
    let header: Header = serde_json::from_slice(line).map_err(|e| ReadError::at(1, format!("not a header ({e}); {hint}")))?;
    if header.schema != SCHEMA {
        return Err(ReadError::at(1, format!("schema `{}` is not `{SCHEMA}`, the one this version reads", header.schema)));
    }
    if header.clock != "ns" {
        return Err(ReadError::at(1, format!("clock `{}` is not `ns`", header.clock)));
    }
    Ok(header)
}
