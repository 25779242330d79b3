//! Keeps: the run folder, its schema, charts and reports. Everything here is a function of a history and a verdict; files are touched
//! in `folder` and `compare::folder` only. The folders, in reading order; their modules are public under this crate's own name:
#![forbid(unsafe_code)]

pub mod utc; // times of day, from numbers that are arguments
mod records; // what the files of a run say, in types
mod folder; // the run folder: its files, written whole and read within limits (IO)
mod figures; // figures from a history: latency, rate, outcomes, faults
mod verdict; // one verdict and exit code, from checks, coverage rules and gates
pub mod charts; // PNG pictures of a run
mod text; // a run in words: terminal, step summary, test reports
pub mod report; // a run as one page, with charts to move in
pub mod compare; // arms of an experiment, run in pairs, and what they say
pub mod suite; // a night of runs: one verdict, and a trend over nights
mod samples; // made-up runs, for tests and pictures

pub use figures::{bottleneck, clients, fault_impact, faults, hlog, measure, median, series, slowest, totals};
pub use folder::{alive, artifacts, atomic, gc, index, input, rerun, run_folder, seal};
pub use records::{env_json, fairness, from_checker, results_json, results_text, schemas, terms};
pub use samples::{sample, sample_results};
pub use text::{diff, explain, junit, summary, terminal, terminal_report};
pub use verdict::{conclude, gates};

pub use measure::{Measured, analyze};
pub use median::median;
pub use results_json::Results;
pub use run_folder::RunFolder;
