//! The verdict on a run, from its checks, coverage rules and gates.

pub mod gates; // gates: limits on the figures of a run
pub mod conclude; // the verdict and exit code of a run, with reasons
