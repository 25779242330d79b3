//! Sweeps: one plan along one axis, such as the rate or the number of clients, for one or several arms. Everything but `folder` is a
//! function of the runs made so far, so that a sweep can be interrupted, resumed and drawn again. Modules in reading order:

pub mod sweep_json; // `sweep.json`, schema `heckle.sweep/1`
pub mod figures; // the figures of a run, and their spread over repeats
pub mod eligibility; // which runs count, and what limited them from outside the system
pub mod points; // one point per arm and value
pub mod knee; // the first value at which an arm no longer keeps up
pub mod find_max; // bisection to the highest rate that holds
mod axis_words; // the axis and its values in words
pub mod answer; // a few sentences for readers who want no charts
pub mod conclude; // verdict and exit code
pub mod text; // a sweep on a terminal
mod panels; // what is drawn: panels, lines, marks
mod png; // the panels as one picture
mod svg; // the panels as parts of a page
pub mod page; // `sweep.html`
pub mod folder; // the folder of a sweep (IO)
pub mod sample; // a synthetic sweep, for tests

pub use sweep_json::Sweep;
