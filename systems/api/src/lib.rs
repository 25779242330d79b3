//! The seam between the engine and a system under test.
//!
//! The engine starts processes, sends operations, injects faults and records what happened. It knows no system: everything that
//! differs between systems is asked of the [`System`] of the run. A system is a crate that implements that trait, plus one line in the
//! command's list of systems. No system is named here.
//!
//! Modules in reading order:
#![forbid(unsafe_code)]

pub mod system; // what a system must do
pub mod capability; // what a system may do: metrics, roles, clocks, framed links
pub mod connection; // one operation to one node, and its reply
pub mod value; // a value's bytes
pub mod identity; // which node must answer at an address
pub mod process; // one process: program, files, environment, output, end
pub mod launch; // nodes: their processes and addresses, and when they are ready
pub mod limits; // of this process and machine: an error in words
pub mod settings; // a system's own settings
pub mod units; // times and rates as people write them

pub use system::{DescribedSystems, FinalReads, PlanMistake, SettingKey, System, SystemKind};
