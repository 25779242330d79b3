//! Keeps: the run folder, its schema, charts and reports. Everything here is a function of a history and a verdict;
//! files are touched in `run_folder`, `index`, `alive`, `atomic`, `input` and `keep` only, and always below a path given as argument.
//! Modules in reading order:
#![forbid(unsafe_code)]

pub mod results_json; // what a run came to: `heckle.results/1`
pub mod fairness; // its part on who got how much
pub mod results_text; // that file as text, and back
pub mod env_json; // the machine a run was made on, and its fingerprint
pub mod utc; // times of day, from numbers that are arguments
pub mod rerun; // the script that runs the same plan and seed again
pub mod seal; // proof that a plan was written here

pub mod alive; // whether the process behind a run is still there (IO)
pub mod atomic; // files that are whole or not there (IO)
pub mod input; // files from elsewhere, read within limits (IO)
pub mod run_folder; // where a run is kept, and how one is found again (IO)
pub mod index; // `runs.jsonl`: one line a run (IO)

pub mod faults; // the disturbances of a history, and how long each took to get over
pub mod median; // the middle of figures
pub mod totals; // counts of ops, over the whole run and in the load window
pub mod measure; // figures from a history: latency, rate, outcomes, what the system reported
pub mod series; // a run in slices of time
pub mod from_checker; // the checker's words in the file's types
pub mod bottleneck; // what held a run back besides the system under test, and what that makes worthless
pub mod gates; // limits on the figures of a run
pub mod terms; // what a run was held to and how it ended, as its history carries it
pub mod conclude; // one verdict, one exit code, and why

pub mod charts; // PNG pictures of a run
pub mod hlog; // latency as HdrHistogram's interval log
pub mod terminal; // colour, tables and lines that fit
pub mod summary; // a run in words
pub mod explain; // every verdict in words: why, what it means, what to change
pub mod junit; // a run for machines that read test reports
pub mod compare; // arms of an experiment, run in pairs, and what they say
pub mod slowest; // the slowest ops, and why
pub mod fault_impact; // what each fault did to the ops
pub mod clients; // who got how much
pub mod terminal_report; // the same for the terminal
pub mod diff; // two runs side by side
pub mod report; // a run as one page, with charts to move in
pub mod suite; // a night of runs: one verdict, and a trend over nights
pub mod schemas; // JSON Schemas of the files, with golden copies
pub mod artifacts; // everything derived from a history, written into its folder (IO)
pub mod gc; // what of old runs may go (IO)

pub mod sample; // a made-up history with faults, for tests and pictures
pub mod sample_results; // and results for it

pub use measure::{Measured, analyze};
pub use median::median;
pub use results_json::Results;
pub use run_folder::RunFolder;
