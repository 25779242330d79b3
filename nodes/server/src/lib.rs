//! One node process under test: sockets, disk and clock around the Paxos core.
//!
//! Modules in reading order:
//! - [`options`]: the settings with which a node starts;
//! - [`node`]: starting and stopping a node, as a process or inside another program;
//! - [`frame`]: the envelope of every message;
//! - [`client_protocol`]: the protocol between clients and nodes;
//! - [`control`]: the channel through which a harness watches a node and injects faults;
//! - [`points`]: named points in the code at which a fault can be injected;
//! - [`capacity`]: estimates of the disk space and memory that a node needs;
//! - [`store_bench`]: a benchmark of the write-ahead log against other stores, with the same records;
//! - [`status`]: the status figures reported by a node;
//! - `wire`: serializable counterparts of the core's types, for the network and the disk;
//! - `storage`: write-ahead log, group sync, snapshots, recovery;
//! - `amnesia`: detects that a node has lost promises, and keeps it from voting;
//! - `verify`: checks a whole data folder;
//! - `event_loop`: the thread that owns the core;
//! - `gate`: holds back outgoing messages until the disk has synced;
//! - `shell`: the state shared by the tasks of a node;
//! - `resources`: per-node limits on file descriptors and buffers;
//! - `secret`: the cluster's secret, and proofs of knowing it;
//! - `peers`, `clients`, `net`: connections to other nodes and from clients;
//! - `lease_watch`: lease changes, for watchers;
//! - `metrics`: histograms, and the Prometheus endpoint;
//! - `clock`, `timers`, `log`, `encoding`: helpers.

mod amnesia;
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
mod resources;
mod secret;
mod shell;
pub mod status;
mod storage;
pub mod store_bench;
#[cfg(test)]
mod testing;
mod timers;
mod verify;
mod wire;

pub use amnesia::LostState;
pub use node::{Node, NodeError, NodeHandle, Ready, run_node};
pub use options::{NodeId, NodeOptions, OptionsError};
pub use resources::descriptors::raise_limit as raise_open_files;
pub use secret::{ClusterSecret, SecretError};
pub use storage::{PowerLoss, StorageError, lose_power, unsynced_writes};
pub use verify::{VerifiedFolder, verify_folder};
