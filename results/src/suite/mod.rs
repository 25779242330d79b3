//! What a night leaves: many runs, one verdict, and how this night compares with those before. Pure, but for nothing: files
//! are read and written by whoever calls. Modules in reading order:

pub mod suite_json; // what a suite came to: `heckle.suite/1`
pub mod conclude; // one exit code from many, and why
pub mod junit; // a suite for machines that read test reports
pub mod summary; // a suite in words: terminal and step summary
pub mod trend; // one figure over many nights, and when it trips
pub mod trend_html; // the nights as one page

pub use suite_json::SuiteResults;
