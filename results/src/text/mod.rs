//! A run as text: for the terminal, for a step summary, and for JUnit reports.

pub mod terminal; // colour, tables and line width in a terminal
pub mod summary; // the summary of a run as text
pub mod explain; // an explanation of every verdict: why, what it means, what to change
pub mod junit; // a run as a JUnit report
pub mod terminal_report; // the report for the terminal
pub mod diff; // differences between two runs
pub mod groups; // suites and sweeps as lines of a list
