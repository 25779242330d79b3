//! Compares arms: the same plan with one setting changed, run in pairs. Statistics, decisions and words are functions of
//! figures; how the runs are made is the harness's business. Why these methods: `docs/comparing.md`. Modules in reading
//! order:

pub mod student; // Student's t
pub mod flips; // sign-flip tests and the intervals they imply
pub mod paired; // pairs of figures to an effect, an interval and probabilities
pub mod holm; // several figures looked at together
pub mod decide; // from probabilities to one of four decisions, and its words

pub mod phases; // calm, during faults, recovery
pub mod intents; // what clients wanted, and how long it took
pub mod figures; // what arms are compared by, read from a run
pub mod state; // bytes of protocol state over time
pub mod runs; // which runs count

pub mod compare_json; // what a comparison came to: `heckle.compare/1`
pub mod conclude; // from runs to all of that
pub mod validity; // what the figures rest on

pub mod text; // a comparison for the terminal
pub mod charts; // its pictures
pub mod page; // it as one page
pub mod folder; // where it is kept (IO)
pub mod sample; // a made-up comparison, for tests and pictures

pub use compare_json::Comparison;
