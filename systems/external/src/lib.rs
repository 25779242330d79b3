//! Any system: processes that a plan describes by templates, and a client driver that speaks JSON lines on its standard input and output.
//!
//! Modules in reading order:
#![forbid(unsafe_code)]

mod spec; // what a plan says: [system], [[system.process]]
pub mod template; // texts with placeholders
mod nodes; // addresses and processes from the templates
mod command; // short commands, with limits
mod ready; // whether processes are ready
mod protocol; // driver protocol 1: lines and messages
mod driver; // the driver of a run: its process and pipes
mod connection; // operations over the driver
pub mod check; // `heckle driver check`: scripted cases
pub mod skeleton; // what `heckle init` writes
mod system; // all of it, as the engine sees a system

pub use system::ExternalSystems;
