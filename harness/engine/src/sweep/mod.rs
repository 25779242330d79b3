//! A sweep: runs of one plan along one axis, for several arms, within a budget. Modules in reading order:

pub mod axis; // the setting that varies, and its values (pure)
pub mod design; // arms and values to plans, validated before anything runs (pure)
pub mod budget; // the length of each point from a budget (pure)
pub mod order; // the order of the runs (pure)
pub mod drive; // the runs that are left, until the end, a stop or the end of the budget
pub mod runner; // one run of a point
