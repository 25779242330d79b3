//! Faults as data: kind, target, time and duration. The crate is pure and seeded, without a clock or IO.
//!
//! A [`Kind`] draws a [`Fault`], whose [`Step`]s consist of the few [`Action`]s that an engine can carry out. Engines depend
//! only on actions, not on kinds, so a new kind requires only a file in `kinds/` and a line in `registry.rs`.
//!
//! The same seed and settings give the same schedule. Modules in reading order:
#![forbid(unsafe_code)]

mod target; // nodes, links, roles
mod action; // the primitives of an engine
mod trigger; // a fault that begins at a point of the protocol
mod fault; // one fault with all parameters drawn
mod kind; // the description of a kind of fault
mod draw; // helpers for drawing faults
mod quorum; // whether a fault spares a quorum
pub mod registry; // all kinds, by name
pub mod schedule; // the fault schedule
pub mod schedule_file; // reads and writes a schedule as JSON Lines

pub use action::{Action, ClockSetting, DiskFailure, DiskLoss, EndCause, LinkEffect, Signal, Step};
pub use fault::{Amounts, Fault, nodes_hit};
pub use kind::{Control, Coverage, Evidence, FaultKind, Kind, Model, Needs};
pub use target::{End, Link, Node, Role, SENDER, Target, TargetShape, all_nodes, links_from, links_to, node_links};
pub use trigger::AtPoint;
