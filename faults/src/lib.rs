//! Faults as data: what can go wrong, where, when and for how long. Pure and seeded: no clock, no IO.
//!
//! The same seed and settings give the same schedule. Modules in reading order:
#![forbid(unsafe_code)]

mod fault; // what can go wrong, and what it targets
pub mod schedule; // when it does
pub mod schedule_file; // a schedule as JSON Lines

pub use fault::*;
