//! Compares arms: the same plan with one setting changed, run in pairs. Statistics, decisions and texts are functions of figures.
//! The harness executes the runs. `docs/comparing.md` explains the methods. Modules in reading order, with those of private
//! folders re-exported below:

mod statistics; // statistics of pairs, and the decisions that follow from them
mod measured; // the figures of runs, and which runs count
pub mod compare_json; // `compare.json`: the result of a comparison, schema `heckle.compare/1`
mod conclusion; // the result, its validity, and the answer in words
mod view; // a comparison as text, charts and page
pub mod folder; // comparison folders (IO)
pub mod sample; // a synthetic comparison, for tests and example charts

pub use compare_json::Comparison;
pub use conclusion::{answer, conclude, validity};
pub use measured::{figures, intents, phases, runs, state};
pub use statistics::{decide, flips, holm, paired, student};
pub use view::{charts, page, text};
