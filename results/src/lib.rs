//! Run folders: their schema, charts and reports. Everything here is a function of a history and a verdict; only `folder` and
//! `compare::folder` touch files. Modules in reading order, with those of private folders re-exported below:
#![forbid(unsafe_code)]

pub mod utc; // UTC dates and times, without reading a clock
mod records; // the types of the files of a run
mod folder; // the run folder: its files, replaced atomically and read within limits (IO)
mod figures; // figures from a history: latency, rate, outcomes, faults
mod verdict; // the verdict and exit code of a run, from checks, coverage rules and gates
pub mod charts; // PNG charts of a run
pub mod counterexample; // the few operations of a violation, drawn and stepped through
mod text; // a run as text: terminal, step summary, JUnit reports
pub mod report; // the HTML report of a run, with interactive charts
pub mod compare; // comparisons: arms run in pairs, and the statistics
pub mod sweep; // sweeps: one plan along one axis, with knees and maxima
pub mod suite; // suites: one verdict for many runs, and trends over suites
pub mod prometheus; // the figures of a run as Prometheus text
pub mod site; // the pages of `heckle serve`
mod samples; // synthetic runs, for tests and example charts

pub use figures::{
    bottleneck, buckets, clients, fault_impact, faults, hlog, latency_slices, measure, median, series, slowest, stages, totals,
};
pub use folder::{alive, artifacts, atomic, catalogue, dated, filter, gc, index, input, marked, rerun, run_folder, seal};
pub use records::{env_json, experiment, fairness, from_checker, live_json, results_json, results_text, schemas, terms};
pub use samples::{sample, sample_results};
pub use text::{diff, explain, groups, junit, summary, terminal, terminal_report};
pub use verdict::{conclude, gates};

pub use measure::{Measured, analyze};
pub use median::median;
pub use results_json::Results;
pub use run_folder::RunFolder;
