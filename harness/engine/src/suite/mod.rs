//! A matrix of runs: its cells, the order of its runs, and the results of a night. Each run is a separate process, so
//! that a broken run does not affect the others. Modules in reading order:

pub mod matrix; // expands axes into cells, validated before anything runs (pure)
pub mod order; // order of the runs: recently failed and stale cells first (pure)
pub mod book; // the suite's folder, created or resumed
pub mod run_name; // names of the runs of a suite
pub mod child; // one run as a child process
pub mod drive; // executes all runs within the budget
pub mod confirm; // confirms an alarm from the trend with pairs of runs in the same night
