//! One verdict of a run, from its checks, coverage rules and gates.

pub mod gates; // limits on the figures of a run
pub mod conclude; // one verdict, one exit code, and why
