//! Support for any system: a plan describes its processes with templates, and a client driver speaks JSON lines on its standard input and
//! output.
//!
//! Modules in reading order:
#![forbid(unsafe_code)]

mod spec; // a plan's description of a system: [system], [[system.process]]
pub mod template; // text with placeholders
mod nodes; // addresses and processes from the templates
mod attach; // nodes that run already, and their commands
mod command; // short commands, with limits
mod ready; // readiness of processes
mod protocol; // driver protocol 1: lines and messages
mod driver; // the driver of a run: its process and pipes
mod connection; // operations over the driver
pub mod check; // `heckle driver check`: scripted cases
pub mod skeleton; // the files written by `heckle init`
mod system; // implements the engine's `System` trait

pub use system::ExternalSystems;
