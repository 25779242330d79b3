//! Suites: one verdict for many runs, and a comparison with earlier suites. This module is pure; callers read and write files.
//! Modules in reading order:

pub mod suite_json; // `suite.json`: the result of a suite, schema `heckle.suite/1`
pub mod conclude; // derives the exit code and its reasons
pub mod junit; // a suite as a JUnit report
pub mod summary; // the summary of a suite: terminal and step summary
pub mod trend; // trends of figures over nightly suites, and warnings
pub mod trend_html; // trends as an HTML page

pub use suite_json::SuiteResults;
