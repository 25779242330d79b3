//! The run folder: its files, written whole and read within limits. All access to files is in here, always below a path given as argument.

pub mod atomic; // files that are whole or not there (IO)
pub mod input; // files from elsewhere, read within limits (IO)
pub mod alive; // whether the process behind a run is still there (IO)
pub mod run_folder; // where a run is kept, and how one is found again (IO)
pub mod index; // `runs.jsonl`: one line a run (IO)
pub mod rerun; // the script that runs the same plan and seed again
pub mod seal; // proof that a plan was written here
pub mod artifacts; // everything derived from a history, written into its folder (IO)
pub mod gc; // what of old runs may go (IO)
