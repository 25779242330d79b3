//! What a counterexample is drawn from.

use crate::measure::Measured;
use heckle_history::History;

/// A history in which a violation is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The history of the run.
    pub history: &'a History,
    /// The measured figures.
    pub measured: &'a Measured,
    /// Where `report.html` is, relative to the page; empty in that page itself.
    pub report: &'a str,
}
