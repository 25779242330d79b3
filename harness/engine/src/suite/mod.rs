//! A matrix of runs: its cells, the order of its runs, and the results of a night. Each run is a separate process, so
//! that one that breaks does not affect the others. Modules in reading order:

pub mod matrix; // axes to cells, validated before anything runs (pure)
pub mod order; // stale and recently failed cells first (pure)
pub mod book; // the suite's folder, which an interrupted suite resumes
pub mod run_name; // names of the runs of a suite
pub mod child; // one run as a child process
pub mod drive; // all of them, within the budget
pub mod confirm; // confirms an alarm of the trend with pairs in the same night
