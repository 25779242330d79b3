//! The command `heckle`: verbs, flags, embedded plans, and the only list of systems. The work on processes, sockets and disks is done
//! in `heckle-engine`.
//!
//! The binary is a thin shell around this crate. Modules in reading order:

#[macro_use] // `outln!` and its siblings
extern crate heckle_engine;

// Re-exported so that tests and programs for other systems have one place to import from.
pub use heckle_engine::{
    clock, cluster, exit, history_file, limits, load, machine, nemesis, output, plan, recorder, relay, run, search, stop, suite, sweep,
};

pub mod cli; // the list of systems under test
pub mod systems; // the plans embedded in the program
pub mod plans; // the plans that the program carries
pub mod build_info; // the commit that the program is built from
pub mod bench; // the implementation of each verb
pub mod serve; // the read-only web server of `heckle serve`
pub mod verbs; // what each verb does
