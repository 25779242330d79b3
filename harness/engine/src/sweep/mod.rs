//! A sweep: runs of one plan along one axis, for several arms, within a budget. Modules in reading order:

pub mod axis; // the setting that varies, and its values (pure)
pub mod design; // turns arms and values into plans, validated before anything runs (pure)
pub mod budget; // computes the length of each point from a budget (pure)
pub mod order; // the order of the runs (pure)
pub mod drive; // executes the remaining runs until the end, a stop, or the end of the budget
pub mod runner; // executes one run
