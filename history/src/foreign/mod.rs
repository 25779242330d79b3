//! Reads and writes histories of other tools.
//!
//! | format | what it is |
//! |---|---|
//! | `jepsen-edn` | Jepsen's `history.edn`: one map per event |
//! | `knossos-json` | the same events as JSON, as read by Knossos and elle-cli |
//! | `porcupine-log` | Porcupine's test data: `jepsen.util` log lines of an etcd register, or maps of a key-value store |
//! | `csv` | one row per op, times in nanoseconds |
//!
//! A foreign file is read as [`Foreign`], a list of ops whose values are still JSON, since it may contain sets, queues
//! or texts. [`Foreign::into_history`] converts the ops of a register to a [`History`], which is then judged like any
//! other. Other formats cannot represent fates, so writing omits them.

pub mod csv; // one row per op
mod edn; // the notation used by Clojure
pub mod event; // one event of a foreign file
pub mod events; // converts events to ops according to the rules of Jepsen's histories
pub mod jepsen; // jepsen-edn
pub mod keys; // determines the key of an op
pub mod knossos; // knossos-json
pub mod porcupine; // porcupine-log
pub mod process; // the calling process
mod register; // converts ops of a register to a history and back
pub mod summary; // how a file was interpreted
mod text; // converts bytes to text, within limits
mod unpair; // converts ops to events
pub mod values; // maps values of any type to numbers

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

/// Default maximum size of a foreign file after decompression. The whole file is held in memory.
pub const MAX_BYTES: u64 = 1 << 30;

/// Maximum length of a line in line-based formats.
pub const MAX_LINE_BYTES: usize = 16 << 20;

/// A foreign format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Jepsen's EDN.
    JepsenEdn,
    /// The JSON of Knossos and elle-cli.
    KnossosJson,
    /// Porcupine's text logs.
    PorcupineLog,
    /// Comma-separated values.
    Csv,
}

impl Format {
    /// All formats with their names.
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
    /// The ops, sorted by invocation.
    pub ops: Vec<ForeignOp>,
    /// Caveats that apply to a verdict.
    pub warnings: Vec<String>,
    /// How the file was interpreted.
    pub summary: Summary,
}

/// Options for reading a foreign history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadOptions {
    /// Maximum size after decompression, in bytes; a larger file is rejected.
    pub max_bytes: u64,
    /// Whether lines that cannot be parsed are skipped and counted instead of rejected.
    pub lenient: bool,
    /// The source of keys.
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
    /// Line number of the invoke.
    pub line: u64,
    /// The calling process.
    pub process: Process,
    /// Name of the key; formats with a single key use `k1`.
    pub key: String,
    /// The function: `read`, `write`, `cas`, `add`, `enqueue`, …
    pub f: String,
    /// The argument.
    pub argument: Json,
    /// When the op was invoked: the time in the file, or the index of the event if it has no time.
    pub invoked: Nanos,
    /// When the op completed; `None` if it never did.
    pub completed: Option<Nanos>,
    /// The outcome.
    pub outcome: ForeignOutcome,
}

/// The outcome of a foreign op.
#[derive(Debug, Clone, PartialEq)]
pub enum ForeignOutcome {
    /// The op happened, with this answer.
    Ok(Json),
    /// A CAS that did not find the expected value, with the value found, if reported.
    Refused(Option<Json>),
    /// The op did not happen.
    Failed,
    /// The op may have happened.
    Unknown,
}

/// Reads a foreign history, plain or compressed with zstd.
///
/// # Errors
/// If the input cannot be read or parsed; the error contains the line number.
pub fn read(format: Format, input: impl Read) -> Result<Foreign, ReadError> {
    read_with(format, input, ReadOptions::default())
}

/// Like [`read`], with options.
///
/// # Errors
/// If the input cannot be read or parsed; the error contains the line number.
pub fn read_with(format: Format, input: impl Read, options: ReadOptions) -> Result<Foreign, ReadError> {
    let text = text::read(input, options.max_bytes)?;
    match format {
        Format::JepsenEdn => jepsen::read(&text, options),
        Format::KnossosJson => knossos::read(&text, options),
        Format::PorcupineLog => porcupine::read(&text, options),
        Format::Csv => csv::read(&text, options),
    }
}

/// Writes one key of a register's history.
pub fn write(format: Format, history: &History, key: KeyId) -> String {
    let foreign = Foreign::of_history(history, key);
    match format {
        Format::JepsenEdn => jepsen::write(&foreign),
        Format::KnossosJson => knossos::write(&foreign),
        Format::PorcupineLog => porcupine::write(&foreign),
        Format::Csv => csv::write(&foreign),
    }
}
