//! Made-up runs for tests and pictures.

pub mod sample; // a made-up history with faults, for tests and pictures
pub mod sample_results; // and results for it
