//! Compares arms: the same plan with one setting changed, run in pairs. Statistics, decisions and words are functions of
//! figures; how the runs are made is the harness's business. Why these methods: `docs/comparing.md`. Modules in reading
//! order:

pub mod student; // Student's t
pub mod flips; // sign-flip tests and the intervals they imply
pub mod paired; // pairs of figures to an effect, an interval and probabilities
pub mod holm; // several figures looked at together
pub mod decide; // from probabilities to one of four decisions, and its words
