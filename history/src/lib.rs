//! Histories: the events of a run in time order, and how they are written and read.
//!
//! A verdict depends only on the history, so this crate is small and strict. It does no IO itself: readers and writers
//! are passed as arguments. Modules in reading order:
#![forbid(unsafe_code)]

pub mod ids; // numeric ids and times
pub mod names; // keys, nodes and figures as small numbers
pub mod figures; // the figures that a system reports about an operation
pub mod event; // the events of a history
pub mod line; // the JSON form of an event, the file format
pub mod end; // the last line, which distinguishes a complete history from a truncated one
pub mod writer; // writes events as JSON Lines in zstd, readable up to the last flush
pub mod reader; // reads events and reports errors by line number
pub mod operation; // operations: invokes paired with completions
pub mod foreign; // reads and writes histories of Jepsen, Knossos, Porcupine and spreadsheets
pub mod drawn; // histories drawn as text, for tests
pub mod printable; // escapes untrusted text for display
pub mod prng; // named random streams derived from a seed

pub use end::{Completeness, EndRecord};
pub use event::{Call, Completion, Consistency, Current, Event, Fate, FaultEvent, FaultState, Header, Invoke, NodeEvent, Path, Seen};
pub use figures::{Diagnostics, Figure, FigureInfo, Measure, Unit};
pub use ids::{ClientId, FigureId, IntentId, KeyId, Nanos, NodeIx, OpId, ProcessId, RunId, Value};
pub use names::Names;
pub use operation::{History, Operation, Outcome};
