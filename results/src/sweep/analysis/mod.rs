//! Derives points, knees, maxima and conclusions from runs. Modules in reading order:

pub mod figures; // the figures of a run, and their spread over repeats
pub mod eligibility; // which runs count, and which external limits affected them
pub mod points; // one point per arm and value
pub mod knee; // the first value at which an arm no longer keeps up
pub mod find_max; // bisection to the highest sustainable rate
pub(super) mod axis_words; // descriptions of the axis and its values
pub mod answer; // a few sentences for readers who do not want charts
pub mod conclude; // verdict and exit code
