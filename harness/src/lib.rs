//! Does: everything that touches processes, sockets, clocks and disks on behalf of a run.
//!
//! The binary `heckle` is a thin shell around this crate. Modules in reading order:

#[macro_use] // its macros print, for all modules below
pub mod output; // what is printed

pub mod cli; // verbs and flags
pub mod clock; // the one monotonic clock of a run
pub mod cluster; // node processes
pub mod exit; // the exit codes
pub mod history_file; // history files, pipes and devices, within bounds
pub mod limits; // of this process and machine: compared, raised, named
pub mod machine; // what is known to be written here
pub mod load; // ops at their times
pub mod nemesis; // faults at theirs
pub mod plan; // what defines a run, validated once
pub mod plans; // the plans that the program carries
pub mod recorder; // events to disk and to the online judge
pub mod relay; // every link of the cluster, where frames can be cut, delayed, dropped, doubled and swapped
pub mod run; // all of it, from plan to report
pub mod search; // the search engine in a child process with limits
pub mod suite; // a matrix of runs, night after night
pub mod stop; // asking everything to stop
pub mod systems; // the list of systems under test
pub mod bench; // what `heckle bench` measures
pub mod verbs; // what each verb does
