//! The command `heckle`: verbs, flags, embedded plans, and the only list of systems. `heckle-engine` does the work on processes,
//! sockets and disks.
//!
//! The binary is a thin shell around this crate. Modules in reading order:

#[macro_use] // `outln!` and its siblings
extern crate heckle_engine;

// Re-exported so that tests and programs for other systems can import everything from here.
pub use heckle_engine::{
    clock, cluster, exit, history_file, limits, load, machine, nemesis, output, plan, recorder, relay, run, search, stop, suite, sweep,
};

pub mod cli; // the command line: verbs and flags
pub mod systems; // the list of systems under test
pub mod plans; // the plans embedded in the program
pub mod build_info; // the commit from which the program was built
pub mod bench; // the benchmarks of `heckle bench`
pub mod serve; // the read-only web server of `heckle serve`
pub mod verbs; // the implementation of each verb
