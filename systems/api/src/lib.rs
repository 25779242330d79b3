//! The interface between the engine and a system under test.
//!
//! The engine starts processes, sends operations, injects faults and records what happened. It is independent of any particular
//! system: everything specific comes from the [`System`] of the run. To add a system, implement that trait in a crate and add a line
//! to the command's list of systems. This crate refers to no specific system.
//!
//! Modules in reading order:
#![forbid(unsafe_code)]

pub mod system; // the required interface of a system
pub mod capability; // optional capabilities: metrics, roles, clocks, framed links
pub mod connection; // one operation on one node, and its reply
pub mod exchange; // connecting, sending, and the meaning of failures, for systems over TCP
pub mod value; // encoding of values
pub mod identity; // the identity of the node that must answer at an address
pub mod process; // one process: program, files, environment, output, end
pub mod attached; // a cluster that runs already
pub mod launch; // nodes: processes, addresses, readiness
pub mod limits; // errors caused by limits of this process and machine
pub mod settings; // settings of a system
pub mod units; // times and rates in text form

pub use system::{DescribedSystems, FinalReads, PlanMistake, SettingKey, System, SystemKind};
