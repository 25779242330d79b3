//! The command `heckle`: verbs, flags, embedded plans, and the only list of systems. What a verb does to processes, sockets and disks is
//! done by `heckle-engine`.
//!
//! The binary is a thin shell around this crate. Modules in reading order:

#[macro_use] // `outln!` and its siblings
extern crate heckle_engine;

// So that what tests and programs for other systems need has one address.
pub use heckle_engine::{
    clock, cluster, exit, history_file, limits, load, machine, nemesis, output, plan, recorder, relay, run, search, stop, suite,
};

pub mod cli; // verbs and flags
pub mod systems; // the list of systems under test
pub mod plans; // the plans that the program carries
pub mod build_info; // the commit that the program is built from
pub mod bench; // what `heckle bench` measures
pub mod verbs; // what each verb does
