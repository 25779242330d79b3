//! Is tested: a virtual world of network, disks, clocks and crashes around the Paxos core.
//!
//! One seed and one [`WorldConfig`] fix a run bit for bit: the same messages are lost, the same
//! syncs are slow, the same processes die. The world drives [`heckle_paxos::Replica::step`], the
//! very function that the server runs, and a judge of its own watches from above: it sees what
//! every disk holds and what every client was answered.
//!
//! Modules in reading order:
//! - [`config`]: what a world is like;
//! - [`profile`]: families of worlds that seeds draw from;
//! - [`world`]: the event loop;
//! - [`node`]: one process: its replica, its disk, its clock, what it holds back;
//! - [`disk`]: appends, group syncs, and what a crash leaves;
//! - [`clock`]: offset, drift and resolution;
//! - [`net`]: loss, delay, duplication, reordering, cuts;
//! - [`client`]: clients that contend;
//! - [`fault`]: which faults strike when;
//! - [`judge`]: the invariants;
//! - `op_record`: what is kept of each operation;
//! - [`report`]: what a run leaves.
#![forbid(unsafe_code)]

pub mod client;
pub mod clock;
pub mod config;
pub mod disk;
pub mod fault;
pub mod judge;
pub mod net;
pub mod node;
pub mod profile;
mod op_record;
pub mod report;
pub mod world;

pub use config::WorldConfig;
pub use fault::FaultKind;
pub use judge::{Violation, ViolationKind};
pub use op_record::OpRecord;
pub use profile::Profile;
pub use report::Report;
pub use world::World;
