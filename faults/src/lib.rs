//! Faults as data: what can go wrong, where, when and for how long. Pure and seeded: no clock, no IO.
//!
//! A [`Kind`] draws a [`Fault`], whose [`Step`]s are made of the few [`Action`]s that an engine can carry out. An engine knows
//! actions and no kind, so a new kind is a file in `kinds/` and its line in `registry.rs`.
//!
//! The same seed and settings give the same schedule. Modules in reading order:
#![forbid(unsafe_code)]

mod target; // nodes, links, roles
mod action; // the primitives of an engine
mod trigger; // what sets a fault off
mod fault; // one fault with everything drawn
mod kind; // what is known of a kind of fault
mod draw; // what the draws of kinds share
mod quorum; // whether a fault leaves a quorum unhurt
pub mod registry; // every kind, by name
pub mod schedule; // which fault comes when
pub mod schedule_file; // a schedule as JSON Lines

pub use action::{Action, ClockSetting, LinkEffect, Signal, Step};
pub use fault::{Amounts, Fault, nodes_hit};
pub use kind::{Control, Coverage, Evidence, FaultKind, Kind, Needs};
pub use target::{End, Link, Node, Role, Target, TargetShape, all_nodes, links_from, links_to, node_links};
pub use trigger::Trigger;
