//! Sweeps: one plan along one axis, such as the rate or the number of clients, for one or several arms. Everything but `folder` is a
//! function of the runs made so far, so that a sweep can be interrupted, resumed and drawn again. Modules in reading order; those of
//! private folders are re-exported below:

pub mod sweep_json; // `sweep.json`, schema `heckle.sweep/1`
mod analysis; // from runs to points, knees, maxima and conclusions
mod view; // a sweep as text, picture and page
pub mod folder; // the folder of a sweep (IO)
pub mod sample; // a synthetic sweep, for tests

pub use analysis::{answer, conclude, eligibility, figures, find_max, knee, points};
pub use sweep_json::Sweep;
pub use view::{page, text};
