//! A matrix of runs: which cells there are, in what order they are run, and what a night of them comes to.
//! Each run is a process of its own, so that one that breaks takes nothing with it. Modules in reading order:

pub mod matrix; // axes to cells, validated before anything runs (pure)
pub mod order; // stale and recently failed cells first (pure)
pub mod book; // the suite's folder: taken up again after an interruption
pub mod child; // one run as a child process
pub mod drive; // all of them, within the budget
pub mod confirm; // a trip of the trend, confirmed by pairs in the same night
