//! The types of the files of a run.

pub mod results_json; // `results.json`: the result of a run, schema `heckle.results/1`
pub mod fairness; // its fairness figures
pub mod results_text; // serialization and parsing of `results.json`
pub mod experiment; // what the results of comparisons and sweeps have in common
pub mod env_json; // the machine that a run was made on, and its fingerprint
pub mod terms; // the requirements of a run and its end, as recorded in the history
pub mod from_checker; // conversion of checker results to the types of `results.json`
pub mod schemas; // JSON Schemas of the files, compared with golden copies
pub mod live_json; // the state of a run in progress
