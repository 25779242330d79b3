//! The data from which a counterexample is drawn.

use crate::measure::Measured;
use heckle_history::History;

/// A history with the data needed to draw a violation in it.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The history of the run.
    pub history: &'a History,
    /// The measured figures.
    pub measured: &'a Measured,
    /// Path of `report.html` relative to the page. Empty in that page itself.
    pub report: &'a str,
}
