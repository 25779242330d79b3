//! The run folder: its files, replaced atomically and read within limits. All file access is in this module, always below a path passed as
//! an argument.

pub mod atomic; // atomic replacement of files and links (IO)
pub mod input; // bounded reads of input files (IO)
pub mod alive; // whether the process behind a run is still alive (IO)
pub mod dated; // folders named by their creation time (IO)
pub mod marked; // folders of comparisons and sweeps (IO)
pub mod run_folder; // creating, finding and reading run folders (IO)
pub mod index; // `runs.jsonl`: one line per run (IO)
pub mod filter; // which entries of a list to show
pub mod catalogue; // everything in the folder of all runs: runs, suites, comparisons, sweeps (IO)
pub mod rerun; // `rerun.sh`, which runs the same plan and seed again
pub mod seal; // proof that this installation wrote a plan
pub mod artifacts; // writes all files derived from a history into the run folder (IO)
pub mod gc; // garbage collection of old runs (IO)
