//! Histories of other tools, in and out.
//!
//! | format | what it is |
//! |---|---|
//! | `jepsen-edn` | Jepsen's `history.edn`: a map an event |
//! | `knossos-json` | the same as JSON: what Knossos and elle-cli read |
//! | `porcupine-log` | Porcupine's test data: `jepsen.util` log lines of an etcd register, or maps of a key-value store |
//! | `csv` | a row an op, times in nanoseconds |
//!
//! A foreign file becomes [`Foreign`], a list of ops whose values are still JSON, since it may speak of sets, queues
//! or texts. A register's ops become a [`History`] by [`Foreign::into_history`] and are then judged
//! like our own. Fates have no place in other formats and are left out when writing.

pub mod csv; // a row an op
mod edn; // the notation of Clojure, as far as histories use it
pub mod events; // events to ops: the rules of Jepsen's histories
pub mod jepsen; // jepsen-edn
pub mod knossos; // knossos-json
pub mod porcupine; // porcupine-log
mod register; // ops of a register to a history and back

use crate::ids::{KeyId, Nanos};
use crate::operation::History;
use crate::reader::ReadError;
use serde_json::Value as Json;
use std::io::Read;

/// A foreign file may be this long: it is held in memory whole.
pub const MAX_BYTES: u64 = 4 << 30;

/// A line of a format of lines may be this long.
pub const MAX_LINE_BYTES: usize = 16 << 20;

/// Which foreign format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Jepsen's EDN.
    JepsenEdn,
    /// Knossos' and elle-cli's JSON.
    KnossosJson,
    /// Porcupine's text logs.
    PorcupineLog,
    /// Comma-separated values.
    Csv,
}

impl Format {
    /// Every format with the word for it.
    pub const ALL: [(Format, &'static str); 4] = [
        (Format::JepsenEdn, "jepsen-edn"),
        (Format::KnossosJson, "knossos-json"),
        (Format::PorcupineLog, "porcupine-log"),
        (Format::Csv, "csv"),
    ];
}

impl std::str::FromStr for Format {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let known = || Format::ALL.map(|(_, word)| word).join(", ");
        Format::ALL
            .iter()
            .find(|(_, word)| *word == s)
            .map(|(format, _)| *format)
            .ok_or_else(|| format!("format `{s}` is none of {}", known()))
    }
}

/// A foreign history.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Foreign {
    /// Its ops, by invocation.
    pub ops: Vec<ForeignOp>,
    /// What was passed over.
    pub warnings: Vec<String>,
}

/// One op of a foreign history.
#[derive(Debug, Clone, PartialEq)]
pub struct ForeignOp {
    /// The line of its invoke.
    pub line: u64,
    /// Who called.
    pub process: i64,
    /// On which key; formats of one key call it `k1`.
    pub key: String,
    /// What: `read`, `write`, `cas`, `add`, `enqueue`, …
    pub f: String,
    /// With what argument.
    pub argument: Json,
    /// When it was invoked: the file's time, or the event's place where it has none.
    pub invoked: Nanos,
    /// When it completed; `None` if it never did.
    pub completed: Option<Nanos>,
    /// What came of it.
    pub outcome: ForeignOutcome,
}

/// What came of a foreign op.
#[derive(Debug, Clone, PartialEq)]
pub enum ForeignOutcome {
    /// It happened and answered this.
    Ok(Json),
    /// A CAS that did not find what it expected, and what it found, if told.
    Refused(Option<Json>),
    /// It did not happen.
    Failed,
    /// It may have happened.
    Unknown,
}

/// Reads a foreign history, plain or compressed by zstd.
///
/// # Errors
/// What is wrong, with its line.
pub fn read(format: Format, input: impl Read) -> Result<Foreign, ReadError> {
    let text = text(input)?;
    match format {
        Format::JepsenEdn => jepsen::read(&text),
        Format::KnossosJson => knossos::read(&text),
        Format::PorcupineLog => porcupine::read(&text),
        Format::Csv => csv::read(&text),
    }
}

/// Writes one key of a register's history; CSV takes any number of keys, the others know only one.
pub fn write(format: Format, history: &History, key: KeyId) -> String {
    let foreign = Foreign::of_history(history, key);
    match format {
        Format::JepsenEdn => jepsen::write(&foreign),
        Format::KnossosJson => knossos::write(&foreign),
        Format::PorcupineLog => porcupine::write(&foreign),
        Format::Csv => csv::write(&foreign),
    }
}

fn text(input: impl Read) -> Result<String, ReadError> {
    let mut bytes = vec![];
    read_bounded(input, &mut bytes)?;
    if bytes.starts_with(&crate::reader::ZSTD_MAGIC) {
        let compressed = std::mem::take(&mut bytes);
        read_bounded(zstd::Decoder::with_buffer(&compressed[..])?, &mut bytes)?;
    }
    String::from_utf8(bytes).map_err(|e| {
        let valid = e.utf8_error().valid_up_to();
        let line = 1 + e.as_bytes()[..valid].iter().filter(|&&b| b == b'\n').count() as u64;
        ReadError::at(line, "not UTF-8 text; is this the right format?")
    })
}

fn read_bounded(input: impl Read, bytes: &mut Vec<u8>) -> Result<(), ReadError> {
    input.take(MAX_BYTES + 1).read_to_end(bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(ReadError::at(1, format!("the file is longer than {MAX_BYTES} bytes; foreign formats are held in memory whole")));
    }
    Ok(())
}

/// The lines of a text with their numbers, none of them endless.
fn lines(text: &str) -> impl Iterator<Item = Result<(u64, &str), ReadError>> {
    (1u64..).zip(text.lines()).map(|(number, line)| {
        if line.len() > MAX_LINE_BYTES {
            return Err(ReadError::at(number, format!("longer than {MAX_LINE_BYTES} bytes")));
        }
        Ok((number, line))
    })
}
