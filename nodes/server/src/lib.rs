//! Is tested: one node process: sockets, disk and clock around the Paxos core.
//!
//! Modules in reading order:
//! - [`options`]: settings of a node;
//! - [`node`]: starting and ending one, as a process or inside another program;
//! - [`frame`]: the envelope of every message;
//! - [`client_protocol`]: what clients and nodes say to each other;
//! - [`control`]: how a harness observes a node and injects faults;
//! - [`points`]: named moments at which a fault can be injected;
//! - [`capacity`]: how many bytes a node needs, before there is one;
//! - [`store_bench`]: the write-ahead log beside stores of others, under the same records;
//! - [`status`]: the figures a node gives about itself;
//! - `wire`: twins of the core's types for wire and disk;
//! - `storage`: write-ahead log, group sync, snapshots, recovery;
//! - `event_loop`: the one thread that owns the core;
//! - `gate`: what leaves waits for the disk;
//! - `shell`: what the tasks of a node share;
//! - `peers`, `clients`, `net`: connections to other nodes and from clients;
//! - `lease_watch`: changes of leases, for watchers;
//! - `metrics`: histograms, and the figures for Prometheus on request;
//! - `clock`, `timers`, `log`, `encoding`: small parts.

pub mod capacity;
pub mod client_protocol;
mod clients;
mod clock;
pub mod control;
mod event_loop;
mod encoding;
pub mod frame;
mod gate;
mod lease_watch;
mod log;
mod metrics;
mod net;
pub mod node;
pub mod options;
mod peers;
pub mod points;
mod shell;
pub mod status;
mod storage;
pub mod store_bench;
#[cfg(test)]
mod testing;
mod timers;
mod wire;

pub use node::{Node, NodeError, NodeHandle, Ready, run_node};
pub use options::{NodeId, NodeOptions, OptionsError};
pub use storage::StorageError;
