//! Decides what is asked and when. Pure and seeded: no clock, no IO.
//!
//! The same seed and settings give the same choices. Modules in reading order:
#![forbid(unsafe_code)]

pub mod pacing; // when each op is due
pub mod keys; // on which key
pub mod mix; // read, write or cas
pub mod workload; // what a workload is: intents, attempts, and what a client does next
mod pause; // how long a client waits before it tries again
pub mod cas_register; // every op for itself
pub mod retry; // read and CAS until it succeeds
pub mod mutex; // take a lock, hold it, release it
pub mod registry; // workloads by name
pub mod driver; // which client sends what, when, and as which process
