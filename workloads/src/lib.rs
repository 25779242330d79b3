//! Workloads: decide which ops are sent and when. They are pure and seeded, without a clock or IO.
//!
//! The same seed and settings give the same choices. Modules in reading order:
#![forbid(unsafe_code)]

pub mod shape; // a load that changes over time
pub mod pacing; // when each op is due
pub mod keys; // chooses the key of an op
pub mod mix; // the shares of reads, writes and CAS
pub mod workload; // the workload trait: intents, attempts and the next action of a client
mod pause; // how long a client waits before it retries
pub mod cas_register; // independent ops without intents
pub mod retry; // read and CAS until the CAS succeeds
pub mod mutex; // take a lock, hold it, release it
pub mod registry; // workloads by name
pub mod driver; // which client sends what, when, and as which process
