//! Statistics of pairs, and the decisions that follow from them. Modules in reading order:

pub mod student; // Student's t distribution
pub mod flips; // sign-flip tests and their intervals
pub mod paired; // effect, interval and probabilities from pairs of figures
pub mod holm; // adjustment for multiple testing
pub mod decide; // one of four decisions from probabilities, as text
