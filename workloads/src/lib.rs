//! Workloads: they decide which ops are sent and when. Pure and seeded: no clock, no IO.
//!
//! The same seed and settings give the same choices. Modules in reading order:
#![forbid(unsafe_code)]

pub mod shape; // a load that changes over time
pub mod pacing; // when each op is due
pub mod keys; // the choice of the key
pub mod mix; // read, write or cas
pub mod workload; // the workload trait: intents, attempts and the next action of a client
mod pause; // the wait of a client before it retries
pub mod cas_register; // independent ops without intents
pub mod retry; // read and CAS until it succeeds
pub mod mutex; // take a lock, hold it, release it
pub mod registry; // workloads by name
pub mod driver; // which client sends what, when, and as which process
