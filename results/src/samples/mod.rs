//! Synthetic runs, for tests and example charts.

pub mod sample; // a synthetic history with faults, for tests and example charts
pub mod sample_results; // results for that history
