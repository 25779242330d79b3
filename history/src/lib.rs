//! Remembers: what happened in a run, as events in time order, and how that is written down and read back.
//!
//! A history is the only thing a verdict may rest on, so this crate keeps it small and strict. It does no
//! IO of its own: readers and writers are arguments. Modules in reading order:
#![forbid(unsafe_code)]

pub mod ids; // the numbers everything else is made of
pub mod names; // keys, nodes and figures as small numbers
pub mod figures; // what a system reports about an operation, and what that means
pub mod event; // one line of a history, typed
pub mod line; // its JSON twin, the file format
pub mod end; // the last line, which tells a whole history from a cut one
pub mod writer; // events to JSON Lines in zstd, readable up to the last flush
pub mod reader; // and back, refusing what is ill-formed by line number
pub mod operation; // invokes paired with completions: what the checkers read
pub mod foreign; // histories of Jepsen, Knossos, Porcupine and spreadsheets, in and out
pub mod drawn; // histories drawn as text, for tests
pub mod printable; // text from elsewhere on its way to a person
pub mod prng; // named sub-seeds: the one place where randomness starts

pub use end::{Completeness, EndRecord};
pub use event::{Call, Completion, Consistency, Current, Event, Fate, FaultEvent, FaultState, Header, Invoke, NodeEvent, Path, Seen};
pub use figures::{Diagnostics, Figure, FigureInfo, Measure, Unit};
pub use ids::{ClientId, FigureId, IntentId, KeyId, Nanos, NodeIx, OpId, ProcessId, RunId, Value};
pub use names::Names;
pub use operation::{History, Operation, Outcome};
