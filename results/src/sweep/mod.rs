//! Sweeps: one plan along one axis, such as the rate or the number of clients, for one or several arms. Everything but `folder` is a
//! function of the runs so far, so a sweep can be interrupted, resumed and redrawn. Modules in reading order, with those of private
//! folders re-exported below:

pub mod sweep_json; // `sweep.json`, schema `heckle.sweep/1`
mod analysis; // derives points, knees, maxima and conclusions from runs
mod view; // a sweep as text, picture and page
pub mod folder; // the folder of a sweep (IO)
pub mod sample; // a synthetic sweep, for tests

pub use analysis::{answer, conclude, eligibility, figures, find_max, knee, points};
pub use sweep_json::Sweep;
pub use view::{page, text};
