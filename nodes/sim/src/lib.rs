//! A simulator: runs the Paxos core in a virtual world of network, disks, clocks and crashes.
//!
//! One seed and one [`WorldConfig`] determine a run bit for bit: the same messages are lost, the same syncs are slow,
//! and the same processes die. The world drives [`heckle_paxos::Replica::step`], the same function that the server
//! runs. The simulator's checker observes everything: the contents of every disk and all replies to clients.
//!
//! Modules in reading order:
//! - [`config`]: the settings of a world;
//! - [`profile`]: families of worlds, from which a seed draws one;
//! - [`world`]: the event loop;
//! - [`node`]: one node: its replica, disk and clock, and the messages held back for the disk;
//! - [`disk`]: appends, group syncs, and the state after a crash;
//! - [`clock`]: offset, drift and resolution;
//! - [`net`]: loss, delay, duplication, reordering, cuts;
//! - [`client`]: contending clients;
//! - [`fault`]: the faults and their schedule;
//! - [`checker`]: the checker of the invariants;
//! - `op_record`: the record of an operation;
//! - [`report`]: the results of a run.
#![forbid(unsafe_code)]

pub mod client;
pub mod clock;
pub mod config;
pub mod disk;
pub mod fault;
pub mod checker;
pub mod net;
pub mod node;
pub mod profile;
mod op_record;
pub mod report;
pub mod world;

pub use checker::{Violation, ViolationKind};
pub use config::WorldConfig;
pub use fault::FaultKind;
pub use op_record::OpRecord;
pub use profile::Profile;
pub use report::Report;
pub use world::World;
