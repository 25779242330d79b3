//! Runs a system under test. This crate contains all code that touches processes, sockets, clocks and disks on behalf
//! of a run. The traits of `heckle-system-api` cover the differences between systems, so no system is named here.
//!
//! The command `heckle` is a thin shell around this crate. Modules in reading order:

#[macro_use] // its printing macros are used by all modules below
pub mod output; // printing to stdout and stderr

pub mod clock; // the monotonic clock of a run
pub mod exit; // the exit codes
pub mod systems; // the list of systems that a plan can name
pub mod plan; // what defines a run, validated once
pub mod limits; // limits of this process and machine: compared, raised, reported
pub mod machine; // proof that a run folder was written on this machine
pub mod history_file; // reads history files, pipes and devices within limits
pub mod read_ahead; // reads an input on a separate thread
pub mod orphans; // child processes that must not outlive this one
pub mod recorder; // writes events to disk and feeds them to the online judge
pub mod cluster; // node processes
pub mod relay; // the proxy for every link: cuts, delays, drops, duplicates and reorders frames
pub mod load; // sends operations on schedule
pub mod nemesis; // injects faults on schedule
pub mod search; // runs the search engine in a child process with limits
pub mod run; // a whole run, from plan to report
pub mod suite; // a matrix of runs, repeated every night
pub mod sweep; // runs of one plan along one axis
pub mod stop; // the shared stop flag of a run

#[cfg(test)]
mod testing; // systems for the tests of this crate
