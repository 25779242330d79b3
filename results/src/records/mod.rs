//! The types of a run's files.

pub mod results_json; // `results.json`: the result of a run, schema `heckle.results/1`
pub mod fairness; // fairness figures in `results.json`
pub mod results_text; // serialization and parsing of `results.json`
pub mod experiment; // parts shared by the results of comparisons and sweeps
pub mod env_json; // the machine on which a run was executed, and its fingerprint
pub mod terms; // the requirements of a run and how it ended, as recorded in the history
pub mod from_checker; // conversion of checker results to the types of `results.json`
pub mod schemas; // JSON Schemas of the files, compared with golden copies
pub mod live_json; // the state of a run in progress
