//! From runs to points, knees, maxima and conclusions. Modules in reading order:

pub mod figures; // the figures of a run, and their spread over repeats
pub mod eligibility; // which runs count, and what limited them from outside the system
pub mod points; // one point per arm and value
pub mod knee; // the first value at which an arm no longer keeps up
pub mod find_max; // bisection to the highest rate that holds
pub(super) mod axis_words; // the axis and its values in words
pub mod answer; // a few sentences for readers who want no charts
pub mod conclude; // verdict and exit code
