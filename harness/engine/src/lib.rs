//! Does: runs a system under test. Everything that touches processes, sockets, clocks and disks on behalf of a run is here; what differs
//! between systems is asked of the traits of `heckle-system-api`. No system is named.
//!
//! The command `heckle` is a thin shell around this crate. Modules in reading order:

#[macro_use] // its macros print, for all modules below
pub mod output; // what is printed

pub mod clock; // the one monotonic clock of a run
pub mod exit; // the exit codes
pub mod systems; // the list of systems that a plan can name
pub mod plan; // what defines a run, validated once
pub mod limits; // of this process and machine: compared, raised, named
pub mod machine; // what is known to be written here
pub mod history_file; // history files, pipes and devices, within bounds
pub mod recorder; // events to disk and to the online judge
pub mod cluster; // node processes
pub mod relay; // every link of the cluster, where frames can be cut, delayed, dropped, doubled and swapped
pub mod load; // ops at their times
pub mod nemesis; // faults at theirs
pub mod search; // the search engine in a child process with limits
pub mod run; // all of it, from plan to report
pub mod suite; // a matrix of runs, night after night
pub mod stop; // asking everything to stop

#[cfg(test)]
mod testing; // systems for the tests of this crate
