//! Compares arms: the same plan with one setting changed, run in pairs. Statistics, decisions and texts are functions of figures;
//! the harness makes the runs. `docs/comparing.md` explains the methods. Modules in reading order:

pub mod student; // Student's t distribution
pub mod flips; // sign-flip tests and their intervals
pub mod paired; // effect, interval and probabilities from pairs of figures
pub mod holm; // adjustment for multiple testing
pub mod decide; // one of four decisions from probabilities, as text

pub mod phases; // phases: calm, during faults, recovery
pub mod intents; // intents of clients, and how long they took
pub mod figures; // figures by which arms are compared
pub mod state; // bytes of protocol state over time
pub mod runs; // which runs count

pub mod compare_json; // `compare.json`: the result of a comparison, schema `heckle.compare/1`
pub mod conclude; // derives the result from the runs
pub mod validity; // conditions for the validity of the figures
pub mod answer; // the answer in at most three sentences

pub mod text; // a comparison for the terminal
pub mod charts; // charts of a comparison
pub mod page; // a comparison as an HTML page
pub mod folder; // comparison folders (IO)
pub mod sample; // a synthetic comparison, for tests and example charts

pub use compare_json::Comparison;
