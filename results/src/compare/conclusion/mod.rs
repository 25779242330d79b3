//! The result of a comparison, its validity, and the answer in words. Modules in reading order:

pub mod conclude; // derives the result from the runs
pub mod validity; // conditions for the validity of the figures
pub mod answer; // the answer in at most three sentences
