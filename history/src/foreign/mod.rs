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
mod edn; // the notation of Clojure
pub mod events; // events to ops: the rules of Jepsen's histories
pub mod jepsen; // jepsen-edn
pub mod keys; // on which key an op works
pub mod knossos; // knossos-json
pub mod porcupine; // porcupine-log
pub mod process; // who calls
mod register; // ops of a register to a history and back
pub mod summary; // what a reader made of a file
mod text; // bytes to text, within bounds
mod unpair; // ops to events
pub mod values; // values of any shape as numbers

pub use keys::{KeyFrom, KeySource};
pub use process::Process;
pub use register::RegisterHistory;
pub use summary::{OrderSource, Summary};
pub use values::Values;

use crate::ids::{KeyId, Nanos};
use crate::operation::History;
use crate::reader::ReadError;
use serde_json::Value as Json;
use std::io::Read;

/// A foreign file may be this long after decompression, unless it is said otherwise: it is held in memory whole.
pub const MAX_BYTES: u64 = 1 << 30;

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
    /// What a user should know before trusting a verdict.
    pub warnings: Vec<String>,
    /// What the reader made of the file.
    pub summary: Summary,
}

/// How to read a foreign history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadOptions {
    /// Bytes after decompression; a longer file is refused.
    pub max_bytes: u64,
    /// Whether lines that cannot be understood are passed over, and counted, rather than refused.
    pub lenient: bool,
    /// Where keys come from.
    pub key_from: KeyFrom,
}

impl Default for ReadOptions {
    fn default() -> Self {
        ReadOptions { max_bytes: MAX_BYTES, lenient: false, key_from: KeyFrom::Auto }
    }
}

/// One op of a foreign history.
#[derive(Debug, Clone, PartialEq)]
pub struct ForeignOp {
    /// The line of its invoke.
    pub line: u64,
    /// Who called.
    pub process: Process,
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
    read_with(format, input, ReadOptions::default())
}

/// The same with options.
///
/// # Errors
/// What is wrong, with its line.
pub fn read_with(format: Format, input: impl Read, options: ReadOptions) -> Result<Foreign, ReadError> {
    let text = text::read(input, options.max_bytes)?;
    match format {
        Format::JepsenEdn => jepsen::read(&text, options),
        Format::KnossosJson => knossos::read(&text, options),
        Format::PorcupineLog => porcupine::read(&text, options),
        Format::Csv => csv::read(&text, options),
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
