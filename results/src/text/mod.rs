//! A run in words: for the terminal, a step summary, test reports.

pub mod terminal; // colour, tables and lines that fit
pub mod summary; // a run in words
pub mod explain; // every verdict in words: why, what it means, what to change
pub mod junit; // a run for machines that read test reports
pub mod terminal_report; // the same for the terminal
pub mod diff; // two runs side by side
